//! Long work on a whole volume, on every core: in order for pipes and hashes, in any order for files.
//!
//! Memory is bounded by the number of workers, never by the size of the volume: at most [`MAX_WORKERS`] threads with at
//! most four chunks each, 32 MiB in all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use block_io::{BlockRead, Error};

use crate::UnlockedVolume;

/// Bytes handed over at a time.
pub const STREAM_CHUNK_BYTES: usize = 512 * 1024;
/// Threads that are used, however many are asked for.
pub const MAX_WORKERS: usize = 16;
/// Chunks that wait per worker in [`UnlockedVolume::stream`].
const WAITING_CHUNKS: usize = 2;

impl<D: BlockRead> UnlockedVolume<D> {
    /// Hands the plain volume to `sink` in order, in chunks of [`STREAM_CHUNK_BYTES`] (the last is shorter). `workers`
    /// threads read and decrypt ahead.
    ///
    /// # Errors
    /// What `sink` gives, or [`Error`] of a read turned into it; everything before was handed over.
    pub fn stream<E: From<Error>>(
        &self,
        workers: usize,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let length = self.geometry().length_bytes;
        let chunk = STREAM_CHUNK_BYTES as u64;
        let workers = workers.clamp(1, MAX_WORKERS);
        thread::scope(|scope| {
            let receivers: Vec<Receiver<Result<Vec<u8>, Error>>> = (0..workers)
                .map(|worker| {
                    let (sender, receiver) = sync_channel(WAITING_CHUNKS);
                    scope.spawn(move || {
                        let mut offset = worker as u64 * chunk;
                        while offset < length {
                            let mut data = Vec::new();
                            let read = self.read_chunk(offset, &mut data).map(|()| data);
                            let failed = read.is_err();
                            // The receiver is gone once the sink has failed: nothing more to do.
                            if sender.send(read).is_err() || failed {
                                return;
                            }
                            offset += chunk * workers as u64;
                        }
                    });
                    receiver
                })
                .collect();
            for index in 0..length.div_ceil(chunk) {
                let worker = usize::try_from(index % workers as u64).unwrap_or(0);
                match receivers[worker].recv() {
                    Ok(Ok(data)) => sink(&data)?,
                    Ok(Err(error)) => return Err(error.into()),
                    Err(_) => break,
                }
            }
            Ok(())
        })
    }

    /// Hands every chunk of the plain volume to `sink` with its offset, in any order and several at a time: for targets
    /// that are written at offsets.
    ///
    /// # Errors
    /// The first that `sink` gives, or [`Error`] of a read turned into it; which other chunks were handed over is not
    /// known then.
    pub fn for_each_chunk<E: From<Error> + Send>(
        &self,
        workers: usize,
        sink: impl Fn(u64, &[u8]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let length = self.geometry().length_bytes;
        in_parallel(workers, length.div_ceil(STREAM_CHUNK_BYTES as u64), |index, buffer| {
            let offset = index * STREAM_CHUNK_BYTES as u64;
            self.read_chunk(offset, buffer)?;
            sink(offset, buffer)
        })
    }

    fn read_chunk(&self, offset_bytes: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let left = self.geometry().length_bytes - offset_bytes;
        buffer.resize(usize::try_from(left).unwrap_or(STREAM_CHUNK_BYTES).min(STREAM_CHUNK_BYTES), 0);
        self.read_exact_at(offset_bytes, buffer)
    }
}

/// Calls `work` with every number below `count`, on `workers` threads with a buffer each, until one call fails.
pub(crate) fn in_parallel<E: Send>(
    workers: usize,
    count: u64,
    work: impl Fn(u64, &mut Vec<u8>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    if workers <= 1 {
        // On the calling thread, in order: what is simulated can be replayed.
        let mut buffer = Vec::new();
        return (0..count).try_for_each(|index| work(index, &mut buffer));
    }
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..workers.clamp(1, MAX_WORKERS) {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    if let Err(error) = work(index, &mut buffer) {
                        stop.store(true, Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once_and_a_failure_ends_the_work() {
        let seen = Mutex::new(vec![0; 1000]);
        let done: Result<(), u64> = in_parallel(7, 1000, |index, _| {
            seen.lock().unwrap()[usize::try_from(index).unwrap()] += 1;
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(seen.into_inner().unwrap(), vec![1; 1000]);
        let calls = AtomicU64::new(0);
        let failed = in_parallel(2, u64::MAX, |index, _| {
            calls.fetch_add(1, Ordering::Relaxed);
            if index == 10 { Err("ten") } else { Ok(()) }
        });
        assert_eq!(failed, Err("ten"));
    }
}
