//! The lock on a drive: one writer at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::disk;
use crate::failure::{Failure, Outcome};

/// A drive that is written belongs to its writer alone; readers may share it. Other programs do not ask for this lock.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(path: &Path, write: bool) -> Outcome<Self> {
        let cannot =
            |error: &std::io::Error| Failure::could_not(format!("cannot open {}", path.display())).because(error);
        let file = File::open(disk::image_of(path)).map_err(|error| cannot(&error))?;
        match if write { file.try_lock() } else { file.try_lock_shared() } {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::no(format!("{} is in use", path.display()))
                .cause("it is mounted or exported already, here or there for writing")
                .hint("end that one first: two at once would not see each other's changes")),
            // Some file systems of networks have no locks.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(cannot(&error)),
        }
    }
}
