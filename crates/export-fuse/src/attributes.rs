//! Attributes of files and errors, as the kernel wants them.

use std::time::{Duration, SystemTime};

use export::Fault;
use fuser::{Errno, FileAttr, FileType, INodeNo};

/// How long the kernel may believe attributes and names: nothing but this mount changes them.
pub(crate) const BELIEVED: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose the shown files are, and whether others may read them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) others: bool,
}

/// Attributes of something with one name, no content, and `time` for every time.
pub(crate) fn attributes(ino: INodeNo, kind: FileType, perm: u16, owner: Owner, time: SystemTime) -> FileAttr {
    FileAttr {
        ino,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm,
        nlink: if kind == FileType::Directory { 2 } else { 1 },
        uid: owner.uid,
        gid: owner.gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// The kernel's number for an error of the disk.
pub(crate) fn errno_of_disk(error: &block_io::Error) -> Errno {
    match Fault::of(error) {
        Fault::ReadOnly => Errno::EROFS,
        // As block devices answer a write behind their end.
        Fault::OutOfRange | Fault::NoSpace => Errno::ENOSPC,
        Fault::Failed => Errno::EIO,
    }
}

/// The kernel's number for an error of a tree.
pub(crate) fn errno_of_tree(error: &export::Error) -> Errno {
    match error {
        export::Error::NotFound { .. } => Errno::ENOENT,
        export::Error::NotADirectory { .. } => Errno::ENOTDIR,
        export::Error::NotALink { .. } => Errno::EINVAL,
        export::Error::NotAFile { .. } | export::Error::Unsupported { .. } => Errno::EOPNOTSUPP,
        _ => Errno::EIO,
    }
}
