//! What tests share: where the corpus of Windows volumes is, which other implementations are installed, and how a test
//! says that it was skipped; small volumes with fixed keys and ways to damage them; disks that lose their power; a
//! throwaway PostgreSQL server. A dev-dependency only.
//!
//! A test that needs something absent prints `skipped: REASON` and returns; under `CI=true` it fails instead, so that a
//! skipped check is never told as passed.

mod authenticator;
pub mod judges;
pub mod leaks;
#[cfg(unix)]
pub mod postgres;
mod program;
pub mod simulation;
pub mod volumes;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use authenticator::Authenticator;
pub use program::{clean_command, recovery_password_in};

/// Says that the calling test was skipped. Under `CI=true` it fails.
///
/// `cargo xtask test` names a file in `KEYHAVEN_SKIPPED` and tells at its end what was written there: test runners hide
/// the output of tests that did not fail.
///
/// # Panics
/// Under `CI=true`: there everything must be present.
#[allow(clippy::print_stderr, reason = "the test runner shows it")]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "under CI nothing may be skipped: {reason}");
    eprintln!("skipped: {reason}");
    if let Some(path) = std::env::var_os("KEYHAVEN_SKIPPED") {
        // One write of one line: tests of several processes append to this file at the same time.
        let line = format!("{}: {reason}\n", calling_test());
        let written =
            File::options().create(true).append(true).open(&path).and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "cannot note the skipped test in {}: {written:?}", path.display());
    }
}

/// The crate and the name of the test: the test harness names threads after the tests they run.
fn calling_test() -> String {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let runner = std::env::var("NEXTEST_TEST_NAME").ok();
    let name = runner.or_else(|| std::thread::current().name().map(str::to_owned)).unwrap_or_default();
    format!("{package} {name}").trim().to_owned()
}

/// The folder with the unpacked volumes made by Windows; `None`, after saying so, where there is none.
///
/// `cargo xtask setup` unpacks them and names the folder in `KEYHAVEN_CORPUS_UNPACKED`; without the variable it is
/// looked for in `target/corpus`.
#[must_use]
pub fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("KEYHAVEN_CORPUS_UNPACKED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/corpus"), PathBuf::from);
    if folder.join("images.conf").exists() {
        return Some(folder);
    }
    skip("no corpus");
    None
}

/// Whether all these programs can be started; says which is missing otherwise.
#[must_use]
pub fn programs(names: &[&str]) -> bool {
    for name in names {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
        let found = found.is_ok_and(|output| output.status.success())
            || ["/sbin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(name).exists());
        if !found {
            skip(&format!("no {name}"));
            return false;
        }
    }
    true
}

/// Whether something is there that another command makes; says so otherwise.
#[must_use]
pub fn there(path: &Path, made_by: &str) -> bool {
    let found = path.exists();
    if !found {
        skip(&format!("no {}: {made_by}", path.display()));
    }
    found
}

/// The Python that `cargo xtask setup` equipped with other implementations (in `target/judges`), when it has `module`;
/// says so otherwise.
#[must_use]
pub fn judges_python(module: &str) -> Option<String> {
    let folder = std::env::var_os("KEYHAVEN_JUDGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judges"), PathBuf::from);
    let python = folder.join("bin/python").to_str()?.to_owned();
    let found = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skip(&format!("no {module} in target/judges"));
    None
}
