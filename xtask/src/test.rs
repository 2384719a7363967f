//! `cargo xtask test`: set-up, then every test that needs no special hardware, then what was skipped and why.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, section, succeeds};
use crate::{portal, setup};

/// Runs all tests; `rest` goes to the test runner.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    section("set-up");
    let ready = setup::run()?;
    let nextest = succeeds(&mut cargo(&["nextest", "--version"]));
    let arguments: &[&str] = if nextest {
        &["nextest", "run", "--workspace", "--all-features", "--no-fail-fast", "--success-output", "never"]
    } else {
        &["test", "--workspace", "--all-features", "--no-fail-fast"]
    };
    let skipped = crate::root().join("target/skipped-tests.txt");
    std::fs::write(&skipped, "").with_context(|| format!("cannot write {}", skipped.display()))?;
    section("tests");
    let mut tests = cargo(arguments);
    tests.args(rest).env("KEYHAVEN_JUDGES", &ready.judges).env("KEYHAVEN_SKIPPED", &skipped);
    if let Some(corpus) = &ready.corpus {
        tests.env("KEYHAVEN_CORPUS_UNPACKED", corpus);
    }
    let mut passed = tests.status().context("cannot start cargo")?.success();
    if rest.is_empty() {
        section("journeys through the pages");
        if let Err(error) = portal::run_journeys(&[], Some(&skipped)) {
            eprintln!("{error:#}");
            passed = false;
        }
        section("sector ciphers on the portable back end");
        passed &= portable_ciphers().status().context("cannot start cargo")?.success();
    }
    section("summary");
    summary(&skipped)?;
    if !passed {
        bail!("some tests failed; they are named above");
    }
    println!("every other test passed");
    Ok(())
}

/// The tests of the ciphers without the processor's AES instructions, built apart so that nothing else is built anew.
fn portable_ciphers() -> Command {
    let mut tests = cargo(&["test", "--quiet", "-p", "fve-crypto", "--target-dir", "target/portable"]);
    tests.env("RUSTFLAGS", "--cfg aes_backend=\"soft\"");
    tests
}

/// Tells which tests did not run and why: a skipped test is never counted as passed.
fn summary(skipped: &Path) -> Result<()> {
    let text = std::fs::read_to_string(skipped).with_context(|| format!("cannot read {}", skipped.display()))?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    if lines.is_empty() {
        println!("nothing was skipped");
        return Ok(());
    }
    println!("{} skipped:", lines.len());
    for line in lines {
        println!("  {line}");
    }
    Ok(())
}
