//! A disk of any size in memory: only what was written takes room, the rest reads as zeros.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use block_io::{BlockRead, BlockWrite, Error, Geometry, check_range};

const PAGE_BYTES: usize = 512;

/// Storage of which most is zeros. A clone is a disk of its own.
#[derive(Default)]
pub struct SparseDisk {
    pages: RwLock<BTreeMap<u64, [u8; PAGE_BYTES]>>,
    length_bytes: u64,
}

impl SparseDisk {
    /// `length_bytes` of zeros.
    #[must_use]
    pub fn new(length_bytes: u64) -> Self {
        Self { pages: RwLock::default(), length_bytes }
    }

    /// The same content, cut or extended.
    #[must_use]
    pub fn resized(&self, length_bytes: u64) -> Self {
        let mut pages = self.pages.read().unwrap_or_else(PoisonError::into_inner).clone();
        pages.retain(|page, _| page * (PAGE_BYTES as u64) < length_bytes);
        Self { pages: RwLock::new(pages), length_bytes }
    }

    /// What is stored from `offset_bytes` on; shorter where the disk ends.
    #[must_use]
    pub fn bytes(&self, offset_bytes: u64, length: usize) -> Vec<u8> {
        let left = usize::try_from(self.length_bytes.saturating_sub(offset_bytes)).unwrap_or(usize::MAX);
        let mut out = vec![0; length.min(left)];
        let read = self.read_exact_at(offset_bytes, &mut out);
        debug_assert!(read.is_ok() || left == 0, "within the disk");
        out
    }

    /// Stores as much of `bytes` as lies on the disk.
    pub fn put(&self, offset_bytes: u64, bytes: &[u8]) {
        let left = usize::try_from(self.length_bytes.saturating_sub(offset_bytes)).unwrap_or(usize::MAX);
        let written = self.write_all_at(offset_bytes, &bytes[..bytes.len().min(left)]);
        debug_assert!(written.is_ok() || left == 0, "within the disk");
    }
}

impl Clone for SparseDisk {
    fn clone(&self) -> Self {
        self.resized(self.length_bytes)
    }
}

/// The pages a range touches: number of the page, where the part starts in it, and the part's place in the range.
fn parts(offset_bytes: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset_bytes + done as u64;
        let inside = usize::try_from(at % PAGE_BYTES as u64).unwrap_or(0);
        let count = (PAGE_BYTES - inside).min(length - done);
        let part = done..done + count;
        done = part.end;
        (count > 0).then_some((at / PAGE_BYTES as u64, inside, part))
    })
}

impl BlockRead for SparseDisk {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        check_range(offset_bytes, buffer.len(), self.length_bytes)?;
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        buffer.fill(0);
        let end = offset_bytes + buffer.len() as u64;
        // Over a hole of any length at once.
        for (number, page) in pages.range(offset_bytes / PAGE_BYTES as u64..end.div_ceil(PAGE_BYTES as u64)) {
            let start = number * PAGE_BYTES as u64;
            let (from, to) = (start.max(offset_bytes), (start + PAGE_BYTES as u64).min(end));
            let index = |at: u64, base: u64| usize::try_from(at - base).unwrap_or(0);
            buffer[index(from, offset_bytes)..index(to, offset_bytes)]
                .copy_from_slice(&page[index(from, start)..index(to, start)]);
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.length_bytes, sector_bytes: 512 }
    }
}

impl BlockWrite for SparseDisk {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        check_range(offset_bytes, data.len(), self.length_bytes)?;
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        for (number, inside, part) in parts(offset_bytes, data.len()) {
            let page = pages.entry(number).or_insert([0; PAGE_BYTES]);
            page[inside..inside + part.len()].copy_from_slice(&data[part]);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_the_rest_is_zeros() {
        let disk = SparseDisk::new(1 << 50);
        disk.put((1 << 49) - 3, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(disk.bytes((1 << 49) - 4, 8), [0, 1, 2, 3, 4, 5, 6, 0]);
        assert_eq!(disk.bytes((1 << 50) - 2, 8), [0, 0]);
        assert!(disk.write_all_at((1 << 50) - 2, &[0; 3]).is_err());
        let cut = disk.resized(1 << 49);
        assert!(cut.read_exact_at((1 << 49) - 1, &mut [0; 2]).is_err());
        assert_eq!(cut.bytes((1 << 49) - 3, 3), [1, 2, 3]);
    }
}
