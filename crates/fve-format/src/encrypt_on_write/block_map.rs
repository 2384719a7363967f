//! A block map: which chunks of one region are encrypted.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 10 | `FVE-EOWBM` and a zero |
//! | 10 | 2 | size of the header, 0x3C |
//! | 12 | 4 | size of the map, its records included |
//! | 16 | 4 | index of the map |
//! | 20 | 8, 8 | volume offset and length of the region |
//! | 36 | 8 | volume offset of its conversion log |
//! | 44 | 4, 4 | where the two records start in the map |
//! | 52 | 4 | size of a record |
//! | 56 | 4 | CRC-32 of everything before the first record, this field zero |
//!
//! A record:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 10 | `FVE-EOWBR` and a zero |
//! | 10 | 2 | size of the header, 0x24 |
//! | 12 | 4 | size of the record |
//! | 16 | 4 | number of bits |
//! | 20 | 8 | sequence |
//! | 28 | 4 | flags: 0 fresh, 2 while decrypting |
//! | 32 | 4 | CRC-32 of the record, this field zero |
//! | 36 | .. | bits, least significant first: 1 encrypted, 0 stored plain |

use crate::checksum::checksum_without;
use crate::reader::Reader;
use crate::{Error, Structure};

const MAP_SIGNATURE: &[u8; 10] = b"FVE-EOWBM\0";
const MAP_HEADER_BYTES: usize = 0x3C;
const MAP_CHECKSUM_AT: usize = 56;
const RECORD_SIGNATURE: &[u8; 10] = b"FVE-EOWBR\0";
const RECORD_HEADER_BYTES: usize = 0x24;
const RECORD_CHECKSUM_AT: usize = 32;
/// Largest record that is accepted: bits for 4 TiB of 8 MiB chunks.
const MAX_RECORD_BYTES: usize = 0x1_0000;
/// Largest map: the space before the records, and both of them.
const MAX_MAP_BYTES: usize = 3 * MAX_RECORD_BYTES;

/// One map. Offsets are bytes from the start of the volume unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMap {
    /// Its place among the maps.
    pub index: u32,
    /// Where its region starts.
    pub region_offset_bytes: u64,
    /// How long its region is.
    pub region_bytes: u64,
    /// Where its conversion log is.
    pub log_offset_bytes: u64,
    /// Size of the map in bytes, records included.
    pub map_bytes: u32,
    /// Where the records start, in bytes from the start of the map.
    pub record_offsets: [u32; 2],
    /// Size of a record in bytes.
    pub record_bytes: u32,
    /// The records; `None` where one is damaged, as after a power cut while it was written.
    pub records: [Option<BitmapRecord>; 2],
}

/// One of the two records of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitmapRecord {
    /// The higher one counts.
    pub sequence: u64,
    /// 0 fresh, 2 while decrypting; while encrypting unknown.
    pub flags: u32,
    /// Number of bits in use.
    pub chunks: u32,
    /// The bits, to the end of the record.
    pub bitmap: Vec<u8>,
}

impl BlockMap {
    /// Bytes at the start of a map that tell its size.
    pub const PREFIX_BYTES: usize = MAP_HEADER_BYTES;

    /// Size of the map whose first [`Self::PREFIX_BYTES`] these are.
    ///
    /// # Errors
    /// [`Error::NoSignature`]; [`Error::BadField`] for a size beyond the bound of 192 KiB.
    pub fn size_in(prefix: &[u8]) -> Result<usize, Error> {
        let mut reader = Reader::new(prefix, 0, Structure::BlockMap);
        if reader.take(10)? != MAP_SIGNATURE {
            return Err(Error::NoSignature { structure: Structure::BlockMap });
        }
        let header_bytes = reader.u16()?;
        if usize::from(header_bytes) != MAP_HEADER_BYTES {
            return Err(reader.bad_field("header size", 2, u64::from(header_bytes), "0x3c"));
        }
        let size = reader.u32()?;
        match usize::try_from(size) {
            Ok(bytes) if (MAP_HEADER_BYTES..=MAX_MAP_BYTES).contains(&bytes) => Ok(bytes),
            _ => Err(reader.bad_field("size", 4, u64::from(size), "0x3c to 192 KiB")),
        }
    }

    /// Reads a whole map: `bytes` has the size that [`Self::size_in`] tells, or more.
    ///
    /// # Errors
    /// [`Error::Checksum`] where the map itself is damaged, and what else is not as it must be. Damaged records are no
    /// error here; [`Self::current`] tells.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let size = Self::size_in(bytes)?;
        let mut reader = Reader::new(bytes, 0, Structure::BlockMap);
        reader.take(12)?;
        let (map_bytes, index) = (reader.u32()?, reader.u32()?);
        let (region_offset_bytes, region_bytes, log_offset_bytes) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let record_offsets = [reader.u32()?, reader.u32()?];
        let record_bytes = reader.u32()?;
        let length = usize::try_from(record_bytes).unwrap_or(usize::MAX);
        if !(RECORD_HEADER_BYTES..=MAX_RECORD_BYTES).contains(&length) {
            return Err(reader.bad_field("record size", 4, u64::from(record_bytes), "0x24 to 64 KiB"));
        }
        // The checksum covers what lies before the first record, so a record that is rewritten must not lie there.
        let [first, second] = record_offsets.map(|offset| usize::try_from(offset).unwrap_or(usize::MAX));
        let end = |start: usize| start.saturating_add(length);
        if first < MAP_HEADER_BYTES || end(first) > second || end(second) > size || size > bytes.len() {
            return Err(reader.bad_field("record offset", 12, u64::from(record_offsets[0]), "two records in the map"));
        }
        let stored = reader.u32()?;
        let found = checksum_without(&bytes[..first], MAP_CHECKSUM_AT);
        if stored != found {
            return Err(Error::Checksum { found, stored });
        }
        let records = [first, second].map(|at| BitmapRecord::parse(&bytes[at..at + length]).ok());
        Ok(Self {
            index,
            region_offset_bytes,
            region_bytes,
            log_offset_bytes,
            map_bytes,
            record_offsets,
            record_bytes,
            records,
        })
    }

    /// The record that counts: the valid one with the higher sequence.
    #[must_use]
    pub fn current(&self) -> Option<&BitmapRecord> {
        self.records.iter().flatten().max_by_key(|record| record.sequence)
    }

    /// The bytes of the map, as far as its records are valid; the space of others is zeros.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when something does not fit where it is placed.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let place = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        let size = place(self.map_bytes);
        let mut out = Vec::with_capacity(size.min(MAX_MAP_BYTES));
        out.extend_from_slice(MAP_SIGNATURE);
        out.extend_from_slice(&0x3C_u16.to_le_bytes());
        out.extend_from_slice(&self.map_bytes.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        for field in [self.region_offset_bytes, self.region_bytes, self.log_offset_bytes] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.record_offsets[0], self.record_offsets[1], self.record_bytes, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let too_large = Error::TooLarge { needed: size, available: MAX_MAP_BYTES };
        if size > MAX_MAP_BYTES || size < out.len() {
            return Err(too_large);
        }
        out.resize(size, 0);
        let first = place(self.record_offsets[0]);
        if !(MAP_HEADER_BYTES..=size).contains(&first) {
            return Err(too_large);
        }
        let checksum = checksum_without(&out[..first], MAP_CHECKSUM_AT);
        out[MAP_CHECKSUM_AT..MAP_CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        for (record, at) in self.records.iter().zip(self.record_offsets) {
            if let Some(record) = record {
                let bytes = record.encode(self.record_bytes);
                let at = place(at);
                let room = out.get_mut(at..at.saturating_add(bytes.len())).ok_or_else(|| too_large.clone())?;
                room.copy_from_slice(&bytes);
            }
        }
        Ok(out)
    }
}

impl BitmapRecord {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, 0, Structure::BlockMap);
        if reader.take(10)? != RECORD_SIGNATURE {
            return Err(Error::NoSignature { structure: Structure::BlockMap });
        }
        let header_bytes = reader.u16()?;
        if usize::from(header_bytes) != RECORD_HEADER_BYTES {
            return Err(reader.bad_field("header size", 2, u64::from(header_bytes), "0x24"));
        }
        let size = reader.u32()?;
        if u64::from(size) != bytes.len() as u64 {
            return Err(reader.bad_field("record size", 4, u64::from(size), "as the map says"));
        }
        let chunks = reader.u32()?;
        if u64::from(chunks) > 8 * (bytes.len() as u64 - RECORD_HEADER_BYTES as u64) {
            return Err(reader.bad_field("number of bits", 4, u64::from(chunks), "as many as the record has room for"));
        }
        let (sequence, flags, stored) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let found = checksum_without(bytes, RECORD_CHECKSUM_AT);
        if stored != found {
            return Err(Error::Checksum { found, stored });
        }
        Ok(Self { sequence, flags, chunks, bitmap: reader.rest().to_vec() })
    }

    fn encode(&self, record_bytes: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_HEADER_BYTES + self.bitmap.len());
        out.extend_from_slice(RECORD_SIGNATURE);
        out.extend_from_slice(&0x24_u16.to_le_bytes());
        for field in [record_bytes, self.chunks] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.sequence.to_le_bytes());
        for field in [self.flags, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.bitmap);
        let checksum = checksum_without(&out, RECORD_CHECKSUM_AT);
        out[RECORD_CHECKSUM_AT..RECORD_CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Whether a chunk is encrypted; `None` for one that has no bit.
    #[must_use]
    pub fn is_encrypted(&self, chunk: u32) -> Option<bool> {
        if chunk >= self.chunks {
            return None;
        }
        let byte = self.bitmap.get(usize::try_from(chunk / 8).ok()?)?;
        Some(byte & (1 << (chunk % 8)) != 0)
    }

    /// Whether the conversion is known to decrypt.
    #[must_use]
    pub fn is_decrypting(&self) -> bool {
        self.flags & 2 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Observed in `eow_partial`: map 2 up to its checksum, and its record with the bits.
    const HEADER: [u8; 60] = hex!(
        "4656452d454f57424d003c000006000002000000002020020000000000e01e1000000000001064150000000000020000000400000002"
        "0000f4c4ec0d"
    );
    const RECORD: [u8; 44] =
        hex!("4656452d454f57425200240000020000210000001600000000000000020000000e86ae15 0000f0ffffffffff");

    fn windows() -> Vec<u8> {
        let mut bytes = vec![0; 0x600];
        bytes[..60].copy_from_slice(&HEADER);
        bytes[0x400..0x400 + 44].copy_from_slice(&RECORD);
        bytes
    }

    #[test]
    fn a_map_of_windows_reads_and_writes_back() {
        let map = BlockMap::parse(&windows()).expect("a good map");
        assert_eq!((map.region_offset_bytes, map.region_bytes), (0x220_2000, 0x101E_E000));
        assert_eq!(map.log_offset_bytes, 0x1564_1000);
        let record = map.current().expect("one record is valid");
        assert_eq!((record.sequence, record.chunks, record.flags), (22, 33, 2));
        let encrypted: Vec<u32> = (0..33).filter(|chunk| record.is_encrypted(*chunk) == Some(true)).collect();
        assert_eq!(encrypted, (20..33).collect::<Vec<u32>>());
        assert_eq!(record.is_encrypted(33), None);
        assert_eq!(map.encode().expect("fits"), windows());
    }

    #[test]
    fn a_torn_record_leaves_the_other() {
        let mut map = BlockMap::parse(&windows()).expect("a good map");
        map.records[0] = Some(BitmapRecord { sequence: 21, ..map.current().expect("valid").clone() });
        let mut bytes = map.encode().expect("fits");
        assert_eq!(BlockMap::parse(&bytes).expect("good").current().map(|record| record.sequence), Some(22));
        bytes[0x5FF] ^= 1;
        assert_eq!(BlockMap::parse(&bytes).expect("good").current().map(|record| record.sequence), Some(21));
        bytes[0x3FF] ^= 1;
        assert_eq!(BlockMap::parse(&bytes).expect("good").current(), None);
    }

    #[test]
    fn sizes_are_bounded() {
        for (at, value) in [
            (12, 0xFFFF_FFFF_u32),
            (12, 0x10),
            (44, 0x10),
            (44, 0x400),
            (44, 0xFFFF_FFFF),
            (48, 0xFFFF_FFFF),
            (52, 0xFFFF_FFFF),
            (52, 4),
        ] {
            let mut bytes = windows();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            assert!(matches!(BlockMap::parse(&bytes), Err(Error::BadField { .. })), "{value:#x} at {at}");
        }
    }
}
