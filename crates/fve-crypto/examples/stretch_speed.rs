//! Times key stretching against the bare loop over the `sha2` crate; prints three numbers in milliseconds: the bare loop, one
//! stretching, and one of many side by side.
//!
//! `cargo run --release -p fve-crypto --example stretch_speed`

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use secret::RecoveryPassword;
use sha2::Digest;

/// The loop as the format describes it, with the hasher and nothing else.
fn bare_loop(initial: &[u8; 32], salt: &[u8; 16]) -> [u8; 32] {
    let mut state = [0_u8; 88];
    state[32..64].copy_from_slice(initial);
    state[64..80].copy_from_slice(salt);
    for count in 0..fve_crypto::stretch::ROUNDS {
        state[80..].copy_from_slice(&count.to_le_bytes());
        let last: [u8; 32] = sha2::Sha256::digest(state).into();
        state[..32].copy_from_slice(&last);
    }
    let mut key = [0; 32];
    key.copy_from_slice(&state[..32]);
    key
}

fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let password = RecoveryPassword::from_key(&[7; 16]);
    let salt = [9; 16];
    let bare = median_ms(|| {
        black_box(bare_loop(&fve_crypto::sha256(password.key()), black_box(&salt)));
    });
    let ours = median_ms(|| {
        black_box(fve_crypto::stretch::recovery_password(&password, black_box(&salt)));
    });
    let lanes = fve_crypto::stretch::lanes();
    let passwords = vec![password; lanes];
    let many = median_ms(|| {
        black_box(fve_crypto::stretch::recovery_passwords(&passwords, black_box(&salt)));
    });
    println!("{bare:.2} {ours:.2} {:.2}", many / u32::try_from(lanes).map_or(1.0, f64::from));
}
