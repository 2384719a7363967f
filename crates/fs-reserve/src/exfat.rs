//! exFAT: a bad cluster is marked in the table and set in the bitmap of used clusters.
//!
//! Source: Microsoft's exFAT file system specification, sections 3.1, 4.1 and 7.1.

use std::ops::{ControlFlow, Range};

use block_io::BlockRead;
use fs_view::layout::bytes::u16_at;
use fs_view::layout::{ExFatLayout, Stream};

use crate::bitmap;
use crate::changes::Changes;
use crate::clusters::{Grid, Visit, total};
use crate::file_system::{Allocation, Change};
use crate::{Error, Unclean};

/// The first two entries of the table do not stand for clusters.
const FIRST_ENTRY: u64 = 2;
const BAD: u32 = 0xFFFF_FFF7;
const FLAGS: u64 = 106;
const PERCENT_IN_USE: u64 = 112;
const PERCENT_UNKNOWN: u8 = 0xFF;

/// The table and the bitmap of one volume.
pub(crate) struct ExFat {
    layout: ExFatLayout,
    bitmap: Stream,
}

impl ExFat {
    pub(crate) fn new(layout: ExFatLayout, bitmap: Stream) -> Self {
        Self { layout, bitmap }
    }

    fn entry_place(&self, cluster: u64) -> u64 {
        self.layout.fat_start + (FIRST_ENTRY + cluster) * 4
    }

    /// The share of space in use, which the boot sector tells.
    fn change_percent(&self, clusters: u64, change: Change, changes: &mut Changes<'_>) -> Result<(), Error> {
        let [old] = changes.read(PERCENT_IN_USE)?;
        if old == PERCENT_UNKNOWN {
            return Ok(());
        }
        let mut free = 0;
        self.free_runs(changes.device(), 0, &mut |run| {
            free += run.end - run.start;
            ControlFlow::Continue(())
        })?;
        let used = self.layout.clusters.saturating_sub(free);
        let used = match change {
            Change::Reserve => used.saturating_add(clusters).min(self.layout.clusters),
            Change::Release => used.saturating_sub(clusters),
        };
        let percent = used * 100 / self.layout.clusters.max(1);
        changes.write(PERCENT_IN_USE, &[u8::try_from(percent).unwrap_or(PERCENT_UNKNOWN)])
    }
}

impl Allocation for ExFat {
    fn grid(&self) -> Grid {
        let ExFatLayout { data_start, cluster_bytes, clusters, .. } = self.layout;
        Grid { start_bytes: data_start, cluster_bytes, clusters }
    }

    fn free_runs(&self, device: &dyn BlockRead, first: u64, visit: Visit<'_>) -> Result<(), Error> {
        bitmap::free_runs(&self.bitmap, self.layout.clusters, device, first, visit)
    }

    fn check_clean(&self, device: &dyn BlockRead) -> Result<(), Error> {
        let mut bytes = [0; 2];
        device.read_exact_at(FLAGS, &mut bytes)?;
        let flags = u32::from(u16_at(&bytes, 0).unwrap_or(0));
        let place = "the boot sector";
        match flags {
            flags if flags & 2 != 0 => Err(Error::NotClean(Unclean::Dirty { place, flags })),
            flags if flags & 4 != 0 => Err(Error::NotClean(Unclean::MediaFailure { place, flags })),
            _ => Ok(()),
        }
    }

    fn change(&self, ranges: &[Range<u64>], change: Change, changes: &mut Changes<'_>) -> Result<(), Error> {
        if self.layout.fats != 1 {
            return Err(Error::Unsupported("it has two tables"));
        }
        let bad_entries = |changes: &mut Changes<'_>| {
            for cluster in ranges.iter().cloned().flatten() {
                let place = self.entry_place(cluster);
                let is_bad = changes.read(place)? == BAD.to_le_bytes();
                let offset_bytes = self.grid().place(cluster);
                // The entry of a free cluster means nothing and may be anything else.
                match change {
                    Change::Reserve if is_bad => return Err(Error::NotFree { offset_bytes }),
                    Change::Reserve => changes.write(place, &BAD.to_le_bytes())?,
                    Change::Release if is_bad => changes.write(place, &[0; 4])?,
                    Change::Release => return Err(Error::NotReserved { offset_bytes }),
                }
            }
            changes.end_step()
        };
        // Between both steps the clusters are in use by nothing, whichever way: lost, never given to a file.
        match change {
            Change::Reserve => {
                bitmap::change(&self.bitmap, &self.grid(), ranges, change, changes)?;
                bad_entries(changes)?;
            }
            Change::Release => {
                bad_entries(changes)?;
                bitmap::change(&self.bitmap, &self.grid(), ranges, change, changes)?;
            }
        }
        self.change_percent(total(ranges), change, changes)
    }
}
