//! From a key to an open volume: stretching, unlocking, opening.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::measure::{installed, median_ms, output, peak_memory_kib, succeed};
use super::report::{Report, times_faster};
use super::{Bench, example};

const RUNS: usize = 7;
pub(super) const PASSWORD: &str = "benchmark";

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.section("Keys");
    stretching(report)?;
    unlocking(bench, report)?;
    opening(bench, report)
}

fn stretching(report: &mut Report) -> Result<()> {
    let text = output(&mut Command::new(example("stretch_speed")))?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(bare)), Some(Ok(ours)), Some(Ok(many))) = (numbers.next(), numbers.next(), numbers.next()) else {
        bail!("unexpected output: {text}");
    };
    report.line(
        "key stretching, 2^20 rounds of SHA-256",
        format!("{ours:.0} ms, {:.2} times the bare `sha2` loop ({bare:.0} ms)", ours / bare),
        "at most 1.3 times",
    );
    // All 65,536 candidates of a group that cannot be read at all, on two cores.
    let minutes = 65_536.0 * many / 2.0 / 60_000.0;
    report.line(
        "`solve`: recovery keys tried by one core, side by side",
        format!(
            "{:.0} a second, {:.2} times the bare loop; one unknown group at most {minutes:.0} minutes",
            1000.0 / many,
            bare / many
        ),
        "1.5 times, 120 minutes",
    );
    Ok(())
}

/// Unlocking by recovery password as a whole process, against cryptsetup on the same image.
fn unlocking(bench: &Bench, report: &mut Report) -> Result<()> {
    let what = "`verify` with a recovery password";
    let image = bench.create("unlock", "64M", false)?;
    let key = image.with_extension("txt");
    let digits = recovery_digits(&key)?;
    let ours = median_ms(RUNS, || {
        succeed(Command::new(&bench.program).arg("verify").arg(&image).arg("--recovery-password-file").arg(&key))
    })?;
    if !installed("cryptsetup") {
        report.line(what, format!("{ours:.0} ms (cryptsetup is not installed)"), "3 times faster than cryptsetup");
        return Ok(());
    }
    let digits_file = image.with_extension("digits");
    std::fs::write(&digits_file, digits)?;
    let theirs = median_ms(RUNS, || {
        succeed(
            Command::new("cryptsetup")
                .args(["bitlkOpen", "--test-passphrase", "--key-file"])
                .arg(&digits_file)
                .arg(&image),
        )
    })?;
    let seen = format!("{ours:.0} ms; cryptsetup {theirs:.0} ms; {}", times_faster(ours, theirs));
    report.line(what, seen, "3 times faster");
    Ok(())
}

/// `info` on a small and a huge volume: time and peak memory must not depend on the size.
fn opening(bench: &Bench, report: &mut Report) -> Result<()> {
    for size in ["1G", "4T"] {
        let image = bench.create(&format!("open-{size}"), size, false)?;
        let time = median_ms(RUNS, || succeed(Command::new(&bench.program).arg("info").arg(&image)))?;
        let memory = peak_memory_kib(Command::new(&bench.program).arg("info").arg(&image))?;
        report.line(
            format!("`info` on a volume of {size}"),
            format!("{time:.1} ms, {:.1} MiB of memory", f64::from(memory) / 1024.0),
            "the same for every size, below 32 MiB",
        );
    }
    Ok(())
}

impl Bench {
    /// A new volume with [`PASSWORD`] and, beside it, a file with its recovery key; `full` of encrypted zeros, or sparse.
    pub(super) fn create(&self, name: &str, size: &str, full: bool) -> Result<PathBuf> {
        let image = self.folder.path().join(format!("{name}.img"));
        let password = self.folder.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        let mut command = Command::new(&self.program);
        command.arg("create").arg(&image).args(["--size", size, "--filesystem", "none", "--recovery-out"]);
        command.arg(image.with_extension("txt")).arg("--password-file").arg(&password);
        if !full {
            command.arg("--used-space-only");
        }
        succeed(&mut command)?;
        Ok(image)
    }
}

/// The 48 digits in a file of the form Windows writes.
fn recovery_digits(path: &std::path::Path) -> Result<String> {
    let password = testkit::recovery_password_in(&std::fs::read(path)?).context("no recovery key in the file")?;
    Ok(password.to_text().expose().to_owned())
}
