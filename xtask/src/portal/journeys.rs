//! `cargo xtask journeys`: people's ways through the pages, in a real browser against the real program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Node;
use crate::run::{cargo, succeed};

/// Names of Chromium.
const BROWSERS: [&str; 2] = ["chromium", "chromium-browser"];

/// Builds what the journeys need and runs them; `rest` are parts of their names, all are run without. What is skipped is noted in
/// `skipped`.
pub(crate) fn run(rest: &[String], skipped: Option<&Path>) -> Result<()> {
    let (Some(node), Some(browser)) = (Node::find().ok(), browser()) else {
        return skip("Node.js or Chromium is not installed", skipped);
    };
    super::build(&node)?;
    // As people get it: with all features, passwords of the program would be stretched less than those of the pages, for tests.
    succeed(&mut cargo(&["build", "--package", "keyhaven", "--quiet"]))?;
    succeed(node.tool("tsc").args(["--noEmit", "--project", "tests"]))?;
    for config in ["tests/vite.config.ts", "tests/sample/vite.config.ts"] {
        succeed(node.tool("vite").args(["build", "--config", config, "--logLevel", "warn"]))?;
    }
    let mut journeys = node.node();
    for name in rest {
        journeys.arg(format!("--test-name-pattern={name}"));
    }
    // A journey that failed half-way leaves its service behind, which must not keep the others' result back.
    journeys.arg("--test-force-exit");
    journeys.args(["--test-reporter=spec", "--enable-source-maps", "node_modules/.journeys/run.js"]);
    let root = crate::root();
    journeys
        .env("KEYHAVEN_PROGRAM", root.join("target/debug/keyhaven"))
        .env("KEYHAVEN_SCREENS", root.join("target/screens"))
        .env("KEYHAVEN_BROWSER", browser);
    if let Some(skipped) = skipped {
        journeys.env("KEYHAVEN_SKIPPED", skipped);
    }
    if let Some(faketime) = faketime() {
        journeys.env("KEYHAVEN_FAKETIME", faketime);
    }
    if !journeys.status().context("cannot start node")?.success() {
        bail!("journeys failed; they are named above");
    }
    Ok(())
}

fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| BROWSERS.map(|name| folder.join(name)))
        .find(|program| program.exists())
}

/// The library that lets the service's clock be set, as its own program names it.
fn faketime() -> Option<String> {
    let output = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().ok()?;
    let library = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !library.is_empty()).then_some(library)
}

/// As a test says it (`testkit::skip`).
fn skip(reason: &str, skipped: Option<&Path>) -> Result<()> {
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        bail!("under CI nothing may be skipped: {reason}");
    }
    println!("skipped: {reason}");
    skipped.map_or(Ok(()), |file| note(file, reason))
}

fn note(file: &Path, reason: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().create(true).append(true).open(file)?;
    writeln!(file, "portal journeys: {reason}").context("cannot note what was skipped")
}
