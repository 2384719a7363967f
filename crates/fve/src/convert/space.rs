//! What is converted: the volume from behind its first sectors to before its last, without the places of BitLocker and of the
//! journal, in the order of the addresses. Positions in it are counted without the gaps.
//!
//! The last sector is left out because it holds the backup of an NTFS boot sector, by which some systems find a file system
//! whose first sector is gone: it changes with the first sectors.

use std::ops::Range;

use fve_format::METADATA_REGION_BYTES;
use fve_format::in_place::ConversionHeader;

use crate::Error;
use crate::create::HEADER_BYTES;

/// A run of the space: at a position, where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Position in what is converted.
    pub(crate) position: u64,
    /// Place in the volume.
    pub(crate) at: u64,
    pub(crate) length: u64,
}

/// What is converted.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    runs: Vec<Run>,
    total: u64,
    tail: Range<u64>,
}

impl Space {
    /// # Errors
    /// [`Error::BadPlace`] when places are outside the volume, not whole sectors, or overlap; [`Error::Short`];
    /// [`Error::CannotConvert`] when another length than 8 KiB was moved away.
    pub(crate) fn new(header: &ConversionHeader, storage_bytes: u64) -> Result<Self, Error> {
        let (sector, volume_bytes) = (u64::from(header.sector_bytes), header.volume_bytes);
        if volume_bytes > storage_bytes {
            return Err(Error::Short { storage_bytes, volume_bytes });
        }
        if header.header_bytes != HEADER_BYTES {
            return Err(Error::CannotConvert("the first sectors that were moved away are not 8 KiB long"));
        }
        let tail_start = volume_bytes.saturating_sub(sector);
        if !volume_bytes.is_multiple_of(sector) || tail_start <= HEADER_BYTES {
            return Err(Error::BadPlace { what: "the end of the volume", offset_bytes: volume_bytes });
        }
        let region = METADATA_REGION_BYTES as u64;
        let mut own: Vec<(&'static str, u64, u64)> =
            header.metadata_offsets.iter().map(|at| ("a metadata block", *at, region)).collect();
        own.push(("the relocated volume header", header.header_offset_bytes, HEADER_BYTES));
        let journal = header.journal();
        own.push(("the journal of the conversion", journal.start, journal.end - journal.start));
        own.sort_unstable_by_key(|(_, at, _)| *at);
        let (mut runs, mut total, mut next) = (Vec::new(), 0, HEADER_BYTES);
        for (what, at, length) in own {
            let end = at.checked_add(length).filter(|end| *end <= tail_start);
            let Some(end) = end.filter(|_| at >= next && at.is_multiple_of(sector) && length.is_multiple_of(sector))
            else {
                return Err(Error::BadPlace { what, offset_bytes: at });
            };
            if at > next {
                runs.push(Run { position: total, at: next, length: at - next });
                total += at - next;
            }
            next = end;
        }
        if tail_start > next {
            runs.push(Run { position: total, at: next, length: tail_start - next });
            total += tail_start - next;
        }
        Ok(Self { runs, total, tail: tail_start..volume_bytes })
    }

    /// Bytes that are converted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The last sector.
    pub(crate) fn tail(&self) -> Range<u64> {
        self.tail.clone()
    }

    /// Where a range of positions lies, in runs of at most `most` bytes.
    pub(crate) fn runs(&self, range: Range<u64>, most: u64) -> impl Iterator<Item = Run> {
        let mut position = range.start;
        std::iter::from_fn(move || {
            let index = self.runs.partition_point(|run| run.position + run.length <= position);
            let run = self.runs.get(index).filter(|_| position < range.end)?;
            let inside = position - run.position;
            let length = (run.length - inside).min(range.end - position).min(most);
            let part = Run { position, at: run.at + inside, length };
            position += length;
            Some(part)
        })
    }

    /// The position of a place, and up to which place it is in the same run. `None` for places that are not converted.
    pub(crate) fn position_of(&self, at: u64) -> Option<(u64, u64)> {
        let index = self.runs.partition_point(|run| run.at + run.length <= at);
        let run = self.runs.get(index).filter(|run| run.at <= at)?;
        Some((run.position + (at - run.at), run.at + run.length))
    }

    /// The next place from `at` on that is converted.
    pub(crate) fn next_run_at(&self, at: u64) -> Option<u64> {
        self.runs.iter().map(|run| run.at).find(|start| *start > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ConversionHeader {
        ConversionHeader {
            identifier: [7; 16],
            sector_bytes: 512,
            batch_bytes: 4096,
            volume_bytes: 0x10_0200,
            metadata_offsets: [0x2000, 0x3_0000, 0x4_0000],
            header_offset_bytes: 0x1_2000,
            header_bytes: 0x2000,
            journal_offset_bytes: 0x8_0000,
            payload_bytes: 0x1000,
            body_bytes: 0x1000,
        }
    }

    #[test]
    fn gaps_are_left_out_and_every_position_has_a_place() {
        let space = Space::new(&header(), 0x20_0000).unwrap();
        // Journal: 8 units.
        let own = 0x2000 + 3 * 0x1_0000 + 0x2000 + 0x8000 + 0x200;
        assert_eq!(space.total(), 0x10_0200 - own);
        let runs: Vec<Run> = space.runs(0..space.total(), u64::MAX).collect();
        assert_eq!(runs[0], Run { position: 0, at: 0x1_4000, length: 0x1_C000 });
        assert_eq!(runs[1].at, 0x5_0000);
        assert_eq!(runs.last().map(|run| run.at + run.length), Some(0x10_0000));
        for run in space.runs(100..space.total(), 0x1000) {
            let (position, end) = space.position_of(run.at).unwrap();
            assert!(position == run.position && end >= run.at + run.length && run.length <= 0x1000);
        }
        for own in [0, 0x2000, 0x1_3FFF, 0x4_0000, 0x8_0000, 0x8_7FFF, 0x10_0000] {
            assert_eq!(space.position_of(own), None, "{own:#x}");
        }
        assert_eq!(space.next_run_at(0x3_5000), Some(0x5_0000));
    }

    #[test]
    fn places_that_cannot_be_are_refused() {
        for change in [
            |header: &mut ConversionHeader| header.metadata_offsets[1] = 0x2000,
            |header: &mut ConversionHeader| header.metadata_offsets[1] = 0x1000,
            |header: &mut ConversionHeader| header.metadata_offsets[1] = 0x3_0001,
            |header: &mut ConversionHeader| header.metadata_offsets[1] = u64::MAX - 5,
            |header: &mut ConversionHeader| header.journal_offset_bytes = 0xF_F000,
            |header: &mut ConversionHeader| header.header_offset_bytes = 0x10_0000,
            |header: &mut ConversionHeader| header.volume_bytes = 0x10_0201,
            |header: &mut ConversionHeader| header.volume_bytes = 0,
        ] {
            let mut changed = header();
            change(&mut changed);
            assert!(matches!(Space::new(&changed, u64::MAX), Err(Error::BadPlace { .. })), "{changed:?}");
        }
        assert!(matches!(Space::new(&header(), 0x10_0000), Err(Error::Short { .. })));
    }
}
