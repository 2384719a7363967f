//! What the fuzz targets do with their input. A target is one line; the work and the invariants are here.
//!
//! Every function may be given any bytes. It returns, or it has found a bug: a panic, a broken invariant, too much time
//! or memory. The main invariant: what was parsed encodes to the bytes that were parsed.

#![forbid(unsafe_code)]

pub mod conversion;
pub mod entries;
pub mod exports;
pub mod in_place;
pub mod pack;
pub mod reserve;
pub mod structures;
pub mod volume;

/// The canary: a bug on purpose, four comparisons deep. Were it not found, the fuzzing would be blind.
///
/// # Panics
/// When the input starts with `FVE!`.
pub fn canary(data: &[u8]) {
    if data.first() == Some(&b'F') && data.get(1) == Some(&b'V') && data.get(2) == Some(&b'E') {
        assert_ne!(data.get(3), Some(&b'!'), "the canary sings");
    }
}
