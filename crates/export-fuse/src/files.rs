//! The files of a volume, for reading.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use export::{Entry, EntryKind, OpenFile, Tree, child, escape, unescape};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, Request,
};

use crate::attributes::{BELIEVED, Owner, attributes, errno_of_tree};
use crate::buffer::with_buffer;
use crate::inodes::{Handles, Inodes, number_of};
use crate::session::negotiate;

/// The longest name: 255 units of UTF-16, which are at most three bytes each here.
const NAME_BYTES: u32 = 255 * 3;

pub(crate) struct FilesFs {
    tree: Arc<dyn Tree>,
    owner: Owner,
    inodes: Inodes,
    files: Handles<dyn OpenFile>,
    directories: Handles<Directory>,
}

/// A directory that is open: what was in it, in order.
struct Directory {
    path: String,
    ino: INodeNo,
    entries: Vec<Entry>,
}

impl FilesFs {
    pub(crate) fn new(tree: Arc<dyn Tree>, root: Entry, owner: Owner) -> Self {
        Self { tree, owner, inodes: Inodes::new(root), files: Handles::new(), directories: Handles::new() }
    }

    fn attributes(&self, ino: INodeNo, entry: &Entry) -> FileAttr {
        let (kind, perm) = match entry.kind {
            EntryKind::Directory => (FileType::Directory, 0o555),
            EntryKind::Link => (FileType::Symlink, 0o777),
            EntryKind::File => (FileType::RegularFile, 0o444),
            // What it is on Windows has no counterpart; it is shown, and nobody can do anything with it.
            EntryKind::Other => (FileType::RegularFile, 0),
        };
        let times = entry.times;
        let modified = times.modified.or(times.created).unwrap_or(SystemTime::UNIX_EPOCH);
        let plain = attributes(ino, kind, perm, self.owner, modified);
        FileAttr {
            size: entry.size_bytes,
            blocks: entry.allocated_bytes.unwrap_or(entry.size_bytes).div_ceil(512),
            atime: times.accessed.unwrap_or(modified),
            ctime: times.changed.unwrap_or(modified),
            crtime: times.created.unwrap_or(modified),
            nlink: if kind == FileType::Directory { 2 } else { entry.links },
            ..plain
        }
    }

    /// The entry of a name and its path.
    fn look_up(&self, parent: INodeNo, name: &OsStr) -> Result<(String, Entry), Errno> {
        let directory = self.inodes.find(parent).ok_or(Errno::ENOENT)?;
        let name = name.to_str().ok_or(Errno::ENOENT)?;
        let path = child(&directory.path, name);
        match self.tree.stat(&path) {
            // Windows finds names in any case; here a name is one name.
            Ok(entry) if entry.name == name => return Ok((path, entry)),
            Ok(_) | Err(export::Error::NotFound { .. }) => {}
            Err(error) => return Err(errno_of_tree(&error)),
        }
        // One that was escaped to be shown: its entry is known from the listing alone.
        unescape(name).ok_or(Errno::ENOENT)?;
        let listed = self.tree.list(&directory.path).map_err(|error| errno_of_tree(&error))?;
        let found = listed.into_iter().find(|entry| escape(&entry.name) == name);
        found.map(|entry| (path, entry)).ok_or(Errno::ENOENT)
    }

    fn open_directory(&self, ino: INodeNo) -> Result<FileHandle, Errno> {
        let known = self.inodes.find(ino).ok_or(Errno::ENOENT)?;
        let entries = self.tree.list(&known.path).map_err(|error| errno_of_tree(&error))?;
        Ok(self.directories.add(Arc::new(Directory { path: known.path.clone(), ino, entries })))
    }

    fn open_file(&self, ino: INodeNo, flags: OpenFlags) -> Result<FileHandle, Errno> {
        if flags.acc_mode() != OpenAccMode::O_RDONLY {
            return Err(Errno::EROFS);
        }
        let known = self.inodes.find(ino).ok_or(Errno::ENOENT)?;
        match self.tree.open(&known.path) {
            Ok(file) => Ok(self.files.add(file.into())),
            Err(error) => Err(errno_of_tree(&error)),
        }
    }
}

impl Directory {
    /// What is listed from a place on: the place behind it, the name, and the entry, where it is one of the directory's
    /// own.
    fn from(&self, offset: u64) -> impl Iterator<Item = (u64, &str, Option<&Entry>)> {
        let dots = [(".", None), ("..", None)].into_iter();
        let own = self.entries.iter().map(|entry| (entry.name.as_str(), Some(entry)));
        let all = (1..).zip(dots.chain(own)).map(|(next, (name, entry))| (next, name, entry));
        all.skip(usize::try_from(offset).unwrap_or(usize::MAX))
    }
}

impl Filesystem for FilesFs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        negotiate(config);
        for wish in [InitFlags::FUSE_DO_READDIRPLUS, InitFlags::FUSE_READDIRPLUS_AUTO, InitFlags::FUSE_CACHE_SYMLINKS] {
            let _ = config.add_capabilities(wish);
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.look_up(parent, name) {
            Ok((path, entry)) => {
                let ino = self.inodes.tell(path, &entry);
                reply.entry(&BELIEVED, &self.attributes(ino, &entry), Generation(0));
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn forget(&self, _request: &Request, ino: INodeNo, lookups: u64) {
        self.inodes.forget(ino, lookups);
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.inodes.find(ino) {
            Some(known) => reply.attr(&BELIEVED, &self.attributes(ino, &known.entry)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        let Some(known) = self.inodes.find(ino) else { return reply.error(Errno::ENOENT) };
        match self.tree.read_link(&known.path) {
            Ok(target) if target.is_empty() || target.contains('\0') => reply.error(Errno::EIO),
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(errno_of_tree(&error)),
        }
    }

    fn open(&self, _request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(ino, flags) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(file) = self.files.find(handle) else { return reply.error(Errno::EBADF) };
        with_buffer(size, |buffer| match file.read_at(offset, buffer) {
            Ok(count) => reply.data(buffer.get(..count).unwrap_or_default()),
            Err(error) => reply.error(errno_of_tree(&error)),
        });
    }

    fn release(
        &self,
        _request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.files.close(handle);
        reply.ok();
    }

    fn opendir(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.open_directory(ino) {
            Ok(handle) => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, _request: &Request, _ino: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let Some(directory) = self.directories.find(handle) else { return reply.error(Errno::EBADF) };
        for (next, name, entry) in directory.from(offset) {
            let full = match entry {
                None => reply.add(directory.ino, next, FileType::Directory, name),
                Some(entry) => {
                    let ino = number_of(entry);
                    reply.add(ino, next, self.attributes(ino, entry).kind, &*escape(name))
                }
            };
            if full {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _request: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let Some(directory) = self.directories.find(handle) else { return reply.error(Errno::EBADF) };
        for (next, name, entry) in directory.from(offset) {
            let Some(entry) = entry else {
                // The kernel takes no attributes of these two and does not count them.
                let plain = attributes(directory.ino, FileType::Directory, 0o555, self.owner, SystemTime::UNIX_EPOCH);
                if reply.add(directory.ino, next, name, &Duration::ZERO, &plain, Generation(0)) {
                    break;
                }
                continue;
            };
            let name = escape(name);
            // Told before it is added: with the reply on its way, the kernel may ask for it at once.
            let ino = self.inodes.tell(child(&directory.path, &name), entry);
            if reply.add(ino, next, &*name, &BELIEVED, &self.attributes(ino, entry), Generation(0)) {
                self.inodes.forget(ino, 1);
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _request: &Request, _ino: INodeNo, handle: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.directories.close(handle);
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let space = self.tree.space();
        let cluster = u64::from(space.cluster_bytes.max(512));
        let free = space.free_bytes.unwrap_or(0) / cluster;
        let unit = u32::try_from(cluster).unwrap_or(4096);
        // Nothing can be written, so nothing is available.
        reply.statfs(space.total_bytes / cluster, free, 0, 0, 0, unit, NAME_BYTES, unit);
    }
}
