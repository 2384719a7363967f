//! Storage in memory: small volumes in tests, and metadata that was read already.

use std::sync::{PoisonError, RwLock};

use crate::{BlockRead, BlockWrite, Error, Geometry, check_range};

/// A disk held in memory.
#[derive(Debug)]
pub struct MemoryDisk {
    bytes: RwLock<Vec<u8>>,
    geometry: Geometry,
}

impl MemoryDisk {
    /// A disk with this content and sectors of 512 bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let geometry = Geometry { length_bytes: bytes.len() as u64, sector_bytes: 512 };
        Self { bytes: RwLock::new(bytes), geometry }
    }

    /// The content as it is now.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// First index into memory; in range, because the length came from a `Vec`.
    fn index(&self, offset_bytes: u64, length: usize) -> Result<usize, Error> {
        check_range(offset_bytes, length, self.geometry.length_bytes)?;
        usize::try_from(offset_bytes).map_err(|_| Error::OutOfRange {
            offset_bytes,
            length_bytes: length as u64,
            storage_bytes: self.geometry.length_bytes,
        })
    }
}

impl BlockRead for MemoryDisk {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let start = self.index(offset_bytes, buffer.len())?;
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }
}

impl BlockWrite for MemoryDisk {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        let start = self.index(offset_bytes, data.len())?;
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        bytes[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}
