//! What a directory listing consists of.

use std::time::SystemTime;

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file with content.
    File,
    /// A directory.
    Directory,
    /// Anything else: NTFS reparse points such as symbolic links, junctions and placeholders of cloud files.
    Other,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name without its directory; empty for the root. Never contains `/`, `\` or a NUL, and is never `.` or `..`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Length of the content; 0 for everything but files.
    pub size_bytes: u64,
    /// Last change of the content. FAT stores local time without a zone: it is told as if it were UTC.
    pub modified: Option<SystemTime>,
    /// Creation; as `modified`.
    pub created: Option<SystemTime>,
}

impl Entry {
    /// The root directory, which has no name and, on FAT, no times.
    pub(crate) fn root() -> Self {
        Self { name: String::new(), kind: EntryKind::Directory, size_bytes: 0, modified: None, created: None }
    }
}

/// Something that could not be listed; the rest could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the directory or name that is affected.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

/// Content of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// What could be read, in the order of the directory.
    pub entries: Vec<Entry>,
    /// What could not.
    pub problems: Vec<Problem>,
}

impl Listing {
    /// Adds an entry unless its name would not be safe to use as a path component; that is told as a problem.
    pub(crate) fn push(&mut self, directory: &str, entry: Entry) {
        match unsafe_name(&entry.name) {
            None => self.entries.push(entry),
            Some(reason) => self.problem(&format!("{directory}/{}", entry.name.escape_default()), reason),
        }
    }

    /// Tells of something that could not be listed.
    pub(crate) fn problem(&mut self, path: &str, reason: impl Into<String>) {
        // A damaged directory can produce one problem per entry; beyond this many nobody reads them.
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { path: path.to_owned(), reason: reason.into() });
        }
    }
}

/// Problems kept per listing.
const MAX_PROBLEMS: usize = 1000;

/// Why a name must not become part of a path, where it must not.
///
/// A hostile volume could otherwise make an export write outside its target directory.
fn unsafe_name(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("the name is empty"),
        "." | ".." => Some("the name would lead to another directory"),
        _ if name.contains(['/', '\\', '\0']) => Some("the name contains a path separator"),
        _ => None,
    }
}
