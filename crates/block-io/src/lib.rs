//! Reading and writing bytes at an offset: the one joint between storage, the volume engine and everything that uses an
//! unlocked volume.
//!
//! A disk image, a block device, a region of either and an unlocked BitLocker volume all implement [`BlockRead`] (and
//! [`BlockWrite`] where they can be written), so that file-system views, exports and tests work on any of them.
//!
//! # Contract
//! - Offsets and lengths are bytes; any alignment is accepted. An implementation that needs aligned access does the
//!   read-modify-write itself.
//! - Nothing exists past [`Geometry::length_bytes`]: a request that reaches past it fails with [`Error::OutOfRange`] and
//!   has no effect.
//! - A write that returned is seen by every later read through the same object. It is durable only after a
//!   [`BlockWrite::flush`] that was called later has returned `Ok`.
//! - Between two flushes writes may reach the medium in any order, and a write that spans sectors may be torn.
//! - Concurrent calls are allowed. Overlapping concurrent writes leave each byte with one of the written values.
//!
//! What is not done here: encryption, partition tables, file systems.

mod cursor;
mod error;
mod file;
mod memory;
mod slice;

pub use cursor::Cursor;
pub use error::Error;
pub use file::FileDisk;
pub use memory::MemoryDisk;
pub use slice::Slice;

/// Size and sector size of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Length in bytes. Requests end at or before it.
    pub length_bytes: u64,
    /// Logical sector size in bytes: the unit in which the medium is written atomically at best. 512 for plain files.
    pub sector_bytes: u32,
}

/// Storage that can be read at any offset.
pub trait BlockRead: Send + Sync {
    /// Fills all of `buffer` from `offset_bytes`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] past the end; [`Error::Io`] when the medium fails; [`Error::Refused`] when this storage
    /// has no right answer for that place.
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error>;

    /// Size and sector size; constant for the life of the object.
    fn geometry(&self) -> Geometry;
}

/// Storage that can be written at any offset.
pub trait BlockWrite: BlockRead {
    /// Writes all of `data` at `offset_bytes`.
    ///
    /// # Errors
    /// As [`BlockRead::read_exact_at`], and [`Error::ReadOnly`].
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error>;

    /// Returns once every write that returned before this call is durable.
    ///
    /// # Errors
    /// [`Error::Io`]: durability of the writes since the last successful flush is unknown.
    fn flush(&self) -> Result<(), Error>;
}

macro_rules! forward_to_inner {
    ($($pointer:ty),+) => {$(
        impl<D: BlockRead + ?Sized> BlockRead for $pointer {
            fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
                (**self).read_exact_at(offset_bytes, buffer)
            }
            fn geometry(&self) -> Geometry {
                (**self).geometry()
            }
        }
        impl<D: BlockWrite + ?Sized> BlockWrite for $pointer {
            fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
                (**self).write_all_at(offset_bytes, data)
            }
            fn flush(&self) -> Result<(), Error> {
                (**self).flush()
            }
        }
    )+};
}
forward_to_inner!(&D, Box<D>, std::sync::Arc<D>);

/// Checks a request against the length of the storage.
///
/// # Errors
/// [`Error::OutOfRange`] when it does not lie inside.
pub fn check_range(offset_bytes: u64, length: usize, storage_bytes: u64) -> Result<(), Error> {
    let length_bytes = length as u64;
    match offset_bytes.checked_add(length_bytes) {
        Some(end) if end <= storage_bytes => Ok(()),
        _ => Err(Error::OutOfRange { offset_bytes, length_bytes, storage_bytes }),
    }
}
