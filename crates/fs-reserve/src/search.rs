//! Choosing places among the runs of free clusters.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{ControlFlow, Range};

use crate::clusters::Grid;
use crate::{Error, Want};

/// Nothing is ever placed in the first bytes of a volume: an encrypted one keeps its header there.
const FIRST_BYTES: u64 = 8192;
/// Smallest unit of a place.
const MIN_ALIGN_BYTES: u64 = 512;

/// The first fitting place for one want.
pub(crate) struct Search<'t> {
    grid: Grid,
    /// Clusters that earlier wants were given.
    taken: &'t [Range<u64>],
    lowest: u64,
    align: u64,
    bytes: u64,
    largest: u64,
    found: Option<Range<u64>>,
}

impl<'t> Search<'t> {
    pub(crate) fn new(grid: Grid, taken: &'t [Range<u64>], want: &Want) -> Result<Self, Error> {
        if want.bytes == 0 {
            return Err(Error::BadRequest("a want of no bytes"));
        }
        if !want.align_bytes.is_power_of_two() {
            return Err(Error::BadRequest("an alignment that is not a power of two"));
        }
        let lowest = want.at_least_offset.max(FIRST_BYTES);
        let align = want.align_bytes.max(MIN_ALIGN_BYTES);
        Ok(Self { grid, taken, lowest, align, bytes: want.bytes, largest: 0, found: None })
    }

    /// The first cluster that can matter.
    pub(crate) fn first_cluster(&self) -> u64 {
        self.lowest.saturating_sub(self.grid.start_bytes) / self.grid.cluster_bytes
    }

    /// Looks at a run of free clusters.
    pub(crate) fn visit(&mut self, run: Range<u64>) -> ControlFlow<()> {
        let mut start = run.start;
        // What is left between those that are taken; they are sorted.
        for taken in self.taken.iter().filter(|taken| taken.end > run.start && taken.start < run.end) {
            self.look(start..taken.start.max(start))?;
            start = taken.end.max(start);
        }
        self.look(start..run.end.max(start))
    }

    fn look(&mut self, free: Range<u64>) -> ControlFlow<()> {
        let Range { start, end } = self.grid.bytes(&free);
        let Some(start) = start.max(self.lowest).checked_next_multiple_of(self.align) else {
            return ControlFlow::Continue(());
        };
        let room = end.saturating_sub(start);
        self.largest = self.largest.max(room);
        if room < self.bytes {
            return ControlFlow::Continue(());
        }
        self.found = Some(start..start + self.bytes);
        ControlFlow::Break(())
    }

    pub(crate) fn finish(self) -> Result<Range<u64>, Error> {
        let missing = Error::NotEnoughSpace { needed_bytes: self.bytes, largest_bytes: self.largest };
        self.found.ok_or(missing)
    }
}

/// The largest runs, kept while all pass by.
pub(crate) struct Largest {
    limit: usize,
    /// Smallest on top; of runs of one length those further back go first.
    kept: BinaryHeap<Reverse<(u64, Reverse<u64>)>>,
}

impl Largest {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: BinaryHeap::new() }
    }

    pub(crate) fn visit(&mut self, run: &Range<u64>) {
        let length = run.end.saturating_sub(run.start);
        if length == 0 || self.limit == 0 {
            return;
        }
        self.kept.push(Reverse((length, Reverse(run.start))));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// Largest first.
    pub(crate) fn finish(self) -> Vec<Range<u64>> {
        let sorted = self.kept.into_sorted_vec();
        sorted.into_iter().map(|Reverse((length, Reverse(start)))| start..start + length).collect()
    }
}

/// The part of a run that may be given away.
pub(crate) fn usable(grid: &Grid, run: &Range<u64>) -> Range<u64> {
    let bytes = grid.bytes(run);
    bytes.start.max(FIRST_BYTES).min(bytes.end)..bytes.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        let mut largest = Largest::new(2);
        for run in [0..5, 10..12, 20..29, 40..45] {
            largest.visit(&run);
        }
        assert_eq!(largest.finish(), [20..29, 0..5]);
    }

    #[test]
    fn places_are_aligned_and_disjoint() {
        let grid = Grid { start_bytes: 512 * 3, cluster_bytes: 4096, clusters: 100 };
        let want = Want { bytes: 8192, align_bytes: 4096, at_least_offset: 0 };
        let taken = [4..6, 9..10];
        let mut search = Search::new(grid, &taken, &want).unwrap();
        assert_eq!(search.first_cluster(), 1);
        // Clusters 1 to 3: the first 4096-aligned byte behind the first 8 KiB is within cluster 1, and 8 KiB fit.
        assert!(search.visit(1..4).is_break());
        assert_eq!(search.finish().unwrap(), 8192..16384);
        let mut search = Search::new(grid, &taken, &want).unwrap();
        assert!(search.visit(5..8).is_continue());
        assert!(search.visit(8..12).is_continue());
        let missing = search.finish();
        assert!(
            matches!(missing, Err(Error::NotEnoughSpace { needed_bytes: 8192, largest_bytes: 5632 })),
            "{missing:?}"
        );
    }
}
