//! Power cuts: a disk that remembers what was written and flushed, and a frame that cuts the power at every point of that
//! history and asks a test whether what is left is sound.
//!
//! ```text
//! record: work on a SimDisk, marking what was promised    -> a history of writes, flushes and marks
//! crash:  cut it anywhere, choose which sectors arrived   -> a disk as it may be after the power came back
//! check:  open it, compare with what was promised, go on  -> an error names the seed and the number of the state
//! ```

mod disk;
mod frame;
mod random;

pub use disk::{Crashed, Fault, SimDisk};
pub use frame::{Failure, Simulation};
pub use random::Random;
