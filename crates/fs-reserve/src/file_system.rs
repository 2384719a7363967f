//! One interface over the file systems.

use std::ops::{ControlFlow, Range};

use block_io::BlockRead;
use fs_view::layout::Boot;
use fs_view::{FileSystem as View, FileSystemKind};

use crate::changes::{Changes, Write};
use crate::clusters::{Grid, Visit};
use crate::exfat::ExFat;
use crate::fat::Fat;
use crate::ntfs::Ntfs;
use crate::search::{Largest, Search, usable};
use crate::{Error, clusters};

/// Space that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Length.
    pub bytes: u64,
    /// The place is a multiple of this; a power of two, 512 at least.
    pub align_bytes: u64,
    /// The place is not below this.
    pub at_least_offset: u64,
}

/// A volume whose free space is looked at. Nothing is cached: each operation sees the volume as it is then.
pub struct FileSystem<D> {
    device: D,
    kind: FileSystemKind,
    grid: Grid,
}

/// What each file system does its own way. Clusters are counted from the first one on.
pub(crate) trait Allocation {
    /// Tells the runs of free clusters from `first` on, `first` being a multiple of eight.
    fn free_runs(&self, device: &dyn BlockRead, first: u64, visit: Visit<'_>) -> Result<(), Error>;
    /// Whether it may be changed.
    fn check_clean(&self, device: &dyn BlockRead) -> Result<(), Error>;
    /// Makes free clusters bad ones, or bad ones free.
    fn change(&self, ranges: &[Range<u64>], change: Change, changes: &mut Changes<'_>) -> Result<(), Error>;
    /// How bytes are clusters.
    fn grid(&self) -> Grid;
}

/// Which way clusters are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Reserve,
    Release,
}

impl<D: BlockRead> FileSystem<D> {
    /// Recognises the file system.
    ///
    /// # Errors
    /// [`Error::FileSystem`]; [`Error::Damaged`] where the boot sector or the start of the file table is replaced by a
    /// copy, or the volume is larger than the device.
    pub fn open(device: D) -> Result<Self, Error> {
        let (kind, grid) = {
            let view = View::open(&device)?;
            (view.kind(), allocation(&view)?.grid())
        };
        Ok(Self { device, kind, grid })
    }

    /// Which file system it is.
    #[must_use]
    pub fn kind(&self) -> FileSystemKind {
        self.kind
    }

    /// Allocation unit in bytes.
    #[must_use]
    pub fn cluster_bytes(&self) -> u64 {
        self.grid.cluster_bytes
    }

    /// The part of the volume that is divided into clusters.
    #[must_use]
    pub fn cluster_area(&self) -> Range<u64> {
        self.grid.bytes(&(0..self.grid.clusters))
    }

    /// Free space in bytes.
    ///
    /// # Errors
    /// [`Error::FileSystem`], [`Error::Storage`], [`Error::Damaged`].
    pub fn free_bytes(&self) -> Result<u64, Error> {
        let mut free = 0;
        self.with(|allocation, device| {
            allocation.free_runs(device, 0, &mut |run| {
                free += run.end - run.start;
                ControlFlow::Continue(())
            })
        })?;
        Ok(free * self.grid.cluster_bytes)
    }

    /// Whether the file system was left in a state that may be changed.
    ///
    /// # Errors
    /// [`Error::NotClean`] says why not; [`Error::FileSystem`], [`Error::Storage`], [`Error::Damaged`].
    pub fn check_clean(&self) -> Result<(), Error> {
        self.with(|allocation, device| allocation.check_clean(device))
    }

    /// Free places for all wants, in their order, none of which share a cluster. None is in the first 8 KiB.
    ///
    /// # Errors
    /// [`Error::NotEnoughSpace`], [`Error::BadRequest`]; [`Error::FileSystem`], [`Error::Storage`], [`Error::Damaged`].
    pub fn find(&self, wants: &[Want]) -> Result<Vec<Range<u64>>, Error> {
        self.with(|allocation, device| {
            let mut places = Vec::with_capacity(wants.len());
            let mut taken: Vec<Range<u64>> = Vec::new();
            for want in wants {
                let mut search = Search::new(self.grid, &taken, want)?;
                let first = search.first_cluster();
                if first < self.grid.clusters {
                    allocation.free_runs(device, first - first % 8, &mut |run| search.visit(run))?;
                }
                let place = search.finish()?;
                taken.extend(self.grid.cover(std::slice::from_ref(&place))?);
                taken = clusters::join(taken);
                places.push(place);
            }
            Ok(places)
        })
    }

    /// The largest free runs, largest first. They are not reserved.
    ///
    /// # Errors
    /// [`Error::FileSystem`], [`Error::Storage`], [`Error::Damaged`].
    pub fn free_runs(&self, limit: usize) -> Result<Vec<Range<u64>>, Error> {
        let mut largest = Largest::new(limit);
        self.with(|allocation, device| {
            allocation.free_runs(device, 0, &mut |run| {
                largest.visit(&usable(&self.grid, &run));
                ControlFlow::Continue(())
            })
        })?;
        Ok(largest.finish())
    }

    /// Tells every free run, in their order; `visit` ends it by [`ControlFlow::Break`].
    ///
    /// # Errors
    /// [`Error::FileSystem`], [`Error::Storage`], [`Error::Damaged`].
    pub fn visit_free(&self, visit: &mut dyn FnMut(Range<u64>) -> ControlFlow<()>) -> Result<(), Error> {
        self.with(|allocation, device| allocation.free_runs(device, 0, &mut |run| visit(self.grid.bytes(&run))))
    }

    /// The changes after which every cluster that these ranges touch is a bad one, which no driver uses.
    ///
    /// # Errors
    /// [`Error::NotFree`], [`Error::NotClean`], [`Error::Outside`], [`Error::TooMany`], [`Error::NoRoom`],
    /// [`Error::Unsupported`], [`Error::Damaged`]; [`Error::FileSystem`], [`Error::Storage`].
    pub fn reserve(&self, ranges: &[Range<u64>]) -> Result<Vec<Write>, Error> {
        self.change(ranges, Change::Reserve)
    }

    /// The changes after which every cluster that these ranges touch is free. All must be marked as [`Self::reserve`]
    /// marks them.
    ///
    /// # Errors
    /// [`Error::NotReserved`]; else as [`Self::reserve`].
    pub fn release(&self, ranges: &[Range<u64>]) -> Result<Vec<Write>, Error> {
        self.change(ranges, Change::Release)
    }

    fn change(&self, ranges: &[Range<u64>], change: Change) -> Result<Vec<Write>, Error> {
        let covered = self.grid.cover(ranges)?;
        self.with(|allocation, device| {
            allocation.check_clean(device)?;
            let mut changes = Changes::new(device);
            allocation.change(&covered, change, &mut changes)?;
            changes.finish()
        })
    }

    /// Looks at the volume as it is now.
    fn with<T>(&self, work: impl FnOnce(&dyn Allocation, &dyn BlockRead) -> Result<T, Error>) -> Result<T, Error> {
        let view = View::open(&self.device)?;
        let allocation = allocation(&view)?;
        if view.kind() != self.kind || allocation.grid() != self.grid {
            return Err(Error::Damaged("it became another file system since it was opened"));
        }
        work(&*allocation, &self.device)
    }
}

fn allocation<'v, D: BlockRead>(view: &'v View<&'v D>) -> Result<Box<dyn Allocation + 'v>, Error> {
    // What is read from copies must not be changed: nobody could say what is right then.
    if !view.warnings().is_empty() {
        return Err(Error::Damaged("its first structures could be read from copies alone"));
    }
    let allocation: Box<dyn Allocation + 'v> = match view.layout() {
        Boot::Fat(layout) => Box::new(Fat::new(layout)),
        Boot::ExFat(layout) => Box::new(ExFat::new(layout, view.exfat_bitmap()?)),
        Boot::Ntfs(layout) => Box::new(Ntfs::new(layout, view)?),
    };
    let grid = allocation.grid();
    let length = view.device_bytes();
    let fits = grid.clusters.checked_mul(grid.cluster_bytes).and_then(|bytes| bytes.checked_add(grid.start_bytes));
    if fits.is_none_or(|end| end > length) {
        return Err(Error::Damaged("it is larger than its storage"));
    }
    Ok(allocation)
}
