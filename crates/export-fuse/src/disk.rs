//! The raw volume: a directory with one file.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use export::Disk;
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig,
    LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::attributes::{BELIEVED, Owner, attributes, errno_of_disk};
use crate::buffer::with_buffer;
use crate::session::negotiate;

/// Name of the only file of a raw mount. The ending says to people and programs what it is: a disk image, which they can
/// attach, mount or look into as such.
pub const VOLUME_FILE: &str = "volume.img";

const VOLUME: INodeNo = INodeNo(2);
/// Unit of the block counts that `statfs` gives.
const BLOCK_BYTES: u32 = 4096;

pub(crate) struct DiskFs {
    disk: Arc<Disk>,
    owner: Owner,
    mounted_at: SystemTime,
}

impl DiskFs {
    pub(crate) fn new(disk: Arc<Disk>, owner: Owner) -> Self {
        Self { disk, owner, mounted_at: SystemTime::now() }
    }

    fn attributes(&self, ino: INodeNo) -> Option<FileAttr> {
        let write = if self.disk.is_writable() { 0o200 } else { 0 };
        match ino {
            INodeNo::ROOT => {
                let perm = if self.owner.others { 0o555 } else { 0o500 };
                Some(attributes(ino, FileType::Directory, perm, self.owner, self.mounted_at))
            }
            VOLUME => {
                let perm = if self.owner.others { 0o444 } else { 0o400 } | write;
                let plain = attributes(ino, FileType::RegularFile, perm, self.owner, self.mounted_at);
                let length = self.disk.length_bytes();
                Some(FileAttr { size: length, blocks: length.div_ceil(512), ..plain })
            }
            _ => None,
        }
    }

    /// Reads as far as the volume goes and answers from the buffer that was decrypted into.
    fn read_into_reply(&self, offset: u64, size: u32, reply: ReplyData) {
        let left = self.disk.length_bytes().saturating_sub(offset);
        let length = u32::try_from(left).unwrap_or(u32::MAX).min(size);
        with_buffer(length, |buffer| match self.disk.read_at(offset, buffer) {
            Ok(()) => reply.data(buffer),
            Err(_) => reply.error(Errno::EIO),
        });
    }

    fn answer_flush(&self, reply: ReplyEmpty) {
        match self.disk.flush() {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno_of_disk(&error)),
        }
    }
}

impl Filesystem for DiskFs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        negotiate(config);
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(VOLUME) {
            Some(found) if parent == INodeNo::ROOT && name == VOLUME_FILE => {
                reply.entry(&BELIEVED, &found, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(ino) {
            Some(found) => reply.attr(&BELIEVED, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    /// As a block device: its length stays, and clearing it before writing (`O_TRUNC`) changes nothing.
    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let other_size = size.is_some_and(|size| size != 0 && size != self.disk.length_bytes());
        match self.attributes(ino) {
            _ if mode.is_some() || uid.is_some() || gid.is_some() => reply.error(Errno::EPERM),
            _ if other_size => reply.error(Errno::EINVAL),
            Some(found) => reply.attr(&BELIEVED, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if ino != VOLUME {
            return reply.error(Errno::EISDIR);
        }
        let reads = flags.acc_mode() == OpenAccMode::O_RDONLY;
        if !reads && !self.disk.is_writable() {
            return reply.error(Errno::EROFS);
        }
        // All changes go through this mount, so what the kernel has cached is right. Closing means nothing here.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH);
    }

    fn read(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.read_into_reply(offset, size, reply);
    }

    fn write(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // As on a block device, a write that reaches behind the end is done up to there.
        let left = self.disk.length_bytes().saturating_sub(offset);
        let inside = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if inside == 0 && !data.is_empty() {
            return reply.error(Errno::ENOSPC);
        }
        match self.disk.write_at(offset, &data[..inside]) {
            // A request is far shorter than 4 GiB.
            Ok(()) => reply.written(u32::try_from(inside).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno_of_disk(&error)),
        }
    }

    fn flush(&self, _request: &Request, _ino: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _request: &Request, _ino: INodeNo, _handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.answer_flush(reply);
    }

    fn fsyncdir(&self, _request: &Request, _ino: INodeNo, _handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.answer_flush(reply);
    }

    fn readdir(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        if ino != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let names = [
            (INodeNo::ROOT, FileType::Directory, "."),
            (INodeNo::ROOT, FileType::Directory, ".."),
            (VOLUME, FileType::RegularFile, VOLUME_FILE),
        ];
        for (next, (ino, kind, name)) in (1..).zip(names).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(ino, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let blocks = self.disk.length_bytes() / u64::from(BLOCK_BYTES);
        reply.statfs(blocks, 0, 0, 2, 0, BLOCK_BYTES, 255, BLOCK_BYTES);
    }
}
