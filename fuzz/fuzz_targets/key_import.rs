//! An export of recovery keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::exports::key_import(data));
