//! The key protectors of a whole volume, changed.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::volume::edit(data));
