//! Every structure of a conversion in place.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::in_place::structures(data));
