//! Whole disks: images of every usual format as block storage, and the partitions in them.
//!
//! [`DiskImage::open`] recognises a format by its content, never by its name, and gives the disk inside as
//! [`block_io::BlockRead`]: raw images and block devices, VHD and VHDX (fixed and dynamic), qcow2, VMDK and E01. What
//! the image does not hold reads as zeros; what it should hold and does not (it was cut off) is an error, never zeros.
//! [`partitions()`] reads the partition table of any disk.
//!
//! Reads are positional and may go on side by side. Tables of blocks are looked up in the image, not loaded, so that
//! memory does not grow with the disk.
//!
//! No file is opened that an image names outside its own folder, and differencing disks, which need their parent, are
//! refused: an image may come from anybody.
//!
//! What is not done here: BitLocker, file systems, making images.

mod bytes;
mod error;
mod ewf;
mod format;
mod image;
mod inflated;
mod mapped;
mod partitions;
mod qcow2;
mod vhd;
mod vhdx;
mod vmdk;

pub use error::Error;
pub use format::ImageFormat;
pub use image::DiskImage;
pub use partitions::{Partition, PartitionTable, TableKind, TableProblem, partitions};
