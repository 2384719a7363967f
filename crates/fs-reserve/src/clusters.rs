//! Clusters by their number from the first one on, and the byte ranges they are.

use std::ops::{ControlFlow, Range};

use crate::Error;

/// Changed at once at most: a change of every structure stays within a few megabytes.
pub(crate) const MAX_CLUSTERS: u64 = 1 << 17;

/// How bytes of the volume are clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Place of the first cluster.
    pub(crate) start_bytes: u64,
    pub(crate) cluster_bytes: u64,
    /// Number of clusters, all of them on the device.
    pub(crate) clusters: u64,
}

impl Grid {
    /// Place of a cluster.
    pub(crate) fn place(&self, cluster: u64) -> u64 {
        self.start_bytes + cluster * self.cluster_bytes
    }

    /// The bytes of clusters.
    pub(crate) fn bytes(&self, clusters: &Range<u64>) -> Range<u64> {
        self.place(clusters.start)..self.place(clusters.end)
    }

    /// The clusters that ranges touch, sorted, each once.
    pub(crate) fn cover(&self, ranges: &[Range<u64>]) -> Result<Vec<Range<u64>>, Error> {
        let mut covered = Vec::with_capacity(ranges.len());
        for range in ranges {
            let outside = Error::Outside { start: range.start, end: range.end };
            if range.is_empty() {
                return Err(Error::BadRequest("a range is empty"));
            }
            let number = |offset: u64| Some(offset.checked_sub(self.start_bytes)? / self.cluster_bytes);
            match (number(range.start), number(range.end - 1)) {
                (Some(first), Some(last)) if last < self.clusters => covered.push(first..last + 1),
                _ => return Err(outside),
            }
        }
        let joined = join(covered);
        let clusters = total(&joined);
        if clusters > MAX_CLUSTERS {
            return Err(Error::TooMany { clusters, limit: MAX_CLUSTERS });
        }
        Ok(joined)
    }
}

/// Ranges in order, those that touch or overlap as one.
pub(crate) fn join(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Clusters of sorted, disjoint ranges.
pub(crate) fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// What sees runs of free clusters, in their order.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(Range<u64>) -> ControlFlow<()>;

/// Joins clusters that are told one after the other to runs of free ones.
pub(crate) struct Runs<'v> {
    next: u64,
    open: Option<u64>,
    visit: Visit<'v>,
}

impl<'v> Runs<'v> {
    /// Begins with cluster `first`.
    pub(crate) fn new(first: u64, visit: Visit<'v>) -> Self {
        Self { next: first, open: None, visit }
    }

    /// The next `count` clusters, all free or all not.
    pub(crate) fn push(&mut self, free: bool, count: u64) -> ControlFlow<()> {
        let flow = match (free, self.open) {
            (true, None) => {
                self.open = Some(self.next);
                ControlFlow::Continue(())
            }
            (false, Some(start)) => {
                self.open = None;
                (self.visit)(start..self.next)
            }
            _ => ControlFlow::Continue(()),
        };
        self.next += count;
        flow
    }

    /// Tells the last run.
    pub(crate) fn finish(mut self) {
        // Whether more is wanted does not matter any more.
        let _ = self.push(false, 0);
    }
}

/// Tells the runs of a bitmap, one bit for each cluster from a multiple of eight on, set when it is in use.
pub(crate) fn push_bits(runs: &mut Runs<'_>, bytes: &[u8], mut left: u64) -> ControlFlow<()> {
    for byte in bytes {
        let count = left.min(8);
        left -= count;
        match byte {
            0 => runs.push(true, count)?,
            0xFF => runs.push(false, count)?,
            mixed => {
                for bit in 0..count {
                    runs.push(mixed >> bit & 1 == 0, 1)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering() {
        let grid = Grid { start_bytes: 1000, cluster_bytes: 100, clusters: 10 };
        assert_eq!(grid.cover(&[1500..1501, 1000..1200, 1199..1300]).unwrap(), [0..3, 5..6]);
        assert!(matches!(grid.cover(std::slice::from_ref(&(999..1100))), Err(Error::Outside { .. })));
        assert!(matches!(grid.cover(std::slice::from_ref(&(1999..2001))), Err(Error::Outside { .. })));
        assert!(matches!(grid.cover(std::slice::from_ref(&(1100..1100))), Err(Error::BadRequest(_))));
        assert_eq!(grid.bytes(&(1..3)), 1100..1300);
    }

    #[test]
    fn runs_of_bits() {
        let mut found = Vec::new();
        let mut visit = |run| {
            found.push(run);
            ControlFlow::Continue(())
        };
        let mut runs = Runs::new(8, &mut visit);
        assert!(push_bits(&mut runs, &[0xFF, 0, 0b0001_0000, 0], 30).is_continue());
        runs.finish();
        assert_eq!(found, [16..28, 29..38]);
    }
}
