//! VHD, the format of Virtual PC and Hyper-V's first generation. All numbers are big-endian.
//!
//! The last sector is a footer. A fixed disk is the plain disk and the footer behind it. A dynamic disk has a copy of the
//! footer at its start, a header with the place of the block table, and blocks, each behind a bitmap of its sectors.
//! Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0.

use block_io::{BlockRead, Error as IoError, Geometry};

use crate::bytes::{u32_be, u64_be};
use crate::mapped::{BlockTable, Place, cut_off};
use crate::{Error, ImageFormat};

pub(crate) const SECTOR_BYTES: u64 = 512;
const COOKIE: &[u8] = b"conectix";
/// Stands in the table for a block that was never written.
const UNUSED: u32 = u32::MAX;

/// What the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) kind: Kind,
    /// Size of the disk.
    pub(crate) length_bytes: u64,
    /// Where the header of a dynamic disk lies.
    header_offset_bytes: u64,
}

/// How the disk is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fixed,
    Dynamic,
    Differencing,
}

impl Footer {
    /// Reads a footer; `None` where there is none, or a damaged one.
    pub(crate) fn parse(sector: &[u8]) -> Option<Self> {
        if !sector.starts_with(COOKIE) || !checksum_fits(sector.get(..512)?, 64) {
            return None;
        }
        let kind = match u32_be(sector, 60) {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => Kind::Differencing,
            _ => return None,
        };
        Some(Self { kind, length_bytes: u64_be(sector, 48), header_offset_bytes: u64_be(sector, 16) })
    }
}

/// The checksum is the complement of the sum of all bytes but its own four.
fn checksum_fits(bytes: &[u8], at: usize) -> bool {
    let sum: u32 = bytes
        .iter()
        .enumerate()
        .filter(|(index, _)| !(at..at + 4).contains(index))
        .map(|(_, byte)| u32::from(*byte))
        .fold(0, u32::wrapping_add);
    !sum == u32_be(bytes, at)
}

/// The blocks of a dynamic disk.
#[derive(Debug)]
pub(crate) struct Dynamic<D> {
    file: D,
    length_bytes: u64,
    table_offset_bytes: u64,
    block_bytes: u64,
    bitmap_bytes: u64,
}

impl<D: BlockRead> Dynamic<D> {
    /// Reads the header of the disk that the footer describes.
    pub(crate) fn open(file: D, footer: &Footer) -> Result<Self, Error> {
        let at = footer.header_offset_bytes;
        let bad = |what| Error::Damaged { format: ImageFormat::Vhd, what, offset_bytes: at };
        let file_bytes = file.geometry().length_bytes;
        let mut header = [0; 1024];
        file.read_exact_at(at, &mut header).map_err(|error| outside(error, at.saturating_add(1024), file_bytes))?;
        if !header.starts_with(b"cxsparse") || !checksum_fits(&header, 36) {
            return Err(bad("the checksum of the dynamic disk header is wrong"));
        }
        let block_bytes = u64::from(u32_be(&header, 32));
        if !block_bytes.is_power_of_two() || !(4096..=1 << 30).contains(&block_bytes) {
            return Err(bad("the size of its blocks is impossible"));
        }
        let entries = u64::from(u32_be(&header, 28));
        if entries < footer.length_bytes.div_ceil(block_bytes) {
            return Err(bad("its block table is too short for the disk"));
        }
        let table_offset_bytes = u64_be(&header, 16);
        let needed_bytes = table_offset_bytes.saturating_add(4 * footer.length_bytes.div_ceil(block_bytes));
        if needed_bytes > file_bytes {
            return Err(Error::CutOff { format: ImageFormat::Vhd, needed_bytes, file_bytes });
        }
        // One bit for each sector, in whole sectors.
        let bitmap_bytes = (block_bytes / SECTOR_BYTES).div_ceil(8).next_multiple_of(SECTOR_BYTES);
        Ok(Self { file, length_bytes: footer.length_bytes, table_offset_bytes, block_bytes, bitmap_bytes })
    }
}

impl<D: BlockRead> BlockTable for Dynamic<D> {
    fn file(&self) -> &dyn BlockRead {
        &self.file
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.length_bytes, sector_bytes: 512 }
    }

    fn find(&self, at: u64) -> Result<Place, IoError> {
        let (block, inside) = (at / self.block_bytes, at % self.block_bytes);
        let length_bytes = self.block_bytes - inside;
        let mut entry = [0; 4];
        // In range: `open` has checked the end of the table.
        self.file.read_exact_at(self.table_offset_bytes + 4 * block, &mut entry)?;
        let sector = u32::from_be_bytes(entry);
        if sector == UNUSED {
            return Ok(Place::Zeros { length_bytes });
        }
        let start = u64::from(sector) * SECTOR_BYTES + self.bitmap_bytes;
        if start >= self.file.geometry().length_bytes {
            return Err(cut_off(at));
        }
        Ok(Place::File { offset_bytes: start + inside, length_bytes })
    }
}

/// A structure that lies past the end of the file: the file is cut off.
pub(crate) fn outside(error: IoError, needed_bytes: u64, file_bytes: u64) -> Error {
    match error {
        IoError::OutOfRange { .. } => Error::CutOff { format: ImageFormat::Vhd, needed_bytes, file_bytes },
        other => Error::Storage(other),
    }
}
