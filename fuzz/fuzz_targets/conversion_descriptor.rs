//! The descriptor of an encrypt-on-write conversion.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::conversion::descriptor(data));
