//! Free space inside exFAT.

#![no_main]

use keyhaven_fuzz::reserve::{Kind, reserve};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    reserve(data, Kind::ExFat);
});
