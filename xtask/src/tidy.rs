//! `cargo xtask tidy`: who may import whom, and a few house rules.
//!
//! The table is the security argument of `docs/ARCHITECTURE.md`: a missing edge cannot be crossed by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::run::cargo;

/// What each crate may import of ours in its normal dependencies.
const IMPORTS: [(&str, &[&str]); 15] = [
    ("secret", &[]),
    ("block-io", &[]),
    ("fve-format", &[]),
    ("vault-protocol", &[]),
    ("testkit", &[]),
    ("xtask", &[]),
    ("fve-crypto", &["secret"]),
    ("fve", &["block-io", "fve-crypto", "fve-format", "secret"]),
    ("fs-view", &["block-io"]),
    ("vault-crypto", &["secret", "vault-protocol"]),
    ("vault-client", &["secret", "vault-crypto", "vault-protocol"]),
    ("vault-store", &["secret", "vault-protocol"]),
    ("vault-server", &["secret", "vault-protocol", "vault-store"]),
    ("keyhaven", &["block-io", "fs-view", "fve", "secret", "vault-client", "vault-protocol", "vault-server"]),
    ("portal", &[]),
];
/// Imports that must be optional: only a named feature may bring them in.
const OPTIONAL: [(&str, &str); 1] = [("keyhaven", "vault-server")];
/// Used by tests only.
const TESTS_ONLY: [&str; 1] = ["testkit"];
const MAX_LINES: usize = 700;

/// A crate's imports of ours, by kind.
#[derive(Default)]
struct Imports {
    normal: BTreeSet<String>,
    optional: BTreeSet<String>,
}

/// Checks everything and reports all breaches at once.
pub(crate) fn run() -> Result<()> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output()?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut breaches = check_imports(&imports(&metadata));
    breaches.extend(check_lints(&metadata));
    breaches.extend(check_files(&crate::root()));
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !crate::root().join(licence).exists() {
            breaches.push(format!("{licence} is missing"));
        }
    }
    ensure!(breaches.is_empty(), "house rules are broken:\n  {}", breaches.join("\n  "));
    println!("tidy: every crate imports what it may");
    Ok(())
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn imports(metadata: &Value) -> BTreeMap<String, Imports> {
    let ours: BTreeSet<&str> = packages(metadata).filter_map(|package| package["name"].as_str()).collect();
    let mut all = BTreeMap::new();
    for package in packages(metadata) {
        let mut imports = Imports::default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["name"].as_str().unwrap_or_default();
            if !ours.contains(name) || dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            imports.normal.insert(name.to_owned());
            if dependency["optional"].as_bool() == Some(true) {
                imports.optional.insert(name.to_owned());
            }
        }
        all.insert(package["name"].as_str().unwrap_or_default().to_owned(), imports);
    }
    all
}

fn check_imports(all: &BTreeMap<String, Imports>) -> Vec<String> {
    let mut breaches = Vec::new();
    for (name, imports) in all {
        let Some((_, allowed)) = IMPORTS.iter().find(|(known, _)| known == name) else {
            breaches.push(format!("{name} is not in the table of imports (xtask/src/tidy.rs, docs/ARCHITECTURE.md)"));
            continue;
        };
        for import in &imports.normal {
            if TESTS_ONLY.contains(&import.as_str()) {
                breaches.push(format!("{name} imports {import}, which is for tests only"));
            } else if !allowed.contains(&import.as_str()) {
                breaches.push(format!("{name} may not import {import}"));
            }
        }
        for (_, import) in OPTIONAL.iter().filter(|(importer, _)| importer == name) {
            if imports.normal.contains(*import) && !imports.optional.contains(*import) {
                breaches.push(format!("{name} may import {import} only through a feature"));
            }
        }
    }
    breaches
}

/// Every crate takes the shared lints, `unsafe` forbidden among them.
fn check_lints(metadata: &Value) -> Vec<String> {
    packages(metadata)
        .filter_map(|package| package["manifest_path"].as_str())
        .filter(|path| !std::fs::read_to_string(path).is_ok_and(|text| text.contains("[lints]\nworkspace = true")))
        .map(|path| format!("{path} does not take the workspace's lints"))
        .collect()
}

/// Length of files, and the promise that no text of ours advises turning two-factor off.
fn check_files(root: &Path) -> Vec<String> {
    let mut breaches = Vec::new();
    for path in files(root) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let lines = text.lines().count();
        if path.extension().is_some_and(|ending| ending == "rs") && lines > MAX_LINES {
            breaches.push(format!("{name} has {lines} lines; {MAX_LINES} are the most"));
        }
        if !name.ends_with("tidy.rs") {
            breaches.extend(bad_advice(&text).map(|line| format!("{name} may advise against two-factor: {line}")));
        }
    }
    breaches
}

/// Lines that tell somebody to weaken the account. A sentence that only names the act (as this rule must) says "never",
/// "no text" or "nothing" with it.
fn bad_advice(text: &str) -> impl Iterator<Item = &str> {
    const ADVICE: [&str; 8] = [
        "turn off two-factor",
        "turn two-factor off",
        "turn off two-step",
        "disable two-factor",
        "disable 2fa",
        "turn off 2fa",
        "switch off two-factor",
        "deactivate two-factor",
    ];
    const DENIAL: [&str; 4] = ["never", "no text", "nothing", "not "];
    text.lines().filter(|line| {
        let line = line.to_lowercase();
        ADVICE.iter().any(|advice| line.contains(advice)) && !DENIAL.iter().any(|denial| line.contains(denial))
    })
}

/// Source and text files that belong to the project.
fn files(folder: &Path) -> Vec<PathBuf> {
    const ENDINGS: [&str; 7] = ["rs", "md", "toml", "ts", "tsx", "html", "sql"];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "node_modules" | ".git") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_with(name: &str, imports: &[&str]) -> BTreeMap<String, Imports> {
        let normal = imports.iter().map(|import| (*import).to_owned()).collect();
        BTreeMap::from([(name.to_owned(), Imports { normal, optional: BTreeSet::new() })])
    }

    #[test]
    fn forbidden_edges_are_found() {
        assert!(check_imports(&crate_with("fve", &["secret", "fve-format"])).is_empty());
        assert_eq!(check_imports(&crate_with("vault-server", &["vault-crypto"])).len(), 1);
        assert_eq!(check_imports(&crate_with("fve-format", &["secret"])).len(), 1);
        assert_eq!(check_imports(&crate_with("keyhaven", &["vault-server"])).len(), 1, "not optional");
        assert_eq!(check_imports(&crate_with("fve", &["testkit"])).len(), 1);
        assert_eq!(check_imports(&crate_with("newcomer", &[])).len(), 1);
    }

    #[test]
    fn bad_advice_is_found() {
        assert_eq!(bad_advice("Please turn off two-factor authentication first.").count(), 1);
        assert_eq!(bad_advice("No text of ours ever says: disable two-factor.").count(), 0);
    }
}
