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
mod vault;

use std::collections::BTreeSet;
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

/// Name of a group, what it does, and whose examples it runs.
const GROUPS: &[(&str, Group, &[&str])] = &[
    ("keys", keys::run, &["fve-crypto"]),
    ("sectors", sectors::run, &["fve-crypto"]),
    ("drives", drives::run, &["fve"]),
    ("conversion", conversion::run, &["fve"]),
    ("exports", exports::run, &["export-fuse"]),
    ("files", files::run, &[]),
    ("vault", vault::run, &["vault-client"]),
];

/// Builds in release mode, makes volumes, prints the figures.
pub(crate) fn run(wanted: &[String]) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|name| GROUPS.iter().all(|(group, ..)| group != name)) {
        let known: Vec<&str> = GROUPS.iter().map(|(group, ..)| *group).collect();
        bail!("no group {unknown}; there are {}", known.join(", "));
    }
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let groups: Vec<_> = GROUPS.iter().filter(|(name, ..)| chosen(name)).collect();
    let examples: BTreeSet<&str> = groups.iter().flat_map(|(.., examples)| *examples).copied().collect();
    build(&["-p", "keyhaven", "--bins"])?;
    for package in examples {
        // The client's password stretching is not what is measured.
        let features: &[&str] = if package == "vault-client" { &["--features", "danger-fast-kdf"] } else { &[] };
        build(&[&["-p", package, "--examples"], features].concat())?;
    }
    let bench = Bench { program: release("keyhaven"), folder: folder()? };
    let mut report = Report::new();
    for (_, group, _) in groups {
        group(&bench, &mut report)?;
    }
    if wanted.is_empty() {
        let page = crate::root().join("docs/benchmarks.md");
        std::fs::write(&page, report.page())?;
        println!("\nwritten to docs/benchmarks.md");
    }
    Ok(())
}

fn build(arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    let status = cargo.current_dir(crate::root()).args(["build", "--release"]).args(arguments).status()?;
    ensure!(status.success(), "the release build failed");
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
