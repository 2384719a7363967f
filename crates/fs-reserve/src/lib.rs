//! Free space inside NTFS, exFAT and FAT12/16/32 file systems, and the changes that keep it from being used.
//!
//! An encrypted volume keeps structures of its own inside the space that the file system sees. The file system must own
//! those clusters, so that no driver ever puts a file there and no checker frees them. Here they are found and marked as
//! bad clusters, which every driver leaves alone, and given back later.
//!
//! # Contract
//! - Nothing is written here: changes come as [`Write`]s of absolute bytes, to be applied in their order. Applied twice
//!   they give the same. Where only the first ones were applied, clusters may be lost to the file system, but none is in
//!   use twice.
//! - A change is computed for the file system as it is now; it must not be in use, and not change before the writes are
//!   applied.
//! - [`FileSystem::reserve`] and [`FileSystem::release`] refuse a file system that was not left clean
//!   ([`FileSystem::check_clean`]): what waits in a log or in a hibernated memory could undo the change.
//! - Volumes may come from anywhere: every operation ends, with bounded memory whatever the volume says.
//!
//! What is not done here: applying the writes, repairing file systems, moving files out of the way.

mod bitmap;
mod changes;
mod clusters;
mod error;
mod exfat;
mod fat;
mod file_system;
mod ntfs;
mod search;
mod wide_sectors;

pub use changes::Write;
pub use error::{Error, Unclean};
pub use file_system::{FileSystem, Want};
pub use fs_view::FileSystemKind;
pub use wide_sectors::exfat_with_sectors_of_4096;
