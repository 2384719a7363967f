//! Encrypting and decrypting an image of 2 GiB in place, in memory, with the journal and its flushes.

use anyhow::{Result, bail};

use super::measure::output;
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
        let text = output(std::process::Command::new(example("convert")).arg(&image))?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [encrypting, decrypting, memory] = numbers[..] else { bail!("unexpected output: {text}") };
        runs.push([encrypting, decrypting, memory]);
    }
    std::fs::remove_file(&image)?;
    let median = |index: usize| {
        let mut values: Vec<f64> = runs.iter().map(|run| run[index]).collect();
        values.sort_by(f64::total_cmp);
        values[RUNS / 2]
    };
    // 2048 MiB, in milliseconds.
    let speed = |ms: f64| 2048.0 * 1024.0 * 1024.0 / 1000.0 / ms;
    for (index, what) in ["encrypting", "decrypting"].into_iter().enumerate() {
        let ms = median(index);
        report.line(what, format!("{ms:.0} ms, {:.0} MB/s", speed(ms)), "500 MB/s");
    }
    report.line("peak memory of both", format!("{:.1} MiB", median(2) / 1024.0), "below 64 MiB");
    Ok(())
}
