//! Which bytes were read and which could not be, kept in the form of GNU ddrescue's mapfile, so that work that was broken off
//! goes on, with us or with ddrescue.
//!
//! ```text
//! # comments
//! 0x00100000  ?  1                  place and state of the work
//! 0x00000000  0x00100000  +         range: start, length, status
//! ```
//!
//! Source: the chapter "Mapfile structure" of the GNU ddrescue manual.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

/// What became of a range; in brackets the sign in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not tried yet (`?`).
    NotTried,
    /// Reading it failed as a whole; parts of it may be readable (`*`; `/` counts as this, too).
    Failed,
    /// A sector that cannot be read (`-`).
    Bad,
    /// Read (`+`).
    Read,
}

/// Ranges that a map holds at most: about 100 MiB of memory. Where there would be more, what failed stays undivided.
pub(crate) const MAX_RANGES: usize = 1 << 20;

impl Status {
    fn sign(self) -> char {
        match self {
            Self::NotTried => '?',
            Self::Failed => '*',
            Self::Bad => '-',
            Self::Read => '+',
        }
    }

    fn of_sign(sign: &str) -> Option<Self> {
        Some(match sign {
            "?" => Self::NotTried,
            "*" | "/" => Self::Failed,
            "-" => Self::Bad,
            "+" => Self::Read,
            _ => return None,
        })
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Why a text is no map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A line that cannot be understood.
    #[error("line {0} is not of the form START LENGTH STATUS")]
    BadLine(usize),
    /// Ranges that overlap or go back.
    #[error("line {0} does not lie behind the line before")]
    NotInOrder(usize),
    /// The map of something longer.
    #[error("it reaches up to byte {end_bytes}, and there are {length_bytes}")]
    TooLong {
        /// Where its last range ends.
        end_bytes: u64,
        /// Bytes there are.
        length_bytes: u64,
    },
    /// More ranges than are taken.
    #[error("it has more than {MAX_RANGES} ranges")]
    TooMany,
}

/// The map of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescueMap {
    length_bytes: u64,
    /// Starts of ranges; each ends where the next begins. The first starts at 0.
    starts: BTreeMap<u64, Status>,
    bytes: [u64; 4],
}

impl RescueMap {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(length_bytes: u64) -> Self {
        Self { length_bytes, starts: BTreeMap::from([(0, Status::NotTried)]), bytes: [length_bytes, 0, 0, 0] }
    }

    /// Reads a mapfile for something of this length. What it leaves out counts as not tried.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn parse(text: &str, length_bytes: u64) -> Result<Self, MapError> {
        let mut map = Self::new(length_bytes);
        let (mut end, mut first) = (0, true);
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().take(4).collect();
            if words.is_empty() {
                continue;
            }
            // The first line tells how far the work is; its second word is a sign.
            if std::mem::take(&mut first) && words.get(1).is_some_and(|word| parse_number(word).is_none()) {
                continue;
            }
            let [start, length, sign] = words.as_slice() else { return Err(MapError::BadLine(number)) };
            let (start, length, status) = match (parse_number(start), parse_number(length), Status::of_sign(sign)) {
                (Some(start), Some(length), Some(status)) => (start, length, status),
                _ => return Err(MapError::BadLine(number)),
            };
            if start < end {
                return Err(MapError::NotInOrder(number));
            }
            end = start.checked_add(length).ok_or(MapError::BadLine(number))?;
            if end > length_bytes {
                return Err(MapError::TooLong { end_bytes: end, length_bytes });
            }
            map.set(start..end, status);
            if map.starts.len() > MAX_RANGES {
                return Err(MapError::TooMany);
            }
        }
        Ok(map)
    }

    /// The mapfile, with one line about what it is the map of.
    #[must_use]
    pub fn to_text(&self, about: &str) -> String {
        let mut out = format!("# Mapfile in the form of GNU ddrescue, written by Keyhaven\n# {about}\n");
        out.push_str("# Positions count in the decrypted volume\n# current_pos  current_status  current_pass\n");
        let (status, sign) = [(Status::NotTried, '?'), (Status::Failed, '*'), (Status::Bad, '-')]
            .into_iter()
            .find(|(status, _)| self.bytes(*status) > 0)
            .unwrap_or((Status::Read, '+'));
        let at = self.ranges(status).next().map_or(0, |range| range.start);
        // Writing to a text does not fail.
        let _ = writeln!(out, "0x{at:08X}     {sign}               1\n#      pos        size  status");
        for (range, status) in self.all() {
            let _ = writeln!(out, "0x{:08X}  0x{:08X}  {}", range.start, range.end - range.start, status.sign());
        }
        out
    }

    /// Bytes it is the map of.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Bytes of this status.
    #[must_use]
    pub fn bytes(&self, status: Status) -> u64 {
        self.bytes[status.index()]
    }

    /// Ranges of this status, in order.
    pub fn ranges(&self, status: Status) -> impl Iterator<Item = Range<u64>> {
        self.all().filter(move |(_, found)| *found == status).map(|(range, _)| range)
    }

    /// What was not read, in order, neighbours joined.
    #[must_use]
    pub fn lost(&self) -> Vec<Range<u64>> {
        let mut out: Vec<Range<u64>> = Vec::new();
        for (range, _) in self.all().filter(|(_, status)| *status != Status::Read) {
            match out.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => out.push(range),
            }
        }
        out
    }

    /// Ranges of this status inside `within`, cut at its ends.
    pub(crate) fn ranges_within(&self, within: Range<u64>, status: Status) -> Vec<Range<u64>> {
        let first = self.starts.range(..=within.start).next_back().map_or(0, |(start, _)| *start);
        let mut out = Vec::new();
        let mut starts = self.starts.range(first..within.end).peekable();
        while let Some((start, found)) = starts.next() {
            let end = starts.peek().map_or(within.end, |(next, _)| **next);
            let range = (*start).max(within.start)..end.min(within.end);
            if *found == status && range.start < range.end {
                out.push(range);
            }
        }
        out
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Gives a range a status.
    pub fn set(&mut self, range: Range<u64>, status: Status) {
        let range = range.start..range.end.min(self.length_bytes);
        if range.start >= range.end {
            return;
        }
        for old in [Status::NotTried, Status::Failed, Status::Bad, Status::Read] {
            let bytes: u64 = self.ranges_within(range.clone(), old).iter().map(|part| part.end - part.start).sum();
            self.bytes[old.index()] -= bytes;
        }
        self.bytes[status.index()] += range.end - range.start;
        let before = self.starts.range(..range.start).next_back().map(|(_, status)| *status);
        let behind = self.starts.range(..=range.end).next_back().map(|(_, status)| *status);
        let inside: Vec<u64> = self.starts.range(range.start..=range.end).map(|(start, _)| *start).collect();
        for start in inside {
            self.starts.remove(&start);
        }
        if before != Some(status) {
            self.starts.insert(range.start, status);
        }
        if let Some(behind) = behind.filter(|behind| range.end < self.length_bytes && *behind != status) {
            self.starts.insert(range.end, behind);
        }
    }

    fn all(&self) -> impl Iterator<Item = (Range<u64>, Status)> {
        let ends = self.starts.keys().skip(1).copied().chain(std::iter::once(self.length_bytes));
        self.starts.iter().zip(ends).map(|((start, status), end)| (*start..end, *status))
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_split_as_a_model_does() {
        let mut map = RescueMap::new(60);
        let mut model = [Status::NotTried; 60];
        let mut state = 7_u64;
        for _ in 0..5000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (start, length) = ((state >> 33) % 60, (state >> 40) % 20);
            let status = [Status::NotTried, Status::Failed, Status::Bad, Status::Read][(state >> 60) as usize % 4];
            map.set(start..start + length, status);
            for at in start..(start + length).min(60) {
                model[usize::try_from(at).unwrap()] = status;
            }
            for kind in [Status::NotTried, Status::Failed, Status::Bad, Status::Read] {
                let count = model.iter().filter(|found| **found == kind).count() as u64;
                assert_eq!(map.bytes(kind), count);
                assert_eq!(map.ranges(kind).map(|range| range.end - range.start).sum::<u64>(), count);
                let inside: u64 = map.ranges_within(10..31, kind).iter().map(|range| range.end - range.start).sum();
                assert_eq!(inside, model[10..31].iter().filter(|found| **found == kind).count() as u64);
            }
            let changes = model.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!(map.len(), changes + 1);
            assert_eq!(RescueMap::parse(&map.to_text("a test"), 60).unwrap(), map);
        }
    }

    #[test]
    fn maps_of_ddrescue_are_read() {
        let text = "# Mapfile. Created by GNU ddrescue version 1.27\n# Command line: ddrescue a b m\n# Start time:   2026\n\
                    # current_pos  current_status  current_pass\n0x00001000     ?               1\n\
                    #      pos        size  status\n0x00000000  0x00001000  +\n0x00001000  512  -\n0x00001200  0x200  /\n";
        let map = RescueMap::parse(text, 0x2000).unwrap();
        assert_eq!(
            [Status::Read, Status::Bad, Status::Failed, Status::NotTried].map(|it| map.bytes(it)),
            [0x1000, 512, 512, 0xC00]
        );
        assert_eq!(map.lost().as_slice(), std::slice::from_ref(&(0x1000..0x2000)));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let bad = |text: &str| RescueMap::parse(text, 0x1000).unwrap_err();
        assert_eq!(bad("0 ? 1\n0 10 +\n5 10 +"), MapError::NotInOrder(3));
        assert_eq!(bad("0 ? 1\n0 10 x"), MapError::BadLine(2));
        assert_eq!(bad("0 ? 1\nhello world +"), MapError::BadLine(2));
        assert_eq!(bad("0 ? 1\n0xFFFFFFFFFFFFFFFF 2 +"), MapError::BadLine(2));
        assert!(matches!(bad("0 ? 1\n0 0x1001 +"), MapError::TooLong { end_bytes: 0x1001, .. }));
        assert_eq!(RescueMap::parse("", 0x1000).unwrap(), RescueMap::new(0x1000));
    }
}
