//! A volume that is being converted in place.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::in_place::open(data));
