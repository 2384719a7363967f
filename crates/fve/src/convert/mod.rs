//! Conversion in place: a plain volume becomes a BitLocker volume where it lies, and back. It can be paused, go on after a
//! power cut and turn round at any point.
//!
//! ```text
//! start     checks, journal and metadata into free places, then the conversion header into sector 0
//! engine    batches: log what a batch was like, convert it, one flush for each
//! finish    the last steps of either direction
//! journal   what is written down, and how it is read back
//! space     what is converted, in which order
//! mixed     batches that a power cut left half converted
//! state     what can be known without a key; the map by which a volume is read meanwhile
//! ```
//!
//! Each step is in doubt between two states at most, and the journal tells them apart: `docs/format/in-place-conversion.md`.
//! While a conversion is under way the volume looks neither like a file system nor like a finished BitLocker volume, and
//! [`crate::Volume`] opens, unlocks and reads it.
//!
//! What is not done here: finding free places in the file system inside, and the writes that make it give them up. They are
//! the caller's: [`Places`] and [`FsWrite`].

mod engine;
mod finish;
mod journal;
mod mixed;
mod space;
mod start;
mod state;

use std::ops::Range;

pub use fve_format::in_place::{Direction, FsWrite};

pub use engine::{Converter, Outcome};
pub(crate) use mixed::settle_sector;
pub use start::{DecryptOptions, EncryptOptions, journal_bytes};
pub(crate) use state::{InPlace, InPlaceMap, SIGNATURE, Stored};

/// Bytes converted in one go, where the journal has room for it.
pub const BATCH_BYTES: u32 = 16 << 20;

/// How far a conversion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversionProgress {
    /// Where it leads, or led when it stopped.
    pub direction: Direction,
    /// What is being done.
    pub step: Step,
    /// Bytes that are encrypted. What was being converted when the power failed counts as encrypted.
    pub encrypted_bytes: u64,
    /// Bytes to convert in all: the volume without its first and last sectors and without BitLocker's own places.
    pub total_bytes: u64,
}

impl ConversionProgress {
    /// Bytes that are done in the direction.
    #[must_use]
    pub fn done_bytes(&self) -> u64 {
        match self.direction {
            Direction::Encrypt => self.encrypted_bytes,
            Direction::Decrypt => self.total_bytes - self.encrypted_bytes,
        }
    }
}

/// The steps of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Encryption begins: places are reserved in the file system.
    Preparing,
    /// Batches are converted.
    Converting,
    /// All is encrypted; the volume gets its header.
    Finishing,
    /// All is plain; the file system gets its first sectors back. No key is needed, and there is no way back.
    Restoring,
}

/// Where a conversion puts its structures: free space of the file system inside, in bytes from the start of the volume. All
/// of it is overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The three metadata blocks, 64 KiB each.
    pub metadata_offsets: [u64; 3],
    /// 72 KiB: the first sectors of the file system, and behind them a region that Windows reserves.
    pub header_offset_bytes: u64,
    /// The journal, gone when the conversion is over. [`journal_bytes`] tells how long it should be.
    pub journal: Range<u64>,
}
