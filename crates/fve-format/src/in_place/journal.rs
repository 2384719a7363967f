//! The journal header: what does not change during a conversion. There are two copies, each with a payload behind it, which
//! is encrypted like any other sector at its place.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0x00 | 8 | `KHVN-JRN` |
//! | 0x08 | 2, 2 | version, 1; zero |
//! | 0x0C | 4 | CRC-32 of the 1024 bytes, this field zero |
//! | 0x10 | 16 | identifier of the conversion |
//! | 0x20 | 4, 4 | bytes of the payload in use behind its mark: writes that reserve places, writes that release them |
//! | 0x28 | 32 | SHA-256 of the whole payload as it is stored |
//! | 0x200 | 512 | the volume header of the encrypted volume, every bit inverted: nothing that scans a disk finds it |

use super::{seal, signed};
use crate::reader::Reader;
use crate::{Error, Structure, VOLUME_HEADER_BYTES};

/// What a payload begins with, before it is encrypted: whoever began the conversion had the key of the volume.
pub const PAYLOAD_MARK: [u8; 16] = *b"KEYHAVEN-CONVERT";
/// Length of a journal header in bytes.
pub const JOURNAL_HEADER_BYTES: usize = 1024;
const SIGNATURE: &[u8; 8] = b"KHVN-JRN";
const CHECKSUM_AT: usize = 0x0C;
const VOLUME_HEADER_AT: usize = 0x200;

/// What does not change during a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHeader {
    /// Of the conversion.
    pub identifier: [u8; 16],
    /// Bytes of the payload that hold the writes which reserve places in the file system.
    pub reserve_bytes: u32,
    /// Bytes behind them that hold the writes which release the places again.
    pub release_bytes: u32,
    /// SHA-256 of the payload as it is stored.
    pub payload_hash: [u8; 32],
    /// What sector 0 holds when the volume is encrypted.
    pub volume_header: [u8; VOLUME_HEADER_BYTES],
}

impl JournalHeader {
    /// Reads one copy.
    ///
    /// # Errors
    /// [`Error::NoSignature`], [`Error::Checksum`], [`Error::BadField`], [`Error::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let structure = Structure::ConversionJournal;
        let all: [u8; JOURNAL_HEADER_BYTES] = signed(bytes, 0, SIGNATURE, CHECKSUM_AT, structure)?;
        let mut reader = Reader::new(&all[8..], 8, structure);
        let version = reader.u16()?;
        if version != 1 {
            return Err(reader.bad_field("version", 2, u64::from(version), "1"));
        }
        reader.take(6)?;
        let identifier = reader.array()?;
        let (reserve_bytes, release_bytes) = (reader.u32()?, reader.u32()?);
        let payload_hash = reader.array()?;
        let inverted: [u8; VOLUME_HEADER_BYTES] =
            Reader::new(&all[VOLUME_HEADER_AT..], VOLUME_HEADER_AT, structure).array()?;
        let volume_header = inverted.map(|byte| !byte);
        Ok(Self { identifier, reserve_bytes, release_bytes, payload_hash, volume_header })
    }

    /// The bytes of one copy.
    #[must_use]
    pub fn encode(&self) -> [u8; JOURNAL_HEADER_BYTES] {
        let mut out = [0; JOURNAL_HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, SIGNATURE);
        put(8, &1_u16.to_le_bytes());
        put(0x10, &self.identifier);
        put(0x20, &self.reserve_bytes.to_le_bytes());
        put(0x24, &self.release_bytes.to_le_bytes());
        put(0x28, &self.payload_hash);
        put(VOLUME_HEADER_AT, &self.volume_header.map(|byte| !byte));
        seal(&mut out, CHECKSUM_AT);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_place::assert_no_flipped_bit_goes_unnoticed;

    #[test]
    fn it_reads_back_and_no_flipped_bit_goes_unnoticed() {
        let header = JournalHeader {
            identifier: [1; 16],
            reserve_bytes: 100,
            release_bytes: 200,
            payload_hash: [2; 32],
            volume_header: [3; 512],
        };
        let good = header.encode();
        assert_eq!(JournalHeader::parse(&good), Ok(header));
        assert_no_flipped_bit_goes_unnoticed(&good, |bytes| JournalHeader::parse(bytes).is_err());
    }
}
