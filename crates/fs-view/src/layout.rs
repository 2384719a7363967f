//! Where a file system keeps its own structures: for `fs-reserve`, which changes them. Reading files needs none of it.

use block_io::BlockRead;

pub use crate::boot::{Boot, ExFatLayout, FatLayout, NtfsLayout};
use crate::extents::Extents;
use crate::view::Engine;
use crate::{Error, FileSystem};

/// Little-endian fields of structures.
pub mod bytes {
    pub use crate::bytes::{array_at, index, slice_at, u8_at, u16_at, u32_at, u64_at};
}

/// A stream of the file system's own: its length, and where its bytes are.
pub struct Stream {
    size_bytes: u64,
    extents: Extents,
}

/// A contiguous part of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Bytes from the offset asked for to the end of this part.
    pub length_bytes: u64,
    /// Place on the volume; `None` is a hole.
    pub place_bytes: Option<u64>,
}

/// A record of the file table of NTFS.
pub struct RawRecord {
    /// Its bytes, torn-write marks undone.
    pub bytes: Vec<u8>,
    /// Places and lengths on the volume.
    pub places: Vec<(u64, u64)>,
}

impl Stream {
    /// Length in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The part that holds `offset_bytes`; `None` behind the last.
    #[must_use]
    pub fn piece_at(&self, offset_bytes: u64) -> Option<Piece> {
        let part = self.extents.part_at(offset_bytes)?;
        Some(Piece { length_bytes: part.length, place_bytes: part.place })
    }
}

impl<D: BlockRead> FileSystem<D> {
    /// What the boot sector says.
    #[must_use]
    pub fn layout(&self) -> Boot {
        match self.engine() {
            Engine::Ntfs(ntfs) => Boot::Ntfs(ntfs.layout()),
            Engine::Fat(fat) => Boot::Fat(fat.layout()),
            Engine::ExFat(exfat) => Boot::ExFat(exfat.layout()),
        }
    }

    /// Length of the storage.
    #[must_use]
    pub fn device_bytes(&self) -> u64 {
        self.source().length()
    }

    /// A stream of a file of NTFS, by the number of its record; `None` when there is none, or its bytes are in the record.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Storage`].
    pub fn ntfs_stream(&self, record: u64, name: &str) -> Result<Option<Stream>, Error> {
        let Engine::Ntfs(ntfs) = self.engine() else { return Ok(None) };
        let content = ntfs.own_stream(self.source(), record, name)?;
        let plain = content.and_then(crate::content::Content::into_plain);
        Ok(plain.map(|(size_bytes, extents)| Stream { size_bytes, extents }))
    }

    /// A record of the file table of NTFS.
    ///
    /// # Errors
    /// [`Error::Damaged`] also on any other file system, [`Error::Storage`].
    pub fn ntfs_record(&self, number: u64) -> Result<RawRecord, Error> {
        let Engine::Ntfs(ntfs) = self.engine() else { return Err(Error::damaged("there is no file table")) };
        ntfs.raw_record(self.source(), number)
    }

    /// The bitmap of used clusters of exFAT.
    ///
    /// # Errors
    /// [`Error::Damaged`] also on any other file system, [`Error::Storage`].
    pub fn exfat_bitmap(&self) -> Result<Stream, Error> {
        let Engine::ExFat(exfat) = self.engine() else { return Err(Error::damaged("there is no bitmap")) };
        let (size_bytes, extents) = exfat.bitmap(self.source())?;
        Ok(Stream { size_bytes, extents })
    }
}
