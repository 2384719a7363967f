//! The validation record behind a metadata block.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | size: from here to the end of the region |
//! | 2 | 2 | version: 2; 1 on Vista |
//! | 4 | 4 | CRC-32 (IEEE) of the block |
//! | 8 | .. | one entry: SHA-256 of the block as a key of type 0x2005, wrapped under the VMK; in the clear while decrypted |

use crate::reader::Reader;
use crate::{ENTRY_HEADER_BYTES, Error, MetadataEntry, Structure};

/// Bytes before the entry.
pub(crate) const VALIDATION_HEADER_BYTES: usize = 8;
/// The whole record with a wrapped hash: what must fit behind every block.
pub(crate) const VALIDATION_BYTES: usize = VALIDATION_HEADER_BYTES + 0x50;

/// CRC-32 and hash of a metadata block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Size field: bytes from the record's start to the end of the region.
    pub size: u16,
    /// 2; 1 on Vista.
    pub version: u16,
    /// CRC-32 (IEEE) of the block, pad included.
    pub crc32: u32,
    /// The hash: wrapped under the VMK, or in the clear while the volume is decrypted.
    pub hash: MetadataEntry,
}

impl Validation {
    /// Reads the record at the start of `bytes`, which is what follows the block in its region.
    pub(crate) fn parse(bytes: &[u8], base: usize) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, base, Structure::Validation);
        let size = reader.u16()?;
        if usize::from(size) < VALIDATION_HEADER_BYTES + ENTRY_HEADER_BYTES {
            return Err(reader.bad_field("size", 2, u64::from(size), "room for a hash"));
        }
        let version = reader.u16()?;
        if !matches!(version, 1 | 2) {
            return Err(reader.bad_field("version", 2, u64::from(version), "1 or 2"));
        }
        let crc32 = reader.u32()?;
        let entry_size = usize::from(reader.u16()?);
        let rest = reader.rest();
        if !(ENTRY_HEADER_BYTES..=VALIDATION_BYTES).contains(&entry_size) || entry_size - 2 > rest.len() {
            return Err(Error::BadField {
                structure: Structure::Validation,
                field: "hash entry size",
                position: base + VALIDATION_HEADER_BYTES,
                found: entry_size as u64,
                expected: "8 to 88",
            });
        }
        let hash = &bytes[VALIDATION_HEADER_BYTES..VALIDATION_HEADER_BYTES + entry_size];
        Ok(Self { size, version, crc32, hash: MetadataEntry::parse_exact(hash)? })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.crc32.to_le_bytes());
        self.hash.encode(out)
    }
}
