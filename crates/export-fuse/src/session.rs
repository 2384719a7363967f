//! A mount from its beginning to its end.

use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use export::{Disk, Tree};
use fuser::{Config, Filesystem, InitFlags, KernelConfig, MountOption, Session, SessionACL};

use crate::attributes::Owner;
use crate::disk::DiskFs;
use crate::files::FilesFs;
use crate::{Error, place};

/// The longest request the kernel sends or asks for, where its own limit is not lower.
const REQUEST_BYTES: u32 = 1 << 20;
/// Requests of read-ahead and of flushing that may wait at the same time.
const BACKGROUND: u16 = 64;
/// Read-ahead, where this process may set it: some requests at once for every thread.
const READ_AHEAD_KIB: u32 = 2048;
/// How often a mount that is in use is tried again after somebody asked for its end.
const RETRY: Duration = Duration::from_millis(250);
const THREADS: std::ops::RangeInclusive<usize> = 2..=16;

/// How to mount.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Let other accounts in, too.
    pub allow_other: bool,
}

/// Mounts `disk` on `folder` as one file, [`crate::VOLUME_FILE`]. It is served when this returns.
///
/// # Errors
/// [`Error`] with what is missing or refused.
pub fn mount_disk(disk: Arc<Disk>, folder: &Path, options: &Options) -> Result<Mount, Error> {
    let writable = disk.is_writable();
    start(|owner| DiskFs::new(disk.clone(), owner), Some(disk.clone()), writable, folder, options)
}

/// Mounts the files of `tree` on `folder`, for reading. They are served when this returns.
///
/// # Errors
/// [`Error`] with what is missing or refused; [`Error::Root`] when the tree has no root that can be read.
pub fn mount_files(tree: Arc<dyn Tree>, folder: &Path, options: &Options) -> Result<Mount, Error> {
    let root = tree.stat("").map_err(|source| Error::Root { source })?;
    start(|owner| FilesFs::new(tree, root, owner), None, false, folder, options)
}

/// A mount that is being served.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
    /// The number that the system gave this mount.
    device: Option<u64>,
    disk: Option<Arc<Disk>>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    session: JoinHandle<()>,
}

/// Asks a [`Mount`] to end; may be used in any thread, and several times.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<Event>);

#[derive(Debug)]
enum Event {
    Stop,
    Ended(io::Result<()>),
}

/// What [`Mount::serve`] tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// The end was asked for, but programs use the mount. It ends when they close it, or at once when asked again.
    InUse,
}

impl Stopper {
    /// Asks for the end: the first time for an orderly one, after that for one at once.
    pub fn stop(&self) {
        // Where nobody listens, the mount has ended.
        let _ = self.0.send(Event::Stop);
    }
}

impl Mount {
    /// What ends this mount from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Waits until the folder is unmounted, by whomever, and makes everything durable that was written.
    ///
    /// A [`Stopper`] unmounts it. While programs use the mount this is told and tried again; when the end is asked for
    /// a second time, the folder is taken from them.
    ///
    /// # Errors
    /// [`Error::Busy`] when it was taken from programs that used it; [`Error::Session`], [`Error::Flush`].
    pub fn serve(self, tell: &mut dyn FnMut(Told)) -> Result<(), Error> {
        let mut asked = false;
        let ended = loop {
            let event = match asked {
                false => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                true => self.events.recv_timeout(RETRY),
            };
            match event {
                Ok(Event::Ended(result)) => break result.map_err(|source| Error::Session { source }),
                Ok(Event::Stop) if asked => break Err(self.take_away()),
                Ok(Event::Stop) => {
                    asked = true;
                    place::settle(&self.folder);
                    if matches!(self.take_down(false), Err(Error::Busy { .. })) {
                        tell(Told::InUse);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.take_down(false);
                }
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            }
        };
        // A mount that was taken away is served until this process ends.
        if ended.is_ok() {
            let _ = self.session.join();
        }
        let flushed = self.disk.map_or(Ok(()), |disk| disk.finish());
        flushed.map_err(|source| Error::Flush { source }).and(ended)
    }

    fn take_away(&self) -> Error {
        place::settle(&self.folder);
        let _ = self.take_down(true);
        Error::Busy { path: self.folder.clone() }
    }

    /// Unmounts this mount and no other: what somebody else mounted on top is theirs, and keeps this one in use.
    fn take_down(&self, detach: bool) -> Result<(), Error> {
        let there = self.folder.symlink_metadata().ok().map(|found| found.st_dev());
        if self.device.is_some() && there.is_some() && there != self.device {
            return Err(Error::Busy { path: self.folder.clone() });
        }
        place::take_down(&self.folder, detach)
    }
}

/// Mounts and serves a file system on threads of its own.
pub(crate) fn start<F: Filesystem>(
    make: impl FnOnce(Owner) -> F,
    disk: Option<Arc<Disk>>,
    writable: bool,
    folder: &Path,
    options: &Options,
) -> Result<Mount, Error> {
    place::check(folder, options)?;
    let folder = folder.canonicalize().map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
    let owner = Owner {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        others: options.allow_other,
    };
    let refused = |source| Error::Refused { path: folder.clone(), source };
    let session = Session::new(make(owner), &folder, &configuration(writable, options)).map_err(refused)?;
    let (sender, events) = mpsc::channel();
    let ended = sender.clone();
    let serving = std::thread::Builder::new().name("mount".to_owned()).spawn(move || {
        let result = session.run();
        let _ = ended.send(Event::Ended(result));
    });
    let session = serving.map_err(refused)?;
    let device = folder.symlink_metadata().ok().map(|found| found.st_dev());
    device.into_iter().for_each(allow_read_ahead);
    Ok(Mount { folder, device, disk, events, sender, session })
}

fn configuration(writable: bool, options: &Options) -> Config {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() + 2);
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(place::SOURCE.to_owned()),
        MountOption::Subtype("keyhaven".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
        if writable { MountOption::RW } else { MountOption::RO },
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(threads.clamp(*THREADS.start(), *THREADS.end()));
    // A queue of its own for every thread.
    config.clone_fd = true;
    config
}

/// Large requests, many at once, and whatever else the kernel can do to save round trips.
pub(crate) fn negotiate(config: &mut KernelConfig) {
    // Each gives the nearest possible value back when ours is not possible.
    if let Err(nearest) = config.set_max_write(REQUEST_BYTES) {
        let _ = config.set_max_write(nearest);
    }
    if let Err(nearest) = config.set_max_readahead(REQUEST_BYTES) {
        let _ = config.set_max_readahead(nearest);
    }
    let _ = config.set_max_background(BACKGROUND);
    for wish in [InitFlags::FUSE_PARALLEL_DIROPS, InitFlags::FUSE_ASYNC_DIO] {
        let _ = config.add_capabilities(wish);
    }
}

/// The kernel gives FUSE mounts 128 KiB of read-ahead; root may allow more, for this mount alone.
fn allow_read_ahead(device: u64) {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    // Without the right to do it, reading is slower and still right.
    let _ = std::fs::write(setting, READ_AHEAD_KIB.to_string());
}
