//! Whether a file would lie on the drive that it is meant to open.
//!
//! Linux: the device below the folder is followed down, through loop devices, device mapper and file systems in user space
//! that name what they show, until it is the drive or nothing is left to follow. Elsewhere only the drive itself is found.
//! What cannot be followed counts as another drive: this is a guard against a mistake, not a wall.

use std::path::{Path, PathBuf};

/// Devices below each other that are followed.
const MAX_DEPTH: usize = 8;

/// Whether `file`, which need not exist, lies on `drive`: a device or an image, with or without the number of a partition.
#[must_use]
pub fn lies_on(file: &Path, drive: &Path) -> bool {
    let Some(drive) = resolve(drive) else { return false };
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    file.canonicalize().is_ok_and(|file| file == drive) || below(folder, &drive, MAX_DEPTH)
}

/// The device or image, without symbolic links; `IMAGE:2` is the image.
fn resolve(drive: &Path) -> Option<PathBuf> {
    drive.canonicalize().ok().or_else(|| {
        let text = drive.to_str()?;
        let (image, number) = text.rsplit_once(':')?;
        number.parse::<u32>().ok()?;
        Path::new(image).canonicalize().ok()
    })
}

#[cfg(target_os = "linux")]
fn below(path: &Path, drive: &Path, depth: usize) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Some(depth) = depth.checked_sub(1) else { return false };
    let Ok(metadata) = path.metadata() else { return false };
    if on_device(metadata.dev(), drive, depth) {
        return true;
    }
    // A file system in user space has a device of its own: what it shows stands in the table of mounts.
    let source = path.canonicalize().ok().and_then(|path| mount_source(&path));
    source.is_some_and(|source| source.is_absolute() && is_or_lies_on(&source, drive, depth))
}

#[cfg(target_os = "linux")]
fn is_or_lies_on(source: &Path, drive: &Path, depth: usize) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let Ok(source) = source.canonicalize() else { return false };
    if source == drive {
        return true;
    }
    match source.metadata() {
        Ok(metadata) if metadata.file_type().is_block_device() => on_device(metadata.rdev(), drive, depth),
        Ok(_) => source.parent().is_some_and(|folder| below(folder, drive, depth)),
        Err(_) => false,
    }
}

/// Whether the device with this number is the drive, a partition of it, or stands on it.
#[cfg(target_os = "linux")]
fn on_device(number: u64, drive: &Path, depth: usize) -> bool {
    use std::os::unix::fs::MetadataExt;
    let numbers = (rustix::fs::major(number), rustix::fs::minor(number));
    let Ok(folder) = Path::new(&format!("/sys/dev/block/{}:{}", numbers.0, numbers.1)).canonicalize() else {
        return false;
    };
    let drive_number = drive.metadata().map(|metadata| metadata.rdev()).unwrap_or(0);
    let number_in = |folder: &Path| std::fs::read_to_string(folder.join("dev")).ok();
    let wanted = format!("{}:{}", rustix::fs::major(drive_number), rustix::fs::minor(drive_number));
    let is_drive = |folder: &Path| drive_number != 0 && number_in(folder).is_some_and(|found| found.trim() == wanted);
    if is_drive(&folder) || folder.parent().is_some_and(is_drive) {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    let backing = std::fs::read_to_string(folder.join("loop/backing_file"))
        .or_else(|_| std::fs::read_to_string(folder.join("../loop/backing_file")));
    if backing.is_ok_and(|backing| is_or_lies_on(Path::new(backing.trim_end()), drive, depth)) {
        return true;
    }
    let below = std::fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten();
    below
        .filter_map(|entry| number_in(&entry.path()).and_then(|number| parse_number(number.trim())))
        .any(|number| on_device(number, drive, depth))
}

#[cfg(target_os = "linux")]
fn parse_number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// What is mounted where `path` lies, as the table of mounts names it: the entry with the longest mount point, and of
/// several on one place the last.
#[cfg(target_os = "linux")]
fn mount_source(path: &Path) -> Option<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    source_in(&table, path)
}

#[cfg(any(target_os = "linux", test))]
fn source_in(table: &str, path: &Path) -> Option<PathBuf> {
    let entries = table.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let place = PathBuf::from(unescape(left.split(' ').nth(4)?));
        let source = PathBuf::from(unescape(right.split(' ').nth(1)?));
        path.starts_with(&place).then_some((place, source))
    });
    entries.max_by_key(|(place, _)| place.components().count()).map(|(_, source)| source)
}

/// The table writes blanks, tabs, line ends and backslashes as three octal digits.
#[cfg(any(target_os = "linux", test))]
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('\\');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(&part[3..]);
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(not(target_os = "linux"))]
fn below(_path: &Path, _drive: &Path, _depth: usize) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let table = "\
            22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n\
            40 22 0:50 / /media/my\\040drive rw - fuse.ntfs-3g /dev/loop3 rw\n\
            41 40 0:51 / /media/my\\040drive rw master:3 - fuse.ntfs-3g /dev/loop4 rw\n";
        let source = |path: &str| source_in(table, Path::new(path));
        assert_eq!(source("/home"), Some("/dev/vda".into()));
        assert_eq!(source("/media/my drive/a"), Some("/dev/loop4".into()));
        assert_eq!(source("/media/my drives"), Some("/dev/vda".into()));
    }

    #[test]
    fn the_drive_itself_and_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.img");
        std::fs::write(&image, "x").unwrap();
        assert!(lies_on(&image, &image));
        assert!(lies_on(&image, &folder.path().join("disk.img:2")));
        assert!(!lies_on(&folder.path().join("key.txt"), &image));
        assert!(!lies_on(Path::new("key.txt"), &image));
    }
}
