//! The conversion header, in sector 0.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0x00 | 4 | boot stub: return to the firmware, then wait |
//! | 0x04 | 12 | `KHVN-CONVERT` |
//! | 0x10 | 2, 2 | version, 1; zero |
//! | 0x14 | 4 | CRC-32 of the 512 bytes, this field zero |
//! | 0x18 | 16 | identifier of the conversion |
//! | 0x28 | 4 | size of the sectors that are encrypted |
//! | 0x2C | 4 | bytes converted in one go |
//! | 0x30 | 8 | size of the volume in bytes |
//! | 0x38 | 8 × 3 | volume offsets of the metadata blocks |
//! | 0x50 | 8, 8 | relocated volume header: offset, length |
//! | 0x60 | 8 | volume offset of the journal |
//! | 0x68 | 4, 4 | bytes of a payload, of the body of a log record; multiples of 4096 |
//! | 0x100 | 254 | text for people, zeros behind it |
//! | 0x1FE | 2 | zero: no boot signature |

use std::ops::Range;

use super::{seal, signed};
use crate::reader::Reader;
use crate::{Error, Structure};

/// Length of the conversion header in bytes: what every disk writes whole.
pub const CONVERSION_HEADER_BYTES: usize = 512;
/// What the metadata blocks start with while the conversion is under way.
pub const MASKED_SIGNATURE: [u8; 8] = *b"-KHVCNV-";
/// Most bytes that are converted in one go: two batches are held in memory.
pub const MAX_BATCH_BYTES: u32 = 16 << 20;
/// Parts of the journal begin and end at multiples of this.
pub const UNIT_BYTES: u64 = 4096;

const SIGNATURE: &[u8; 12] = b"KHVN-CONVERT";
const SIGNATURE_AT: usize = 4;
const CHECKSUM_AT: usize = 0x14;
const TEXT_AT: usize = 0x100;
const BOOT_STUB: [u8; 4] = [0xCD, 0x18, 0xEB, 0xFE];
const MAX_PART_BYTES: u32 = 4 << 20;
const TEXT: &str = "This drive is being encrypted or decrypted by Keyhaven, and part of it is encrypted. Do not format or repair \
                    it: nothing is lost. To go on, run: keyhaven resume";

/// Where everything lies during a conversion. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionHeader {
    /// Stands in every structure of this conversion.
    pub identifier: [u8; 16],
    /// Size of the sectors that are encrypted: 512, 1024, 2048 or 4096 bytes.
    pub sector_bytes: u32,
    /// Bytes converted in one go, a multiple of 4096.
    pub batch_bytes: u32,
    /// Size of the volume.
    pub volume_bytes: u64,
    /// The three metadata blocks.
    pub metadata_offsets: [u64; 3],
    /// Where the first sectors of the file system are kept.
    pub header_offset_bytes: u64,
    /// Their length.
    pub header_bytes: u64,
    /// Where the journal is.
    pub journal_offset_bytes: u64,
    /// Length of a payload of the journal, a multiple of 4096.
    pub payload_bytes: u32,
    /// Most bytes that a log record keeps, a multiple of 4096.
    pub body_bytes: u32,
}

impl ConversionHeader {
    /// Whether a first sector claims to be a conversion header, whatever became of the rest of it.
    #[must_use]
    pub fn is_signed(sector: &[u8]) -> bool {
        sector.get(SIGNATURE_AT..).is_some_and(|behind| behind.starts_with(SIGNATURE))
    }

    /// Reads the first sector.
    ///
    /// # Errors
    /// [`Error::NoSignature`] when it is something else, [`Error::Checksum`], [`Error::BadField`].
    pub fn parse(sector: &[u8]) -> Result<Self, Error> {
        let structure = Structure::ConversionHeader;
        let all: [u8; CONVERSION_HEADER_BYTES] = signed(sector, SIGNATURE_AT, SIGNATURE, CHECKSUM_AT, structure)?;
        let mut reader = Reader::new(&all[0x10..], 0x10, structure);
        let version = reader.u16()?;
        if version != 1 {
            return Err(reader.bad_field("version", 2, u64::from(version), "1"));
        }
        reader.take(6)?;
        let identifier = reader.array()?;
        let sector_bytes = reader.u32()?;
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
            return Err(reader.bad_field("sector size", 4, u64::from(sector_bytes), "512, 1024, 2048 or 4096"));
        }
        let batch_bytes = reader.u32()?;
        if batch_bytes == 0 || batch_bytes > MAX_BATCH_BYTES || !u64::from(batch_bytes).is_multiple_of(UNIT_BYTES) {
            return Err(reader.bad_field("batch size", 4, u64::from(batch_bytes), "a multiple of 4096 up to 16 MiB"));
        }
        let volume_bytes = reader.u64()?;
        let metadata_offsets = [reader.u64()?, reader.u64()?, reader.u64()?];
        let (header_offset_bytes, header_bytes) = (reader.u64()?, reader.u64()?);
        let journal_offset_bytes = reader.u64()?;
        let mut part = |field| {
            let size = reader.u32()?;
            if size == 0 || size > MAX_PART_BYTES || !u64::from(size).is_multiple_of(UNIT_BYTES) {
                return Err(reader.bad_field(field, 4, u64::from(size), "a multiple of 4096 up to 4 MiB"));
            }
            Ok(size)
        };
        let (payload_bytes, body_bytes) = (part("payload size")?, part("body size")?);
        Ok(Self {
            identifier,
            sector_bytes,
            batch_bytes,
            volume_bytes,
            metadata_offsets,
            header_offset_bytes,
            header_bytes,
            journal_offset_bytes,
            payload_bytes,
            body_bytes,
        })
    }

    /// The sector.
    #[must_use]
    pub fn encode(&self) -> [u8; CONVERSION_HEADER_BYTES] {
        let mut out = [0; CONVERSION_HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &BOOT_STUB);
        put(SIGNATURE_AT, SIGNATURE);
        put(0x10, &1_u16.to_le_bytes());
        put(0x18, &self.identifier);
        put(0x28, &self.sector_bytes.to_le_bytes());
        put(0x2C, &self.batch_bytes.to_le_bytes());
        let offsets = [self.volume_bytes].into_iter().chain(self.metadata_offsets).chain([
            self.header_offset_bytes,
            self.header_bytes,
            self.journal_offset_bytes,
        ]);
        for (index, offset) in offsets.enumerate() {
            put(0x30 + index * 8, &offset.to_le_bytes());
        }
        put(0x68, &self.payload_bytes.to_le_bytes());
        put(0x6C, &self.body_bytes.to_le_bytes());
        put(TEXT_AT, TEXT.as_bytes());
        seal(&mut out, CHECKSUM_AT);
        out
    }

    /// Where a copy of the journal header starts, 0 or 1; its payload begins one unit further.
    #[must_use]
    pub fn journal_header_at(&self, copy: u64) -> u64 {
        self.behind_journal(copy * (UNIT_BYTES + u64::from(self.payload_bytes)))
    }

    /// Where a payload starts.
    #[must_use]
    pub fn payload_at(&self, copy: u64) -> u64 {
        self.journal_header_at(copy).saturating_add(UNIT_BYTES)
    }

    /// Where the slot of a log record starts: records take turns.
    #[must_use]
    pub fn slot_at(&self, sequence: u64) -> u64 {
        let slots = 2 * (UNIT_BYTES + u64::from(self.payload_bytes));
        self.behind_journal(slots + (sequence % 2) * (UNIT_BYTES + u64::from(self.body_bytes)))
    }

    /// Where the body of a log record starts.
    #[must_use]
    pub fn body_at(&self, sequence: u64) -> u64 {
        self.slot_at(sequence).saturating_add(UNIT_BYTES)
    }

    /// The whole journal.
    #[must_use]
    pub fn journal(&self) -> Range<u64> {
        let length = Self::journal_bytes(self.payload_bytes, self.body_bytes);
        self.journal_offset_bytes..self.behind_journal(length)
    }

    /// Length of a journal with payloads and bodies of these lengths.
    #[must_use]
    pub fn journal_bytes(payload_bytes: u32, body_bytes: u32) -> u64 {
        4 * UNIT_BYTES + 2 * (u64::from(payload_bytes) + u64::from(body_bytes))
    }

    /// Bytes that a log keeps of one batch.
    #[must_use]
    pub fn kept_bytes(batch_bytes: u32) -> u32 {
        // 16 bytes of every 512.
        batch_bytes / 32
    }

    fn behind_journal(&self, bytes: u64) -> u64 {
        self.journal_offset_bytes.saturating_add(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_place::assert_no_flipped_bit_goes_unnoticed;

    fn header() -> ConversionHeader {
        ConversionHeader {
            identifier: [7; 16],
            sector_bytes: 512,
            batch_bytes: 16 << 20,
            volume_bytes: 1 << 30,
            metadata_offsets: [0x10_0000, 0x20_0000, 0x30_0000],
            header_offset_bytes: 0x11_0000,
            header_bytes: 0x2000,
            journal_offset_bytes: 0x40_0000,
            payload_bytes: 0x1000,
            body_bytes: 0x8_0000,
        }
    }

    #[test]
    fn it_reads_back_and_looks_like_nothing_else() {
        let sector = header().encode();
        assert_eq!(ConversionHeader::parse(&sector), Ok(header()));
        assert_eq!(sector[510..], [0, 0], "firmware does not start it");
        assert!(sector.windows(8).all(|window| window != b"-FVE-FS-"));
        let text = String::from_utf8_lossy(&sector[TEXT_AT..510]);
        assert!(text.trim_end_matches('\0').ends_with("keyhaven resume"), "{text}");
        assert!(crate::VolumeHeader::parse(&sector).is_err());
    }

    #[test]
    fn the_parts_of_the_journal_lie_one_behind_the_other() {
        let header = header();
        assert_eq!(header.journal_header_at(0), 0x40_0000);
        assert_eq!(header.payload_at(0), 0x40_1000);
        assert_eq!(header.journal_header_at(1), 0x40_2000);
        assert_eq!(header.slot_at(2), 0x40_4000);
        assert_eq!(header.slot_at(3), 0x48_5000);
        assert_eq!(header.journal(), 0x40_0000..0x50_6000);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let good = header().encode();
        assert_no_flipped_bit_goes_unnoticed(&good, |bytes| ConversionHeader::parse(bytes).is_err());
        assert!(matches!(ConversionHeader::parse(&[0; 511]), Err(Error::Truncated { .. })));
    }

    #[test]
    fn sizes_that_would_cost_memory_are_refused() {
        for change in [
            |header: &mut ConversionHeader| header.batch_bytes = (16 << 20) + 4096,
            |header: &mut ConversionHeader| header.batch_bytes = 0,
            |header: &mut ConversionHeader| header.payload_bytes = (4 << 20) + 4096,
            |header: &mut ConversionHeader| header.body_bytes = 100,
            |header: &mut ConversionHeader| header.sector_bytes = 520,
        ] {
            let mut changed = header();
            change(&mut changed);
            let sector = changed.encode();
            assert!(matches!(ConversionHeader::parse(&sector), Err(Error::BadField { .. })), "{changed:?}");
        }
        // Places are judged where the size of the storage is known; arithmetic with them does not overflow.
        let far = ConversionHeader { journal_offset_bytes: u64::MAX, ..header() };
        let far = ConversionHeader::parse(&far.encode()).unwrap();
        assert_eq!((far.journal(), far.body_at(1)), (u64::MAX..u64::MAX, u64::MAX));
    }
}
