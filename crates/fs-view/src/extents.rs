//! Where the bytes of a file are on the volume.

use crate::Error;
use crate::bytes::index;
use crate::cache::Source;

/// More contiguous parts than this no file is followed through.
const MAX_EXTENTS: usize = 4_000_000;
/// Place of a part that is not stored.
const HOLE: u64 = u64::MAX;

/// A contiguous part of the content.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// First byte of the content behind this part.
    end: u64,
    /// Place on the volume, or [`HOLE`].
    place: u64,
}

/// The parts of the content in their order, neighbours joined.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extents {
    parts: Vec<Extent>,
    stored: u64,
}

/// A part of the content from some offset on.
pub(crate) struct Part {
    pub(crate) length: u64,
    /// `None` is a hole.
    pub(crate) place: Option<u64>,
}

impl Extents {
    /// Appends a part; no place is a hole.
    pub(crate) fn push(&mut self, length: u64, place: Option<u64>) -> Result<(), Error> {
        let impossible = || Error::damaged("content has impossible extents");
        let start = self.covered();
        let end = start.checked_add(length).ok_or_else(impossible)?;
        if place.is_some_and(|place| place.checked_add(length).is_none_or(|end| end == HOLE)) {
            return Err(impossible());
        }
        if place.is_some() {
            self.stored = self.stored.checked_add(length).ok_or_else(impossible)?;
        }
        let before = self.parts.len().checked_sub(2).and_then(|index| self.parts.get(index)).map_or(0, |part| part.end);
        if let Some(last) = self.parts.last_mut() {
            let follows = match place {
                Some(place) => last.place != HOLE && last.place + (last.end - before) == place,
                None => last.place == HOLE,
            };
            if follows {
                last.end = end;
                return Ok(());
            }
        }
        if self.parts.len() >= MAX_EXTENTS {
            return Err(Error::damaged("content is in more pieces than are followed"));
        }
        self.parts.push(Extent { end, place: place.unwrap_or(HOLE) });
        Ok(())
    }

    /// Bytes of content that have a part.
    pub(crate) fn covered(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// Bytes that are stored on the volume.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// The part that holds `offset`, from there on; `None` behind the end.
    pub(crate) fn part_at(&self, offset: u64) -> Option<Part> {
        let found = self.parts.partition_point(|part| part.end <= offset);
        let part = self.parts.get(found)?;
        let start = found.checked_sub(1).and_then(|before| self.parts.get(before)).map_or(0, |before| before.end);
        let place = (part.place != HOLE).then(|| part.place + (offset - start));
        Some(Part { length: part.end - offset, place })
    }

    /// Fills `buffer` from `offset`; holes are zeros.
    pub(crate) fn read_exact_at(&self, source: Source<'_>, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let part = self.part_at(offset).ok_or_else(|| Error::damaged("content has no clusters for its end"))?;
            let count = index(part.length).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            match part.place {
                Some(place) => source.read_exact_at(place, now)?,
                None => now.fill(0),
            }
            rest = later;
            offset += count as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use block_io::MemoryDisk;

    use super::*;
    use crate::cache::Cache;

    #[test]
    fn parts_are_joined_and_read_across() {
        let mut extents = Extents::default();
        for (length, place) in [(4, Some(8)), (4, Some(12)), (2, None), (2, None), (3, Some(1))] {
            extents.push(length, place).unwrap();
        }
        assert_eq!((extents.parts.len(), extents.covered(), extents.stored()), (3, 15, 11));
        let disk = MemoryDisk::new((0..32).collect());
        let cache = Cache::default();
        let source = Source::new(&disk, &cache);
        let mut bytes = [0xFF; 14];
        extents.read_exact_at(source, 1, &mut bytes).unwrap();
        assert_eq!(bytes, [9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0, 1, 2, 3]);
        assert!(extents.read_exact_at(source, 15, &mut [0]).is_err());
    }

    #[test]
    fn impossible_parts_are_refused() {
        let mut extents = Extents::default();
        assert!(extents.push(10, Some(u64::MAX - 5)).is_err());
        extents.push(u64::MAX, None).unwrap();
        assert!(extents.push(1, None).is_err());
    }
}
