//! Nonces that were never used with the keys of a volume.
//!
//! Twelve bytes: a time stamp and a counter. Windows takes one time stamp for all entries of a change and counts on from the
//! metadata header's number. That number alone does not suffice here: when a change was written to one copy only and this
//! copy is lost, the next change counts from the same number again. So the time stamps never repeat either.

use fve_format::{Filetime, MetadataBlock, MetadataEntry, Value};

use crate::Error;
use crate::wrapping::NonceSource;

/// Set in the time stamps of nonces that Windows' driver made at the end of a conversion; no part of the time.
const DRIVER_BIT: u64 = 1 << 63;
const TICKS_PER_MS: u64 = 10_000;
/// A change takes some hundreds at most: 64 protectors with three entries each, and the rest.
const RESERVE: u32 = 0x1_0000;
/// Entries are nested three deep; anything deeper is none of BitLocker's.
const MAX_DEPTH: usize = 4;

/// Nonces above every one in these generations of the metadata.
pub(super) fn above<'a>(blocks: impl Iterator<Item = &'a MetadataBlock>, now: Filetime) -> Result<NonceSource, Error> {
    let mut newest = Newest { time: 0, counter: 0 };
    for block in blocks {
        newest.counter = newest.counter.max(block.metadata.next_nonce.saturating_sub(1));
        newest.time = newest.time.max(block.metadata.created.0);
        newest.see(&block.validation.hash, 0);
        for entry in &block.entries {
            newest.see(entry, 0);
        }
    }
    let next = newest.counter.saturating_add(1);
    if next > u32::MAX - RESERVE {
        return Err(Error::CannotEdit { reason: "its nonce counter is used up" });
    }
    let time = if now.0 > newest.time {
        now
    } else {
        // The clock is behind. A fixed step could give again what a change gave that was lost.
        let mut random = [0; 2];
        secret::random_bytes(&mut random);
        let step = (1 + u64::from(u16::from_le_bytes(random))) * TICKS_PER_MS;
        Filetime(newest.time.saturating_add(step) & !DRIVER_BIT)
    };
    Ok(NonceSource::new(time, next))
}

struct Newest {
    time: u64,
    counter: u32,
}

impl Newest {
    fn see(&mut self, entry: &MetadataEntry, depth: usize) {
        match entry.value() {
            Ok(Value::AesCcm(wrapped)) => {
                let (time, counter) = wrapped.nonce.split_at(8);
                let time = time.try_into().map_or(0, u64::from_le_bytes);
                self.time = self.time.max(time & !DRIVER_BIT);
                self.counter = self.counter.max(counter.try_into().map_or(0, u32::from_le_bytes));
            }
            Ok(Value::Vmk(protector)) => self.time = self.time.max(protector.modified.0),
            _ => {}
        }
        if depth < MAX_DEPTH {
            for nested in entry.nested().unwrap_or_default() {
                self.see(&nested, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fve_format::{
        BlockHeader, EncryptionMethod, Guid, KeyProtector, MetadataHeader, ProtectorKind, VolumeState, entry_type,
    };

    fn nonce(time: u64, counter: u32) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&time.to_le_bytes());
        nonce[8..].copy_from_slice(&counter.to_le_bytes());
        nonce
    }

    /// A block whose deepest entry was wrapped at this time with this counter.
    fn block(time: u64, counter: u32, next_nonce: u32) -> MetadataBlock {
        let wrapped = MetadataEntry::aes_ccm(0, &nonce(time, counter), &[0; 16], &[0; 44]);
        let stretched = MetadataEntry::stretch_key(0x1001, &[0; 16], &[wrapped]).unwrap();
        let protector = KeyProtector {
            identifier: Guid::from_random([1; 16]),
            modified: Filetime(3),
            hints: 0,
            protection: ProtectorKind::Password.protection(),
            entries: vec![stretched],
        };
        let header = BlockHeader {
            version: 2,
            state: VolumeState::Encrypted,
            next_state: VolumeState::Encrypted,
            encrypted_bytes: 0,
            conversion_bytes: 0,
            header_sectors: 16,
            metadata_offsets: [0; 3],
            header_offset_bytes: 0,
        };
        let metadata = MetadataHeader {
            identifier: Guid::from_random([2; 16]),
            next_nonce,
            method: EncryptionMethod::AesXts128,
            preferred_method: EncryptionMethod::AesXts128,
            created: Filetime(2),
        };
        let description = MetadataEntry::unicode(entry_type::DESCRIPTION, "x");
        MetadataBlock::new(header, metadata, vec![description, protector.to_entry().unwrap()])
    }

    /// Time and counter of the first nonce.
    fn first(blocks: &[MetadataBlock], now: u64) -> (u64, u32) {
        let nonce = above(blocks.iter(), Filetime(now)).unwrap().take();
        let (time, counter) = nonce.split_at(8);
        (u64::from_le_bytes(time.try_into().unwrap()), u32::from_le_bytes(counter.try_into().unwrap()))
    }

    #[test]
    fn time_and_counter_are_above_all_that_were_used() {
        assert_eq!(first(&[block(1_000, 4, 9)], 2_000), (2_000, 9));
        // A header that names a counter in use is not believed.
        assert_eq!(first(&[block(1_000, 40, 9)], 2_000), (2_000, 41));
        assert_eq!(first(&[block(1_000, 4, 9), block(1_500, 4, 12)], 2_000), (2_000, 12));
        // The driver's bit is no time.
        assert_eq!(first(&[block(1_000 | DRIVER_BIT, 4, 9)], 2_000), (2_000, 9));
    }

    #[test]
    fn a_clock_that_is_behind_does_not_repeat_times() {
        let times: Vec<u64> = (0..20).map(|_| first(&[block(1_000, 4, 9)], 500).0).collect();
        assert!(times.iter().all(|time| *time > 1_000));
        assert!(times.iter().any(|time| *time != times[0]), "{times:?}");
        assert!(first(&[block(u64::MAX, 4, 9)], 500).0 & DRIVER_BIT == 0);
    }

    #[test]
    fn a_counter_that_is_used_up_is_refused() {
        assert!(matches!(above([block(1, 4, u32::MAX)].iter(), Filetime(2)), Err(Error::CannotEdit { .. })));
    }
}
