//! A region of other storage, such as one partition of a disk.

use crate::{BlockRead, BlockWrite, Error, Geometry, check_range};

/// `length_bytes` of another device from `start_bytes`, seen as a device of its own.
#[derive(Debug)]
pub struct Slice<D> {
    inner: D,
    start_bytes: u64,
    length_bytes: u64,
}

impl<D: BlockRead> Slice<D> {
    /// Cuts a region out of `inner`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the region does not lie inside.
    pub fn new(inner: D, start_bytes: u64, length_bytes: u64) -> Result<Self, Error> {
        let storage_bytes = inner.geometry().length_bytes;
        match start_bytes.checked_add(length_bytes) {
            Some(end) if end <= storage_bytes => Ok(Self { inner, start_bytes, length_bytes }),
            _ => Err(Error::OutOfRange { offset_bytes: start_bytes, length_bytes, storage_bytes }),
        }
    }
}

impl<D: BlockRead> BlockRead for Slice<D> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        check_range(offset_bytes, buffer.len(), self.length_bytes)?;
        self.inner.read_exact_at(self.start_bytes + offset_bytes, buffer)
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.length_bytes, ..self.inner.geometry() }
    }
}

impl<D: BlockWrite> BlockWrite for Slice<D> {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        check_range(offset_bytes, data.len(), self.length_bytes)?;
        self.inner.write_all_at(self.start_bytes + offset_bytes, data)
    }

    fn flush(&self) -> Result<(), Error> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn a_slice_sees_only_its_region() {
        let disk = MemoryDisk::new((0..=255).collect());
        let slice = Slice::new(&disk, 16, 32).unwrap();
        let mut buffer = [0; 4];
        slice.read_exact_at(28, &mut buffer).unwrap();
        assert_eq!(buffer, [44, 45, 46, 47]);
        assert!(slice.read_exact_at(29, &mut buffer).is_err());
        slice.write_all_at(0, &[9]).unwrap();
        assert_eq!(disk.to_vec()[16], 9);
        assert!(Slice::new(&disk, 250, 7).is_err());
    }
}
