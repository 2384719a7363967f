//! The sector ciphers in memory, one core, against OpenSSL's own of the same method.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};

use super::Bench;
use super::example;
use super::measure::{installed, output};
use super::report::Report;

/// Lowest speed hoped for in GB/s, on a processor with VAES and AVX-512: decryption, encryption.
const AIMS: [(&str, f64, f64); 6] = [
    ("xts-128", 9.0, 9.0),
    ("xts-256", 7.0, 7.0),
    ("cbc-128", 8.0, 2.0),
    ("cbc-256", 8.0, 2.0),
    ("elephant-128", 2.0, 2.0),
    ("elephant-256", 2.0, 2.0),
];

pub(super) fn run(_: &Bench, report: &mut Report) -> Result<()> {
    report.section("Sectors, in memory, one core, requests of 64 KiB");
    let ours = ours()?;
    for (method, decrypt, encrypt) in AIMS {
        for sector_bytes in ["512", "4096"] {
            for (direction, aim) in [("decrypt", decrypt), ("encrypt", encrypt)] {
                let key = format!("{method} {sector_bytes} {direction}");
                let speed = ours.get(&key).with_context(|| format!("no figure for {key}"))?;
                let theirs = openssl(method, sector_bytes, direction)?.map_or_else(String::new, |theirs| {
                    format!("; openssl {theirs:.1} GB/s, {:.1} times", speed / theirs)
                });
                report.line(
                    format!("{method}, sectors of {sector_bytes}, {direction}"),
                    format!("{speed:.1} GB/s{theirs}"),
                    format!("{aim} GB/s with VAES; elsewhere not below openssl"),
                );
            }
        }
    }
    Ok(())
}

/// `method sector direction` to GB/s.
fn ours() -> Result<BTreeMap<String, f64>> {
    let text = output(&mut Command::new(example("sector_speed")))?;
    text.lines()
        .map(|line| {
            let (key, speed) = line.rsplit_once(' ').context("unexpected output")?;
            Ok((key.to_owned(), speed.parse()?))
        })
        .collect()
}

/// What `openssl speed` reaches in GB/s with the same method on pieces of a sector; `None` where it has no such method or is
/// not installed. It does not make a new vector for each sector, so it has less to do.
fn openssl(method: &str, sector_bytes: &str, direction: &str) -> Result<Option<f64>> {
    let name = match method {
        "xts-128" => "aes-128-xts",
        "xts-256" => "aes-256-xts",
        "cbc-128" => "aes-128-cbc",
        "cbc-256" => "aes-256-cbc",
        _ => return Ok(None),
    };
    if !installed("openssl") {
        return Ok(None);
    }
    let mut command = Command::new("openssl");
    command.args(["speed", "-seconds", "1", "-bytes", sector_bytes, "-evp", name]);
    if direction == "decrypt" {
        command.arg("-decrypt");
    }
    let text = output(&mut command)?;
    let last =
        text.lines().last().and_then(|line| line.split_whitespace().last()).context("openssl printed nothing")?;
    let thousands: f64 = last.trim_end_matches('k').parse().with_context(|| format!("unexpected figure {last}"))?;
    Ok(Some(thousands / 1e6))
}
