//! The images that a person chose: their paths are kept, so that a conversion that was interrupted is found again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// More are not kept.
pub(crate) const MOST_IMAGES: usize = 256;

/// The paths, and the file that keeps them.
pub(crate) struct Images {
    file: PathBuf,
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    images: Vec<String>,
}

impl Images {
    /// Those of earlier runs. A file that cannot be read is none: the paths can be chosen again.
    pub(crate) fn read(folder: &Path) -> Self {
        let file = folder.join("panel-images.json");
        let kept: Kept =
            std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file, paths: kept.images.into_iter().take(MOST_IMAGES).map(PathBuf::from).collect() }
    }

    pub(crate) fn add(&mut self, path: &Path) {
        if !self.paths.iter().any(|known| known == path) {
            self.paths.push(path.to_owned());
            self.write();
        }
    }

    pub(crate) fn remove(&mut self, path: &Path) {
        self.paths.retain(|known| known != path);
        self.write();
    }

    /// What cannot be written is forgotten with this run, which does no harm.
    fn write(&self) {
        let images = self.paths.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect();
        let Ok(bytes) = serde_json::to_vec_pretty(&Kept { images }) else { return };
        let _ = replace_private(&self.file, &bytes);
    }
}

/// Writes a file that only its owner can read, in place of the one before, whole or not at all.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
