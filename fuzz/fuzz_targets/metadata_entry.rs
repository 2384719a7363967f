//! One metadata entry of every kind.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::entries::one(data));
