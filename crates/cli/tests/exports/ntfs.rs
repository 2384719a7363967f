//! NTFS on a raw mount: `create` makes it with BitLocker's regions as bad clusters, `ntfs-3g` fills it to the brim,
//! `ntfsfix`, `ntfsresize` and dislocker judge it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use testkit::judges::{self, Secret};

use crate::harness::{Bench, PASSWORD, pattern, same};
use crate::running::{Running, fuse};

#[test]
fn ntfs_3g_fills_a_raw_mount_and_others_agree() {
    if !fuse() || !testkit::programs(&["mkntfs", "ntfs-3g", "ntfsfix", "ntfsresize", "dislocker-file"]) {
        return;
    }
    let bench = Bench::new();
    bench
        .run("create d.img --size 256M --filesystem ntfs --used-space-only --password-file password --recovery-out key")
        .text();
    let running = Running::mount(&bench, "d.img m --raw --write --password-file password", "m");
    let volume = bench.path("m/volume.img");
    tool("ntfsresize", &["--info", "--force", "--bad-sectors"], &volume);

    let files = Filled { folder: bench.path("files"), model: bench.path("model") };
    fs::create_dir(&files.folder).unwrap();
    fs::create_dir(&files.model).unwrap();
    mounted(&volume, &files.folder, || files.fill());
    tool("ntfsfix", &["-n"], &volume);
    // It counts the clusters of every file. There is nothing left to make the volume smaller by, which it says then.
    let judged = answer("ntfsresize", &["--info", "--force", "--bad-sectors"], &volume).1;
    assert!(judged.contains("Accounting clusters") && judged.contains("Volume is full"), "{judged}");
    assert_eq!(judged.matches("ERROR").count(), 1, "{judged}");
    mounted(&volume, &files.folder, || assert!(same(&files.folder, &files.model)));
    running.terminate();

    let running = Running::mount(&bench, "d.img shown --password-file password", "shown");
    let shown = bench.path("shown");
    assert!(same(&shown, &files.model));
    assert_eq!(fs::read_link(shown.join("d1/link")).unwrap(), Path::new("../large1"));
    let (one, two) = (shown.join("large0").metadata().unwrap(), shown.join("d1/another name").metadata().unwrap());
    assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
    let found = fs::read_dir(shown.join("d1")).unwrap().count();
    assert_eq!(found, fs::read_dir(files.model.join("d1")).unwrap().count());
    assert!(fs::write(shown.join("new"), b"x").is_err());
    running.terminate();

    bench.run("decrypt d.img --output ours --password-file password").text();
    let (ours, theirs) = (bench.path("ours"), bench.path("theirs"));
    judges::dislocker(&bench.path("d.img"), Secret::Password(PASSWORD), &theirs);
    judges::assert_same(&theirs, &ours, "dislocker");
    fs::remove_file(&ours).unwrap();
    // What dislocker decrypted is a file system with the very files.
    tool("ntfsfix", &["-n"], &theirs);
    mounted(&theirs, &files.folder, || assert!(same(&files.folder, &files.model)));
}

struct Filled {
    folder: std::path::PathBuf,
    model: std::path::PathBuf,
}

impl Filled {
    /// Thousands of small files, some large ones, a part of them removed and written anew.
    fn fill(&self) {
        let bytes = pattern(8 << 20);
        for directory in 0..40 {
            for base in [&self.folder, &self.model] {
                fs::create_dir(base.join(format!("d{directory}"))).unwrap();
            }
            for file in 0..75_usize {
                let content = &bytes[file * 1000..file * 1000 + (directory * 131 + file * 617) % 9000];
                self.write(&format!("d{directory}/file {file} \u{e4}\u{4e2d}.txt"), content);
            }
        }
        for large in 0..6 {
            self.write(&format!("large{large}"), &bytes[large..]);
        }
        for directory in (0..40).step_by(3) {
            for base in [&self.folder, &self.model] {
                fs::remove_dir_all(base.join(format!("d{directory}"))).unwrap();
            }
        }
        for large in 6..20 {
            self.write(&format!("large{large}"), &bytes[large * 100..]);
        }
        for base in [&self.folder, &self.model] {
            fs::hard_link(base.join("large0"), base.join("d1/another name")).unwrap();
            std::os::unix::fs::symlink("../large1", base.join("d1/link")).unwrap();
        }
        self.fill_to_the_brim(&bytes);
    }

    /// A last file takes every cluster that is left; were BitLocker's regions among them, its bytes would be lost.
    fn fill_to_the_brim(&self, bytes: &[u8]) {
        let [mut file, mut model] = [&self.folder, &self.model].map(|base| File::create(base.join("brim")).unwrap());
        let mut written = 0;
        for (round, length) in [(0, 1 << 20), (1, 4096), (2, 1)] {
            for step in 0.. {
                let content = &bytes[round * 1000 + step % 1000..][..length];
                if file.write_all(content).is_err() {
                    break;
                }
                model.write_all(content).unwrap();
                written += length as u64;
            }
            // A part of what did not fit may have been written.
            let _ = file.set_len(written);
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(written)).unwrap();
        }
        assert!(written > 50 << 20, "{written}");
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.join(name), content).unwrap();
        fs::write(self.model.join(name), content).unwrap();
    }
}

/// Works on the files of the volume by way of ntfs-3g.
fn mounted(volume: &Path, folder: &Path, work: impl FnOnce()) {
    let mount = Command::new("ntfs-3g").args([volume, folder]).output().unwrap();
    assert!(mount.status.success(), "ntfs-3g: {}", String::from_utf8_lossy(&mount.stderr));
    let unmount = Unmount(folder);
    work();
    drop(unmount);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let status = Command::new("fusermount3").arg("-u").arg(self.0).status().unwrap();
        // ntfs-3g goes on for a moment after its folder is free; the volume must be closed before the next step.
        let start = std::time::Instant::now();
        while start.elapsed() < std::time::Duration::from_secs(20) && ntfs_3g_runs_for(self.0) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(status.success() || std::thread::panicking());
    }
}

fn ntfs_3g_runs_for(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok()).any(|line| {
        let line = String::from_utf8_lossy(&line).into_owned();
        line.starts_with("ntfs-3g") && line.contains(folder.to_str().unwrap())
    })
}

fn tool(program: &str, arguments: &[&str], volume: &Path) -> String {
    let (good, said) = answer(program, arguments, volume);
    assert!(good, "{program} says no: {said}");
    said
}

/// Whether a program is content, and what it says.
fn answer(program: &str, arguments: &[&str], volume: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    let output = command.args(arguments).arg(volume).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}
