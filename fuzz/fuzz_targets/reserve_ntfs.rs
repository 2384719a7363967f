//! Free space inside NTFS.

#![no_main]

use keyhaven_fuzz::reserve::{Kind, reserve};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    reserve(data, Kind::Ntfs);
});
