//! What keeps a mount from starting or from ending well.

use std::io;
use std::path::PathBuf;

/// A mount failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder to mount on cannot be used.
    #[error("{} cannot be mounted on", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something is in the folder already, and would be hidden.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Something is mounted there through FUSE, or was by a process that died.
    #[error("something is mounted on {} already", path.display())]
    Mounted {
        /// The folder.
        path: PathBuf,
    },
    /// The kernel offers no FUSE here.
    #[error("/dev/fuse does not exist")]
    NoDevice,
    /// This account may not use FUSE.
    #[error("/dev/fuse cannot be opened")]
    Device {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program that mounts for accounts without the right to do it is not installed.
    #[error("fusermount3 is not installed")]
    NoHelper,
    /// `allow_other` was asked for by an account that may not have it.
    #[error("other accounts may not be let in: user_allow_other is not set in /etc/fuse.conf")]
    OthersNotAllowed,
    /// The kernel or fusermount3 refused.
    #[error("{} was not mounted", path.display())]
    Refused {
        /// The folder.
        path: PathBuf,
        /// What they said.
        #[source]
        source: io::Error,
    },
    /// There is no root directory to show.
    #[error("the root directory cannot be read")]
    Root {
        /// Why.
        #[source]
        source: export::Error,
    },
    /// Programs still use what is mounted.
    #[error("{} is in use", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing is mounted there, or nothing of FUSE.
    #[error("no export is mounted on {}", path.display())]
    NotMounted {
        /// The folder.
        path: PathBuf,
    },
    /// Unmounting failed for another reason.
    #[error("{} was not unmounted", path.display())]
    NotUnmounted {
        /// The folder.
        path: PathBuf,
        /// What was said.
        #[source]
        source: io::Error,
    },
    /// The conversation with the kernel broke off.
    #[error("the connection with the kernel ended")]
    Session {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The last flush failed: what was written since the last completed `fsync` may be lost.
    #[error("what was written last may not be on the medium")]
    Flush {
        /// Why.
        #[source]
        source: block_io::Error,
    },
}
