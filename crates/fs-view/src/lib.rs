//! Files and directories of NTFS and FAT12/16/32 volumes on any [`block_io::BlockRead`], and a writer of FAT32.
//!
//! # Contract
//! - Reading never writes: the streams given to the libraries refuse it.
//! - Volumes may come from anywhere. On damaged or hostile ones every operation ends with an error or with
//!   [`Problem`]s, never with a panic, and the amount read is bounded by what a sound structure can need.
//! - Names in listings are safe as single path components; others are told as problems. Paths are cut at `/` and `\`,
//!   compared without regard to case, and `..` is refused.
//! - NTFS: the file system's own files in the root and 8.3 aliases are not listed; reparse points are
//!   [`EntryKind::Other`]; compressed and encrypted files are listed but not read.
//!
//! What is not done here: decryption, partition tables, writing NTFS, extraction to the host's file system.

mod boot;
mod dos_time;
mod entry;
mod error;
pub mod fat32;
mod fat_view;
mod fence;
mod ntfs_view;
mod oem;
mod path;
mod stream;
mod view;

pub use boot::FileSystemKind;
pub use entry::{Entry, EntryKind, Listing, Problem};
pub use error::Error;
pub use view::{FileSystem, Visited};
