//! Images made by other implementations.

#![allow(dead_code, reason = "each test binary uses a part of it")]

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
    let program = found(program);
    // Names are given in UTF-8.
    let output = Command::new(&program).env("LC_ALL", "C.UTF-8").args(arguments).output().unwrap();
    assert!(output.status.success(), "{program:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An image that a FUSE driver shows as a folder, until this is dropped.
pub(crate) struct Mounted {
    folder: tempfile::TempDir,
    program: &'static str,
}

impl Mounted {
    /// `None`, after saying so, where nothing can be mounted.
    pub(crate) fn new(program: &'static str, options: &str, image: &Path) -> Option<Self> {
        if !testkit::programs(&[program, "fusermount3"]) {
            return None;
        }
        if !Path::new("/dev/fuse").exists() {
            testkit::skip("no /dev/fuse, which mounting needs");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().to_str().unwrap().to_owned();
        run_all(program, &["-o", options, image.to_str().unwrap(), &mounted]);
        Some(Self { folder, program })
    }

    /// An exFAT image, by exfat-fuse.
    pub(crate) fn exfat(image: &Path) -> Option<Self> {
        let program = "mount.exfat-fuse";
        if !testkit::programs(&[program, "gcc"]) {
            return None;
        }
        if !Path::new("/dev/fuse").exists() {
            testkit::skip("no /dev/fuse, which mounting needs");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let shim = image.with_extension("so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../fs-view/tests/images/mount_shim.c");
        run_all("gcc", &["-shared", "-fPIC", "-o", shim.to_str().unwrap(), source, "-ldl"]);
        let mut command = Command::new(found(program));
        command.env("LD_PRELOAD", &shim).env("LC_ALL", "C.UTF-8").args(["-o", "rw"]).arg(image).arg(folder.path());
        let output = command.output().unwrap();
        if !output.status.success() {
            // Only root mounts without a helper, and that is what the driver tries.
            testkit::skip(&format!("exfat-fuse cannot mount: {}", String::from_utf8_lossy(&output.stderr).trim()));
            return None;
        }
        Some(Self { folder, program })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a program inside.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(program).current_dir(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Mounted {
    /// Returns when the driver has written everything and ended.
    fn drop(&mut self) {
        let path = self.folder.path().to_str().unwrap().to_owned();
        let arguments = ["-c", r#"umount "$0" || fusermount3 -u "$0""#, &path];
        let done = Command::new("sh").args(arguments).output().is_ok_and(|output| output.status.success());
        assert!(done || std::thread::panicking(), "cannot unmount {}", self.program);
        while driver_runs(&path) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Whether a process has the folder among its arguments.
fn driver_runs(folder: &str) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mine = std::process::id().to_string();
    processes.filter(|process| process.file_name().to_str() != Some(&mine)).any(|process| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == folder.as_bytes())
    })
}

/// Where a program is: some folders are searched for root alone.
fn found(program: &str) -> PathBuf {
    let found = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(program));
    found.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(program))
}
