//! A record of a conversion log.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyhaven_fuzz::conversion::log_record(data));
