//! Making FAT32 volumes, around places that must never be written.
//!
//! An encrypted volume keeps its own metadata inside the space that the file system sees. [`format()`] tells the file
//! system that those clusters are bad, so that no driver ever touches them.

mod format;
mod plan;
mod write;

pub use format::{Format, format, format_with};
pub use plan::{Plan, plan, plan_with_sectors};
pub use write::{create_dir, write_file};
