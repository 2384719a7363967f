//! `cargo xtask bench [GROUP...]`: figures, not tests. Medians of several runs, other programs judged in the same run.
//!
//! Without a group everything is measured and `docs/benchmarks.md` is written anew; with groups the figures are printed
//! only.

mod conversion;
mod drives;
mod exports;
mod files;
mod keys;
mod machine;
mod measure;
mod report;
mod sectors;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

pub(crate) use measure::peak_memory;
use report::Report;

/// What a group needs: the program, built for release, and a folder for its volumes.
struct Bench {
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// Measures one subject and notes its figures.
type Group = fn(&Bench, &mut Report) -> Result<()>;

const GROUPS: &[(&str, Group)] = &[
    ("keys", keys::run),
    ("sectors", sectors::run),
    ("drives", drives::run),
    ("conversion", conversion::run),
    ("exports", exports::run),
    ("files", files::run),
];

/// Builds in release mode, makes volumes, prints the figures.
pub(crate) fn run(wanted: &[String]) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|name| GROUPS.iter().all(|(group, _)| group != name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        bail!("no group {unknown}; there are {}", known.join(", "));
    }
    build()?;
    let bench = Bench { program: release("keyhaven"), folder: folder()? };
    let mut report = Report::new();
    for (name, group) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            group(&bench, &mut report)?;
        }
    }
    if wanted.is_empty() {
        let page = crate::root().join("docs/benchmarks.md");
        std::fs::write(&page, report.page())?;
        println!("\nwritten to docs/benchmarks.md");
    }
    Ok(())
}

fn build() -> Result<()> {
    for arguments in [
        ["build", "--release", "-p", "keyhaven", "--bins"],
        ["build", "--release", "-p", "fve-crypto", "--examples"],
        ["build", "--release", "-p", "fve", "--examples"],
        ["build", "--release", "-p", "export-fuse", "--examples"],
    ] {
        let status = Command::new("cargo").current_dir(crate::root()).args(arguments).status()?;
        ensure!(status.success(), "the release build failed");
    }
    Ok(())
}

fn release(name: &str) -> PathBuf {
    crate::root().join("target/release").join(name)
}

fn example(name: &str) -> PathBuf {
    release("examples").join(name)
}

/// In memory where the system has a place for that: what is measured is the programs, not a disk.
fn folder() -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}
