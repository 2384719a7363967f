//! `cargo xtask bench`: figures, not tests. Whole processes, medians of several runs, judged against other programs in
//! the same run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

const RUNS: usize = 7;
const PASSWORD: &str = "benchmark";

/// Builds in release mode, makes volumes and prints the figures.
pub(crate) fn run() -> Result<()> {
    build()?;
    let program = crate::root().join("target/release/keyhaven");
    let folder = tempfile::tempdir()?;
    stretching()?;
    unlocking(&program, folder.path())?;
    opening(&program, folder.path())
}

fn build() -> Result<()> {
    for arguments in [["build", "-p", "keyhaven"], ["build", "-p", "fve-crypto"]] {
        let mut command = Command::new("cargo");
        command.current_dir(crate::root()).args(arguments).arg("--release");
        if arguments[2] == "fve-crypto" {
            command.args(["--example", "stretch_speed"]);
        }
        ensure!(command.status()?.success(), "the release build failed");
    }
    Ok(())
}

fn stretching() -> Result<()> {
    let output = Command::new(crate::root().join("target/release/examples/stretch_speed")).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(bare)), Some(Ok(ours))) = (numbers.next(), numbers.next()) else {
        bail!("unexpected output: {text}");
    };
    println!(
        "key stretching, 2^20 rounds   bare sha2 loop {bare:7.1} ms   ours {ours:7.1} ms   ratio {:.2}",
        ours / bare
    );
    Ok(())
}

/// Unlocking by recovery password as a whole process, against cryptsetup on the same image.
fn unlocking(program: &Path, folder: &Path) -> Result<()> {
    let image = create(program, folder, "unlock", "64M")?;
    let key = image.with_extension("txt");
    let digits = recovery_digits(&key)?;
    let ours = median_ms(|| {
        succeed(Command::new(program).arg("verify").arg(&image).arg("--recovery-password-file").arg(&key))
    })?;
    let digits_file = image.with_extension("digits");
    std::fs::write(&digits_file, digits)?;
    print!("unlock by recovery password   keyhaven verify {ours:7.1} ms");
    if !installed("cryptsetup") {
        println!("   (cryptsetup is not installed)");
        return Ok(());
    }
    let theirs = median_ms(|| {
        succeed(
            Command::new("cryptsetup")
                .args(["bitlkOpen", "--test-passphrase", "--key-file"])
                .arg(&digits_file)
                .arg(&image),
        )
    })?;
    println!("   cryptsetup {theirs:7.1} ms   {:.1} times faster", theirs / ours);
    Ok(())
}

/// `info` on a small and a huge volume: time and peak memory must not depend on the size.
fn opening(program: &Path, folder: &Path) -> Result<()> {
    for size in ["1G", "4T"] {
        let image = create(program, folder, &format!("open-{size}"), size)?;
        let time = median_ms(|| succeed(Command::new(program).arg("info").arg(&image)))?;
        let memory = peak_memory_kib(Command::new(program).arg("info").arg(&image))?;
        println!(
            "info on a volume of {size:>3}       {time:7.1} ms   peak memory {:.1} MiB",
            f64::from(memory) / 1024.0
        );
    }
    Ok(())
}

fn create(program: &Path, folder: &Path, name: &str, size: &str) -> Result<PathBuf> {
    let image = folder.join(format!("{name}.img"));
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD)?;
    succeed(
        Command::new(program)
            .arg("create")
            .arg(&image)
            .args(["--size", size, "--filesystem", "none", "--used-space-only", "--recovery-out"])
            .arg(image.with_extension("txt"))
            .arg("--password-file")
            .arg(&password),
    )?;
    Ok(image)
}

/// The 48 digits in a file of the form Windows writes.
fn recovery_digits(path: &Path) -> Result<String> {
    let password = testkit::recovery_password_in(&std::fs::read(path)?).context("no recovery key in the file")?;
    Ok(password.to_text().expose().to_owned())
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn median_ms(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Peak resident memory of a program, measured by GNU-independent means: the kernel's account of a child of a fresh
/// process whose only child it is.
fn peak_memory_kib(command: &mut Command) -> Result<u32> {
    let this = std::env::current_exe()?;
    let mut measured = Command::new(this);
    measured.arg("peak-memory").arg(command.get_program()).args(command.get_args());
    let output = measured.output()?;
    let text = String::from_utf8(output.stdout)?;
    text.trim().parse().with_context(|| format!("no figure: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// The inner side of [`peak_memory_kib`]: runs a program and prints its peak memory in KiB.
pub(crate) fn peak_memory(arguments: &[String]) -> Result<()> {
    let (program, arguments) = arguments.split_first().context("which program?")?;
    succeed(Command::new(program).args(arguments))?;
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    println!("{}", usage.max_rss());
    Ok(())
}
