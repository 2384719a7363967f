//! What a mount or a network export shows, whatever carries it.
//!
//! Two views:
//! - [`Tree`]: the files of a volume, read-only. Whoever has files (a file-system reader, a test) implements it; whoever
//!   shows files (FUSE, WebDAV) takes it. [`MemoryTree`] is one for tests and examples.
//! - [`Disk`]: the plain volume as one run of bytes, written where that is allowed. It says what a write is, when data
//!   is durable, and in which order an export ends.
//!
//! What is not done here: BitLocker, file systems, protocols. An unlocked volume is just another block device.

mod disk;
mod entry;
mod error;
mod memory;
mod names;
mod tree;

pub use disk::{Access, Disk, Fault};
pub use entry::{Entry, EntryKind, Times};
pub use error::Error;
pub use memory::MemoryTree;
pub use names::{child, escape, is_plain, unescape};
pub use tree::{OpenFile, Space, Tree};
