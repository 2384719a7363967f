//! Encrypting and decrypting an image of 2 GiB in place, in memory, with the journal and its flushes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use super::measure::{installed, median_ms, output, succeed};
use super::report::Report;
use super::{Bench, example};

const IMAGE_BYTES: u64 = 2 << 30;
const RUNS: usize = 5;

pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.section("Conversion in place of 2 GiB, AES-XTS 128");
    let image = bench.folder.path().join("plain.img");
    // Every page is there, as on a drive: what is measured is not the making of a file.
    let mut file = std::fs::File::create(&image)?;
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0x5A), IMAGE_BYTES), &mut file)?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let text = output(Command::new(example("convert")).arg(&image))?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [encrypting, decrypting, memory] = numbers[..] else { bail!("unexpected output: {text}") };
        runs.push([encrypting, decrypting, memory]);
    }
    others(&image, report, bench)?;
    std::fs::remove_file(&image)?;
    let median = |index: usize| {
        let mut values: Vec<f64> = runs.iter().map(|run| run[index]).collect();
        values.sort_by(f64::total_cmp);
        values[RUNS / 2]
    };
    for (index, what) in ["encrypting", "decrypting"].into_iter().enumerate() {
        let ms = median(index);
        report.line(what, format!("{ms:.0} ms, {:.0} MB/s", speed(ms)), "500 MB/s");
    }
    report.line("peak memory of both", format!("{:.1} MiB", median(2) / 1024.0), "below 64 MiB");
    Ok(())
}

/// What the same bytes take otherwise: copied, and encrypted in place by another format's tool with its own journal.
fn others(image: &Path, report: &mut Report, bench: &Bench) -> Result<()> {
    let copy = bench.folder.path().join("copy.img");
    let copied = median_ms(RUNS, || {
        let _ = std::fs::remove_file(&copy);
        succeed(Command::new("cp").args([image, &copy]))
    })?;
    report.line("`cp` of the same file", format!("{copied:.0} ms, {:.0} MB/s", speed(copied)), "");
    let what = "`cryptsetup reencrypt --encrypt` (LUKS2, AES-XTS 128)";
    if !installed("cryptsetup") {
        report.line(what, "cryptsetup is not installed".to_owned(), "");
        return Ok(());
    }
    let (header, key) = (copy.with_extension("luks"), copy.with_extension("key"));
    std::fs::write(&key, "benchmark")?;
    let start = Instant::now();
    succeed(
        Command::new("cryptsetup")
            .args(["reencrypt", "--encrypt", "--type", "luks2", "--batch-mode", "--cipher", "aes-xts-plain64"])
            .args(["--key-size", "256", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"])
            .arg("--header")
            .arg(&header)
            .arg("--key-file")
            .arg(&key)
            .arg(&copy),
    )?;
    let theirs = start.elapsed().as_secs_f64() * 1000.0;
    for file in [&copy, &header, &key] {
        std::fs::remove_file(file)?;
    }
    report.line(what, format!("{theirs:.0} ms, {:.0} MB/s, one run", speed(theirs)), "");
    Ok(())
}

/// Of 2048 MiB in so many milliseconds, in MB/s.
fn speed(ms: f64) -> f64 {
    2048.0 * 1024.0 * 1024.0 / 1000.0 / ms
}
