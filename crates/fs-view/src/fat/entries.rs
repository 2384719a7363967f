//! Entries of a FAT directory: 32 bytes each, with the long name of a file in entries of its own in front of it.

use std::time::SystemTime;

use crate::bytes::{array_at, u8_at, u16_at, u32_at};
use crate::dos_time;
use crate::entry::Place;
use crate::oem;
use crate::{Attributes, Entry, EntryKind};

pub(super) const ENTRY_BYTES: usize = 32;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0F;
/// Letters of a long name in one entry.
const LONG_LETTERS: usize = 13;
/// A long name has at most 255 letters.
const MAX_LONG_ENTRIES: u8 = 20;

/// What a directory says in one place.
pub(super) enum Found {
    /// A file or directory.
    Entry(Box<Entry>),
    /// The label of the volume.
    Label(String),
    /// The entry of the directory itself.
    Dot,
    /// That of its parent.
    DotDot,
}

/// Reads entry after entry, and puts long names together.
#[derive(Default)]
pub(super) struct Parser {
    /// Units of the name, the last part first; empty when there is none.
    parts: Vec<[u16; LONG_LETTERS]>,
    /// Number of the part that must come next; 0 when the name is complete.
    expected: u8,
    checksum: u8,
}

impl Parser {
    /// Takes the entry at `place` of the volume. `None` when it tells nothing by itself.
    pub(super) fn take(&mut self, raw: &[u8; ENTRY_BYTES], place: u64) -> Option<Found> {
        let attributes = raw[11];
        if raw[0] == 0xE5 {
            self.parts.clear();
            return None;
        }
        if attributes & 0x3F == LONG_NAME {
            self.take_long(raw);
            return None;
        }
        let parts = std::mem::take(&mut self.parts);
        let short: [u8; 11] = array_at(raw, 0)?;
        if attributes & LABEL != 0 {
            let text: String = short.iter().map(|byte| oem::decode(*byte)).collect();
            return Some(Found::Label(text.trim_end().to_owned()));
        }
        match &short {
            b".          " => return Some(Found::Dot),
            b"..         " => return Some(Found::DotDot),
            _ => {}
        }
        let long = (self.expected == 0 && self.checksum == checksum(&short)).then(|| long_name(&parts)).flatten();
        let name = long.unwrap_or_else(|| short_name(&short, raw[12]));
        Some(Found::Entry(Box::new(entry(raw, name, place)?)))
    }

    fn take_long(&mut self, raw: &[u8; ENTRY_BYTES]) {
        let number = raw[0] & 0x1F;
        if raw[0] & 0x40 != 0 {
            self.parts.clear();
            (self.expected, self.checksum) = (number, raw[13]);
        }
        if number == 0 || number > MAX_LONG_ENTRIES || number != self.expected || raw[13] != self.checksum {
            self.parts.clear();
            // A number that no part has: what follows is not taken for the rest of this name.
            self.expected = u8::MAX;
            return;
        }
        let mut letters = [0; LONG_LETTERS];
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
        for (letter, place) in letters.iter_mut().zip(places) {
            *letter = u16_at(raw, place).unwrap_or(0);
        }
        self.parts.push(letters);
        self.expected = number - 1;
    }
}

/// `None` where there is none.
fn long_name(parts: &[[u16; LONG_LETTERS]]) -> Option<String> {
    let units: Vec<u16> = parts.iter().rev().flatten().copied().take_while(|unit| *unit != 0).collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// Ties a long name to its short one.
fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The name of eight and three letters. Two bits tell whether a part was written in lower case.
fn short_name(short: &[u8; 11], case: u8) -> String {
    let part = |bytes: &[u8], lower: bool| {
        let text: String = bytes.iter().map(|byte| oem::decode(*byte)).collect();
        let text = text.trim_end_matches(' ').to_owned();
        if lower { text.to_lowercase() } else { text }
    };
    let mut base = *short;
    // The first byte of a Japanese letter would mark the entry as deleted.
    if base[0] == 0x05 {
        base[0] = 0xE5;
    }
    let (base, extension) = base.split_at(8);
    let (base, extension) = (part(base, case & 8 != 0), part(extension, case & 16 != 0));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

fn entry(raw: &[u8; ENTRY_BYTES], name: String, place: u64) -> Option<Entry> {
    let first = u32::from(u16_at(raw, 20)?) << 16 | u32::from(u16_at(raw, 26)?);
    let directory = raw[11] & DIRECTORY != 0;
    let time = |date: usize, time: Option<usize>, tenths: u8| {
        let time = time.map_or(Some(0), |offset| u16_at(raw, offset))?;
        to_system_time(u16_at(raw, date)?, time, tenths)
    };
    Some(Entry {
        name,
        kind: if directory { EntryKind::Directory } else { EntryKind::File },
        size_bytes: if directory { 0 } else { u32_at(raw, 28)?.into() },
        allocated_bytes: 0,
        modified: time(24, Some(22), 0),
        created: time(16, Some(14), u8_at(raw, 13)?),
        accessed: time(18, None, 0),
        attributes: Attributes::new(u32::from(raw[11] & 0x37)),
        links: 1,
        id: place,
        place: Place::Chain { first },
    })
}

/// `None` for fields that are no date, such as all zeros.
fn to_system_time(date: u16, time: u16, tenths: u8) -> Option<SystemTime> {
    let (hours, minutes, seconds) = (time >> 11, time >> 5 & 0x3F, time & 0x1F);
    if hours > 23 || minutes > 59 || seconds > 29 {
        return None;
    }
    let seconds = u64::from(hours) * 3600 + u64::from(minutes) * 60 + u64::from(seconds) * 2;
    let whole = dos_time::to_system_time(1980 + (date >> 9), date >> 5 & 0xF, date & 0x1F, seconds)?;
    whole.checked_add(std::time::Duration::from_millis(u64::from(tenths.min(199)) * 10))
}
