//! Writes pages with a made-up key, to be looked at: `cargo run -p recovery-sheet --example sheet FOLDER`.

use std::error::Error;
use std::path::PathBuf;

use recovery_sheet::{Date, Paper, Sheet, render};
use secret::RecoveryPassword;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let password = RecoveryPassword::parse("235818-357951-253979-013365-241120-245575-342914-591910")?;
    for (name, paper, key_as_code) in [("a4", Paper::A4, false), ("letter-code", Paper::Letter, true)] {
        let sheet = Sheet {
            computer: "STUDY-PC",
            drive: "/dev/sdb1, USB stick, STUDY-PC BACKUP 2026-11-25",
            details: "64.0 GB, AES-XTS 128",
            identifier: "5F2B0A11-8C3D-4E6F-9A70-1B2C3D4E5F60",
            password: &password,
            date: Date { year: 2026, month: 11, day: 25 },
            paper,
            key_as_code,
        };
        std::fs::write(folder.join(format!("{name}.pdf")), &*render(&sheet)?)?;
    }
    Ok(())
}
