//! What can keep space from being found, reserved or released.

/// Space could not be found, reserved or released. Positions are bytes from the start of the volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system could not be read.
    #[error(transparent)]
    FileSystem(#[from] fs_view::Error),
    /// The storage underneath failed or refused.
    #[error(transparent)]
    Storage(#[from] block_io::Error),
    /// The file system was not left in a state that may be changed from outside.
    #[error("the file system is not clean: {0}")]
    NotClean(Unclean),
    /// No free run is long enough.
    #[error("no contiguous free space of {needed_bytes} bytes; the largest run there has {largest_bytes}")]
    NotEnoughSpace {
        /// Length that was wanted.
        needed_bytes: u64,
        /// The largest run that was left in the place asked for, alignment taken off.
        largest_bytes: u64,
    },
    /// A cluster to be reserved is in use.
    #[error("the cluster at byte {offset_bytes} is not free")]
    NotFree {
        /// Start of the cluster.
        offset_bytes: u64,
    },
    /// A cluster to be released is not marked as bad.
    #[error("the cluster at byte {offset_bytes} is not a reserved one")]
    NotReserved {
        /// Start of the cluster.
        offset_bytes: u64,
    },
    /// A range does not lie in the part that the file system divides into clusters.
    #[error("bytes {start}..{end} are not clusters of the file system")]
    Outside {
        /// First byte.
        start: u64,
        /// End of the range.
        end: u64,
    },
    /// A want or a range that makes no sense.
    #[error("{0}")]
    BadRequest(&'static str),
    /// More clusters than are changed at once.
    #[error("{clusters} clusters are more than are reserved at once; the limit is {limit}")]
    TooMany {
        /// Clusters of the ranges.
        clusters: u64,
        /// The limit.
        limit: u64,
    },
    /// The list of bad clusters does not fit into its record.
    #[error(
        "the list of bad clusters needs {needed_bytes} bytes of its file record, which has {available_bytes} of them"
    )]
    NoRoom {
        /// Length that the record would have.
        needed_bytes: u64,
        /// Length that it can have.
        available_bytes: u64,
    },
    /// A sound structure that is not changed here.
    #[error("the file system cannot be changed here: {0}")]
    Unsupported(&'static str),
    /// The file system contradicts itself.
    #[error("the file system is damaged: {0}")]
    Damaged(&'static str),
}

/// Why a file system may not be changed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unclean {
    /// A mark says that it was not unmounted.
    #[error("it is marked as in use or not checked yet (flags {flags:#06x} at {place})")]
    Dirty {
        /// The structure with the mark.
        place: &'static str,
        /// Its flags as stored.
        flags: u32,
    },
    /// A mark says that the medium failed.
    #[error("errors of the medium are recorded (flags {flags:#06x} at {place})")]
    MediaFailure {
        /// The structure with the mark.
        place: &'static str,
        /// Its flags as stored.
        flags: u32,
    },
    /// The log of NTFS has changes that were not carried out yet.
    #[error("its log was not closed (restart area at byte {offset_bytes} of $LogFile, flags {flags:#06x})")]
    OpenLog {
        /// Place in the log.
        offset_bytes: u64,
        /// Flags of the restart area.
        flags: u16,
    },
    /// The log of NTFS is in a version that Windows leaves behind when it keeps parts of the file system in memory.
    #[error("Windows keeps a part of it in memory for a fast startup ($LogFile version {major}.{minor})")]
    FastStartup {
        /// Version of the log.
        major: u16,
        /// Second part of the version.
        minor: u16,
    },
    /// The log of NTFS cannot be understood.
    #[error("its log cannot be read: {0}")]
    UnreadableLog(&'static str),
    /// Windows sleeps on this volume.
    #[error("Windows is hibernated on it (hiberfil.sys begins with {signature:?})")]
    Hibernated {
        /// The first bytes of the file.
        signature: [char; 4],
    },
}
