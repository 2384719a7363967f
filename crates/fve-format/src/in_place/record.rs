//! A record of the log: how far the conversion is, and what the batch that is being converted was like before.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0x00 | 8 | `KHVN-LOG` |
//! | 0x08 | 2 | version, 1 |
//! | 0x0A | 1, 1 | phase, direction |
//! | 0x0C | 4 | CRC-32 of the 512 bytes, this field zero |
//! | 0x10 | 16 | identifier of the conversion |
//! | 0x20 | 8 | sequence, from 1 |
//! | 0x28 | 8, 8 | start and length of the batch, counted in bytes of what is converted |
//! | 0x38 | 4 | length of the body |
//! | 0x3C | 4 | 1 when everything before this record was durable when it was written, else 0 |
//! | 0x40 | 32 | SHA-256 of the body |

use super::{KEPT_BYTES, PIECE_BYTES, seal, signed};
use crate::reader::Reader;
use crate::{Error, Structure};

/// Length of a record without its body.
pub const LOG_RECORD_BYTES: usize = 512;
const SIGNATURE: &[u8; 8] = b"KHVN-LOG";
const CHECKSUM_AT: usize = 0x0C;

/// Where a conversion leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Plain becomes encrypted.
    Encrypt,
    /// Encrypted becomes plain.
    Decrypt,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Encryption has begun: the writes that reserve places in the file system may have been done in part, nothing else.
    Preparing,
    /// Batches are being converted.
    Converting,
    /// All is encrypted; the metadata blocks may have their signature already.
    Finishing,
    /// All is plain but the first and the last sectors, which the body of the record holds with the writes that release
    /// places in the file system. There is no way back.
    Restoring,
}

/// A record, without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord {
    /// Of the conversion.
    pub identifier: [u8; 16],
    /// Rises by one with each record.
    pub sequence: u64,
    /// What is being done.
    pub phase: Phase,
    /// Where it leads.
    pub direction: Direction,
    /// Everything before this is encrypted. Counted in bytes of what is converted, in its order.
    pub start: u64,
    /// Bytes of the batch that is being converted; everything behind them is plain.
    pub length: u64,
    /// Length of the body in bytes.
    pub body_bytes: u32,
    /// Whether the batch of the record before was durable when this record was written.
    pub is_settled: bool,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

impl LogRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::NoSignature`], [`Error::Checksum`], [`Error::BadField`], [`Error::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let structure = Structure::LogRecord;
        let all: [u8; LOG_RECORD_BYTES] = signed(bytes, 0, SIGNATURE, CHECKSUM_AT, structure)?;
        let mut reader = Reader::new(&all[8..], 8, structure);
        let version = reader.u16()?;
        if version != 1 {
            return Err(reader.bad_field("version", 2, u64::from(version), "1"));
        }
        let [phase] = reader.array()?;
        let phase = match phase {
            1 => Phase::Preparing,
            2 => Phase::Converting,
            3 => Phase::Finishing,
            4 => Phase::Restoring,
            other => return Err(reader.bad_field("phase", 1, u64::from(other), "1 to 4")),
        };
        let [direction] = reader.array()?;
        let direction = match direction {
            0 => Direction::Encrypt,
            1 => Direction::Decrypt,
            other => return Err(reader.bad_field("direction", 1, u64::from(other), "0 or 1")),
        };
        reader.take(4)?;
        let (identifier, sequence) = (reader.array()?, reader.u64()?);
        let (start, length, body_bytes) = (reader.u64()?, reader.u64()?, reader.u32()?);
        if phase == Phase::Converting && length / PIECE_BYTES as u64 * KEPT_BYTES as u64 != u64::from(body_bytes) {
            return Err(reader.bad_field(
                "length of the body",
                4,
                u64::from(body_bytes),
                "16 for every 512 of the batch",
            ));
        }
        let settled = reader.u32()?;
        if settled > 1 {
            return Err(reader.bad_field("mark of a settled record", 4, u64::from(settled), "0 or 1"));
        }
        let body_hash = reader.array()?;
        let is_settled = settled == 1;
        Ok(Self { identifier, sequence, phase, direction, start, length, body_bytes, is_settled, body_hash })
    }

    /// The bytes of the record, without its body.
    #[must_use]
    pub fn encode(&self) -> [u8; LOG_RECORD_BYTES] {
        let mut out = [0; LOG_RECORD_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, SIGNATURE);
        let phase = match self.phase {
            Phase::Preparing => 1,
            Phase::Converting => 2,
            Phase::Finishing => 3,
            Phase::Restoring => 4,
        };
        put(8, &[1, 0, phase, u8::from(self.direction == Direction::Decrypt)]);
        put(0x10, &self.identifier);
        put(0x20, &self.sequence.to_le_bytes());
        put(0x28, &self.start.to_le_bytes());
        put(0x30, &self.length.to_le_bytes());
        put(0x38, &self.body_bytes.to_le_bytes());
        put(0x3C, &u32::from(self.is_settled).to_le_bytes());
        put(0x40, &self.body_hash);
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
        let record = LogRecord {
            identifier: [1; 16],
            sequence: 9,
            phase: Phase::Converting,
            direction: Direction::Decrypt,
            start: 4096,
            length: 1024,
            body_bytes: 32,
            is_settled: true,
            body_hash: [2; 32],
        };
        let good = record.encode();
        assert_eq!(LogRecord::parse(&good), Ok(record));
        assert_no_flipped_bit_goes_unnoticed(&good, |bytes| LogRecord::parse(bytes).is_err());
        let misfit = LogRecord { body_bytes: 48, ..record }.encode();
        assert!(matches!(LogRecord::parse(&misfit), Err(Error::BadField { .. })));
        let restoring = LogRecord { phase: Phase::Restoring, length: 0, ..record };
        assert_eq!(LogRecord::parse(&restoring.encode()), Ok(restoring));
    }
}
