//! Debian's Rust compiler for browsers, where rustup's standard library cannot be had: its packages are unpacked below `target/`, not
//! installed, since they conflict with other Rust packages. They bring the source of the standard library, which is compiled once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::wasm::TARGET;
use crate::run::succeed;

/// Compiler and package manager, the library's source, the linker, and the libraries that these need.
const PACKAGES: [&str; 12] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "libstd-rust-web-dev",
    "libllvm22",
    "libgit2-1.5",
    "libhttp-parser2.9",
    "libmbedtls14",
    "libmbedx509-1",
    "libmbedcrypto7",
    "libz3-4",
    "lld-22",
];
/// How the standard library is compiled; part of what tells one that is there from one that is wanted.
const FLAGS: &str = "-Cembed-bitcode=yes";

/// A toolchain below `target/`.
pub(super) struct Toolchain {
    root: PathBuf,
}

impl Toolchain {
    /// The one that is there, when it is the one that Debian has now; else it is fetched and made.
    pub(super) fn get() -> Result<Self> {
        let folder = crate::root().join("target/debian-rust");
        let toolchain = Self { root: folder.join("root") };
        let names = names()?;
        let wanted = versions(&names)?;
        let stamp = folder.join("stamp");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(toolchain);
        }
        println!("portal: fetching Debian's compiler for browsers (about 154 MB)");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("cannot clear target/debian-rust")?;
        }
        // What an older compiler made is of no use to this one.
        let built = crate::root().join("target/wasm-debian");
        if built.exists() {
            std::fs::remove_dir_all(&built).context("cannot clear target/wasm-debian")?;
        }
        unpack(&folder, &names)?;
        toolchain.make_library(&folder)?;
        std::fs::write(&stamp, wanted).context("cannot write in target/debian-rust")?;
        Ok(toolchain)
    }

    /// Its package manager, which uses its compiler and its linker and nothing of another toolchain.
    pub(super) fn cargo(&self, arguments: &[&str]) -> Command {
        let bin = self.root.join("usr/bin");
        let libraries = [self.root.join("usr/lib/x86_64-linux-gnu"), self.root.join("usr/lib")];
        let libraries = std::env::join_paths(&libraries).unwrap_or_default();
        let mut command = Command::new(bin.join("cargo"));
        command
            .args(arguments)
            .current_dir(crate::root())
            .env("RUSTC", bin.join("rustc"))
            .env("RUSTDOC", bin.join("rustdoc"))
            .env("LD_LIBRARY_PATH", libraries)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", self.root.join("usr/lib/llvm-22/bin/wasm-ld"))
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("CARGO");
        command
    }

    /// Compiles the standard library in an empty crate, and puts it where the compiler looks for it.
    fn make_library(&self, folder: &Path) -> Result<()> {
        println!("portal: compiling the standard library for browsers");
        let empty = folder.join("empty");
        std::fs::create_dir_all(empty.join("src"))?;
        std::fs::write(
            empty.join("Cargo.toml"),
            "[workspace]\n[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n",
        )?;
        std::fs::write(empty.join("src/lib.rs"), "#![no_std]\n")?;
        let mut build = self.cargo(&["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET]);
        build.current_dir(&empty).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS);
        succeed(build.arg("--target-dir").arg(empty.join("target")))?;
        let library = self.root.join("usr/lib/rustlib").join(TARGET).join("lib");
        std::fs::create_dir_all(&library)?;
        for entry in std::fs::read_dir(empty.join("target").join(TARGET).join("release/deps"))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_library = name.ends_with(".rlib") || name.ends_with(".rmeta");
            if is_library && !name.starts_with("libempty") {
                std::fs::copy(&path, library.join(&name))?;
            }
        }
        Ok(std::fs::remove_dir_all(&empty)?)
    }
}

/// What a tool of Debian's says.
fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("cannot start {program}: this is not Debian"))?;
    ensure!(output.status.success(), "{program} {} failed", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The packages; the one with the version in its name is what the development package depends on.
fn names() -> Result<Vec<String>> {
    let depends = said("apt-cache", &["depends", "libstd-rust-web-dev"])?;
    let versioned = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let versioned = versioned.filter(|name| name.starts_with("libstd-rust-web-")).map(str::to_owned);
    let all: Vec<String> = PACKAGES.iter().map(|name| (*name).to_owned()).chain(versioned).collect();
    if all.len() == PACKAGES.len() {
        bail!("Debian's packages do not name the standard library; run `apt-get update` first");
    }
    Ok(all)
}

/// Which versions there are now.
fn versions(names: &[String]) -> Result<String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let policy = said("apt-cache", &[&["policy"][..], &names].concat())?;
    let lines = policy.lines().filter(|line| !line.starts_with(' ') || line.trim().starts_with("Candidate:"));
    Ok(format!("{}\n{FLAGS}\n", lines.collect::<Vec<_>>().join("\n")))
}

fn unpack(folder: &Path, names: &[String]) -> Result<()> {
    let packages = folder.join("packages");
    std::fs::create_dir_all(&packages).context("cannot make target/debian-rust")?;
    succeed(Command::new("apt-get").arg("download").args(names).current_dir(&packages))?;
    for entry in std::fs::read_dir(&packages)? {
        succeed(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(folder.join("root")))?;
    }
    Ok(std::fs::remove_dir_all(&packages)?)
}
