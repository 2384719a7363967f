//! The structures of a conversion in place: ours, not Windows'. They are on a volume while it is being encrypted or
//! decrypted where it lies, and are gone afterwards.
//!
//! ```text
//! conversion header    sector 0, in place of a boot sector or volume header       header
//! journal              in free space of the file system inside
//!   journal header     two copies, each with a payload behind it                  journal
//!     payload          writes to the file system, before or after                 writes
//!   log record         two slots, used in turn; a body behind each                record
//! ```
//!
//! Meanwhile the three metadata blocks start with [`MASKED_SIGNATURE`], so that nothing that looks for BitLocker's signature
//! finds a finished volume. All numbers are little-endian. `docs/format/in-place-conversion.md` has the tables.

mod header;
mod journal;
mod record;
mod writes;

pub use header::{CONVERSION_HEADER_BYTES, ConversionHeader, MASKED_SIGNATURE, MAX_BATCH_BYTES, UNIT_BYTES};
pub use journal::{JOURNAL_HEADER_BYTES, JournalHeader, PAYLOAD_MARK};
pub use record::{Direction, LOG_RECORD_BYTES, LogRecord, Phase};
pub use writes::{FsWrite, encode_writes, parse_writes};

/// Bytes at the start of each 512-byte piece that a log keeps: one block of the cipher.
pub const KEPT_BYTES: usize = 16;
/// The smallest unit that a disk writes whole, whatever the size of the sectors that are encrypted.
pub const PIECE_BYTES: usize = 512;

use crate::checksum::checksum_without;
use crate::{Error, Structure};

/// Puts the checksum of `bytes` into the field.
fn seal(bytes: &mut [u8], field: usize) {
    let checksum = checksum_without(bytes, field);
    bytes[field..field + 4].copy_from_slice(&checksum.to_le_bytes());
}

fn check_checksum(bytes: &[u8], field: usize) -> Result<(), Error> {
    let mut stored = [0; 4];
    stored.copy_from_slice(&bytes[field..field + 4]);
    let (stored, found) = (u32::from_le_bytes(stored), checksum_without(bytes, field));
    if stored == found { Ok(()) } else { Err(Error::Checksum { found, stored }) }
}

/// The first `N` bytes, which start with `signature` and have a checksum that fits.
fn signed<const N: usize>(
    bytes: &[u8],
    signature_at: usize,
    signature: &[u8],
    checksum_at: usize,
    structure: Structure,
) -> Result<[u8; N], Error> {
    let Some(all) = bytes.first_chunk::<N>() else {
        return Err(Error::Truncated { structure, position: 0, needed: N, available: bytes.len() });
    };
    if !all[signature_at..].starts_with(signature) {
        return Err(Error::NoSignature { structure });
    }
    check_checksum(all, checksum_at)?;
    Ok(*all)
}

/// Whether `refuses` holds for `good` with any one bit flipped.
#[cfg(test)]
fn assert_no_flipped_bit_goes_unnoticed(good: &[u8], refuses: impl Fn(&[u8]) -> bool) {
    for bit in 0..good.len() * 8 {
        let mut changed = good.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(refuses(&changed), "bit {bit}");
    }
}
