//! `cargo xtask portal`: the pages that people see, built into `portal/dist`; `cargo xtask journeys`: tried in a browser.
//!
//! Each step is left out when nothing that it reads has changed, by contents and not by times: a second run does nothing.

mod debian;
mod inputs;
mod journeys;
mod node;
mod wasm;

use std::path::PathBuf;

use anyhow::Result;

use crate::run::succeed;
use inputs::Stamp;

pub(crate) use journeys::run as run_journeys;
pub(crate) use node::Node;

/// What the build reads of `portal/`, beside what is in its folders.
const FOLDERS: [&str; 2] = ["src", "tools"];
/// What npm reads.
const PACKAGES: [&str; 2] = ["package.json", "package-lock.json"];

/// Builds the pages. Without Node it is an error.
pub(crate) fn run() -> Result<()> {
    build(&Node::find()?)
}

/// Builds the pages where Node is or can be got; elsewhere says what is missing, and the program is built without its pages.
pub(crate) fn run_if_possible() -> Result<()> {
    match Node::find_or_get() {
        Ok(node) => build(&node),
        Err(missing) => {
            eprintln!("portal: {missing:#}");
            eprintln!(
                "portal: without it the program is built without its pages, and the tests that need them are skipped"
            );
            Ok(())
        }
    }
}

/// The folder of the pages' sources.
fn folder() -> PathBuf {
    crate::root().join("portal")
}

fn build(node: &Node) -> Result<()> {
    packages(node)?;
    wasm::build(node)?;
    let dist = folder().join("dist");
    let mut stamp = Stamp::of("pages", node.version());
    for name in FOLDERS {
        stamp.folder(&folder().join(name))?;
    }
    // What lies beside the folders: pages, settings of the tools, names of packages.
    stamp.files_beside(&folder())?;
    if stamp.is_set() && dist.join("portal.html").exists() {
        return Ok(());
    }
    println!("portal: checking and building the pages");
    succeed(node.tool("tsc").arg("--noEmit"))?;
    succeed(node.tool("vite").args(["build", "--logLevel", "warn"]))?;
    succeed(node.node().args(["tools/compress.mjs", "dist"]))?;
    stamp.set()
}

/// Installs what `package-lock.json` names, nothing newer.
fn packages(node: &Node) -> Result<()> {
    let mut stamp = Stamp::of("packages", node.version());
    for name in PACKAGES {
        stamp.file(&folder().join(name))?;
    }
    if stamp.is_set() && folder().join("node_modules").exists() {
        return Ok(());
    }
    println!("portal: installing its packages");
    succeed(node.npm().args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    stamp.set()
}
