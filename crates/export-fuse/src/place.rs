//! The folder that is mounted on: checked before, taken down after.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

use rustix::mount::UnmountFlags;

use crate::{Error, Options};

const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";
const MOUNTS: &str = "/proc/self/mounts";
/// What the table of mounts calls our mounts.
pub(crate) const SOURCE: &str = "keyhaven";
/// Also where the search path of services and of root may not lead.
const HELPER_FOLDERS: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"];

/// Checks all that can be told before anything is mounted, so that no secret is asked for in vain.
///
/// # Errors
/// [`Error`] with what is missing.
pub fn check(folder: &Path, options: &Options) -> Result<(), Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    // What died there lets nobody in; anything else would be hidden.
    if let (Ok(path), Ok(mounts)) = (resolved(folder), fs::read_to_string(MOUNTS))
        && is_mounted(&mounts, path.as_os_str(), "")
    {
        return Err(Error::Mounted { path: folder.to_owned() });
    }
    if fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(Error::NotEmpty { path: folder.to_owned() });
    }
    match File::options().read(true).write(true).open(DEVICE) {
        Ok(_) => {}
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(Error::NoDevice),
        Err(source) => return Err(Error::Device { source }),
    }
    if is_root() {
        return Ok(());
    }
    if helper().is_none() {
        return Err(Error::NoHelper);
    }
    if options.allow_other && !others_allowed(&fs::read_to_string("/etc/fuse.conf").unwrap_or_default()) {
        return Err(Error::OthersNotAllowed);
    }
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn others_allowed(configuration: &str) -> bool {
    configuration.lines().any(|line| line.trim() == "user_allow_other")
}

fn helper() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(HELPER_FOLDERS.iter().map(Into::into));
    folders.map(|folder| folder.join(HELPER)).find(|program| program.is_file())
}

/// Unmounts `folder` and returns when the kernel has handed over everything that was written; refuses while programs use
/// it.
///
/// The process that serves the mount flushes the device and ends after that. This function asks for a flush of its own
/// before, so that what was written is safe when it returns, but for what others write at the same time.
///
/// # Errors
/// [`Error::Busy`], [`Error::NotMounted`], [`Error::NotUnmounted`].
pub fn unmount(folder: &Path) -> Result<(), Error> {
    let folder = &resolved(folder).map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
    let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
    if !is_mounted(&mounts, folder.as_os_str(), SOURCE) {
        return Err(Error::NotMounted { path: folder.clone() });
    }
    settle(folder);
    take_down(folder, false)
}

/// The folder as the table of mounts has it. A mount whose process died answers nothing, so that its own name is left as
/// it is.
fn resolved(folder: &Path) -> io::Result<std::path::PathBuf> {
    match (folder.canonicalize(), folder.parent(), folder.file_name()) {
        (Err(error), Some(parent), Some(name))
            if error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error()) =>
        {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(parent.canonicalize()?.join(name))
        }
        (result, ..) => result,
    }
}

/// Everything that the kernel holds back for this mount is written and durable. What fails here fails again at the end,
/// where it is told.
pub(crate) fn settle(folder: &Path) {
    if let Ok(directory) = File::open(folder) {
        let _ = rustix::fs::syncfs(&directory);
        let _ = directory.sync_all();
    }
}

/// Unmounts; with `detach`, also while it is in use: those who use it keep it until they close it.
pub(crate) fn take_down(folder: &Path, detach: bool) -> Result<(), Error> {
    // The folder was resolved; a link in its place now was put there by somebody else.
    let flags = UnmountFlags::NOFOLLOW | if detach { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(folder, flags) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::BUSY) => Err(Error::Busy { path: folder.to_owned() }),
        // Not ours any more: somebody else was faster.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Err(Error::NotMounted { path: folder.to_owned() }),
        Err(rustix::io::Errno::PERM) => take_down_by_helper(folder, detach),
        Err(error) => Err(Error::NotUnmounted { path: folder.to_owned(), source: error.into() }),
    }
}

fn take_down_by_helper(folder: &Path, detach: bool) -> Result<(), Error> {
    let helper = helper().ok_or(Error::NoHelper)?;
    let failed = |source| Error::NotUnmounted { path: folder.to_owned(), source };
    let mut command = Command::new(helper);
    command.env("LC_ALL", "C").arg("-u");
    if detach {
        command.arg("-z");
    }
    let output = command.arg("--").arg(folder).output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match said.to_ascii_lowercase() {
        lower if lower.contains("busy") => Err(Error::Busy { path: folder.to_owned() }),
        lower if lower.contains("not found in") => Err(Error::NotMounted { path: folder.to_owned() }),
        _ => Err(failed(io::Error::other(said))),
    }
}

/// Whether the mount that lies on `folder`, by the table in `/proc/self/mounts`, is one of FUSE and of this source; the empty
/// source is any.
fn is_mounted(mounts: &str, folder: &OsStr, source: &str) -> bool {
    let Some(folder) = folder.to_str() else { return !source.is_empty() };
    // The table writes these four as three octal digits.
    let written = folder.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012");
    let mut lines = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    // The last one lies on top.
    match lines.find(|columns| columns.get(1) == Some(&written.as_str())).as_deref() {
        Some([from, _, kind, ..]) => (source.is_empty() || *from == source) && kind.starts_with("fuse"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_mounts_is_understood() {
        let table = "proc /proc proc rw 0 0\nkeyhaven /mnt/my\\040drive fuse rw 0 0\n/dev/sda /data ext4 rw 0 0\n\
             host:/ /far fuse.sshfs rw 0 0\n";
        assert!(is_mounted(table, OsStr::new("/mnt/my drive"), SOURCE));
        assert!(!is_mounted(table, OsStr::new("/mnt/my"), SOURCE));
        assert!(!is_mounted(table, OsStr::new("/data"), ""));
        assert!(is_mounted(table, OsStr::new("/far"), "") && !is_mounted(table, OsStr::new("/far"), SOURCE));
        let covered = format!("{table}tmpfs /mnt/my\\040drive tmpfs rw 0 0\n");
        assert!(!is_mounted(&covered, OsStr::new("/mnt/my drive"), ""));
    }

    #[test]
    fn a_commented_out_permission_is_none() {
        assert!(others_allowed("# text\nuser_allow_other\n"));
        assert!(!others_allowed("#user_allow_other\nmount_max = 10\n"));
    }
}
