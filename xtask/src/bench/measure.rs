//! Timing other processes, and their peak memory.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Runs a command to its successful end.
pub(super) fn succeed(command: &mut Command) -> Result<()> {
    output(command).map(|_| ())
}

/// Runs a command to its successful end and gives what it printed.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Median time of `work` in milliseconds, after one run that is not counted.
pub(super) fn median_ms(runs: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[runs / 2])
}

/// Whether a program can be started.
pub(super) fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Peak resident memory of a program in KiB: the kernel's account of a child of a fresh process whose only child it is.
pub(super) fn peak_memory_kib(command: &mut Command) -> Result<u32> {
    let this = std::env::current_exe()?;
    let mut measured = Command::new(this);
    measured.arg("peak-memory").arg(command.get_program()).args(command.get_args());
    let text = output(&mut measured)?;
    text.trim().parse().with_context(|| format!("no figure: {text}"))
}

/// The inner side of [`peak_memory_kib`]: runs a program and prints its peak memory in KiB.
pub(crate) fn peak_memory(arguments: &[String]) -> Result<()> {
    let (program, arguments) = arguments.split_first().context("which program?")?;
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{program} failed ({status})");
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    println!("{}", usage.max_rss());
    Ok(())
}
