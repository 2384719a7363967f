//! `cargo xtask test`: set-up, then every test that needs no special hardware.

use anyhow::Result;

use crate::run::{cargo, succeed, succeeds};
use crate::setup;

/// Runs all tests; `rest` goes to the test runner.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let ready = setup::run()?;
    let nextest = succeeds(&mut cargo(&["nextest", "--version"]));
    let arguments: &[&str] = if nextest {
        &["nextest", "run", "--workspace", "--all-features", "--no-fail-fast", "--success-output", "never"]
    } else {
        &["test", "--workspace", "--all-features", "--no-fail-fast"]
    };
    let mut tests = cargo(arguments);
    tests.args(rest).env("KEYHAVEN_JUDGES", &ready.judges);
    if let Some(corpus) = &ready.corpus {
        tests.env("KEYHAVEN_CORPUS_UNPACKED", corpus);
    }
    succeed(&mut tests)
}
