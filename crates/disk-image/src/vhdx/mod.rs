//! VHDX, the format of Hyper-V. All numbers are little-endian.
//!
//! Two headers, of which the valid one with the higher sequence number counts, name the log. Two equal region tables name
//! the metadata and the block table (BAT). Changes of these structures go through the log; one that was not finished is
//! replayed in memory, and the file stays as it is.
//! Source: Microsoft, \[MS-VHDX\].

mod log;
mod regions;

use block_io::{BlockRead, Error as IoError, Geometry};
use crc::{CRC_32_ISCSI, Crc};

use self::log::Replayed;
use self::regions::{Metadata, Regions};
use crate::bytes::{guid, u16_le, u32_le, u64_le};
use crate::mapped::{BlockTable, Place, cut_off, refused};
use crate::{Error, ImageFormat};

const CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const HEADER_OFFSETS: [u64; 2] = [64 << 10, 128 << 10];
const HEADER_BYTES: usize = 4096;

/// A VHDX image, fixed or dynamic.
#[derive(Debug)]
pub(crate) struct Vhdx<D> {
    file: Replayed<D>,
    table_offset_bytes: u64,
    /// Payload blocks between two bitmap blocks in the table.
    chunk_ratio: u64,
    metadata: Metadata,
}

impl<D: BlockRead> Vhdx<D> {
    /// Reads the headers, the log where it is not empty, and the metadata.
    pub(crate) fn open(file: D) -> Result<Self, Error> {
        let header = Header::newest(&file)?;
        let file = log::replay(file, &header)?;
        let regions = Regions::read(&file)?;
        let metadata = Metadata::read(&file, &regions)?;
        // So many sectors have their bitmaps in one block of bitmaps; only differencing disks use them.
        let chunk_ratio = ((1 << 23) * u64::from(metadata.sector_bytes) / metadata.block_bytes).max(1);
        let blocks = metadata.length_bytes.div_ceil(metadata.block_bytes);
        let entries = blocks + blocks.saturating_sub(1) / chunk_ratio;
        if regions.table_bytes / 8 < entries {
            return Err(damaged("its block table is too short for the disk", regions.table_offset_bytes));
        }
        let (needed_bytes, file_bytes) = (regions.table_offset_bytes + 8 * entries, file.geometry().length_bytes);
        if needed_bytes > file_bytes {
            return Err(Error::CutOff { format: ImageFormat::Vhdx, needed_bytes, file_bytes });
        }
        Ok(Self { file, table_offset_bytes: regions.table_offset_bytes, chunk_ratio, metadata })
    }
}

impl<D: BlockRead> BlockTable for Vhdx<D> {
    fn file(&self) -> &dyn BlockRead {
        &self.file
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.metadata.length_bytes, sector_bytes: self.metadata.sector_bytes }
    }

    fn find(&self, at: u64) -> Result<Place, IoError> {
        let (block, inside) = (at / self.metadata.block_bytes, at % self.metadata.block_bytes);
        let length_bytes = self.metadata.block_bytes - inside;
        let index = block + block / self.chunk_ratio;
        let mut entry = [0; 8];
        // In range: `open` has checked the end of the table.
        self.file.read_exact_at(self.table_offset_bytes + 8 * index, &mut entry)?;
        let entry = u64::from_le_bytes(entry);
        match entry & 7 {
            // Not present, undefined, zero, unmapped.
            0..=3 => Ok(Place::Zeros { length_bytes }),
            6 => {
                // The upper 44 bits count MiB.
                let start = entry >> 20 << 20;
                if start == 0 {
                    return Err(refused(at, "the block table of the VHDX image is damaged there"));
                }
                if start >= self.file.geometry().length_bytes {
                    return Err(cut_off(at));
                }
                Ok(Place::File { offset_bytes: start + inside, length_bytes })
            }
            _ => Err(refused(at, "the block table of the VHDX image is damaged there")),
        }
    }
}

/// One of the two headers.
struct Header {
    sequence: u64,
    /// Zero when the log is empty.
    log_guid: [u8; 16],
    log_offset_bytes: u64,
    log_bytes: u32,
}

impl Header {
    fn newest(file: &impl BlockRead) -> Result<Self, Error> {
        let headers = HEADER_OFFSETS.into_iter().filter_map(|offset| Self::read(file, offset));
        let newest = headers.max_by_key(|header| header.sequence);
        newest.ok_or_else(|| damaged("neither of its two headers is valid", HEADER_OFFSETS[0]))
    }

    fn read(file: &impl BlockRead, offset_bytes: u64) -> Option<Self> {
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(offset_bytes, &mut bytes).ok()?;
        let sound = bytes.starts_with(b"head") && checksum_fits(&bytes) && u16_le(&bytes, 66) == 1;
        sound.then(|| Self {
            sequence: u64_le(&bytes, 8),
            log_guid: guid(&bytes, 48),
            log_bytes: u32_le(&bytes, 68),
            log_offset_bytes: u64_le(&bytes, 72),
        })
    }
}

/// CRC-32C over the structure, with zeros in place of the checksum itself, which stands in bytes 4 to 7.
fn checksum_fits(bytes: &[u8]) -> bool {
    let mut digest = CRC_32C.digest();
    digest.update(bytes.get(..4).unwrap_or_default());
    digest.update(&[0; 4]);
    digest.update(bytes.get(8..).unwrap_or_default());
    digest.finalize() == u32_le(bytes, 4)
}

fn damaged(what: &'static str, offset_bytes: u64) -> Error {
    Error::Damaged { format: ImageFormat::Vhdx, what, offset_bytes }
}

/// Reads a structure; one past the end of the file tells that the file is cut off.
fn read_structure(file: &impl BlockRead, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
    file.read_exact_at(offset_bytes, buffer).map_err(|error| match error {
        IoError::OutOfRange { .. } => Error::CutOff {
            format: ImageFormat::Vhdx,
            needed_bytes: offset_bytes.saturating_add(buffer.len() as u64),
            file_bytes: file.geometry().length_bytes,
        },
        other => Error::Storage(other),
    })
}
