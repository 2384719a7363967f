//! Images made by other implementations.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that no wrong offset reproduces.
pub(crate) fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

/// A folder with an image in the making.
pub(crate) struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    pub(crate) fn new(length: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("image")).unwrap().set_len(length).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// A file on the host with this content, to be copied in.
    pub(crate) fn source(&self, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join("source");
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A FAT image, filled by mtools.
    pub(crate) fn fat(length: u64, bits: u32, files: &[(&str, &[u8])], directories: &[&str]) -> Self {
        let image = Self::new(length);
        run("mkfs.fat", &["-F", &bits.to_string(), "-n", "LABEL"], &image.path());
        let path = image.path();
        let path = path.to_str().unwrap();
        for directory in directories {
            run_all("mmd", &["-i", path, &format!("::{directory}")]);
        }
        for (name, content) in files {
            let source = image.source(content);
            run_all("mcopy", &["-i", path, source.to_str().unwrap(), &format!("::{name}")]);
        }
        image
    }

    /// An NTFS image with files in its root, which is all that `ntfscp` can create.
    pub(crate) fn ntfs(length: u64, options: &[&str], files: &[(&str, &[u8])]) -> Self {
        let image = Self::new(length);
        run("mkntfs", &[&["-F", "-Q", "-q", "-L", "Größe"], options].concat(), &image.path());
        for (name, content) in files {
            let (source, path) = (image.source(content), image.path());
            run_all("ntfscp", &[path.to_str().unwrap(), source.to_str().unwrap(), name]);
        }
        image
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    run_all(program, &[arguments, &[path.to_str().unwrap()]].concat());
}

fn run_all(program: &str, arguments: &[&str]) {
    let found = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(program));
    let program = found.iter().find(|path| path.exists()).map_or(Path::new(program), PathBuf::as_path);
    // Names are given in UTF-8.
    let output = Command::new(program).env("LC_ALL", "C.UTF-8").args(arguments).output().unwrap();
    assert!(output.status.success(), "{program:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
