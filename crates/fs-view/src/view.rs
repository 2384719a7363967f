//! One interface over the file systems.

use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;

use block_io::BlockRead;

use crate::boot::{self, Boot};
use crate::fat_view::FatView;
use crate::ntfs_view::NtfsView;
use crate::path::{MAX_DEPTH, components};
use crate::{Entry, EntryKind, Error, FileSystemKind, Listing, Problem};

/// Size of a directory entry of FAT.
const FAT_ENTRY_BYTES: u64 = 32;

enum Reader {
    Ntfs(NtfsView),
    Fat(FatView),
}

/// A volume open for reading.
pub struct FileSystem<D> {
    device: D,
    kind: FileSystemKind,
    reader: Reader,
}

/// What [`FileSystem::walk`] comes across.
#[derive(Debug, Clone, Copy)]
pub enum Visited<'a> {
    /// A file, directory or other thing; directories come before their content.
    Entry {
        /// Path from the root of the volume, with a leading `/`.
        path: &'a str,
        /// What is there.
        entry: &'a Entry,
    },
    /// Something that could not be listed. The walk goes on.
    Problem(&'a Problem),
}

impl<D> std::fmt::Debug for FileSystem<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileSystem").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<D: BlockRead> FileSystem<D> {
    /// Recognises the file system by its boot sector.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is neither NTFS nor FAT, [`Error::Damaged`] when its own description is impossible,
    /// [`Error::Storage`] when the boot sector cannot be read.
    pub fn open(device: D) -> Result<Self, Error> {
        let length = device.geometry().length_bytes;
        if length < boot::BOOT_BYTES as u64 {
            return Err(Error::Unknown { found: None });
        }
        let mut sector = [0; boot::BOOT_BYTES];
        device.read_exact_at(0, &mut sector)?;
        let (kind, reader) = match boot::recognise(&sector, length)? {
            Boot::Ntfs => (FileSystemKind::Ntfs, Reader::Ntfs(NtfsView::open(&device)?)),
            Boot::Fat(layout) => (layout.kind, Reader::Fat(FatView::new(layout))),
        };
        Ok(Self { device, kind, reader })
    }

    /// Which file system it is.
    #[must_use]
    pub fn kind(&self) -> FileSystemKind {
        self.kind
    }

    /// The label of the volume; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn label(&self) -> Result<Option<String>, Error> {
        match &self.reader {
            Reader::Ntfs(ntfs) => ntfs.label(&self.device),
            Reader::Fat(fat) => fat.label(&self.device),
        }
    }

    /// Lists a directory; the empty path and `/` are the root.
    ///
    /// # Errors
    /// [`Error::BadPath`], [`Error::NotFound`], [`Error::NotADirectory`]; [`Error::Damaged`] or [`Error::Io`] when
    /// nothing of the directory could be read. Parts that cannot be read are problems in the listing.
    pub fn list(&self, path: &str) -> Result<Listing, Error> {
        Ok(self.list_identified(path)?.0)
    }

    /// What stands behind a path.
    ///
    /// # Errors
    /// [`Error::BadPath`], [`Error::NotFound`], [`Error::NotADirectory`], [`Error::Damaged`], [`Error::Io`].
    pub fn stat(&self, path: &str) -> Result<Entry, Error> {
        let parts = components(path)?;
        match &self.reader {
            Reader::Ntfs(ntfs) => ntfs.stat(&self.device, &parts, path),
            Reader::Fat(fat) => fat.stat(&self.device, &parts, path),
        }
    }

    /// Writes the content of a file to `sink` and tells `progress` the bytes written so far. Returns its length.
    ///
    /// Memory does not grow with the file.
    ///
    /// # Errors
    /// As [`FileSystem::stat`]; [`Error::NotAFile`], [`Error::Unsupported`], and [`Error::Sink`] with the reason of the
    /// sink. After an error the sink may have received a part of the content.
    pub fn read(&self, path: &str, sink: &mut dyn Write, progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
        let parts = components(path)?;
        let mut written = 0;
        let mut receive = |bytes: &[u8]| {
            sink.write_all(bytes).map_err(Error::Sink)?;
            written += bytes.len() as u64;
            progress(written);
            Ok(())
        };
        match &self.reader {
            Reader::Ntfs(ntfs) => ntfs.read(&self.device, &parts, path, &mut receive),
            Reader::Fat(fat) => fat.read(&self.device, &parts, path, &mut receive),
        }
    }

    /// Visits everything below a directory, at most 64 levels deep, until the visitor breaks.
    ///
    /// A directory that was visited already, as a damaged volume can have it, is told as a problem and not entered
    /// again. The walk ends with a problem after more entries than a sound volume of this size has room for.
    ///
    /// # Errors
    /// As [`FileSystem::list`], for the starting directory alone.
    pub fn walk(&self, path: &str, visitor: &mut dyn FnMut(Visited<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        let start = components(path)?.iter().fold(String::new(), |path, part| path + "/" + part);
        let (listing, identity) = self.list_identified(&start)?;
        let mut seen = HashSet::from([identity]);
        let mut waiting = Vec::new();
        // No file system has entries smaller than those of FAT.
        let mut room = self.device.geometry().length_bytes / FAT_ENTRY_BYTES;
        let mut flow = visit_listing(&start, &listing, visitor, &mut waiting);
        while let (ControlFlow::Continue(()), Some(path)) = (flow, waiting.pop()) {
            flow = match self.list_identified(&path) {
                Ok((listing, _)) if listing.entries.len() as u64 > room => {
                    let reason = "the volume claims more entries than it has room for".to_owned();
                    let _ = visit_problem(path, reason, visitor);
                    ControlFlow::Break(())
                }
                Ok((_, identity)) if !seen.insert(identity) => {
                    visit_problem(path, "the directory appears in two places".to_owned(), visitor)
                }
                Ok((listing, _)) => {
                    room -= listing.entries.len() as u64;
                    visit_listing(&path, &listing, visitor, &mut waiting)
                }
                Err(error) => visit_problem(path, error.to_string(), visitor),
            };
        }
        Ok(())
    }

    /// Number of the cluster at a place on a FAT volume; `None` in front of the first.
    pub(crate) fn fat_cluster(&self, place: u64) -> Option<u32> {
        match &self.reader {
            Reader::Fat(fat) => fat.cluster_at(place),
            Reader::Ntfs(_) => None,
        }
    }

    /// Lists a directory and tells where it is: the record number on NTFS, the offset in bytes on FAT.
    pub(crate) fn list_identified(&self, path: &str) -> Result<(Listing, u64), Error> {
        let parts = components(path)?;
        match &self.reader {
            Reader::Ntfs(ntfs) => ntfs.list(&self.device, &parts, path),
            Reader::Fat(fat) => fat.list(&self.device, &parts, path),
        }
    }
}

fn visit_problem(
    path: String,
    reason: String,
    visitor: &mut dyn FnMut(Visited<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    visitor(Visited::Problem(&Problem { path, reason }))
}

/// Visits the entries of a directory; its directories are added to those `waiting`, the first on top.
fn visit_listing(
    directory: &str,
    listing: &Listing,
    visitor: &mut dyn FnMut(Visited<'_>) -> ControlFlow<()>,
    waiting: &mut Vec<String>,
) -> ControlFlow<()> {
    let first = waiting.len();
    for entry in &listing.entries {
        let path = format!("{directory}/{}", entry.name);
        visitor(Visited::Entry { path: &path, entry })?;
        if entry.kind != EntryKind::Directory {
            continue;
        }
        if path.matches('/').count() >= MAX_DEPTH {
            visit_problem(path, "directories more than 64 levels deep are not entered".to_owned(), visitor)?;
        } else {
            waiting.push(path);
        }
    }
    waiting[first..].reverse();
    listing.problems.iter().try_for_each(|problem| visitor(Visited::Problem(problem)))
}
