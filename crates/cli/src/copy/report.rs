//! What became of a copy.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fs_view::Problem;

/// A link of the drive, which is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Where it is on the drive.
    pub(crate) path: String,
    /// Where it leads; `None` for pipes, devices and the like, and where that cannot be told.
    pub(crate) target: Option<String>,
}

/// A name that the target cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// Path on the drive.
    pub(crate) path: String,
    /// The name it got.
    pub(crate) name: String,
}

/// Why a copy ended before everything was tried.
#[derive(Debug)]
pub(crate) struct Stop {
    /// What could not be written.
    pub(crate) what: String,
    /// Why.
    pub(crate) error: std::io::Error,
}

/// What was done and what was not.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Files copied.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Files that were there already, with `--resume`.
    pub(crate) passed_over: u64,
    /// Further names of files that were copied under their first one.
    pub(crate) hard_links: u64,
    /// Links and other things without content of their own.
    pub(crate) links: Vec<Link>,
    /// Names that had to be changed.
    pub(crate) renamed: Vec<Renamed>,
    /// Alternate streams that were not copied, as `file:stream`; the first of them.
    pub(crate) streams: Vec<String>,
    /// How many there are in all.
    pub(crate) stream_count: u64,
    /// Files and folders whose dates the target did not take.
    pub(crate) undated: u64,
    /// What was not copied, and why.
    pub(crate) problems: Vec<Problem>,
    /// Unfinished files that a copy with `--resume` goes on with.
    pub(crate) partials: Vec<PathBuf>,
    /// Files compared with the drive afterwards; `None` when that was not asked for.
    pub(crate) verified: Option<u64>,
    /// Set when the target took no more.
    pub(crate) stop: Option<Stop>,
    /// Files that were not tried or not finished after a stop.
    pub(crate) left_files: u64,
    /// Their bytes.
    pub(crate) left_bytes: u64,
    /// How long it took.
    pub(crate) time: Duration,
}

/// Streams that are named; the others are counted.
const NAMED_STREAMS: usize = 100;

impl Report {
    pub(super) fn problem(&mut self, path: &str, reason: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), reason: reason.into() });
    }

    /// Notes a name that the target refused.
    pub(super) fn renamed(&mut self, path: &str, place: &Path) {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.renamed.push(Renamed { path: path.to_owned(), name });
    }

    pub(super) fn stream(&mut self, path: &str, stream: &str) {
        self.stream_count += 1;
        if self.streams.len() < NAMED_STREAMS {
            self.streams.push(format!("{path}:{stream}"));
        }
    }
}

/// A report that several threads write.
pub(super) struct Shared(Mutex<Report>);

impl Shared {
    pub(super) fn new(report: Report) -> Self {
        Self(Mutex::new(report))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stopped(&self) -> bool {
        self.lock().stop.is_some()
    }

    pub(super) fn stop(&self, what: String, error: std::io::Error) {
        // The first reason is the one that counts.
        self.lock().stop.get_or_insert(Stop { what, error });
    }

    pub(super) fn into_inner(self) -> Report {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
