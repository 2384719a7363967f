//! One record of a block map.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::conversion::bitmap_record(data));
