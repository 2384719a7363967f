//! `cargo xtask ci`: what CI runs after the tests.

use anyhow::{Result, ensure};

use crate::run::{cargo, command, section, succeed, succeeds};
use crate::{fuzz, tidy};

/// Formatting, lints, docs, dependencies, import rules, fuzzing, and a clean tree at the end.
pub(crate) fn run() -> Result<()> {
    section("formatting");
    succeed(&mut cargo(&["fmt", "--all", "--check"]))?;
    section("lints");
    succeed(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    section("docs");
    let mut docs = cargo(&["doc", "--workspace", "--all-features", "--no-deps", "--document-private-items", "--quiet"]);
    succeed(docs.env("RUSTDOCFLAGS", "-D warnings"))?;
    section("dependencies");
    dependencies()?;
    section("import rules");
    tidy::run()?;
    section("fuzzing");
    fuzz::run(&[])?;
    section("a clean tree");
    clean_tree()
}

/// Licences, sources and bans must pass; the advisory database may be out of reach.
fn dependencies() -> Result<()> {
    let tools = crate::root().join("target/tools");
    let deny = tools.join("bin/cargo-deny");
    let deny = if deny.exists() || !succeeds(&mut command("cargo-deny", &["--version"])) {
        if !deny.exists() {
            println!("installing cargo-deny");
            let folder = tools.to_string_lossy().into_owned();
            let install = ["install", "cargo-deny", "--locked", "--quiet", "--root", &folder];
            if !succeeds(&mut cargo(&install)) {
                println!("skipped: dependencies (cargo-deny is not here and cannot be installed)");
                return Ok(());
            }
        }
        deny.to_string_lossy().into_owned()
    } else {
        "cargo-deny".to_owned()
    };
    succeed(&mut command(&deny, &["--all-features", "--log-level", "error", "check", "bans", "licenses", "sources"]))?;
    if succeeds(&mut command(&deny, &["fetch", "db"])) {
        succeed(&mut command(&deny, &["--all-features", "--log-level", "error", "check", "advisories"]))
    } else {
        println!("skipped: advisories (their database cannot be reached)");
        Ok(())
    }
}

fn clean_tree() -> Result<()> {
    let output = command("git", &["status", "--porcelain"]).output()?;
    let changes = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && changes.is_empty(), "the work tree is not clean:\n{changes}");
    Ok(())
}
