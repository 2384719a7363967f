//! Times the sector ciphers in memory on one core, in requests of 64 KiB; prints one line per method and direction.
//!
//! `cargo run --release -p fve-crypto --example sector_speed`
//! A line is: method, sector size in bytes, `decrypt` or `encrypt`, median speed in GB/s (10^9 bytes).

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use fve_crypto::{SectorCipher, SectorMethod};

const REQUEST_BYTES: usize = 64 * 1024;
/// Requests in one timed run: 4 MiB.
const REQUESTS: usize = 64;
const RUNS: usize = 101;

const METHODS: [(&str, SectorMethod); 6] = [
    ("xts-128", SectorMethod::Xts128),
    ("xts-256", SectorMethod::Xts256),
    ("cbc-128", SectorMethod::Cbc128),
    ("cbc-256", SectorMethod::Cbc256),
    ("elephant-128", SectorMethod::Cbc128Diffuser),
    ("elephant-256", SectorMethod::Cbc256Diffuser),
];

/// Median speed of `work` over a request, in GB/s.
fn gigabytes_per_second(mut work: impl FnMut(u64)) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            for request in 0..REQUESTS {
                work((request * REQUEST_BYTES) as u64);
            }
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (REQUESTS * REQUEST_BYTES) as f64 / times[RUNS / 2] / 1e9
}

fn main() -> Result<(), fve_crypto::CipherError> {
    let only = std::env::args().nth(1);
    let mut data = vec![0x5A; REQUEST_BYTES];
    for (name, method) in METHODS {
        if only.as_deref().is_some_and(|only| !name.starts_with(only)) {
            continue;
        }
        let key: Vec<u8> = (1..=64).take(method.key_bytes()).collect();
        for sector_bytes in [512, 4096] {
            let cipher = SectorCipher::new(method, &key, sector_bytes)?;
            let decrypt = gigabytes_per_second(|at| cipher.decrypt(at, black_box(&mut data)));
            let encrypt = gigabytes_per_second(|at| cipher.encrypt(at, black_box(&mut data)));
            println!("{name} {sector_bytes} decrypt {decrypt:.2}");
            println!("{name} {sector_bytes} encrypt {encrypt:.2}");
        }
    }
    Ok(())
}
