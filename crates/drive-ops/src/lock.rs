//! Who works on a drive: several readers, or one writer.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::disk;
use crate::failure::{Failure, Kind, Outcome};

/// A drive that is written belongs to its writer alone; readers may share it. Other programs do not ask for this lock.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, for writing or for reading.
    ///
    /// # Errors
    /// [`Kind::InUse`] when somebody has it who does not go together with that.
    pub fn take(path: &Path, write: bool) -> Outcome<Self> {
        let cannot = |error: &std::io::Error| cannot_open(path, error);
        let file = File::open(disk::image_of(path)).map_err(|error| cannot(&error))?;
        match if write { file.try_lock() } else { file.try_lock_shared() } {
            Ok(()) => {
                // On Windows a lock for writing keeps out whoever has not locked by this very handle, and the drive is
                // opened again. It has told that there are no readers, whose locks keep writers out there.
                if cfg!(windows) && write {
                    file.unlock().map_err(|error| cannot(&error))?;
                }
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(Failure::no(format!("{} is in use", path.display()))
                .kind(Kind::InUse)
                .cause("Keyhaven works on it already: it is mounted, exported, converted, rescued or changed")
                .hint("end that one first: two at once would not see each other's changes")),
            // Some file systems of networks have no locks.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(cannot(&error)),
        }
    }
}

/// A device whose file systems nobody has mounted, and that no other driver holds; nobody mounts it either while this lasts.
/// Files are left to [`Lock`].
pub struct Alone {
    _device: Option<File>,
}

impl Alone {
    /// Takes it.
    ///
    /// # Errors
    /// [`Kind::InUse`] when it is mounted or somebody holds it.
    pub fn take(path: &Path) -> Outcome<Self> {
        let image = disk::image_of(path);
        if !is_device(&image) {
            return Ok(Self { _device: None });
        }
        match exclusive(&image) {
            Ok(device) => Ok(Self { _device: Some(device) }),
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                Err(Failure::no(format!("{} is in use", path.display()))
                    .kind(Kind::InUse)
                    .cause("a file system of it is mounted, or another program holds the device")
                    .hint("unmount it first; `lsblk` tells where it is mounted"))
            }
            Err(error) => Err(cannot_open(path, &error)),
        }
    }
}

fn cannot_open(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::could_not(format!("cannot open {}", path.display())).because(error);
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => failure.kind(Kind::NoRights),
        std::io::ErrorKind::NotFound => failure.kind(Kind::NotFound),
        _ => failure,
    }
}

/// Whether the path names a block device.
#[must_use]
pub fn is_device(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        path.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Opens a device for reading and writing. Linux lends it to one at a time who asks this way: file systems that are mounted
/// ask so, too.
///
/// # Errors
/// Of the system: `ResourceBusy` when somebody has it.
#[cfg(target_os = "linux")]
pub fn exclusive(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::EXCL.bits().cast_signed();
    File::options().read(true).write(true).custom_flags(flags).open(path)
}

/// Opens a device for reading and writing.
///
/// # Errors
/// Of the system.
#[cfg(not(target_os = "linux"))]
pub fn exclusive(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).open(path)
}
