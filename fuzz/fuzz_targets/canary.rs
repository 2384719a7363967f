//! The canary: `cargo xtask fuzz` fails when this one does not.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::canary(data));
