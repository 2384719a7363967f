//! The validation record behind a metadata block.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::structures::validation(data));
