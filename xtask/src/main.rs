//! The project's own commands, run as `cargo xtask COMMAND`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these commands talk to a developer's terminal")]

mod bench;
mod ci;
mod demo;
mod fuzz;
mod portal;
mod run;
mod setup;
mod simulate;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  demo     the main job from beginning to end, in plain words, on a drive it makes,
           or with --drive IMAGE --recovery-password-file FILE on a real one
  test     set-up, then every test that needs no special hardware
  ci       what CI runs after the tests: formatting, lints, docs, dependencies, import rules, fuzzing
  portal   the pages that people see, built into portal/dist, where the program takes them from
  journeys people's ways through the pages, in a browser; or those whose names have a word given
  fuzz     every fuzz target for ten seconds, or [--seconds N] [TARGET], and a canary that must be found
  setup    what the tests need: Debian packages, other implementations, the corpus
  simulate power cuts in everything that writes to a volume: [--seed N] [--states N]
  tidy     the import rules between crates and a few house rules
  bench    figures for docs/benchmarks.md, with other programs beside ours; or the groups
           named (keys, sectors, drives, conversion, exports, files, vault), printed only
";

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) =
        arguments.split_first().map_or(("help", [].as_slice()), |(first, rest)| (first.as_str(), rest));
    let outcome = match command {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "ci" => ci::run(),
        "setup" => setup::run().map(|_| ()),
        "portal" => portal::run(),
        "journeys" => portal::run_journeys(rest, None),
        "fuzz" => fuzz::run(rest),
        "simulate" => simulate::run(rest),
        "tidy" => tidy::run(),
        "bench" => bench::run(rest),
        "peak-memory" => bench::peak_memory(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprint!("xtask: no command {other}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
