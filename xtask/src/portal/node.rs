//! Node.js: there or not, new enough or not.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// The oldest that the tools of the pages run on.
const OLDEST: (u32, u32) = (20, 19);

/// A Node.js that will do.
pub(crate) struct Node {
    version: String,
}

impl Node {
    /// Looks for it, and for npm.
    pub(crate) fn find() -> Result<Self> {
        let needed = format!("the pages need Node.js {}.{} or newer, with npm", OLDEST.0, OLDEST.1);
        let Some(version) = said("node") else { bail!("{needed}; there is no `node` on the PATH") };
        if numbers(&version).is_none_or(|found| found < OLDEST) {
            bail!("{needed}; `node` is {version}. Debian's own package may be older: take one from nodejs.org");
        }
        if said("npm").is_none() {
            bail!("{needed}; there is no `npm` on the PATH");
        }
        Ok(Self { version })
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// A program of an installed package.
    pub(super) fn tool(&self, name: &str) -> PathBuf {
        super::folder().join("node_modules/.bin").join(name)
    }
}

fn said(program: &str) -> Option<String> {
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
