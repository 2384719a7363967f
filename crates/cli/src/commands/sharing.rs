//! What mounts and network exports share: the drive they open for as long as they last, and the signal that ends them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use block_io::BlockRead;
use export::{Access, Disk, Tree};
use fs_view::FileSystem;

use crate::commands::files;
use crate::commands::tree::VolumeTree;
use crate::drive::{self, UnlockArgs};
use crate::failure::{Failure, Outcome};
use crate::lock::Lock;

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

/// Ctrl-C, or the signals that service managers and closed terminals send.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    came: bool,
    stop: Option<Box<dyn FnMut() + Send>>,
}

impl Signals {
    /// Watches from now on; call it before there is anything that a signal must not break off.
    pub(crate) fn watch() -> Outcome<Self> {
        let signals = Self::default();
        let state = signals.0.clone();
        let handler = move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.came = true;
            if let Some(stop) = &mut state.stop {
                stop();
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Failure::could_not("cannot watch for signals").because(&error))?;
        Ok(signals)
    }

    /// What a signal does from now on; done at once when one came before.
    pub(crate) fn then(&self, mut stop: impl FnMut() + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.came {
            stop();
        }
        state.stop = Some(Box::new(stop));
    }
}
