//! The vault's client for browsers: compiled, joined to JavaScript, and held to its size.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Node;
use super::debian::Toolchain;
use super::inputs::Stamp;
use crate::run::{cargo, succeed};

pub(super) const TARGET: &str = "wasm32-unknown-unknown";
/// A variable of the environment: `debian` builds with Debian's compiler in any case.
const CHOICE: &str = "KEYHAVEN_WASM_TOOLCHAIN";
/// Largest bundle, code and joint together, as it travels.
const MOST_BYTES: usize = 400 * 1024;
/// Crates that it is made of.
const CRATES: [&str; 7] =
    ["secret", "fve-format", "key-import", "vault-protocol", "vault-crypto", "vault-client", "vault-wasm"];

/// Where the pages take it from.
fn package() -> PathBuf {
    super::folder().join("src/vault/pkg")
}

/// Where the tests take it from (`crates/vault-wasm/tests/vectors.rs`).
fn vectors() -> PathBuf {
    crate::root().join("target/vectors")
}

/// Builds it where something that it is made of has changed.
pub(super) fn build(node: &Node) -> Result<()> {
    let choice = std::env::var(CHOICE).unwrap_or_default();
    let mut stamp = Stamp::of("wasm", &format!("{} {choice}", env!("CARGO_PKG_VERSION")));
    for name in CRATES {
        let folder = crate::root().join("crates").join(name);
        stamp.folder(&folder.join("src"))?;
        stamp.files_beside(&folder)?;
    }
    for name in ["Cargo.toml", "Cargo.lock"] {
        stamp.file(&crate::root().join(name))?;
    }
    if stamp.is_set() && package().join("vault_bg.wasm").exists() && vectors().join("vectors.js").exists() {
        return Ok(());
    }
    println!("portal: building the vault's client for browsers");
    let built = compile(&[])?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(built).web(true)?.typescript(true).omit_default_module_path(false).out_name("vault");
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(package()).context("the joint to JavaScript cannot be made")?;
    check_size(node)?;
    for_tests()?;
    stamp.set()
}

/// The same code for Node.js, with what the tests of both sides read.
fn for_tests() -> Result<()> {
    let built = compile(&["--features", "vectors"])?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(built).nodejs(true)?.typescript(false).out_name("vectors");
    bindgen.generate(vectors()).context("the joint to Node.js cannot be made")
}

/// The compiled code, before the joint is made. Where the toolchain in use has no standard library for browsers and cannot get it,
/// Debian's does it; [`CHOICE`] says so where it has one.
fn compile(how: &[&str]) -> Result<PathBuf> {
    let arguments = ["build", "--profile", "wasm", "--package", "vault-wasm", "--lib", "--target", TARGET];
    let debian = std::env::var(CHOICE).is_ok_and(|choice| choice == "debian");
    let (mut build, folder) = if !debian && has_target()? {
        (cargo(&arguments), "target/wasm")
    } else {
        (Toolchain::get()?.cargo(&arguments), "target/wasm-debian")
    };
    let folder = crate::root().join(folder);
    succeed(build.arg("--target-dir").arg(&folder).args(how))?;
    Ok(folder.join(TARGET).join("wasm/vault_wasm.wasm"))
}

/// Whether the standard library for browsers is there, or could be had from where the toolchain came from.
fn has_target() -> Result<bool> {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let output = output.context("cannot start rustc")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && folder.exists() {
        return Ok(true);
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).stdin(Stdio::null()).status();
    Ok(added.is_ok_and(|status| status.success()))
}

fn check_size(node: &Node) -> Result<()> {
    let script = "const z = require('node:zlib'), f = require('node:fs'); let n = 0; \
                  for (const p of process.argv.slice(1)) n += z.brotliCompressSync(f.readFileSync(p)).length; console.log(n)";
    let files = ["vault_bg.wasm", "vault.js"].map(|name| package().join(name));
    let output = node.node().arg("-e").arg(script).args(&files).output().context("cannot start node")?;
    let bytes: usize = String::from_utf8_lossy(&output.stdout).trim().parse().context("no size")?;
    println!("portal: the vault's client is {} KiB compressed (at most {})", bytes.div_ceil(1024), MOST_BYTES / 1024);
    ensure!(bytes <= MOST_BYTES, "the vault's client for browsers is too large");
    Ok(())
}
