//! A sparse extent of a VMDK image: grains of the disk, found through a directory of tables.
//!
//! In stream-optimised images the grains are compressed, and the header that counts is a footer at the end of the file.

use std::sync::Arc;

use block_io::{BlockRead, Error as IoError, Geometry, check_range};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::{SECTOR_BYTES, damaged, descriptor};
use crate::bytes::{u16_le, u32_le, u64_le};
use crate::inflated::Inflated;
use crate::mapped::{cut_off, read_block, refused};
use crate::{Error, ImageFormat};

const FLAG_ZERO_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
/// The place of the directory in headers of streams: it stands in the footer.
const AT_END: u64 = u64::MAX;
/// Directories above this size would belong to disks of 128 TiB and more.
const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

/// A sparse extent, or a whole disk in one.
#[derive(Debug)]
pub(super) struct Sparse<D> {
    file: D,
    header: Header,
    /// Sectors at which the tables lie; 0 where there is none.
    directory: Vec<u32>,
    inflated: Inflated,
}

#[derive(Debug)]
struct Header {
    flags: u32,
    length_bytes: u64,
    grain_bytes: u64,
    entries_per_table: u64,
    directory_sector: u64,
    descriptor_sector: u64,
    descriptor_sectors: u64,
}

impl Header {
    fn read(file: &impl BlockRead, offset_bytes: u64) -> Result<Self, Error> {
        let bad = |what| damaged(what, offset_bytes);
        let mut bytes = [0; 512];
        file.read_exact_at(offset_bytes, &mut bytes).map_err(|error| match error {
            IoError::OutOfRange { .. } => bad("its header is not there"),
            other => Error::Storage(other),
        })?;
        if !bytes.starts_with(b"KDMV") {
            return Err(bad("its header is not there"));
        }
        let (capacity, grain) = (u64_le(&bytes, 12), u64_le(&bytes, 20));
        let entries_per_table = u64::from(u32_le(&bytes, 44));
        if !grain.is_power_of_two() || !(8..=4096).contains(&grain) {
            return Err(bad("the size of its grains is impossible"));
        }
        if capacity > 1 << 46 {
            return Err(bad("the size of its disk is impossible"));
        }
        if entries_per_table == 0 || entries_per_table > 1 << 16 {
            return Err(bad("the size of its tables is impossible"));
        }
        let flags = u32_le(&bytes, 8);
        if !matches!((flags & FLAG_COMPRESSED != 0, u16_le(&bytes, 77)), (false, _) | (true, 1)) {
            return Err(Error::Unsupported { what: "a VMDK image compressed by a newer method" });
        }
        Ok(Self {
            flags,
            length_bytes: capacity * SECTOR_BYTES,
            grain_bytes: grain * SECTOR_BYTES,
            entries_per_table,
            directory_sector: u64_le(&bytes, 56),
            descriptor_sector: u64_le(&bytes, 28),
            descriptor_sectors: u64_le(&bytes, 36),
        })
    }
}

/// Where a grain lies.
enum Grain {
    Zeros,
    At(u64),
}

impl<D: BlockRead> Sparse<D> {
    pub(super) fn open(file: D) -> Result<Self, Error> {
        let file_bytes = file.geometry().length_bytes;
        let first = Header::read(&file, 0)?;
        let mut header = if first.directory_sector == AT_END {
            // The footer, and behind it one sector that marks the end.
            let footer_at = file_bytes.checked_sub(2 * SECTOR_BYTES);
            let footer = Header::read(&file, footer_at.ok_or_else(|| damaged("its footer is not there", 0))?);
            footer.map_err(|_| damaged("its footer is not there: the file is cut off", file_bytes))?
        } else {
            Header { ..first }
        };
        header.descriptor_sector = first.descriptor_sector;
        header.descriptor_sectors = first.descriptor_sectors;
        let directory = read_directory(&file, &header)?;
        Ok(Self { file, header, directory, inflated: Inflated::default() })
    }

    /// The descriptor inside; pieces of a disk in several files have none.
    pub(super) fn descriptor(&self) -> Result<Option<String>, Error> {
        let (sector, sectors) = (self.header.descriptor_sector, self.header.descriptor_sectors);
        if sector == 0 || sectors == 0 {
            return Ok(None);
        }
        if sectors > 512 || sector > 1 << 32 {
            return Err(damaged("its descriptor is at an impossible place", 0));
        }
        let mut bytes = vec![0; usize::try_from(sectors * SECTOR_BYTES).unwrap_or(0)];
        self.file.read_exact_at(sector * SECTOR_BYTES, &mut bytes)?;
        Ok(Some(descriptor::text(&bytes)))
    }

    fn find(&self, grain: u64, at: u64) -> Result<Grain, IoError> {
        let (table, entry) = (grain / self.header.entries_per_table, grain % self.header.entries_per_table);
        let sector = usize::try_from(table).ok().and_then(|table| self.directory.get(table)).copied().unwrap_or(0);
        if sector == 0 {
            return Ok(Grain::Zeros);
        }
        let mut bytes = [0; 4];
        read_block(&self.file, u64::from(sector) * SECTOR_BYTES + 4 * entry, &mut bytes, at)?;
        Ok(match u32::from_le_bytes(bytes) {
            0 => Grain::Zeros,
            1 if self.header.flags & FLAG_ZERO_GRAINS != 0 => Grain::Zeros,
            sector => Grain::At(u64::from(sector) * SECTOR_BYTES),
        })
    }

    /// A compressed grain: its sector on the disk, the length of the data, the data.
    fn inflate(&self, offset_bytes: u64, at: u64) -> Result<Arc<[u8]>, IoError> {
        let damaged = || refused(at, "a compressed grain of the VMDK image is damaged");
        let grain_bytes = usize::try_from(self.header.grain_bytes).map_err(|_| damaged())?;
        self.inflated.block(offset_bytes, || {
            let mut marker = [0; 12];
            read_block(&self.file, offset_bytes, &mut marker, at)?;
            let length = u32_le(&marker, 8) as usize;
            // Data that does not compress grows a little.
            if length > grain_bytes * 2
                || u64_le(&marker, 0) != at / self.header.grain_bytes * self.header.grain_bytes / SECTOR_BYTES
            {
                return Err(damaged());
            }
            let mut packed = vec![0; length];
            read_block(&self.file, offset_bytes + 12, &mut packed, at)?;
            let mut grain = decompress_to_vec_zlib_with_limit(&packed, grain_bytes).map_err(|_| damaged())?;
            // The last grain may stop where the disk does.
            grain.resize(grain_bytes, 0);
            Ok(grain)
        })
    }
}

impl<D: BlockRead> BlockRead for Sparse<D> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        check_range(offset_bytes, buffer.len(), self.header.length_bytes)?;
        let (mut at, mut rest) = (offset_bytes, buffer);
        while !rest.is_empty() {
            let (grain, inside) = (at / self.header.grain_bytes, at % self.header.grain_bytes);
            let count = usize::try_from(self.header.grain_bytes - inside).unwrap_or(usize::MAX).min(rest.len());
            let (piece, behind) = rest.split_at_mut(count);
            match self.find(grain, at)? {
                Grain::Zeros => piece.fill(0),
                Grain::At(offset) if self.header.flags & FLAG_COMPRESSED != 0 => {
                    let grain = self.inflate(offset, at)?;
                    let start = usize::try_from(inside).unwrap_or(usize::MAX);
                    piece.copy_from_slice(grain.get(start..).and_then(|grain| grain.get(..count)).ok_or(cut_off(at))?);
                }
                Grain::At(offset) => read_block(&self.file, offset + inside, piece, at)?,
            }
            rest = behind;
            at += count as u64;
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.header.length_bytes, sector_bytes: 512 }
    }
}

fn read_directory(file: &impl BlockRead, header: &Header) -> Result<Vec<u32>, Error> {
    let table_bytes = header.grain_bytes.saturating_mul(header.entries_per_table);
    let directory_bytes = 4 * header.length_bytes.div_ceil(table_bytes);
    if directory_bytes > MAX_DIRECTORY_BYTES || header.directory_sector > 1 << 40 {
        return Err(damaged("its directory has an impossible size or place", 0));
    }
    let offset_bytes = header.directory_sector * SECTOR_BYTES;
    let mut bytes = vec![0; usize::try_from(directory_bytes).unwrap_or(0)];
    file.read_exact_at(offset_bytes, &mut bytes).map_err(|error| match error {
        IoError::OutOfRange { .. } => Error::CutOff {
            format: ImageFormat::Vmdk,
            needed_bytes: offset_bytes + directory_bytes,
            file_bytes: file.geometry().length_bytes,
        },
        other => Error::Storage(other),
    })?;
    Ok(bytes.chunks_exact(4).map(|entry| u32_le(entry, 0)).collect())
}
