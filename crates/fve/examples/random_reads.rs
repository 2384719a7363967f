//! Processor time of reads of 4 KiB in random places: of the storage itself, then of the unlocked volume; prints two numbers
//! in microseconds a read.
//!
//! `cargo run --release -p fve --example random_reads IMAGE PASSWORD_FILE`

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::path::PathBuf;

use block_io::{BlockRead, FileDisk};
use fve::{Password, UnlockOptions, Volume};
use secret::SecretString;

const READ_BYTES: usize = 4096;
const READS: u64 = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(image), Some(password)) = (arguments.next(), arguments.next()) else {
        return Err("which image, which password file?".into());
    };
    let disk = FileDisk::open(&image)?;
    let password = Password(SecretString::from(std::fs::read_to_string(password)?.trim_end()));
    let (volume, _) = Volume::open(FileDisk::open(&image)?)?.unlock(&password, UnlockOptions::default())?;
    // By turns, so that both see the same machine; the first round warms up.
    let mut best = [f64::INFINITY; 2];
    for round in 0..6 {
        let times = [microseconds_a_read(&disk)?, microseconds_a_read(&volume)?];
        if round > 0 {
            for (best, time) in best.iter_mut().zip(times) {
                *best = best.min(time);
            }
        }
    }
    println!("{:.3} {:.3}", best[0], best[1]);
    Ok(())
}

fn microseconds_a_read(disk: &impl BlockRead) -> Result<f64, Box<dyn Error>> {
    let places = disk.geometry().length_bytes / READ_BYTES as u64;
    let mut buffer = vec![0; READ_BYTES];
    let mut place = 1_u64;
    let start = processor_time_ns()?;
    for _ in 0..READS {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        disk.read_exact_at((place >> 20) % places * READ_BYTES as u64, &mut buffer)?;
    }
    Ok((processor_time_ns()? - start) / READS as f64 / 1000.0)
}

/// Time this thread has run, in user and kernel mode, as Linux counts it.
fn processor_time_ns() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no figure")?.parse()?)
}
