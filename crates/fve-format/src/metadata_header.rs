//! The metadata header: 48 bytes before the entries, in a metadata block at 0x40 and at the start of a `.BEK` file.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0x00 | 4 | size: header and entries, without padding |
//! | 0x04 | 4 | version, 1 |
//! | 0x08 | 4 | start of the entries, 48 |
//! | 0x0C | 4 | end of the entries, equal to the size |
//! | 0x10 | 16 | identifier of the volume; in a `.BEK` file of the protector |
//! | 0x20 | 4 | next nonce counter |
//! | 0x24 | 2, 2 | encryption method; 0 or the same again |
//! | 0x28 | 8 | creation time |

use crate::reader::Reader;
use crate::{EncryptionMethod, Error, Filetime, Guid, Structure};

/// Length of the metadata header in bytes.
pub const METADATA_HEADER_BYTES: usize = 48;

/// The metadata header. Its size fields are derived from the entries when it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataHeader {
    /// Identifier of the volume, or of the protector in a `.BEK` file.
    pub identifier: Guid,
    /// Greater than every nonce counter in use.
    pub next_nonce: u32,
    /// How sectors are encrypted.
    pub method: EncryptionMethod,
    /// 0, or the method again; meaning unknown.
    pub preferred_method: EncryptionMethod,
    /// When the volume was first encrypted.
    pub created: Filetime,
}

impl MetadataHeader {
    /// Reads the header at the start of `bytes` and the size it states, which is checked to be within `bytes`.
    pub(crate) fn parse(bytes: &[u8], base: usize) -> Result<(Self, usize), Error> {
        let mut reader = Reader::new(bytes, base, Structure::MetadataHeader);
        let size = reader.u32()? as usize;
        if size < METADATA_HEADER_BYTES || size > bytes.len() {
            return Err(reader.bad_field("size", 4, size as u64, "48 or more, and inside the block"));
        }
        let version = reader.u32()?;
        if version != 1 {
            return Err(reader.bad_field("version", 4, u64::from(version), "1"));
        }
        let start = reader.u32()?;
        if start as usize != METADATA_HEADER_BYTES {
            return Err(reader.bad_field("start of entries", 4, u64::from(start), "48"));
        }
        let end = reader.u32()?;
        if end as usize != size {
            return Err(reader.bad_field("end of entries", 4, u64::from(end), "equal to the size"));
        }
        let header = Self {
            identifier: reader.guid()?,
            next_nonce: reader.u32()?,
            method: EncryptionMethod::from_value(reader.u16()?),
            preferred_method: EncryptionMethod::from_value(reader.u16()?),
            created: reader.filetime()?,
        };
        Ok((header, size))
    }

    pub(crate) fn encode(&self, size: u32, out: &mut Vec<u8>) {
        for field in [size, 1, 48, size] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.identifier.to_bytes());
        out.extend_from_slice(&self.next_nonce.to_le_bytes());
        out.extend_from_slice(&self.method.value().to_le_bytes());
        out.extend_from_slice(&self.preferred_method.value().to_le_bytes());
        out.extend_from_slice(&self.created.0.to_le_bytes());
    }
}
