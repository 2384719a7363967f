//! A key protector, with secrets tried on it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::entries::key_protector(data));
