//! Damaged volumes: finding what is left of them, opening it, reading around what the medium no longer gives, mending them
//! where they lie.
//!
//! ```text
//! search     metadata blocks by their signature, and where the volume they belong to starts
//! found      such a volume opened, with a volume header made anew
//! package    a volume whose metadata is lost, opened with a key package
//! boot       the first sector of a file system: the proof that a guess was right
//! map        which bytes were read and which could not be, in the form of GNU ddrescue
//! rescue     reading all that can be read
//! plan       metadata copies and the volume header written again
//! ```
//!
//! Nothing found by its signature is believed: a block counts when it is sealed under the VMK that a secret gives, and the
//! place of a volume when its first sector decrypts to that of a file system.

mod boot;
mod found;
mod map;
mod package;
mod plan;
mod rescue;
mod search;

pub use boot::FileSystemStart;
pub use found::FoundVolume;
pub use fve_format::BlockHeader;
pub use map::{MapError, RescueMap, Status};
pub use package::{Remains, WithoutMetadata, open_with_key_package};
pub use plan::{Part, PlannedWrite, RepairPlan};
pub use rescue::{Ended, Pass, RescueOptions, Sink, Watch, rescue};
pub use search::{MAX_FOUND, MAX_SIGNATURES, Search};
