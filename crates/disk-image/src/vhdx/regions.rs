//! The region table and the metadata of a VHDX image.

use block_io::BlockRead;

use super::{checksum_fits, damaged, read_structure};
use crate::Error;
use crate::bytes::{guid, u16_le, u32_le, u64_le};

const TABLE_OFFSETS: [u64; 2] = [192 << 10, 256 << 10];
const TABLE_BYTES: usize = 64 << 10;
const ENTRY_BYTES: usize = 32;
const MAX_ENTRIES: usize = 2047;
/// The largest disk that the format allows: 64 TiB.
const MAX_DISK_BYTES: u64 = 64 << 40;

/// Identifiers as they stand in the file: the first three parts of a GUID are little-endian.
mod known {
    pub(super) const BLOCK_TABLE: [u8; 16] =
        [0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08];
    pub(super) const METADATA: [u8; 16] =
        [0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E];
    pub(super) const FILE_PARAMETERS: [u8; 16] =
        [0x37, 0x67, 0xA1, 0xCA, 0x36, 0xFA, 0x43, 0x4D, 0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7, 0x6B];
    pub(super) const DISK_SIZE: [u8; 16] =
        [0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8];
    pub(super) const LOGICAL_SECTOR: [u8; 16] =
        [0x1D, 0xBF, 0x41, 0x81, 0x6F, 0xA9, 0x09, 0x47, 0xBA, 0x47, 0xF2, 0x33, 0xA8, 0xFA, 0xAB, 0x5F];
    pub(super) const PHYSICAL_SECTOR: [u8; 16] =
        [0xC7, 0x48, 0xA3, 0xCD, 0x5D, 0x44, 0x71, 0x44, 0x9C, 0xC9, 0xE9, 0x88, 0x52, 0x51, 0xC5, 0x56];
    pub(super) const DISK_IDENTIFIER: [u8; 16] =
        [0xAB, 0x12, 0xCA, 0xBE, 0xE6, 0xB2, 0x23, 0x45, 0x93, 0xEF, 0xC3, 0x09, 0xE0, 0x00, 0xC7, 0x46];
    pub(super) const PARENT_LOCATOR: [u8; 16] =
        [0x2D, 0x5F, 0xD3, 0xA8, 0x0B, 0xB3, 0x4D, 0x45, 0xAB, 0xF7, 0xD3, 0xD8, 0x48, 0x34, 0xAB, 0x0C];
}

/// Where the block table and the metadata lie.
pub(super) struct Regions {
    pub(super) table_offset_bytes: u64,
    pub(super) table_bytes: u64,
    metadata_offset_bytes: u64,
    metadata_bytes: u64,
}

impl Regions {
    pub(super) fn read(file: &impl BlockRead) -> Result<Self, Error> {
        let mut table = vec![0; TABLE_BYTES];
        for offset in TABLE_OFFSETS {
            read_structure(file, offset, &mut table)?;
            if table.starts_with(b"regi") && checksum_fits(&table) {
                return Self::parse(&table, offset);
            }
        }
        Err(damaged("neither of its two region tables is valid", TABLE_OFFSETS[0]))
    }

    fn parse(table: &[u8], offset: u64) -> Result<Self, Error> {
        let (mut block_table, mut metadata) = (None, None);
        for entry in entries(&table[16..], u32_le(table, 8)) {
            let place = (u64_le(entry, 16), u64::from(u32_le(entry, 24)));
            match guid(entry, 0) {
                known::BLOCK_TABLE => block_table = Some(place),
                known::METADATA => metadata = Some(place),
                _ if u32_le(entry, 28) & 1 == 1 => {
                    return Err(Error::Unsupported { what: "a VHDX image with a region of a newer kind" });
                }
                _ => {}
            }
        }
        let (Some((table_offset_bytes, table_bytes)), Some((metadata_offset_bytes, metadata_bytes))) =
            (block_table, metadata)
        else {
            return Err(damaged("its region table names no block table or no metadata", offset));
        };
        if table_offset_bytes > 1 << 62 || metadata_offset_bytes > 1 << 62 {
            return Err(damaged("its region table names an impossible place", offset));
        }
        Ok(Self { table_offset_bytes, table_bytes, metadata_offset_bytes, metadata_bytes })
    }
}

/// The entries of a table, as many as fit.
fn entries(bytes: &[u8], count: u32) -> impl Iterator<Item = &[u8]> {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_ENTRIES);
    bytes.chunks_exact(ENTRY_BYTES).take(count)
}

/// What must be known of the disk.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) length_bytes: u64,
    pub(super) block_bytes: u64,
    pub(super) sector_bytes: u32,
}

impl Metadata {
    pub(super) fn read(file: &impl BlockRead, regions: &Regions) -> Result<Self, Error> {
        let at = regions.metadata_offset_bytes;
        let mut table = vec![0; TABLE_BYTES];
        read_structure(file, at, &mut table)?;
        if !table.starts_with(b"metadata") {
            return Err(damaged("its metadata table is not there", at));
        }
        let (mut parameters, mut length, mut sector) = (None, None, None);
        for entry in entries(&table[32..], u32::from(u16_le(&table, 10))) {
            let wanted = match guid(entry, 0) {
                known::FILE_PARAMETERS => &mut parameters,
                known::DISK_SIZE => &mut length,
                known::LOGICAL_SECTOR => &mut sector,
                known::PHYSICAL_SECTOR | known::DISK_IDENTIFIER | known::PARENT_LOCATOR => continue,
                _ if u32_le(entry, 24) & 4 != 0 => {
                    return Err(Error::Unsupported { what: "a VHDX image with metadata of a newer kind" });
                }
                _ => continue,
            };
            let offset = u64::from(u32_le(entry, 16));
            if offset + 8 > regions.metadata_bytes {
                return Err(damaged("its metadata table names a place outside its region", at));
            }
            let mut value = [0; 8];
            read_structure(file, at + offset, &mut value)?;
            *wanted = Some(value);
        }
        let (Some(parameters), Some(length), Some(sector)) = (parameters, length, sector) else {
            return Err(damaged("its metadata does not tell the size of the disk", at));
        };
        if u32_le(&parameters, 4) & 2 != 0 {
            return Err(Error::Unsupported { what: "a differencing VHDX, whose parent is another file," });
        }
        let metadata = Self {
            length_bytes: u64_le(&length, 0),
            block_bytes: u64::from(u32_le(&parameters, 0)),
            sector_bytes: u32_le(&sector, 0),
        };
        metadata.check(at)?;
        Ok(metadata)
    }

    fn check(&self, at: u64) -> Result<(), Error> {
        if !self.block_bytes.is_power_of_two() || !(1 << 20..=256 << 20).contains(&self.block_bytes) {
            return Err(damaged("the size of its blocks is impossible", at));
        }
        if !matches!(self.sector_bytes, 512 | 4096) {
            return Err(damaged("the size of its sectors is impossible", at));
        }
        if self.length_bytes > MAX_DISK_BYTES {
            return Err(damaged("the size of its disk is impossible", at));
        }
        Ok(())
    }
}
