//! `cargo xtask fuzz`: every target of `fuzz/` for a few seconds over the committed corpus, and the canary.
//!
//! The targets are built once, with the address sanitizer; `RUSTC_BOOTSTRAP=1` lets a stable compiler do it. Everything
//! that is written goes to `target/fuzz`: what a run finds out is kept in `scratch` for the next, findings in `artifacts`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{cargo, command, succeed, succeeds};

/// Seconds for each target.
const SECONDS: u64 = 10;
/// Seconds in which the canary must have been found: a hundred times what it takes.
const CANARY_SECONDS: u64 = 60;
const CANARY: &str = "canary";
/// What the canary says.
const SONG: &str = "the canary sings";
/// Targets that run at a time.
const AT_A_TIME: usize = 2;
/// One input may take this long: a thousand times what most take.
const TIMEOUT_SECONDS: u64 = 10;
/// Memory of a target: that of the sanitizer and the fuzzer, and the 48 MiB that `fve` states.
const MEMORY_MIB: u64 = 256;
/// The largest single piece: as much as a part of the journal of a conversion in place may take.
const PIECE_MIB: u64 = 4;

const USAGE: &str = "cargo xtask fuzz [--seconds N] [TARGET], or cargo xtask fuzz --replay FILE TARGET";

/// What is to be done.
struct Request {
    seconds: u64,
    target: Option<String>,
    replay: Option<PathBuf>,
}

/// A finished run of one target.
struct Run {
    target: String,
    failed: bool,
    log: String,
}

/// Fuzzes and reports; an error where anything was found, or where the canary was not.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let request = parse(arguments)?;
    let targets = targets()?;
    if let Some(wanted) = &request.target {
        ensure!(targets.contains(wanted), "no target {wanted}; there are {}", targets.join(", "));
    }
    let Some(tool) = tool() else {
        let reason = "cargo-fuzz is not here and cannot be installed";
        ensure!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{reason}");
        println!("skipped: fuzzing ({reason})");
        return Ok(());
    };
    let programs = build(&tool)?;
    if let (Some(file), Some(target)) = (&request.replay, &request.target) {
        return succeed(limited(&programs, target).arg(file));
    }
    let chosen = |name: &&String| *name != CANARY && request.target.as_ref().is_none_or(|wanted| wanted == *name);
    let mut waiting: Vec<String> = targets.iter().filter(chosen).cloned().collect();
    waiting.reverse();
    let mut findings = 0;
    for run in run_all(&programs, waiting, request.seconds)? {
        findings += usize::from(run.failed);
    }
    if request.target.as_ref().is_none_or(|wanted| wanted == CANARY) {
        check_canary(&programs)?;
    }
    ensure!(findings == 0, "{findings} of the targets found something; the files and commands are named above");
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Request> {
    let mut request = Request { seconds: SECONDS, target: None, replay: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let value = words.next().context(USAGE)?;
                request.seconds = value.parse().with_context(|| format!("{value} is no number of seconds"))?;
            }
            "--replay" => request.replay = Some(words.next().context(USAGE)?.into()),
            name if !name.starts_with('-') && request.target.is_none() => request.target = Some(name.to_owned()),
            _ => bail!(USAGE),
        }
    }
    ensure!(request.replay.is_none() || request.target.is_some(), USAGE);
    // Zero would mean for ever.
    ensure!(request.seconds > 0, "at least one second");
    Ok(request)
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(crate::root().join("fuzz/fuzz_targets")).context("no fuzz targets")? {
        names.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// `cargo-fuzz`, installed into `target/tools` where it is missing.
fn tool() -> Option<String> {
    let tools = crate::root().join("target/tools");
    let ours = tools.join("bin/cargo-fuzz");
    if !ours.exists() {
        if succeeds(&mut command("cargo-fuzz", &["--version"])) {
            return Some("cargo-fuzz".to_owned());
        }
        println!("installing cargo-fuzz");
        let folder = tools.to_string_lossy().into_owned();
        if !succeeds(&mut cargo(&["install", "cargo-fuzz", "--locked", "--quiet", "--root", &folder])) {
            return None;
        }
    }
    Some(ours.to_string_lossy().into_owned())
}

/// Builds all targets; gives the folder where they lie.
fn build(tool: &str) -> Result<PathBuf> {
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    let mut lock = cargo(&["metadata", "--locked", "--format-version", "1"]);
    ensure!(
        succeeds(lock.args(manifest)),
        "fuzz/Cargo.lock does not fit the manifests: run `cargo metadata --manifest-path fuzz/Cargo.toml`, commit the file"
    );
    let mut format = cargo(&["fmt", "--check"]);
    succeed(format.args(manifest))?;
    let triple = host()?;
    let mut build = command(tool, &["fuzz", "build", "--fuzz-dir", "fuzz", "--target-dir", "target/fuzz"]);
    build.args(["--target", &triple]).env("RUSTC_BOOTSTRAP", "1");
    succeed(&mut build)?;
    Ok(crate::root().join("target/fuzz").join(triple).join("release"))
}

/// The triple of this machine.
fn host() -> Result<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = command(&rustc, &["--version", "--verbose"]).output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.context("rustc does not tell its host")?.to_owned())
}

/// A target with the limits that every input must keep.
fn limited(programs: &Path, target: &str) -> Command {
    let mut program = command(&programs.join(target).to_string_lossy(), &[]);
    program.args([
        format!("-timeout={TIMEOUT_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        format!("-malloc_limit_mb={PIECE_MIB}"),
        "-detect_leaks=0".to_owned(),
    ]);
    // What was freed is watched for wrong use, but not kept by the hundreds of megabytes.
    program.env("ASAN_OPTIONS", "detect_leaks=0:quarantine_size_mb=16").env("RUST_BACKTRACE", "1");
    program
}

/// Runs the targets, some at a time, and tells of each as it ends.
fn run_all(programs: &Path, waiting: Vec<String>, seconds: u64) -> Result<Vec<Run>> {
    let waiting = Mutex::new(waiting);
    let take = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    while let Some(target) = take() {
                        let run = run_one(programs, &target, seconds)?;
                        report(&run)?;
                        done.push(run);
                    }
                    Ok(done)
                })
            })
            .collect();
        let mut runs = Vec::new();
        for worker in workers {
            let done: Result<Vec<Run>> = worker.join().unwrap_or_else(|_| bail!("a worker failed"));
            runs.extend(done?);
        }
        Ok(runs)
    })
}

fn run_one(programs: &Path, target: &str, seconds: u64) -> Result<Run> {
    let folder = |name: &str| crate::root().join("target/fuzz").join(name).join(target);
    let (scratch, artifacts, log) = (folder("scratch"), folder("artifacts"), folder("logs").with_extension("log"));
    if target == CANARY {
        // It has to be found anew each time.
        let _ = fs::remove_dir_all(&scratch);
    }
    for folder in [&scratch, &artifacts, &log.with_file_name("")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let output = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = limited(programs, target)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&scratch)
        .arg(Path::new("fuzz/corpus").join(target))
        .stdout(Stdio::from(output.try_clone()?))
        .stderr(Stdio::from(output))
        .status()
        .with_context(|| format!("cannot start {target}"))?;
    let log = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    Ok(Run { target: target.to_owned(), failed: !status.success(), log })
}

impl Run {
    /// A figure that libFuzzer gives at its end.
    fn figure(&self, name: &str) -> Option<u64> {
        let line = self.log.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
        line?.trim_start_matches(':').trim().parse().ok()
    }

    /// The file with the input that was found.
    fn artifact(&self) -> Option<&str> {
        self.log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.trim())
    }
}

/// One line for a quiet run; for a finding its message and the command that replays it.
fn report(run: &Run) -> Result<()> {
    if !run.failed {
        let runs = run.figure("number_of_executed_units").filter(|runs| *runs > 0);
        let runs = runs.with_context(|| format!("{} did not run; see target/fuzz/logs", run.target))?;
        println!("{:<22} {runs:>9} runs, {} MiB", run.target, run.figure("peak_rss_mb").unwrap_or(0));
        return Ok(());
    }
    let message = run.log.lines().filter(|line| line.contains("panicked at") || line.contains("ERROR: "));
    println!("{}: found something", run.target);
    for line in message.take(3) {
        println!("    {line}");
    }
    let file = run.artifact().unwrap_or("FILE");
    println!("    replay: cargo xtask fuzz --replay {file} {}", run.target);
    Ok(())
}

/// The canary has a bug on purpose. Where it is not found, nothing else would be.
fn check_canary(programs: &Path) -> Result<()> {
    let run = run_one(programs, CANARY, CANARY_SECONDS)?;
    ensure!(run.failed && run.log.contains(SONG), "the canary was not found: the fuzzing is blind (target/fuzz/logs)");
    ensure!(run.artifact().is_some(), "the canary was found, and its input not written down");
    println!("{CANARY:<22} found, as it must be");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn requests_are_read() {
        let request = parsed(&["--seconds", "60", "open_volume"]).unwrap();
        assert_eq!((request.seconds, request.target.as_deref()), (60, Some("open_volume")));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["--replay", "file"], &["--unknown"], &["one", "two"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    /// What a run says is found in what libFuzzer writes.
    #[test]
    fn logs_are_understood() {
        let log = "stat::number_of_executed_units: 1234\nstat::peak_rss_mb:              77\n";
        let run = Run { target: "one".to_owned(), failed: false, log: log.to_owned() };
        assert_eq!((run.figure("number_of_executed_units"), run.figure("peak_rss_mb")), (Some(1234), Some(77)));
        let log = "artifact_prefix='a/'; Test unit written to a/crash-1\nBase64: RlZFIQ==\n";
        let run = Run { target: "one".to_owned(), failed: true, log: log.to_owned() };
        assert_eq!(run.artifact(), Some("a/crash-1"));
    }

    /// Every target has seeds, and every folder of seeds a target.
    #[test]
    fn every_target_has_a_corpus() {
        let mut folders: Vec<String> = fs::read_dir(crate::root().join("fuzz/corpus"))
            .unwrap()
            .map(|folder| folder.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        folders.sort();
        assert_eq!(folders, targets().unwrap());
    }
}
