//! The sections of an E01 file: a chain of descriptors, each with the place of the next.

use std::sync::OnceLock;

use block_io::{BlockRead, Error as IoError, FileDisk};

use super::damaged;
use crate::bytes::{u32_le, u64_le};
use crate::{Error, ImageFormat};

pub(super) const FILE_HEADER_BYTES: u64 = 13;
pub(super) const DESCRIPTOR_BYTES: u64 = 76;
pub(super) const ENTRY_BYTES: u64 = 4;
const TABLE_HEADER_BYTES: u64 = 24;
const MEDIA_BYTES: usize = 1052;
/// Chunks have 32 KiB; programs offer up to 16 MiB.
const MAX_CHUNK_BYTES: u64 = 32 << 20;

/// One section.
pub(super) struct Section {
    pub(super) kind: Vec<u8>,
    pub(super) start_bytes: u64,
    pub(super) end_bytes: u64,
    pub(super) next_bytes: u64,
}

impl Section {
    pub(super) fn read(file: &FileDisk, start_bytes: u64) -> Result<Self, Error> {
        let mut bytes = [0; 76];
        read(file, start_bytes, &mut bytes)?;
        if !checksum_fits(&bytes) {
            return Err(damaged("the checksum of a section is wrong", start_bytes));
        }
        let kind = bytes[..16].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let end_bytes = start_bytes.saturating_add(u64_le(&bytes, 24));
        Ok(Self { kind, start_bytes, end_bytes, next_bytes: u64_le(&bytes, 16) })
    }

    pub(super) fn data_bytes(&self) -> u64 {
        self.start_bytes + DESCRIPTOR_BYTES
    }
}

/// What was copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Media {
    pub(super) length_bytes: u64,
    pub(super) chunk_bytes: u64,
    pub(super) sector_bytes: u32,
}

impl Media {
    pub(super) fn read(file: &FileDisk, section: &Section) -> Result<Self, Error> {
        let at = section.data_bytes();
        let mut bytes = [0; MEDIA_BYTES];
        if section.end_bytes.saturating_sub(at) < bytes.len() as u64 {
            return Err(Error::Unsupported { what: "an image of the older Expert Witness Format (S01)" });
        }
        read(file, at, &mut bytes)?;
        if !checksum_fits(&bytes) {
            return Err(damaged("the checksum of what it says of the disk is wrong", at));
        }
        let sector_bytes = u32_le(&bytes, 12);
        let chunk_bytes = u64::from(u32_le(&bytes, 8)) * u64::from(sector_bytes);
        if !sector_bytes.is_power_of_two() || !(512..=4096).contains(&sector_bytes) {
            return Err(damaged("the size of its sectors is impossible", at));
        }
        if chunk_bytes == 0 || chunk_bytes > MAX_CHUNK_BYTES {
            return Err(damaged("the size of its chunks is impossible", at));
        }
        let length_bytes = u64_le(&bytes, 16).checked_mul(u64::from(sector_bytes)).filter(|length| *length <= 1 << 60);
        let length_bytes = length_bytes.ok_or_else(|| damaged("the size of its disk is impossible", at))?;
        Ok(Self { length_bytes, chunk_bytes, sector_bytes })
    }
}

/// A table of chunks, with its mirror.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) segment: usize,
    pub(super) first_chunk: u64,
    pub(super) count: u64,
    /// What is added to the places of its entries.
    pub(super) base_bytes: u64,
    /// Where the data of its last chunk ends.
    pub(super) data_end_bytes: u64,
    entries_bytes: u64,
    pub(super) mirror_bytes: Option<u64>,
    /// The entries whose checksum fits; found out when the table is first used.
    chosen: OnceLock<Option<u64>>,
}

impl Table {
    pub(super) fn read(file: &FileDisk, section: &Section, segment: usize, data_end_bytes: u64) -> Result<Self, Error> {
        let at = section.data_bytes();
        let mut header = [0; 24];
        read(file, at, &mut header)?;
        if !checksum_fits(&header) {
            return Err(damaged("the checksum of a table of chunks is wrong", at));
        }
        let count = u64::from(u32_le(&header, 0));
        let entries_bytes = at + TABLE_HEADER_BYTES;
        if entries_bytes + ENTRY_BYTES * count > section.end_bytes {
            return Err(damaged("a table of chunks is longer than its section", at));
        }
        let base_bytes = u64_le(&header, 8);
        Ok(Self {
            segment,
            first_chunk: 0,
            count,
            base_bytes,
            data_end_bytes,
            entries_bytes,
            mirror_bytes: None,
            chosen: OnceLock::new(),
        })
    }

    /// Where the mirror of a table has its entries.
    pub(super) fn mirror(section: &Section) -> u64 {
        section.data_bytes() + TABLE_HEADER_BYTES
    }

    /// Where its entries lie, or those of its mirror; `None` where both are damaged.
    pub(super) fn entries(&self, file: &FileDisk) -> Option<u64> {
        *self.chosen.get_or_init(|| {
            let places = [Some(self.entries_bytes), self.mirror_bytes];
            places.into_iter().flatten().find(|place| entries_are_sound(file, *place, self.count))
        })
    }
}

/// Reads the entries in pieces and compares the checksum behind them.
fn entries_are_sound(file: &FileDisk, at: u64, count: u64) -> bool {
    let mut adler = adler2::Adler32::new();
    let mut piece = [0; 4096];
    let (mut place, end) = (at, at + ENTRY_BYTES * count);
    while place < end {
        let length = usize::try_from(end - place).unwrap_or(usize::MAX).min(piece.len());
        if file.read_exact_at(place, &mut piece[..length]).is_err() {
            return false;
        }
        adler.write_slice(&piece[..length]);
        place += length as u64;
    }
    let mut stored = [0; 4];
    file.read_exact_at(end, &mut stored).is_ok() && u32::from_le_bytes(stored) == adler.checksum()
}

/// The checksum of a structure is its last four bytes.
fn checksum_fits(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<4>()
        .is_some_and(|(data, stored)| adler2::adler32_slice(data) == u32::from_le_bytes(*stored))
}

/// Reads a structure; one past the end of the file tells that the file is cut off.
pub(super) fn read(file: &FileDisk, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
    file.read_exact_at(offset_bytes, buffer).map_err(|error| match error {
        IoError::OutOfRange { .. } => Error::CutOff {
            format: ImageFormat::Ewf,
            needed_bytes: offset_bytes.saturating_add(buffer.len() as u64),
            file_bytes: file.geometry().length_bytes,
        },
        other => Error::Storage(other),
    })
}
