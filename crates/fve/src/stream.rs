//! Reading a whole volume in order, decrypted on every core.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use block_io::{BlockRead, Error};

use crate::UnlockedVolume;

/// Bytes handed over at a time.
pub const STREAM_CHUNK_BYTES: usize = 1024 * 1024;
/// Chunks that wait per worker; bounds memory to (this + 2) chunks per worker.
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
        let workers = workers.max(1);
        thread::scope(|scope| {
            let receivers: Vec<Receiver<Result<Vec<u8>, Error>>> = (0..workers)
                .map(|worker| {
                    let (sender, receiver) = sync_channel(WAITING_CHUNKS);
                    scope.spawn(move || {
                        let mut offset = worker as u64 * chunk;
                        while offset < length {
                            let read = self.read_chunk(offset, chunk.min(length - offset));
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

    fn read_chunk(&self, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>, Error> {
        let mut data = vec![0; usize::try_from(length_bytes).unwrap_or(STREAM_CHUNK_BYTES)];
        self.read_exact_at(offset_bytes, &mut data)?;
        Ok(data)
    }
}
