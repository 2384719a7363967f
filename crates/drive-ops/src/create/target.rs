//! Where the new volume goes: a new image file, or a block device.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use block_io::{BlockRead, BlockWrite, FileDisk};
use fve::Volume;

use crate::failure::{Failure, Kind, Outcome};
use crate::lock::{Lock, exclusive};
use crate::note::note;

/// What is overwritten before anything else, so that nothing old is taken for a volume while the new one is made.
const WIPED_BYTES: usize = 8192;

/// The storage of the new volume, held open until it is finished.
pub struct Target {
    /// Its name.
    pub path: PathBuf,
    /// Its bytes.
    pub disk: FileDisk,
    /// Whether it is a device.
    pub is_device: bool,
    /// Sectors before a partition on its disk, in units of 512 bytes.
    start_sectors: u64,
    /// Whether what was on a device is lost.
    wiped: Cell<bool>,
    /// Mounts and exports of ours have the device open without keeping it from others; this keeps them away.
    _lock: Option<Lock>,
}

impl Target {
    /// Makes a new file.
    ///
    /// # Errors
    /// [`Kind::Exists`]; of the system.
    pub fn create(path: &Path, length_bytes: u64) -> Outcome<Self> {
        let disk = FileDisk::create_new(path, length_bytes).map_err(|error| {
            let failure = Failure::could_not(format!("cannot create {}", path.display())).because(&error);
            match &error {
                block_io::Error::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                    failure.kind(Kind::Exists).hint("choose another name; an existing file is never overwritten")
                }
                _ => failure,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            disk,
            is_device: false,
            start_sectors: 0,
            wiped: Cell::new(false),
            _lock: None,
        })
    }

    /// Opens a device that nothing else uses.
    ///
    /// # Errors
    /// It is in use, or this account may not.
    pub fn open_device(path: &Path) -> Outcome<Self> {
        let file = exclusive(path).map_err(|error| {
            let failure = Failure::could_not(format!("cannot open {}", path.display())).because(&error);
            match error.kind() {
                io::ErrorKind::ResourceBusy => {
                    failure.hint("it is mounted or in use; unmount it (and every partition of it) first")
                }
                io::ErrorKind::PermissionDenied => {
                    failure.hint("devices belong to root and to their group (often `disk`)")
                }
                _ => failure,
            }
        })?;
        let lock = Some(Lock::take(path, true)?);
        let start_sectors = start_of_partition(&file).unwrap_or(0);
        let disk = FileDisk::from_opened(file)
            .map_err(|error| Failure::could_not(format!("cannot open {}", path.display())).because(&error))?;
        Ok(Self { path: path.to_owned(), disk, is_device: true, start_sectors, wiped: Cell::new(false), _lock: lock })
    }

    /// Its size.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.disk.geometry().length_bytes
    }

    /// Sectors before the volume on its disk, in units of `sector_bytes`; 0 where they do not fit into the field.
    #[must_use]
    pub fn hidden_sectors(&self, sector_bytes: u32) -> u32 {
        u32::try_from(self.start_sectors * 512 / u64::from(sector_bytes)).unwrap_or(0)
    }

    /// What is on it, where that is anything known.
    #[must_use]
    pub fn content(&self) -> Option<String> {
        content(&self.disk)
    }

    /// Makes the start of a device look like nothing. A new file is nothing already.
    pub(super) fn wipe_start(&self) -> Result<(), block_io::Error> {
        if self.is_device {
            self.wiped.set(true);
            self.disk.write_all_at(0, &[0; WIPED_BYTES])?;
            self.disk.flush()?;
        }
        Ok(())
    }

    /// After a failure: half a volume in a file is of no use to anybody, and the file was not there before.
    pub fn give_up(&self) {
        if !self.is_device {
            let _ = std::fs::remove_file(&self.path);
        } else if self.wiped.get() {
            note(&format!("warning: what was on {} is lost, and it is no volume yet", self.path.display()));
        }
    }
}

/// What a device holds, where it is anything known.
fn content(disk: &FileDisk) -> Option<String> {
    if matches!(Volume::open(disk), Ok(_) | Err(fve::Error::NoMetadata { .. } | fve::Error::BadConversion { .. })) {
        return Some("a BitLocker volume".to_owned());
    }
    match fs_view::FileSystem::open(disk) {
        Ok(volume) => return Some(format!("a file system ({})", kind_name(volume.kind()))),
        Err(fs_view::Error::Unknown { found: None | Some(fs_view::BLANK) } | fs_view::Error::Storage(_)) => {}
        Err(fs_view::Error::Unknown { found: Some(found) }) => return Some(found.to_owned()),
        Err(_) => return Some("a damaged file system".to_owned()),
    }
    let table = disk_image::partitions(disk).ok()?;
    let count = table.partitions.len();
    (count > 0).then(|| format!("a partition table with {count} partitions"))
}

/// What a file system is called.
#[must_use]
pub fn kind_name(kind: fs_view::FileSystemKind) -> &'static str {
    match kind {
        fs_view::FileSystemKind::Ntfs => "NTFS",
        fs_view::FileSystemKind::Fat12 => "FAT12",
        fs_view::FileSystemKind::Fat16 => "FAT16",
        fs_view::FileSystemKind::Fat32 => "FAT32",
        fs_view::FileSystemKind::ExFat => "exFAT",
    }
}

/// Where a partition begins on its disk, in units of 512 bytes.
#[cfg(target_os = "linux")]
fn start_of_partition(file: &File) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let number = file.metadata().ok()?.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/start")).ok()?.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn start_of_partition(_file: &File) -> Option<u64> {
    None
}
