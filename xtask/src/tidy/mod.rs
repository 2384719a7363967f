//! `cargo xtask tidy`: who may import whom, and a few house rules.
//!
//! The table of imports is the security argument of `docs/ARCHITECTURE.md`: a missing edge cannot be crossed by
//! accident.

mod advice;
mod imports;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::run::cargo;

/// The longest source file: past 600 lines a second noun is usually found.
const MAX_LINES: usize = 700;
const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// Checks everything and reports all breaches at once.
pub(crate) fn run() -> Result<()> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output()?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let root = crate::root();
    let mut breaches = imports::check(&metadata);
    breaches.extend(check_lints(&root, &metadata)?);
    breaches.extend(check_texts(&root)?);
    breaches.extend(
        LICENCES.iter().filter(|licence| !root.join(licence).exists()).map(|licence| format!("{licence} is missing")),
    );
    ensure!(breaches.is_empty(), "house rules are broken:\n  {}", breaches.join("\n  "));
    println!("tidy: every crate imports what it may, and the texts keep the promises");
    Ok(())
}

/// Every crate takes the shared lints, and those forbid `unsafe`.
fn check_lints(root: &Path, metadata: &Value) -> Result<Vec<String>> {
    let shared = std::fs::read_to_string(root.join("Cargo.toml")).context("cannot read the workspace's manifest")?;
    let mut breaches = Vec::new();
    if !shared.lines().any(|line| line.trim() == "unsafe_code = \"forbid\"") {
        breaches.push("Cargo.toml does not forbid unsafe code".to_owned());
    }
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let path = package["manifest_path"].as_str().unwrap_or_default();
        if !std::fs::read_to_string(path).is_ok_and(|text| takes_shared_lints(&text)) {
            breaches.push(format!("{path} does not take the workspace's lints"));
        }
    }
    Ok(breaches)
}

fn takes_shared_lints(manifest: &str) -> bool {
    manifest.replace("\r\n", "\n").contains("[lints]\nworkspace = true")
}

/// Length of source files, and the promise that no text of ours advises turning two-factor off.
fn check_texts(root: &Path) -> Result<Vec<String>> {
    let list = std::fs::read_to_string(root.join(advice::ALLOWED_FILE))
        .with_context(|| format!("cannot read {}", advice::ALLOWED_FILE))?;
    let (mut allowed, mut breaches) = advice::parse_allowed(&list);
    for path in files(root) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let lines = text.lines().count();
        if name == advice::ALLOWED_FILE {
            continue;
        }
        if is_source(&path) && lines > MAX_LINES {
            breaches.push(format!("{name} has {lines} lines; {MAX_LINES} are the most"));
        }
        breaches.extend(advice::check(&name, &text, &mut allowed));
    }
    breaches.extend(advice::unused(&allowed));
    Ok(breaches)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["rs", "ts", "tsx", "sql"].iter().any(|known| ending == *known))
}

/// Source and text files that belong to the project.
fn files(folder: &Path) -> Vec<PathBuf> {
    const ENDINGS: [&str; 20] = [
        "rs", "md", "toml", "ts", "tsx", "js", "mjs", "html", "css", "svg", "sql", "json", "txt", "ftl", "yml", "yaml",
        "sh", "py", "service", "conf",
    ];
    const NAMES: [&str; 2] = ["Containerfile", "Dockerfile"];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "node_modules" | ".git") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
            || NAMES.contains(&name.as_str())
        {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_product_advises_against_two_factor() {
        let breaches = check_texts(&crate::root()).unwrap();
        assert!(breaches.is_empty(), "\n  {}", breaches.join("\n  "));
    }

    #[test]
    fn lints_must_be_the_shared_ones() {
        assert!(takes_shared_lints("[dependencies]\n\n[lints]\nworkspace = true\n"));
        assert!(!takes_shared_lints("[lints.rust]\nunsafe_code = \"allow\"\n"));
    }
}
