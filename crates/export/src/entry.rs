//! One thing in a tree.

use std::time::SystemTime;

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file with content.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, or what comes near it (a junction of NTFS).
    Link,
    /// Anything else: listed, but without content.
    Other,
}

/// When things happened to an entry; `None` where the file system does not keep it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Last change of the content.
    pub modified: Option<SystemTime>,
    /// Last change of the metadata.
    pub changed: Option<SystemTime>,
    /// Last access.
    pub accessed: Option<SystemTime>,
    /// Creation.
    pub created: Option<SystemTime>,
}

/// One name in a directory, with everything a listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name without its directory; empty for the root.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Length of the content in bytes; of a link, the length of its target; 0 for everything else.
    pub size_bytes: u64,
    /// Bytes on the medium, where the file system tells; less than the size for sparse and compressed files.
    pub allocated_bytes: Option<u64>,
    /// When things happened to it.
    pub times: Times,
    /// Which object it is: the same for all names of one object, different for different objects, and the same at every
    /// request. The record number on NTFS; the place of the directory entry on FAT.
    pub identity: u64,
    /// How many names the object has; 1 where there are no hard links.
    pub links: u32,
}

impl Entry {
    /// An entry with one name, no content and no times.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: EntryKind, identity: u64) -> Self {
        Self {
            name: name.into(),
            kind,
            size_bytes: 0,
            allocated_bytes: None,
            times: Times::default(),
            identity,
            links: 1,
        }
    }
}
