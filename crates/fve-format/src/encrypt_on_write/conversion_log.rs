//! The log of a region under conversion: what is needed to go on after a power cut.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | `OLRDHEVF` |
//! | 8 | 2, 2, 2 | size of the header, 50; version, 1; state |
//! | 14 | 4, 8 | sector size; volume size |
//! | 26 | 4, 4 | chunk size; record size |
//! | 34 | 4, 4 | factor: sector size ÷ 16; number of records |
//! | 42 | 8 | watermark |
//!
//! Layout: the header in a sector, the records, the header again in the last sector. A record is a header sector, the body,
//! and the header sector again; its header:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2, 2 | size, 32; version, 1 |
//! | 4 | 8 | sequence |
//! | 12 | 8 | volume offset of the chunk; 0 when the record stands for nothing |
//! | 20 | 4, 4 | size and CRC-32 of the body |
//! | 28 | 4 | CRC-32 of the 28 bytes before |
//!
//! The body holds the first 16 bytes of every sector of the chunk, as they were before the conversion.

use crate::reader::Reader;
use crate::{Error, Structure};

const SIGNATURE: &[u8; 8] = b"OLRDHEVF";
const HEADER_BYTES: u16 = 50;
const RECORD_HEADER_BYTES: u16 = 32;
/// Records in a log that are accepted; two in every volume seen.
const MAX_RECORDS: u32 = 16;

/// The header of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversionLog {
    /// State, meaning unknown; 2 in every volume seen.
    pub state: u16,
    /// Sector size in bytes: how far apart the sectors lie whose first 16 bytes are kept.
    pub sector_bytes: u32,
    /// Size of the volume in bytes.
    pub volume_bytes: u64,
    /// Size of a chunk in bytes.
    pub chunk_bytes: u32,
    /// Size of a record in bytes, its two header sectors included.
    pub record_bytes: u32,
    /// Sector size ÷ 16.
    pub factor: u32,
    /// Number of records.
    pub records: u32,
    /// Where the region starts, in every volume seen.
    pub watermark_bytes: u64,
}

impl ConversionLog {
    /// Reads the header at the start of `sector`.
    ///
    /// # Errors
    /// [`Error::NoSignature`] where there is none, and what else is not as it must be.
    pub fn parse(sector: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(sector, 0, Structure::ConversionLog);
        if reader.take(8)? != SIGNATURE {
            return Err(Error::NoSignature { structure: Structure::ConversionLog });
        }
        let size = reader.u16()?;
        if size != HEADER_BYTES {
            return Err(reader.bad_field("header size", 2, u64::from(size), "50"));
        }
        let version = reader.u16()?;
        if version != 1 {
            return Err(reader.bad_field("version", 2, u64::from(version), "1"));
        }
        let state = reader.u16()?;
        let (sector_bytes, volume_bytes) = (reader.u32()?, reader.u64()?);
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
            return Err(reader.bad_field("sector size", 12, u64::from(sector_bytes), "512 to 4096"));
        }
        let (chunk_bytes, record_bytes) = (reader.u32()?, reader.u32()?);
        let (factor, records) = (reader.u32()?, reader.u32()?);
        if factor != sector_bytes / 16 {
            return Err(reader.bad_field("factor", 8, u64::from(factor), "the sector size divided by 16"));
        }
        if records > MAX_RECORDS {
            return Err(reader.bad_field("number of records", 4, u64::from(records), "16 or fewer"));
        }
        let watermark_bytes = reader.u64()?;
        Ok(Self { state, sector_bytes, volume_bytes, chunk_bytes, record_bytes, factor, records, watermark_bytes })
    }

    /// The bytes of the header; the rest of its sector is zeros.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::from(HEADER_BYTES));
        out.extend_from_slice(SIGNATURE);
        for field in [HEADER_BYTES, 1, self.state] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.sector_bytes.to_le_bytes());
        out.extend_from_slice(&self.volume_bytes.to_le_bytes());
        for field in [self.chunk_bytes, self.record_bytes, self.factor, self.records] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.watermark_bytes.to_le_bytes());
        out
    }
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversionLogRecord {
    /// The highest one is the newest.
    pub sequence: u64,
    /// Where the chunk starts, in bytes from the start of the volume; 0 when the record stands for nothing.
    pub chunk_offset_bytes: u64,
    /// Length of the body in bytes: 16 for every sector of the chunk.
    pub body_bytes: u32,
    /// CRC-32 of the body.
    pub body_crc32: u32,
}

impl ConversionLogRecord {
    /// Reads the header at the start of `sector` and checks its CRC-32.
    ///
    /// # Errors
    /// [`Error::Checksum`], and [`Error::BadField`] where this is no record.
    pub fn parse(sector: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(sector, 0, Structure::ConversionLog);
        let size = reader.u16()?;
        if size != RECORD_HEADER_BYTES {
            return Err(reader.bad_field("record header size", 2, u64::from(size), "32"));
        }
        let version = reader.u16()?;
        if version != 1 {
            return Err(reader.bad_field("record version", 2, u64::from(version), "1"));
        }
        let (sequence, chunk_offset_bytes) = (reader.u64()?, reader.u64()?);
        let (body_bytes, body_crc32, stored) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let found = crc32fast::hash(&sector[..28]);
        if stored != found {
            return Err(Error::Checksum { found, stored });
        }
        Ok(Self { sequence, chunk_offset_bytes, body_bytes, body_crc32 })
    }

    /// The header for a body.
    #[must_use]
    pub fn new(sequence: u64, chunk_offset_bytes: u64, body: &[u8]) -> Self {
        let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Self { sequence, chunk_offset_bytes, body_bytes, body_crc32: crc32fast::hash(body) }
    }

    /// Whether this is the body that the header was written for.
    #[must_use]
    pub fn fits(&self, body: &[u8]) -> bool {
        usize::try_from(self.body_bytes) == Ok(body.len()) && crc32fast::hash(body) == self.body_crc32
    }

    /// The bytes of the header; the rest of its sector is zeros.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::from(RECORD_HEADER_BYTES));
        out.extend_from_slice(&RECORD_HEADER_BYTES.to_le_bytes());
        out.extend_from_slice(&1_u16.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.chunk_offset_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_crc32.to_le_bytes());
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Observed in `eow_partial`.
    const HEADER: [u8; 50] =
        hex!("4f4c524448455646320001000200000200000000ef3f000000000000800000040400200000000200000000202002 00000000");
    const RECORD: [u8; 32] = hex!("2000010016000000000000000020a00b00000000000004009df2efa69b7c373b");

    #[test]
    fn a_log_of_windows_reads_and_writes_back() {
        let log = ConversionLog::parse(&HEADER).expect("a good header");
        assert_eq!((log.sector_bytes, log.factor, log.records), (512, 32, 2));
        assert_eq!((log.chunk_bytes, log.record_bytes), (0x80_0000, 0x4_0400));
        assert_eq!((log.volume_bytes, log.watermark_bytes), (0x3FEF_0000, 0x220_2000));
        assert_eq!(log.encode(), HEADER);
    }

    #[test]
    fn a_record_of_windows_reads_and_writes_back() {
        let record = ConversionLogRecord::parse(&RECORD).expect("a good record");
        assert_eq!((record.sequence, record.chunk_offset_bytes, record.body_bytes), (22, 0xBA0_2000, 0x4_0000));
        assert_eq!(record.encode(), RECORD);
    }

    #[test]
    fn no_flipped_bit_of_a_record_goes_unnoticed() {
        for bit in 0..RECORD.len() * 8 {
            let mut changed = RECORD;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ConversionLogRecord::parse(&changed).is_err(), "bit {bit}");
        }
    }
}
