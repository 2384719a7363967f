//! Whole programs on a volume of 2 GiB in memory: decrypting it, and reading here and there.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::keys::PASSWORD;
use super::measure::{installed, median_ms, output, peak_memory_kib, succeed};
use super::report::{Report, times_faster};
use super::{Bench, example};

const RUNS: usize = 5;
/// The others are slow.
const THEIR_RUNS: usize = 3;

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.section("Drives of 2 GiB, AES-XTS 128");
    let image = bench.create("drive", "2G", true)?;
    let target = bench.folder.path().join("plain.img");
    let decrypt = || {
        let mut command = Command::new(&bench.program);
        command.arg("decrypt").arg(&image).arg("--output").arg(&target);
        command.arg("--password-file").arg(bench.folder.path().join("password"));
        command
    };
    let ours = median_ms(RUNS, || {
        remove(&target)?;
        succeed(&mut decrypt())
    })?;
    let speed = 2.0 * 1024.0 * 1.048_576 / ours;
    report.line("`decrypt --output`", format!("{ours:.0} ms, {speed:.1} GB/s"), "");
    remove(&target)?;
    if installed("dislocker-file") {
        let theirs = dislocker(&image, &target)?;
        let seen = format!("{theirs:.0} ms; ours is {}", times_faster(ours, theirs));
        report.line("`dislocker-file`, the same", seen, "10 times");
    }
    if installed("bdemount") && Path::new("/dev/fuse").exists() {
        let theirs = bdemount(&image, bench.folder.path())?;
        let seen = format!("{theirs:.0} ms; ours is {}", times_faster(ours, theirs));
        report.line("reading all through `bdemount`", seen, "5 times");
    }
    remove(&target)?;
    let memory = peak_memory_kib(&mut decrypt())?;
    remove(&target)?;
    report.line("peak memory of `decrypt`", format!("{:.1} MiB", f64::from(memory) / 1024.0), "below 64 MiB");
    random_reads(&image, &bench.folder.path().join("password"), report)
}

fn dislocker(image: &Path, target: &Path) -> Result<f64> {
    let time = median_ms(THEIR_RUNS, || {
        remove(target)?;
        let option = format!("-u{PASSWORD}");
        succeed(Command::new("dislocker-file").arg("-V").arg(image).args([&option, "--"]).arg(target))
    })?;
    remove(target)?;
    Ok(time)
}

/// Its file, read whole and thrown away. The system's cache of that file is emptied by mounting anew.
fn bdemount(image: &Path, folder: &Path) -> Result<f64> {
    let mount = folder.join("bdemount");
    std::fs::create_dir_all(&mount)?;
    median_ms(THEIR_RUNS, || {
        succeed(Command::new("bdemount").args(["-p", PASSWORD]).arg(image).arg(&mount))?;
        let from = format!("if={}", mount.join("bde1").display());
        let read = succeed(Command::new("dd").args([&from, "of=/dev/null", "bs=1M"]));
        succeed(Command::new("fusermount").arg("-u").arg(&mount))?;
        read
    })
}

/// Processor time of reads of 4 KiB in random places, with and without decryption.
fn random_reads(image: &Path, password: &Path, report: &mut Report) -> Result<()> {
    let text = output(Command::new(example("random_reads")).arg(image).arg(password))?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(plain)), Some(Ok(ours))) = (numbers.next(), numbers.next()) else {
        bail!("unexpected output: {text}");
    };
    let seen = format!("{:.2} µs above the `pread` ({plain:.2} µs)", ours - plain);
    report.line("a random read of 4 KiB, processor time", seen, "below 3 µs above it");
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}
