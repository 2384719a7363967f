//! What the copy asks of this computer beyond plain files; where a system lacks something, the next best.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use drive_ops::names::Rules;

/// A file that must not exist yet; no link is followed to it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(path)
}

/// A regular file that exists, for going on; no link is followed to it.
pub(super) fn reopen(path: &Path) -> io::Result<File> {
    let file = not_following(File::options().read(true).write(true)).open(path)?;
    regular(file)
}

/// A regular file that exists, for reading; no link is followed to it, and its date of access stays where that can be had.
pub(super) fn open(path: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOATIME;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        match File::options().read(true).custom_flags(flags).open(path) {
            // The file belongs to somebody else.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            opened => return regular(opened?),
        }
    }
    regular(not_following(File::options().read(true)).open(path)?)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(unix)]
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    // A pipe would wait for its other end.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
}

#[cfg(not(unix))]
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset_bytes)
}

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset_bytes: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset_bytes)
}

#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset_bytes: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_write(file, bytes, offset_bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
        offset_bytes += count as u64;
    }
    Ok(())
}

#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset_bytes: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, offset_bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.get_mut(count..).unwrap_or_default();
        offset_bytes += count as u64;
    }
    Ok(())
}

/// Gives a file its name, unless something else has it.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system, or an old kernel, does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return Ok(result?),
        }
    }
    match std::fs::hard_link(from, to) {
        Ok(()) => return std::fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
    }
    // Without links either: somebody could be faster between these two, but only on purpose.
    match std::fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(from, to),
    }
}

/// Makes everything durable that was written to the file system of `folder`. `false` where there is no such call.
#[cfg(target_os = "linux")]
pub(super) fn sync_all_of(folder: &Path) -> io::Result<bool> {
    match rustix::fs::syncfs(File::open(folder)?) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_all_of(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Makes the names in a folder durable, where the system can.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Bytes that a person may still write below `folder`; `None` where that is not known.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let numbers = rustix::fs::statvfs(folder).ok()?;
        // Some file systems tell no size at all.
        (numbers.f_blocks > 0).then(|| numbers.f_bavail.saturating_mul(numbers.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Lets the system forget what it holds of a file, so that it is read from the disk.
pub(super) fn forget(file: &File) {
    // Only a hint: a system that does not take it still reads the right bytes.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Nothing more can be written to the target, whichever file it is.
pub(super) fn stops_everything(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) || is_device_error(error)
}

#[cfg(unix)]
fn is_device_error(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::IO, Errno::NODEV, Errno::NXIO].iter().any(|number| error.raw_os_error() == Some(number.raw_os_error()))
}

#[cfg(not(unix))]
fn is_device_error(_error: &io::Error) -> bool {
    false
}

/// The target does not take this name.
pub(super) fn refuses_name(error: &io::Error) -> bool {
    #[cfg(unix)]
    let illegal = error.raw_os_error() == Some(rustix::io::Errno::ILSEQ.raw_os_error());
    #[cfg(not(unix))]
    let illegal = false;
    illegal || matches!(error.kind(), io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput)
}

/// Whether `folder` can have this name, as far as its length goes.
pub(super) fn is_short_enough(folder: &Path, name: &str) -> bool {
    match std::fs::symlink_metadata(folder.join(name)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::InvalidFilename,
    }
}

/// Finds out what a folder does with names: by making files and removing them at once.
pub(super) fn rules(folder: &Path) -> Rules {
    if cfg!(windows) {
        return Rules { windows: true, folds_case: true };
    }
    let own = std::process::id();
    let probe = |name: String, found: &dyn Fn() -> bool| {
        let path = folder.join(name);
        let made = File::options().write(true).create_new(true).open(&path);
        let found = made.is_ok() && found();
        if made.is_ok() {
            // It is empty and its name says whose it is.
            let _ = std::fs::remove_file(&path);
        }
        (made, found)
    };
    let lower = folder.join(format!(".keyhaven-probe-{own}"));
    let (_, folds_case) = probe(format!(".KEYHAVEN-probe-{own}"), &|| std::fs::symlink_metadata(&lower).is_ok());
    let (colon, _) = probe(format!(".keyhaven-probe:{own}"), &|| true);
    Rules { windows: colon.is_err_and(|error| refuses_name(&error)), folds_case }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_taken_from_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&two, "2").unwrap();
        assert_eq!(rename_new(&one, &two).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        std::fs::remove_file(&two).unwrap();
        rename_new(&one, &two).unwrap();
        assert_eq!((one.exists(), std::fs::read(&two).unwrap()), (false, b"1".to_vec()));
        assert_eq!(create(&two).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_folder_takes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(rules(folder.path()), Rules::default());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of asking");
        assert!(is_short_enough(folder.path(), &"x".repeat(255)) && !is_short_enough(folder.path(), &"x".repeat(256)));
        assert!(free_bytes(folder.path()).is_some());
        std::os::unix::fs::symlink("target", folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("target"), "1").unwrap();
        assert!(reopen(&folder.path().join("link")).is_err() && open(&folder.path().join("link")).is_err());
        assert!(open(folder.path()).is_err());
    }
}
