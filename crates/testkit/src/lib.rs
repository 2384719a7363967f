//! What tests share: where the corpus of Windows volumes is, which other implementations are installed, and how a test
//! says that it was skipped. A dev-dependency only.
//!
//! A test that needs something absent prints `skipped: REASON` and returns; under `CI=true` it fails instead, so that a
//! skipped check is never told as passed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Says that the calling test was skipped. Under `CI=true` it fails.
///
/// # Panics
/// Under `CI=true`: there everything must be present.
#[allow(clippy::print_stderr, reason = "the test runner shows it")]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "under CI nothing may be skipped: {reason}");
    eprintln!("skipped: {reason}");
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
