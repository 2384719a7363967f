//! The files of a drive, as mounts and network exports show them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use export::{Entry, EntryKind, Error, OpenFile, Space, Times, Tree};
use fs_view::FileSystem;

use crate::commands::files::shown;
use crate::drive::Unlocked;
use crate::output;

/// Damaged places that are told while files are shown; a damaged volume can have any number.
const TOLD: usize = 100;

/// A file system whose files are shown.
pub(crate) struct VolumeTree {
    files: Arc<FileSystem<Unlocked>>,
    length_bytes: u64,
    told: AtomicUsize,
}

impl VolumeTree {
    /// `length_bytes` is that of the volume.
    pub(crate) fn new(files: FileSystem<Unlocked>, length_bytes: u64) -> Self {
        Self { files: Arc::new(files), length_bytes, told: AtomicUsize::new(0) }
    }
}

impl Tree for VolumeTree {
    fn stat(&self, path: &str) -> Result<Entry, Error> {
        self.files.stat(path).map(entry).map_err(|source| error(path, source))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        let listing = self.files.list(path).map_err(|source| error(path, source))?;
        for problem in &listing.problems {
            if self.told.fetch_add(1, Ordering::Relaxed) < TOLD {
                output::note(&format!("warning: {}: {}", shown(&problem.path), problem.reason));
            }
        }
        Ok(listing.entries.into_iter().map(entry).collect())
    }

    fn read_link(&self, path: &str) -> Result<String, Error> {
        let target = self.files.read_link(path).map_err(|source| error(path, source))?;
        Ok(target.replace('\\', "/"))
    }

    fn open(&self, path: &str) -> Result<Box<dyn OpenFile>, Error> {
        let file = self.files.open_file(path).map_err(|source| error(path, source))?;
        Ok(Box::new(OpenOnVolume { files: self.files.clone(), file }))
    }

    fn space(&self) -> Space {
        Space { total_bytes: self.length_bytes, free_bytes: None, cluster_bytes: 4096 }
    }
}

struct OpenOnVolume {
    files: Arc<FileSystem<Unlocked>>,
    file: fs_view::OpenFile,
}

impl OpenFile for OpenOnVolume {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        self.files.read_at(&self.file, offset_bytes, buffer).map_err(|source| error("", source))
    }
}

fn entry(found: fs_view::Entry) -> Entry {
    let kind = match found.kind {
        fs_view::EntryKind::File => EntryKind::File,
        fs_view::EntryKind::Directory => EntryKind::Directory,
        kind if kind.is_link() => EntryKind::Link,
        _ => EntryKind::Other,
    };
    Entry {
        size_bytes: found.size_bytes,
        allocated_bytes: Some(found.allocated_bytes),
        times: Times { modified: found.modified, changed: None, accessed: found.accessed, created: found.created },
        links: found.links,
        ..Entry::new(found.name, kind, found.id)
    }
}

fn error(path: &str, source: fs_view::Error) -> Error {
    let path = path.to_owned();
    match source {
        fs_view::Error::NotFound { .. } | fs_view::Error::BadPath { .. } => Error::NotFound { path },
        fs_view::Error::NotADirectory { .. } => Error::NotADirectory { path },
        fs_view::Error::NotAFile { .. } => Error::NotAFile { path },
        fs_view::Error::NotALink { .. } => Error::NotALink { path },
        fs_view::Error::Unsupported { .. } => Error::Unsupported { reason: source.to_string(), path },
        _ => Error::Failed { path, source: Box::new(source) },
    }
}
