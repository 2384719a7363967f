//! Whether what a step reads is what it read the last time.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The contents of everything that a step reads, as one number; kept in `target/portal` after the step was done.
pub(super) struct Stamp {
    file: PathBuf,
    hash: Sha256,
}

impl Stamp {
    /// For the step of this name, done with these tools.
    pub(super) fn of(step: &str, tools: &str) -> Self {
        let mut stamp = Self { file: crate::root().join("target/portal").join(step), hash: Sha256::new() };
        stamp.add(tools.as_bytes());
        stamp
    }

    /// A file with its name.
    pub(super) fn file(&mut self, path: &Path) -> Result<()> {
        self.add(path.to_string_lossy().as_bytes());
        self.add(&std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        Ok(())
    }

    /// Everything in a folder; one that is not there is empty.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<()> {
        for path in sorted(folder)? {
            if path.is_dir() {
                self.folder(&path)?;
            } else {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    /// The files of a folder, without what is in its folders.
    pub(super) fn files_beside(&mut self, folder: &Path) -> Result<()> {
        sorted(folder)?.iter().filter(|path| path.is_file()).try_for_each(|path| self.file(path))
    }

    /// Whether the step was done with the same contents.
    pub(super) fn is_set(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|kept| kept == self.text())
    }

    /// The step is done.
    pub(super) fn set(self) -> Result<()> {
        let folder = self.file.parent().context("a stamp lies in a folder")?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(&self.file, self.text()).with_context(|| format!("cannot write {}", self.file.display()))
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    fn text(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_contents_and_other_names_are_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let text = || {
            let mut stamp = Stamp::of("test", "v20");
            stamp.folder(folder.path()).unwrap();
            stamp.text()
        };
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let empty = text();
        std::fs::write(folder.path().join("in/a"), "1").unwrap();
        let first = text();
        assert_eq!(first, text());
        std::fs::write(folder.path().join("in/a"), "2").unwrap();
        let second = text();
        std::fs::rename(folder.path().join("in/a"), folder.path().join("in/b")).unwrap();
        let third = text();
        let all = std::collections::BTreeSet::from([empty, first, second, third]);
        assert_eq!(all.len(), 4);
    }
}
