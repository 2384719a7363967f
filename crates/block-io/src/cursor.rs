//! A position over storage, for libraries that want `Read`, `Write` and `Seek`.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::{BlockRead, BlockWrite};

/// How much is read ahead at once. Libraries that parse file systems read a few bytes at a time; an encrypted volume
/// underneath costs the same for one byte as for a whole sector.
const WINDOW_BYTES: usize = 64 * 1024;

/// A seekable stream over a device, with one window of read-ahead. Writes go straight through.
#[derive(Debug)]
pub struct Cursor<D> {
    inner: D,
    position: u64,
    window_start: u64,
    window: Vec<u8>,
}

impl<D: BlockRead> Cursor<D> {
    /// A stream that stands at the first byte.
    pub fn new(inner: D) -> Self {
        Self { inner, position: 0, window_start: 0, window: Vec::new() }
    }

    /// The bytes of the window from the current position on; refilled when there are none.
    fn available(&mut self) -> io::Result<&[u8]> {
        let length = self.inner.geometry().length_bytes;
        let inside = self
            .position
            .checked_sub(self.window_start)
            .and_then(|distance| usize::try_from(distance).ok())
            .filter(|distance| *distance < self.window.len());
        if let Some(distance) = inside {
            return Ok(&self.window[distance..]);
        }
        let start = self.position - self.position % 4096;
        let count = usize::try_from(length.saturating_sub(start)).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        self.window.resize(count, 0);
        self.window_start = start;
        if let Err(error) = self.inner.read_exact_at(start, &mut self.window) {
            self.window.clear();
            return Err(error.into());
        }
        let distance = usize::try_from(self.position - start).unwrap_or(usize::MAX);
        Ok(self.window.get(distance..).unwrap_or_default())
    }
}

impl<D: BlockRead> Read for Cursor<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.geometry().length_bytes;
        let left = length.saturating_sub(self.position);
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        if buffer.len() >= WINDOW_BYTES {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.inner.read_exact_at(self.position, &mut buffer[..count])?;
            self.position += count as u64;
            return Ok(count);
        }
        let available = self.available()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl<D: BlockRead> Seek for Cursor<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(distance) => self.inner.geometry().length_bytes.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before byte 0"))?;
        Ok(self.position)
    }
}

impl<D: BlockWrite> Write for Cursor<D> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let left = self.inner.geometry().length_bytes.saturating_sub(self.position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        self.window.clear();
        self.inner.write_all_at(self.position, &data[..count])?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.inner.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    proptest::proptest! {
        #[test]
        fn reads_equal_a_plain_slice(seeks in proptest::collection::vec((0..200_000_u64, 0..100_000_usize), 1..20)) {
            let bytes: Vec<u8> = (0..150_000_u32).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
            let mut cursor = Cursor::new(MemoryDisk::new(bytes.clone()));
            for (offset, length) in seeks {
                cursor.seek(SeekFrom::Start(offset)).unwrap();
                let mut read = Vec::new();
                (&mut cursor).take(length as u64).read_to_end(&mut read).unwrap();
                let start = usize::try_from(offset).unwrap().min(bytes.len());
                let end = (start + length).min(bytes.len());
                proptest::prop_assert_eq!(&read[..], &bytes[start..end]);
            }
        }
    }

    #[test]
    fn a_write_is_seen_by_the_next_read() {
        let mut cursor = Cursor::new(MemoryDisk::new(vec![0; 8192]));
        let mut byte = [0];
        cursor.read_exact(&mut byte).unwrap();
        cursor.seek(SeekFrom::Start(0)).unwrap();
        cursor.write_all(&[5]).unwrap();
        cursor.seek(SeekFrom::Start(0)).unwrap();
        cursor.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [5]);
    }
}
