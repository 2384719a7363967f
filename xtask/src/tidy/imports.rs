//! Who may import whom: the table of `docs/ARCHITECTURE.md`, checked against the manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What each crate may import of ours in its normal and build dependencies.
const TABLE: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("recovery-sheet", &["secret"]),
    ("key-import", &["fve-format", "secret"]),
    ("block-io", &[]),
    ("fve-format", &[]),
    ("vault-protocol", &[]),
    ("testkit", &["block-io", "fve-crypto", "fve-format", "secret", "vault-protocol"]),
    ("xtask", &["secret", "testkit"]),
    ("fve-crypto", &["secret"]),
    ("fve", &["block-io", "fve-crypto", "fve-format", "secret"]),
    ("fs-view", &["block-io"]),
    ("fs-reserve", &["block-io", "fs-view"]),
    ("disk-image", &["block-io"]),
    ("export", &["block-io"]),
    ("export-fuse", &["block-io", "export"]),
    ("export-nbd", &["block-io", "export"]),
    ("export-webdav", &["export"]),
    ("vault-crypto", &["secret", "vault-protocol"]),
    ("vault-client", &["secret", "vault-crypto", "vault-protocol"]),
    ("vault-wasm", &["fve-format", "key-import", "secret", "vault-client", "vault-crypto", "vault-protocol"]),
    (
        "drive-ops",
        &["block-io", "disk-image", "fs-reserve", "fs-view", "fve", "recovery-sheet", "secret", "vault-client"],
    ),
    ("panel", &["block-io", "disk-image", "drive-ops", "fs-view", "fve", "secret", "vault-client", "web-assets"]),
    ("vault-store", &["secret", "vault-protocol"]),
    ("web-assets", &[]),
    ("vault-server", &["secret", "vault-protocol", "vault-store", "web-assets"]),
    (
        "keyhaven",
        &[
            "block-io",
            "disk-image",
            "drive-ops",
            "export",
            "export-fuse",
            "export-nbd",
            "export-webdav",
            "fs-view",
            "fve",
            "key-import",
            "panel",
            "secret",
            "vault-client",
            "vault-protocol",
            "vault-server",
            "vault-store",
        ],
    ),
    ("portal", &[]),
];
/// Imports that must be optional, so that only a named feature brings them in.
const OPTIONAL: [(&str, &str); 7] = [
    ("keyhaven", "panel"),
    ("keyhaven", "vault-server"),
    ("keyhaven", "vault-store"),
    ("keyhaven", "export"),
    ("keyhaven", "export-fuse"),
    ("keyhaven", "export-nbd"),
    ("keyhaven", "export-webdav"),
];
/// What must not be reachable over any number of steps: the server cannot open what it does not link.
const UNREACHABLE: [(&str, &[&str]); 2] = [
    ("vault-server", &["vault-crypto", "vault-client", "fve", "fve-crypto", "fve-format"]),
    ("vault-store", &["vault-crypto", "vault-client", "fve", "fve-crypto", "fve-format"]),
];
/// For tests only, in other crates' dev-dependencies; the project's own commands are tests, too.
const TESTS_ONLY: [&str; 1] = ["testkit"];
const TESTERS: [&str; 1] = ["xtask"];

/// A crate's imports of ours, dev-dependencies left out.
#[derive(Default)]
struct Imports {
    all: BTreeSet<String>,
    optional: BTreeSet<String>,
}

/// Every breach of the table in the output of `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let crates = read(metadata);
    let mut breaches = Vec::new();
    for (name, imports) in &crates {
        let Some((_, allowed)) = TABLE.iter().find(|(known, _)| known == name) else {
            breaches.push(format!(
                "{name} is not in the table of imports (xtask/src/tidy/imports.rs, docs/ARCHITECTURE.md)"
            ));
            continue;
        };
        breaches.extend(imports.all.iter().filter_map(|import| forbidden(name, import, allowed)));
        let always = OPTIONAL.iter().filter(|(importer, import)| {
            importer == name && imports.all.contains(*import) && !imports.optional.contains(*import)
        });
        breaches.extend(always.map(|(_, import)| format!("{name} may import {import} only through a feature")));
    }
    for (name, unreachable) in UNREACHABLE {
        let reached = closure(&crates, name);
        let broken = unreachable.iter().filter(|target| reached.contains(**target));
        breaches.extend(broken.map(|target| format!("{name} reaches {target}, directly or through others")));
    }
    breaches
}

fn forbidden(name: &str, import: &str, allowed: &[&str]) -> Option<String> {
    if TESTS_ONLY.contains(&import) && !TESTERS.contains(&name) {
        Some(format!("{name} imports {import}, which is for tests only"))
    } else if allowed.contains(&import) {
        None
    } else {
        Some(format!("{name} may not import {import}"))
    }
}

fn read(metadata: &Value) -> BTreeMap<String, Imports> {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let ours: BTreeSet<&str> = packages().filter_map(|package| package["name"].as_str()).collect();
    let mut crates = BTreeMap::new();
    for package in packages() {
        let mut imports = Imports::default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let name = dependency["name"].as_str().unwrap_or_default();
            if !ours.contains(name) || dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            imports.all.insert(name.to_owned());
            if dependency["optional"].as_bool() == Some(true) {
                imports.optional.insert(name.to_owned());
            }
        }
        crates.insert(package["name"].as_str().unwrap_or_default().to_owned(), imports);
    }
    crates
}

/// Everything of ours that a crate links with all its features on.
fn closure<'a>(crates: &'a BTreeMap<String, Imports>, name: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![name];
    while let Some(imports) = waiting.pop().and_then(|name| crates.get(name)) {
        for import in &imports.all {
            if reached.insert(import.as_str()) {
                waiting.push(import);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::cargo;

    /// The breaches in a workspace of these crates, made as real manifests and read by the real cargo.
    fn breaches(crates: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n").unwrap();
        for (name, dependencies) in crates {
            let member = folder.path().join(name);
            std::fs::create_dir_all(member.join("src")).unwrap();
            std::fs::write(member.join("src/lib.rs"), "").unwrap();
            let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{dependencies}\n");
            std::fs::write(member.join("Cargo.toml"), manifest).unwrap();
        }
        let mut metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
        let output = metadata.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        check(&serde_json::from_slice(&output.stdout).unwrap())
    }

    fn depends_on(names: &[&str]) -> String {
        names
            .iter()
            .fold("[dependencies]\n".to_owned(), |text, name| format!("{text}{name} = {{ path = \"../{name}\" }}\n"))
    }

    #[test]
    fn a_sound_workspace_passes() {
        let crates = [
            ("secret", String::new()),
            ("fve-format", String::new()),
            ("testkit", String::new()),
            ("fve", depends_on(&["secret", "fve-format"]) + "[dev-dependencies]\ntestkit = { path = \"../testkit\" }"),
            ("vault-store", depends_on(&["secret"])),
            ("vault-server", depends_on(&["vault-store"])),
            ("keyhaven", "[dependencies]\nvault-server = { path = \"../vault-server\", optional = true }".to_owned()),
        ];
        let crates: Vec<(&str, &str)> = crates.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert_eq!(breaches(&crates), [""; 0]);
    }

    /// The canary: were the checker blind, this would be the test that tells.
    #[test]
    fn the_canary_fails_on_every_count() {
        let crates = [
            ("secret", String::new()),
            ("fve-crypto", depends_on(&["secret"])),
            ("testkit", String::new()),
            ("newcomer", String::new()),
            ("vault-crypto", depends_on(&["secret", "testkit"])),
            ("vault-store", depends_on(&["fve-crypto"])),
            ("vault-server", depends_on(&["vault-crypto", "vault-store"])),
            ("keyhaven", depends_on(&["vault-server"])),
        ];
        let crates: Vec<(&str, &str)> = crates.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let found = breaches(&crates);
        for expected in [
            "newcomer is not in the table",
            "vault-crypto imports testkit, which is for tests only",
            "vault-store may not import fve-crypto",
            "vault-server may not import vault-crypto",
            "vault-server reaches vault-crypto",
            "vault-server reaches fve-crypto",
            "vault-store reaches fve-crypto",
            "keyhaven may import vault-server only through a feature",
        ] {
            assert!(
                found.iter().any(|breach| breach.starts_with(expected)),
                "not found: {expected}; found: {found:#?}"
            );
        }
        assert_eq!(found.len(), 8, "{found:#?}");
    }
}
