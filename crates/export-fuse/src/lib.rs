//! Mounting an export through FUSE, without root where the system allows it.
//!
//! - [`mount_disk`]: one file, [`VOLUME_FILE`], with the bytes of the plain volume, for programs that bring their own file
//!   system or work on raw disks. Written where that is allowed.
//! - [`mount_files`]: the files of the volume, read-only.
//!
//! Both give a [`Mount`], which serves on threads of its own until somebody unmounts the folder. An `fsync` of the volume
//! file is answered after the flush of the device has returned, and a mount ends with a flush: what a program was told
//! to be safe survives the end of this process, whatever ends it.
//!
//! Requests reach the device from several threads at once and up to 1 MiB long, and what the kernel has cached stays
//! cached between two openings of a file. Writes are passed through at once, not gathered by the kernel: each gets the
//! device's own answer, and nothing that a program wrote is lost with this process.
//!
//! Source: the kernel's `Documentation/filesystems/fuse.rst` and `include/uapi/linux/fuse.h`, by way of `fuser`.

#![cfg(target_os = "linux")]

mod attributes;
mod buffer;
mod disk;
mod error;
mod files;
mod inodes;
mod place;
mod session;

pub use disk::VOLUME_FILE;
pub use error::Error;
pub use place::{check, unmount};
pub use session::{Mount, Options, Stopper, Told, mount_disk, mount_files};
