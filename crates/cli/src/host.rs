//! This computer: its name, its cores, and what lies on which of its drives.

use std::path::Path;

/// Its name, as it is; empty where the system does not tell.
pub(crate) fn name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

/// Threads for long work: as many as there are cores.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether a file would lie on the drive itself: in a file system that this block device, or one that is made from it, holds.
/// On a drive that is an image file, nothing can lie while it is not mounted.
#[cfg(unix)]
pub(crate) fn lies_on(file: &Path, drive: &Path) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let Ok(drive) = drive.metadata() else { return false };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = if file.is_dir() { file } else { folder };
    let Ok(place) = place.metadata() else { return false };
    drive.file_type().is_block_device() && is_made_from(place.dev(), drive.rdev(), 0)
}

/// Whether block device `device` is `drive`, a partition of it, or a mapping over it.
#[cfg(unix)]
fn is_made_from(device: u64, drive: u64, depth: usize) -> bool {
    const DEEPEST: usize = 8;
    if device == drive {
        return true;
    }
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let folder = Path::new("/sys/dev/block").join(format!("{major}:{minor}"));
    if depth == DEEPEST {
        return false;
    }
    let number = |path: &Path| -> Option<u64> {
        let text = std::fs::read_to_string(path.join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
    };
    let slaves = std::fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path());
    let whole = folder.join("partition").exists().then(|| folder.join(".."));
    slaves.chain(whole).filter_map(|path| number(&path)).any(|below| is_made_from(below, drive, depth + 1))
}

/// Nothing tells it here.
#[cfg(not(unix))]
pub(crate) fn lies_on(_file: &Path, _drive: &Path) -> bool {
    false
}
