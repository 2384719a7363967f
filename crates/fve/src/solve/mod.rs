//! Recovery passwords that are known in part: digits that cannot be read, that are doubtful, mistyped or swapped.
//!
//! [`DigitPattern`] is what somebody can read. [`Candidates`] are the recovery passwords that agree with it, the likeliest
//! first: every group of six digits is a multiple of eleven below 720896, which rules out ten of eleven. [`Search`] tries
//! them on a volume, on all cores, [`fve_crypto::stretch::lanes`] at a time each.
//!
//! What is not done here: talking to people, remembering how far a search came.

mod candidates;
mod pattern;
mod search;

pub use candidates::{Candidates, MAX_ERRORS, Tolerance};
pub use pattern::{DigitPattern, PatternError};
pub use search::{Search, SearchOutcome};
