//! Sets of directory entries of exFAT: a file entry, then its stream, then its name in parts of 15 letters.
//!
//! Source: Microsoft's exFAT file system specification, sections 6 and 7.

use std::time::{Duration, SystemTime};

use crate::bytes::{u8_at, u16_at, u32_at, u64_at, units};
use crate::dos_time;
use crate::entry::Place;
use crate::{Attributes, Entry, EntryKind};

pub(super) const ENTRY_BYTES: usize = 32;
pub(super) const FILE: u8 = 0x85;
pub(super) const BITMAP: u8 = 0x81;
pub(super) const LABEL: u8 = 0x83;
const STREAM: u8 = 0xC0;
const NAME: u8 = 0xC1;
const DIRECTORY: u16 = 0x10;
/// Letters of a name in one entry.
const NAME_LETTERS: usize = 15;
/// A stream and a name of 255 letters; more may follow for other uses.
const MIN_SECONDARY: usize = 2;

/// Entries that follow the first of a set.
pub(super) fn secondary_count(first: &[u8]) -> usize {
    u8_at(first, 1).unwrap_or(0).into()
}

/// A set that was read.
pub(super) struct Parsed {
    pub(super) entry: Entry,
    /// Whether the checksum over the set is right.
    pub(super) sound: bool,
}

/// Reads a set, whose first entry is at `place` of the volume.
pub(super) fn parse(set: &[u8], place: u64) -> Result<Parsed, &'static str> {
    const SHORT: &str = "its entries are cut off";
    let (file, rest) = set.split_at_checked(ENTRY_BYTES).ok_or(SHORT)?;
    let (stream, rest) = rest.split_at_checked(ENTRY_BYTES).ok_or(SHORT)?;
    if secondary_count(file) < MIN_SECONDARY || u8_at(stream, 0) != Some(STREAM) {
        return Err("it has no stream entry");
    }
    let name = name(rest, u8_at(stream, 3).unwrap_or(0).into()).ok_or("its name is cut off")?;
    let attributes = u16_at(file, 4).ok_or(SHORT)?;
    let directory = attributes & DIRECTORY != 0;
    let length = u64_at(stream, 24).ok_or(SHORT)?;
    let time = |offset: usize, tenths: Option<usize>, zone: usize| {
        let tenths = tenths.and_then(|offset| u8_at(file, offset)).unwrap_or(0);
        to_system_time(u32_at(file, offset)?, tenths, u8_at(file, zone)?)
    };
    let entry = Entry {
        name,
        kind: if directory { EntryKind::Directory } else { EntryKind::File },
        size_bytes: if directory { 0 } else { length },
        allocated_bytes: 0,
        modified: time(12, Some(21), 23),
        created: time(8, Some(20), 22),
        accessed: time(16, None, 24),
        attributes: Attributes::new((attributes & 0x37).into()),
        links: 1,
        id: place,
        place: Place::Run {
            first: u32_at(stream, 20).ok_or(SHORT)?,
            contiguous: u8_at(stream, 1).unwrap_or(0) & 2 != 0,
            length,
            initialized: u64_at(stream, 8).ok_or(SHORT)?,
        },
    };
    Ok(Parsed { entry, sound: u16_at(file, 2) == Some(checksum(set)) })
}

fn name(entries: &[u8], letters: usize) -> Option<String> {
    let parts = entries.as_chunks::<ENTRY_BYTES>().0.iter().take(letters.div_ceil(NAME_LETTERS));
    let mut name: Vec<u16> = Vec::with_capacity(letters);
    for part in parts {
        if part[0] != NAME {
            return None;
        }
        name.extend(units(&part[2..]));
    }
    (name.len() >= letters).then(|| String::from_utf16_lossy(&name[..letters]))
}

/// Over the whole set, but for the checksum itself.
fn checksum(set: &[u8]) -> u16 {
    let counted = set.iter().enumerate().filter(|(index, _)| !matches!(index, 2 | 3));
    counted.fold(0, |sum: u16, (_, byte)| sum.rotate_right(1).wrapping_add((*byte).into()))
}

/// `None` for fields that are no date. A time without a zone is taken as UTC.
fn to_system_time(stamp: u32, tenths: u8, zone: u8) -> Option<SystemTime> {
    let field = |shift: u32, bits: u32| u16::try_from(stamp >> shift & ((1 << bits) - 1)).unwrap_or(0);
    let (hours, minutes, seconds) = (field(11, 5), field(5, 6), field(0, 5));
    if hours > 23 || minutes > 59 || seconds > 29 {
        return None;
    }
    let of_day = u64::from(hours) * 3600 + u64::from(minutes) * 60 + u64::from(seconds) * 2;
    let whole = dos_time::to_system_time(1980 + field(25, 7), field(21, 4), field(16, 5), of_day)?;
    let local = whole.checked_add(Duration::from_millis(u64::from(tenths.min(199)) * 10))?;
    if zone & 0x80 == 0 {
        return Some(local);
    }
    // Seven bits with a sign, in quarters of an hour.
    let quarters = ((zone << 1).cast_signed() >> 1).into();
    let distance = Duration::from_secs(i64::unsigned_abs(quarters) * 900);
    if quarters < 0 { local.checked_add(distance) } else { local.checked_sub(distance) }
}

/// The label in an entry of its own.
pub(super) fn label(entry: &[u8]) -> Option<String> {
    let letters = usize::from(u8_at(entry, 1)?).min(11);
    Some(String::from_utf16_lossy(&units(entry.get(2..2 + 2 * letters)?)))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn zones() {
        // 2026-11-25 12:00:00.
        let stamp = 46 << 25 | 11 << 21 | 25 << 16 | 12 << 11;
        let utc = UNIX_EPOCH + Duration::from_secs(1_795_608_000);
        let hour = Duration::from_secs(3600);
        assert_eq!(to_system_time(stamp, 0, 0), Some(utc));
        assert_eq!(to_system_time(stamp, 150, 0x80), Some(utc + Duration::from_millis(1500)));
        assert_eq!(to_system_time(stamp, 0, 0x80 | 4), Some(utc - hour));
        assert_eq!(to_system_time(stamp, 0, 0x80 | (0x80 - 4 * 8)), Some(utc + 8 * hour));
        assert_eq!(to_system_time(0, 0, 0), None);
    }
}
