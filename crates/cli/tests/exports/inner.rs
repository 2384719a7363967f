//! File systems that other programs make and fill inside a volume.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Bench;

const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, Clone, Copy)]
pub(crate) enum Inner {
    Ntfs,
    ExFat,
    Fat32,
}

impl Inner {
    /// Whether the programs for it are there; says so when they are not.
    pub(crate) fn is_possible(self) -> bool {
        testkit::programs(match self {
            Self::Ntfs => &["mkntfs", "ntfs-3g"],
            Self::ExFat => &["mkfs.exfat", "mount.exfat-fuse", "gcc"],
            Self::Fat32 => &["mkfs.fat", "mcopy"],
        })
    }

    pub(crate) fn make(self, volume: &Path) {
        match self {
            Self::Ntfs => run("mkntfs", &["-F", "-Q", "-q", "-c", "4096"], &[volume]),
            Self::ExFat => run("mkfs.exfat", &["-L", "INNER"], &[volume]),
            Self::Fat32 => run("mkfs.fat", &["-F", "32", "-s", "2"], &[volume]),
        }
    }

    /// Copies the tree into the root of the file system.
    pub(crate) fn fill(self, bench: &Bench, volume: &Path, tree: &Path) {
        match self {
            Self::Fat32 => {
                let entries = fs::read_dir(tree).unwrap().map(|entry| entry.unwrap().path());
                let mut words: Vec<PathBuf> = entries.collect();
                words.push("::".into());
                run("mcopy", &["-s", "-Q", "-i", volume.to_str().unwrap()], &words);
            }
            _ => self.mounted(bench, volume, "rw", |folder| {
                run("cp", &["-r", "-T"], &[tree, folder]);
            }),
        }
    }

    /// What `look` finds in the file system, which another program reads.
    pub(crate) fn read<T>(self, bench: &Bench, volume: &Path, look: impl FnOnce(&Path) -> T) -> T {
        match self {
            Self::Fat32 => {
                let out = bench.path("by mtools");
                fs::create_dir(&out).unwrap();
                run("mcopy", &["-s", "-Q", "-n", "-i", volume.to_str().unwrap(), "::*"], &[&out]);
                let found = look(&out);
                fs::remove_dir_all(&out).unwrap();
                found
            }
            _ => self.mounted(bench, volume, "ro", look),
        }
    }

    fn mounted<T>(self, bench: &Bench, volume: &Path, options: &str, work: impl FnOnce(&Path) -> T) -> T {
        let folder = bench.path("other");
        fs::create_dir_all(&folder).unwrap();
        match self {
            Self::Ntfs => run("ntfs-3g", &["-o", options], &[volume, &folder]),
            _ => {
                // It insists on block devices; a library in front of it makes images good enough.
                let shim = bench.path("shim.so");
                let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../fs-view/tests/images/mount_shim.c");
                run("gcc", &["-shared", "-fPIC", source, "-ldl", "-o"], &[&shim]);
                let preload = format!("LD_PRELOAD={}", shim.display());
                run("env", &[&preload, "mount.exfat-fuse", "-o", options], &[volume, &folder]);
            }
        }
        let mounted = Mounted(&folder);
        let found = work(&folder);
        drop(mounted);
        found
    }
}

/// Unmounts, and waits for the end of the program that served it.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let folder = self.0.to_str().unwrap();
        let gone = Command::new("sh").args(["-c", r#"fusermount3 -u "$0" || umount "$0""#, folder]).output().unwrap();
        assert!(gone.status.success() || std::thread::panicking(), "{}", String::from_utf8_lossy(&gone.stderr));
        let start = std::time::Instant::now();
        while start.elapsed() < crate::running::PATIENCE && is_served(folder) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Whether a process has the folder among its arguments.
fn is_served(folder: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok()).any(|line| {
        let mut arguments = line.split(|byte| *byte == 0);
        arguments.any(|argument| argument == folder.as_bytes())
    })
}

fn run(program: &str, words: &[&str], paths: &[impl AsRef<Path>]) {
    let mut command = Command::new(program);
    command.env("PATH", SEARCHED).env("LC_ALL", "C.UTF-8").args(words);
    let output = command.args(paths.iter().map(AsRef::as_ref)).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {words:?} says no: {said}");
}
