//! NTFS on a raw mount: `mkntfs` makes it, `ntfs-3g` fills it, `ntfsfix`, `ntfsresize` and dislocker judge it.
//!
//! On drives that Windows encrypts, BitLocker's regions belong to files of NTFS, so that nothing else is put there.
//! `mkntfs` knows nothing of them; a step of ours marks their clusters as bad, in `$Bitmap` and in `$BadClus`, as the
//! format provides for places that cannot be used.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use fve::Placement;
use testkit::judges::{self, Secret};

use crate::harness::{Bench, PASSWORD, pattern, same};
use crate::running::{Running, fuse};

const SIZE: u64 = 256 << 20;
const CLUSTER: u64 = 4096;
const RECORD: usize = 1024;

#[test]
fn ntfs_3g_fills_a_raw_mount_and_others_agree() {
    if !fuse() || !testkit::programs(&["mkntfs", "ntfs-3g", "ntfsfix", "ntfsresize", "dislocker-file"]) {
        return;
    }
    let bench = Bench::new();
    bench
        .run("create d.img --size 256M --filesystem none --used-space-only --password-file password --recovery-out key")
        .text();
    let running = Running::mount(&bench, "d.img m --raw --write --password-file password", "m");
    let volume = bench.path("m/volume.img");
    // Without --quick it clears the whole volume first, BitLocker's regions included.
    tool("mkntfs", &["-F", "-q", "-c", "4096", "-L", "JUDGED"], &volume);
    mark_bad(&volume);
    tool("ntfsresize", &["--info", "--force", "--bad-sectors"], &volume);

    let files = Filled { folder: bench.path("files"), model: bench.path("model") };
    fs::create_dir(&files.folder).unwrap();
    fs::create_dir(&files.model).unwrap();
    mounted(&volume, &files.folder, || files.fill());
    tool("ntfsfix", &["-n"], &volume);
    let judged = tool("ntfsresize", &["--info", "--force", "--bad-sectors"], &volume);
    assert!(judged.contains("Checking filesystem consistency"), "{judged}");
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
    let mut command = Command::new(program);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    let output = command.args(arguments).arg(volume).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} says no: {said}");
    said
}

/// Marks the clusters of BitLocker's regions as bad: no file may have them.
fn mark_bad(volume: &Path) {
    let regions = Placement::choose(SIZE, CLUSTER, 0).unwrap().reserved();
    let bad: Vec<(u64, u64)> =
        regions.iter().map(|region| (region.start / CLUSTER, region.end.div_ceil(CLUSTER))).collect();
    let file = OpenOptions::new().read(true).write(true).open(volume).unwrap();
    let mut boot = [0; 512];
    file.read_exact_at(&mut boot, 0).unwrap();
    let table = u64::from_le_bytes(boot[0x30..0x38].try_into().unwrap()) * CLUSTER;

    let bitmap = read_record(&file, table, 6);
    let data = attribute(&bitmap, "");
    // One run, as mkntfs writes it: one byte of length, or two, then the first cluster.
    let runs = &bitmap[data + usize::from(bitmap[data + 0x20])..];
    let (length_size, start_size) = (usize::from(runs[0] & 15), usize::from(runs[0] >> 4));
    let start = number(&runs[1 + length_size..][..start_size]) as u64;
    for cluster in bad.iter().flat_map(|&(first, end)| first..end) {
        let at = start * CLUSTER + cluster / 8;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        assert_eq!(byte[0] & 1 << (cluster % 8), 0, "mkntfs put something of its own there");
        file.write_all_at(&[byte[0] | 1 << (cluster % 8)], at).unwrap();
    }

    let mut record = read_record(&file, table, 8);
    let data = attribute(&record, "$Bad");
    let old_length = number(&record[data + 4..data + 8]);
    let mut attribute = record[data..data + usize::from(record[data + 0x20])].to_vec();
    attribute.extend(mapping_pairs(&bad, SIZE / CLUSTER - 1));
    attribute.resize(attribute.len().next_multiple_of(8), 0);
    let length = u32::try_from(attribute.len()).unwrap();
    attribute[4..8].copy_from_slice(&length.to_le_bytes());
    let used = number(&record[0x18..0x1C]);
    let rest = record[data + old_length..used].to_vec();
    attribute.extend(rest);
    record[data..data + attribute.len()].copy_from_slice(&attribute);
    let used = u32::try_from(data + attribute.len()).unwrap();
    record[0x18..0x1C].copy_from_slice(&used.to_le_bytes());
    write_record(&file, table, 8, record);
    file.sync_all().unwrap();
}

/// A record of the master file table with its update sequence undone.
fn read_record(file: &File, table: u64, index: u64) -> Vec<u8> {
    let mut record = vec![0; RECORD];
    file.read_exact_at(&mut record, table + index * RECORD as u64).unwrap();
    assert_eq!(&record[..4], b"FILE");
    let sequence = number(&record[4..6]);
    for sector in 0..RECORD / 512 {
        let saved = [record[sequence + 2 + sector * 2], record[sequence + 3 + sector * 2]];
        record[sector * 512 + 510..sector * 512 + 512].copy_from_slice(&saved);
    }
    record
}

fn write_record(file: &File, table: u64, index: u64, mut record: Vec<u8>) {
    let sequence = number(&record[4..6]);
    for sector in 0..RECORD / 512 {
        let end = sector * 512 + 510;
        let saved = [record[end], record[end + 1]];
        record[sequence + 2 + sector * 2..][..2].copy_from_slice(&saved);
        record.copy_within(sequence..sequence + 2, end);
    }
    file.write_all_at(&record, table + index * RECORD as u64).unwrap();
}

/// Where the data attribute of this name begins.
fn attribute(record: &[u8], name: &str) -> usize {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut at = number(&record[0x14..0x16]);
    loop {
        let kind = number(&record[at..at + 4]);
        assert_ne!(kind, 0xFFFF_FFFF, "no data attribute {name:?}");
        let name_at = at + number(&record[at + 10..at + 12]);
        let length = usize::from(record[at + 9]) * 2;
        if kind == 0x80 && record[name_at..name_at + length] == wide {
            return at;
        }
        at += number(&record[at + 4..at + 8]);
    }
}

/// Runs of clusters: those in `used`, and holes between them, up to `clusters`.
fn mapping_pairs(used: &[(u64, u64)], clusters: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut here, mut last) = (0, 0_i64);
    for &(first, end) in used {
        out.push(0x04);
        out.extend(u32::try_from(first - here).unwrap().to_le_bytes());
        out.push(0x44);
        out.extend(u32::try_from(end - first).unwrap().to_le_bytes());
        out.extend(i32::try_from(first as i64 - last).unwrap().to_le_bytes());
        (here, last) = (end, first as i64);
    }
    out.push(0x04);
    out.extend(u32::try_from(clusters - here).unwrap().to_le_bytes());
    out.push(0);
    out
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}
