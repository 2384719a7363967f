//! The records of an encrypt-on-write conversion (Windows 8 and later): which chunks of the volume are encrypted.
//!
//! ```text
//! descriptor           two copies, named by the volume header        descriptor
//!   block map          one for each region of the volume             block_map
//!     bitmap records   two; the valid one with the higher sequence counts
//!     conversion log   sectors as they were before they were rewritten  conversion_log
//! ```
//!
//! Source: documented by dissect.fve and libbde; layouts and checksums observed in dissect.fve's `eow_partial`.

mod block_map;
mod conversion_log;
mod descriptor;

pub use block_map::{BitmapRecord, BlockMap};
pub use conversion_log::{ConversionLog, ConversionLogRecord};
pub use descriptor::{DESCRIPTOR_BYTES, Descriptor};
