//! What a directory listing consists of.

use std::time::SystemTime;

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file with content.
    File,
    /// A directory.
    Directory,
    /// A symbolic link of Windows, of the Windows subsystem for Linux, or of a Unix driver.
    SymbolicLink,
    /// A junction: a directory that stands for another directory or volume.
    Junction,
    /// Anything else, such as a pipe, a device or an alias of an app.
    Other,
}

impl EntryKind {
    /// Whether it leads elsewhere instead of having content of its own.
    #[must_use]
    pub fn is_link(self) -> bool {
        matches!(self, Self::SymbolicLink | Self::Junction)
    }
}

/// What Windows notes about a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Attributes(u32);

impl Attributes {
    const READ_ONLY: u32 = 0x1;
    const HIDDEN: u32 = 0x2;
    const SYSTEM: u32 = 0x4;
    const ARCHIVE: u32 = 0x20;
    pub(crate) const REPARSE: u32 = 0x400;
    const SPARSE: u32 = 0x200;
    const COMPRESSED: u32 = 0x800;
    const OFFLINE: u32 = 0x1000;
    const ENCRYPTED: u32 = 0x4000;
    const RECALL: u32 = 0x40_0000;

    pub(crate) fn new(bits: u32) -> Self {
        Self(bits)
    }

    fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// The bits as they are stored: `FILE_ATTRIBUTE_...` of Windows.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Not to be written.
    #[must_use]
    pub fn read_only(self) -> bool {
        self.has(Self::READ_ONLY)
    }

    /// Not shown by default.
    #[must_use]
    pub fn hidden(self) -> bool {
        self.has(Self::HIDDEN)
    }

    /// Part of the operating system.
    #[must_use]
    pub fn system(self) -> bool {
        self.has(Self::SYSTEM)
    }

    /// Changed since the last backup.
    #[must_use]
    pub fn archive(self) -> bool {
        self.has(Self::ARCHIVE)
    }

    /// Compressed by the file system.
    #[must_use]
    pub fn compressed(self) -> bool {
        self.has(Self::COMPRESSED)
    }

    /// With parts that are not stored.
    #[must_use]
    pub fn sparse(self) -> bool {
        self.has(Self::SPARSE)
    }

    /// Encrypted by Windows (EFS).
    #[must_use]
    pub fn encrypted(self) -> bool {
        self.has(Self::ENCRYPTED)
    }

    /// The content is elsewhere: in the cloud or on a tape.
    #[must_use]
    pub fn offline(self) -> bool {
        self.has(Self::OFFLINE | Self::RECALL)
    }
}

/// Where a reader finds what an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A record of the NTFS file table, and how often it was used before.
    Record { number: u64, sequence: u16 },
    /// Clusters of FAT.
    Chain { first: u32 },
    /// Clusters of exFAT: with or without a chain in the table, and up to where they were written.
    Run { first: u32, contiguous: bool, length: u64, initialized: u64 },
}

/// One name in a directory.
///
/// An entry knows where its file is, so that [`crate::FileSystem::open_entry`] and [`crate::FileSystem::list_entry`] need
/// no look-up of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name without its directory; empty for the root. Never contains `/`, `\` or a NUL, and is never `.` or `..`.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Length of the content; 0 for everything but files.
    pub size_bytes: u64,
    /// Space that the content takes on the volume, where that is known without following its clusters.
    pub allocated_bytes: u64,
    /// Last change of the content. FAT stores local time without a zone: it is told as if it were UTC.
    pub modified: Option<SystemTime>,
    /// Creation; as `modified`.
    pub created: Option<SystemTime>,
    /// Last access; as `modified`. FAT knows the day alone.
    pub accessed: Option<SystemTime>,
    /// Read-only, hidden, ...
    pub attributes: Attributes,
    /// Names that the same file has.
    pub links: u32,
    /// Tells files of one volume apart: two entries with the same number are the same file. The record number on NTFS;
    /// on FAT and exFAT where the entry is, in bytes from the start of the volume.
    pub id: u64,
    pub(crate) place: Place,
}

/// An alternate data stream of an NTFS file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// Its name, which never contains `/`, `\`, `:` or a NUL.
    pub name: String,
    /// Length of its content.
    pub size_bytes: u64,
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
            Some(reason) => self.problem(&join(directory, &entry.name.escape_default().to_string()), reason),
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

/// Path of a name in a directory.
pub(crate) fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

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
