//! Files and directories of NTFS, FAT12/16/32 and exFAT volumes on any [`block_io::BlockRead`], and a writer of FAT32.
//!
//! # Contract
//! - Reading never writes, and any number of threads may read from one [`FileSystem`].
//! - Volumes may come from anywhere. On damaged or hostile ones every operation ends with an error or with
//!   [`Problem`]s, never with a panic, and what is read and kept is bounded by what a sound structure can need.
//! - What can be listed is listed: a damaged part is told as a problem beside the rest, and copies that the file system
//!   keeps of its own (boot sector, start of the file table, second allocation table) are used where they are needed.
//! - Names in listings are safe as single path components; others are told as problems. Paths are cut at `/` and `\`,
//!   a name is found as it is written or else without regard to case, and `..` is refused.
//! - NTFS: compressed and sparse files, files in many pieces and alternate streams (`path:stream`) are read. The file
//!   system's own files in the root and 8.3 aliases are not listed. Links are told with their target and never followed.
//!   Files encrypted by Windows (EFS), compressed as system files (CompactOS), deduplicated, or in the cloud alone are
//!   listed, and refused with the reason when they are opened.
//! - Deleted files are never listed.
//!
//! What is not done here: decryption, partition tables, writing NTFS or exFAT, extraction to the host's file system.

mod boot;
mod bytes;
mod cache;
mod chain;
mod content;
mod dos_time;
mod entry;
mod error;
mod exfat;
mod extents;
mod fat;
pub mod fat32;
mod fence;
#[doc(hidden)]
pub mod layout;
mod listings;
mod lznt1;
mod ntfs;
mod oem;
mod path;
mod pipe;
mod stream;
mod view;
mod walk;

pub use boot::{BLANK, FileSystemKind};
pub use entry::{Attributes, Entry, EntryKind, Listing, Problem, StreamEntry};
pub use error::Error;
pub use path::fold;
pub use view::{FileSystem, OpenFile};
pub use walk::Visited;
