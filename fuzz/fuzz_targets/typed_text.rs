//! A recovery password or an identifier.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::structures::typed_text(data));
