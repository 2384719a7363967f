//! What can go wrong between a path and the bytes of a file.

use std::io;

/// A file system could not be read or written as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device holds neither NTFS nor FAT nor exFAT.
    #[error("no file system that can be read here; found {}", .found.unwrap_or("nothing known"))]
    Unknown {
        /// What was recognised instead, where anything was.
        found: Option<&'static str>,
    },
    /// The path cannot be looked up as it is.
    #[error("path {path:?} is not allowed: {reason}")]
    BadPath {
        /// The path as given.
        path: String,
        /// Why, as a fact.
        reason: &'static str,
    },
    /// Nothing has this name.
    #[error("{path:?} does not exist")]
    NotFound {
        /// The path as given.
        path: String,
    },
    /// A directory was needed.
    #[error("{path:?} is not a directory")]
    NotADirectory {
        /// The path as given.
        path: String,
    },
    /// A regular file was needed.
    #[error("{path:?} is not a regular file")]
    NotAFile {
        /// The path as given.
        path: String,
    },
    /// A symbolic link or junction was needed.
    #[error("{path:?} is not a link")]
    NotALink {
        /// The path as given.
        path: String,
    },
    /// The file is stored in a way that cannot be read here.
    #[error("{path:?} is stored {how}, which cannot be read here")]
    Unsupported {
        /// The path as given.
        path: String,
        /// `encrypted by Windows (EFS)`, `in the cloud alone`, ...
        how: &'static str,
    },
    /// The file system contradicts itself.
    #[error("the file system is damaged: {reason}")]
    Damaged {
        /// What does not fit.
        reason: String,
    },
    /// The storage underneath failed or refused.
    #[error(transparent)]
    Storage(#[from] block_io::Error),
    /// A read or write of the file system failed.
    #[error("access to the file system failed")]
    Io(#[source] io::Error),
    /// The receiver of a file's content failed.
    #[error("the content could not be passed on")]
    Sink(#[source] io::Error),
    /// The source of a file's content failed.
    #[error("the content could not be read")]
    Source(#[source] io::Error),
    /// The volume is too small to be FAT32.
    #[error("a FAT32 volume needs at least {minimum_bytes} bytes, this one has {volume_bytes}")]
    TooSmall {
        /// Size of the volume.
        volume_bytes: u64,
        /// Smallest size that would do.
        minimum_bytes: u64,
    },
    /// The volume or file is larger than FAT32 can describe.
    #[error("{bytes} bytes are more than FAT32 can hold here: the limit is {maximum_bytes}")]
    TooLarge {
        /// Size asked for.
        bytes: u64,
        /// Largest size that would do.
        maximum_bytes: u64,
    },
    /// A reserved range lies where the file system's own structures must go.
    #[error("bytes {start}..{end} are reserved, but the file system needs the first {needed} bytes for itself")]
    ReservedInUse {
        /// First reserved byte.
        start: u64,
        /// End of the reserved range.
        end: u64,
        /// Where the file system's own structures end.
        needed: u64,
    },
    /// A volume label that FAT cannot store.
    #[error("a FAT volume label has at most 11 ASCII characters and none of \" * + , . / : ; < = > ? [ \\ ] |")]
    BadLabel,
}

impl Error {
    /// Damage, told in words.
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }
}

impl Error {
    /// Sorts an error that came through a library: short reads and refusals of the fence mean damage.
    pub(crate) fn from_library(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged { reason: source.to_string() }
            }
            _ => Self::Io(source),
        }
    }
}
