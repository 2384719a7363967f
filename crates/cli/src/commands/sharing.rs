//! What mounts and network exports share: the drive they open for as long as they last.

use std::path::Path;
use std::sync::Arc;

use block_io::BlockRead;
use export::{Access, Disk, Tree};
use fs_view::FileSystem;

use crate::commands::files;
use crate::commands::shown_tree::VolumeTree;
use crate::drive::{self, UnlockArgs};
use crate::failure::Outcome;
use crate::lock::Lock;
pub(crate) use crate::signals::Signals;

/// A drive that is shown raw, and the lock that keeps others of us from writing it meanwhile.
pub(crate) struct Shared {
    pub(crate) disk: Arc<Disk>,
    _lock: Lock,
}

/// Unlocks the drive to show it raw.
pub(crate) fn open_disk(path: &Path, write: bool, unlock: &UnlockArgs) -> Outcome<Shared> {
    let lock = Lock::take(path, write)?;
    let (volume, access) = match write {
        true => (drive::unlock_writable(path, unlock)?, Access::ReadWrite),
        false => (drive::unlock(path, unlock)?, Access::ReadOnly),
    };
    Ok(Shared { disk: Arc::new(Disk::new(Box::new(volume), access)), _lock: lock })
}

/// A drive whose files are shown.
pub(crate) struct SharedFiles {
    pub(crate) tree: Arc<dyn Tree>,
    _lock: Lock,
}

/// Unlocks the drive to show its files.
pub(crate) fn open_tree(path: &Path, unlock: &UnlockArgs) -> Outcome<SharedFiles> {
    let lock = Lock::take(path, false)?;
    let volume = drive::unlock(path, unlock)?;
    let length_bytes = volume.geometry().length_bytes;
    let opened = FileSystem::open(volume).map_err(|error| {
        let failure = files::explain(&error, &format!("the files of {}", path.display()));
        match error {
            fs_view::Error::Unknown { .. } => failure.hint(
                "`keyhaven mount DRIVE FOLDER --raw` and `keyhaven export nbd DRIVE` show the plain volume to programs \
                 that know its file system",
            ),
            _ => failure,
        }
    })?;
    Ok(SharedFiles { tree: Arc::new(VolumeTree::new(opened, length_bytes)), _lock: lock })
}
