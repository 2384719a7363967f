//! Reading a long file ahead of whoever takes its content.

use std::sync::mpsc::sync_channel;
use std::thread;

use crate::Error;

/// How much is read and handed on at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Shorter files are read without a thread of their own.
const AHEAD_FROM_BYTES: u64 = 4 << 20;
/// Parts that wait to be taken.
const PARTS: usize = 3;

type Take<'t> = &'t mut dyn FnMut(&[u8], u64) -> Result<(), Error>;
type Read<'r> = &'r (dyn Fn(u64, &mut [u8]) -> Result<usize, Error> + Sync);

/// Hands on `size` bytes part by part, with the bytes handed on so far. Returns their number.
pub(crate) fn run(size: u64, read: Read<'_>, take: Take<'_>) -> Result<u64, Error> {
    if size < AHEAD_FROM_BYTES {
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
        let mut done = 0;
        while done < size {
            let count = read(done, &mut buffer)?;
            if count == 0 {
                return Err(ends_early());
            }
            done += count as u64;
            take(&buffer[..count], done)?;
        }
        return Ok(done);
    }
    thread::scope(|scope| {
        let (full, taken) = sync_channel::<(Vec<u8>, usize)>(PARTS);
        let (empty, reused) = sync_channel::<Vec<u8>>(PARTS + 1);
        for _ in 0..PARTS {
            // The channel has room for them.
            let _ = empty.send(vec![0; CHUNK_BYTES]);
        }
        let reader = scope.spawn(move || {
            let mut done = 0;
            while done < size {
                // Whoever takes the parts has stopped.
                let Ok(mut buffer) = reused.recv() else { break };
                let count = read(done, &mut buffer)?;
                if count == 0 {
                    return Err(ends_early());
                }
                done += count as u64;
                if full.send((buffer, count)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let mut done = 0;
        let mut result = Ok(());
        while let (true, Ok((buffer, count))) = (result.is_ok(), taken.recv()) {
            done += count as u64;
            result = take(buffer.get(..count).unwrap_or_default(), done);
            let _ = empty.send(buffer);
        }
        drop((taken, empty));
        let read = reader.join().unwrap_or_else(|_| Err(Error::damaged("the reader stopped")));
        result.and(read).map(|()| done)
    })
}

fn ends_early() -> Error {
    Error::damaged("content ends before its length")
}
