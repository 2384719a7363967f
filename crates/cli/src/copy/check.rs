//! Comparing a finished copy with the drive.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use block_io::BlockRead;
use fs_view::{FileSystem, OpenFile};

use super::plan::Item;
use super::queue::{self, Buffers, CHUNK_BYTES, Job};
use super::report::Shared;
use super::{existing, host};
use crate::progress::FilesBar;

struct Checking<'c, D> {
    drive: &'c FileSystem<D>,
    files: &'c [(&'c Item, PathBuf)],
    report: &'c Shared,
    bar: &'c FilesBar,
    right: AtomicU64,
}

/// A file that is being compared.
struct Compared {
    index: usize,
    content: OpenFile,
    file: File,
    failed: AtomicBool,
}

/// Reads every file again, from the drive and from the disk, and tells how many are the same.
pub(super) fn verify<D: BlockRead>(drive: &FileSystem<D>, files: &[(&Item, PathBuf)], report: &Shared) -> u64 {
    let total = files.iter().map(|(item, _)| item.size_bytes).fold(0, u64::saturating_add);
    let bar = FilesBar::new(total, files.len(), "verifying");
    let checking = Checking { drive, files, report, bar: &bar, right: AtomicU64::new(0) };
    queue::run(&checking, files.len());
    checking.right.into_inner()
}

impl<D: BlockRead> Job for Checking<'_, D> {
    type Large = Compared;

    fn size(&self, index: usize) -> u64 {
        self.files.get(index).map_or(0, |(item, _)| item.size_bytes)
    }

    fn small(&self, index: usize, buffers: &mut Buffers) {
        let Some(compared) = self.open(index) else { return };
        let size = self.size(index);
        let mut offset = 0;
        while offset < size {
            let length = usize::try_from(CHUNK_BYTES.min(size - offset)).unwrap_or_default();
            if !self.chunk(&compared, offset, length, buffers) {
                break;
            }
            offset += length as u64;
        }
        self.close(&compared);
    }

    fn open(&self, index: usize) -> Option<Compared> {
        match self.try_open(index)? {
            Ok(compared) => Some(compared),
            Err(reason) => {
                self.wrong(index, &format!("cannot be verified: {reason}"));
                None
            }
        }
    }

    fn chunk(&self, compared: &Compared, offset_bytes: u64, length: usize, buffers: &mut Buffers) -> bool {
        let (one, two) = buffers.pair(length);
        let reason = match existing::difference(self.drive, &compared.content, &compared.file, offset_bytes, one, two) {
            Ok(None) => {
                self.bar.bytes(length as u64);
                return true;
            }
            Ok(Some(place)) => {
                let path = self.files.get(compared.index).map(|(_, path)| path.display().to_string());
                format!("{} differs from the drive from byte {place} on", path.unwrap_or_default())
            }
            Err(reason) => format!("cannot be verified: {reason}"),
        };
        if !compared.failed.swap(true, Ordering::AcqRel) {
            self.wrong(compared.index, &reason);
        }
        false
    }

    fn close(&self, compared: &Compared) {
        self.bar.file(0);
        if !compared.failed.load(Ordering::Acquire) {
            self.right.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn stopped(&self) -> bool {
        false
    }
}

impl<D: BlockRead> Checking<'_, D> {
    fn try_open(&self, index: usize) -> Option<Result<Compared, String>> {
        let (item, path) = self.files.get(index)?;
        let open = || {
            let file = host::open(path).map_err(|error| error.to_string())?;
            host::forget(&file);
            let length = file.metadata().map_err(|error| error.to_string())?.len();
            if length != item.size_bytes {
                return Err(format!("{} has {length} bytes instead of {}", path.display(), item.size_bytes));
            }
            let content = self.drive.open_stream(&item.entry, &item.stream, &item.path);
            let content = content.map_err(|error| error.to_string())?;
            Ok(Compared { index, content, file, failed: AtomicBool::new(false) })
        };
        Some(open())
    }

    fn wrong(&self, index: usize, reason: &str) {
        let path = self.files.get(index).map(|(item, _)| &item.path[..]).unwrap_or_default();
        self.report.lock().problem(path, reason);
    }
}
