//! Encrypts a plain image in place and decrypts it again; prints the time of each in milliseconds and the peak memory of the
//! process in KiB.
//!
//! `cargo run --release -p fve --example convert IMAGE`
//!
//! The places are taken as they come: what was there is lost. For images made for the purpose only.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime};

use block_io::{BlockRead, FileDisk};
use fve::convert::{BATCH_BYTES, Converter, DecryptOptions, Direction, EncryptOptions, Places, journal_bytes};
use fve::{CreateOptions, EncryptionMethod, Filetime, Placement, Volume};
use secret::RecoveryPassword;

fn main() -> Result<(), Box<dyn Error>> {
    let image = std::env::args_os().nth(1).map(PathBuf::from).ok_or("which image?")?;
    let disk = FileDisk::open_writable(&image)?;
    let placement = Placement::choose(disk.geometry().length_bytes, 4096, 0)?;
    let start = 0x40_0000;
    let journal = start..start + journal_bytes(BATCH_BYTES, 0, 0);
    let places = Places {
        metadata_offsets: placement.metadata_offsets,
        header_offset_bytes: placement.header_offset_bytes,
        journal: journal.clone(),
    };
    let recovery = RecoveryPassword::random();
    let volume = CreateOptions {
        method: EncryptionMethod::AesXts128,
        description: "MEASURED".to_owned(),
        now: Filetime::from_system_time_ms(SystemTime::now()),
        recovery_password: recovery.clone(),
        password: None,
        placement,
    };
    let converter = Converter::encrypt(disk, &EncryptOptions::new(volume, 512, &places, Vec::new()))?;
    let encrypting = milliseconds(converter, Direction::Encrypt)?;
    let options = DecryptOptions { journal, writes: Vec::new(), batch_bytes: BATCH_BYTES };
    let volume = Volume::open(FileDisk::open_writable(&image)?)?;
    let decrypting = milliseconds(Converter::decrypt(volume, &recovery, &options)?, Direction::Decrypt)?;
    println!("{encrypting:.0} {decrypting:.0} {}", peak_memory_kib());
    Ok(())
}

fn milliseconds(converter: Converter<FileDisk>, direction: Direction) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    converter.run(direction, &mut |_| {}, &AtomicBool::new(false))?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// 0 where the system does not tell.
fn peak_memory_kib() -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
