//! Damaged drives: rescued into a file, mended where they lie.

use std::os::unix::fs::FileExt;
use std::process::Command;

use fve::salvage::{RescueMap, Status};
use serde_json::Value;

use crate::harness::{Bench, PASSWORD, Ran, keyhaven};

const WITH_PASSWORD: &str = "--password-file password";
const WITH_KEY: &str = "--recovery-password-file key.txt";
const REGION: usize = 0x1_0000;

/// A drive `d.img`, its plain content in `plain.img`, and where its metadata copies are.
struct Drive {
    bench: Bench,
    sound: Vec<u8>,
    plain: Vec<u8>,
    copies: Vec<usize>,
}

impl Drive {
    fn new() -> Self {
        let bench = Bench::with_drive();
        bench.run(&format!("decrypt d.img --output plain.img {WITH_PASSWORD}")).text();
        let info = bench.run("info d.img --json").json();
        let copies = info["metadata_copies"].as_array().unwrap().iter();
        let copies: Vec<usize> =
            copies.map(|copy| usize::try_from(copy["offset_bytes"].as_u64().unwrap()).unwrap()).collect();
        assert_eq!(copies.len(), 3);
        let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
        let (sound, plain) = (read("d.img"), read("plain.img"));
        Self { bench, sound, plain, copies }
    }

    /// Writes a damaged drive `e.img`, and clears what earlier runs left.
    fn damage(&self, change: impl FnOnce(&mut Vec<u8>)) {
        for name in ["out.img", "out.img.map", "backup"] {
            let _ = std::fs::remove_file(self.bench.path(name));
        }
        let mut bytes = self.sound.clone();
        change(&mut bytes);
        self.bench.file("e.img", &bytes);
    }

    fn lose_copies(&self, bytes: &mut [u8], copies: &[usize]) {
        for copy in copies {
            bytes[self.copies[*copy]..self.copies[*copy] + REGION].fill(0xA5);
        }
    }

    fn repair(&self, more: &str) -> Ran {
        self.bench.run(&format!("repair e.img --output out.img --json {more}"))
    }

    fn output(&self) -> Vec<u8> {
        std::fs::read(self.bench.path("out.img")).unwrap()
    }

    /// Rescues, and compares with what was in the drive.
    fn rescues(&self, more: &str) -> Value {
        let ran = self.repair(more);
        let document = ran.json();
        assert!(self.output() == self.plain, "{}", ran.stderr);
        assert_eq!((document["lost_bytes"].as_u64(), document["finished"].as_bool()), (Some(0), Some(true)));
        assert!(document["map"].is_null() && !self.bench.path("out.img.map").exists());
        document
    }
}

trait Told {
    /// What a command that failed said, in words or as JSON; checks that nothing broke inside.
    fn told(&self, status: i32) -> &str;
}

impl Told for Ran {
    fn told(&self, status: i32) -> &str {
        assert_eq!(self.status, status, "{}", self.stderr);
        assert!(self.stderr.contains("error") && !self.stderr.contains("panicked"), "{}", self.stderr);
        &self.stderr
    }
}

/// What a rescue that lost something reports, with its exit status checked.
fn lossy(ran: &Ran) -> Value {
    assert!(ran.told(1).contains("could not be read"), "{}", ran.stderr);
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn a_lost_header_and_lost_copies_are_worked_around() {
    let drive = Drive::new();
    drive.damage(|_| {});
    assert_eq!(drive.rescues(WITH_PASSWORD)["volume"]["found_by"], "first sector");
    for lost in [vec![], vec![0], vec![1], vec![2], vec![0, 1], vec![0, 2], vec![1, 2]] {
        drive.damage(|bytes| drive.lose_copies(bytes, &lost));
        assert_eq!(drive.rescues(WITH_PASSWORD)["volume"]["found_by"], "first sector", "{lost:?}");
        drive.damage(|bytes| {
            drive.lose_copies(bytes, &lost);
            bytes[..512].fill(0);
        });
        let document = drive.rescues(WITH_KEY);
        let volume = &document["volume"];
        assert_eq!(volume["found_by"], "search", "{document}");
        assert_eq!((volume["start_bytes"].as_u64(), volume["first_sector_sound"].as_bool()), (Some(0), Some(false)));
        assert_eq!(volume["metadata_copies"].as_u64(), Some(3 - lost.len() as u64));
    }
}

/// What was overwritten behind the first 8 KiB stays lost; everything else is there.
#[test]
fn a_quick_format_is_worked_around() {
    if !testkit::programs(&["mkfs.vfat"]) {
        return;
    }
    let drive = Drive::new();
    drive.damage(|_| {});
    let formatted = Command::new("mkfs.vfat").arg(drive.bench.path("e.img")).output().unwrap();
    assert!(formatted.status.success());
    let bytes = std::fs::read(drive.bench.path("e.img")).unwrap();
    let written = (0..bytes.len()).rev().find(|at| bytes[*at] != drive.sound[*at]).unwrap();
    let ran = drive.repair(WITH_PASSWORD);
    ran.json();
    assert!(ran.stderr.contains("a plain FAT volume"), "{}", ran.stderr);
    let (found, behind) = (drive.output(), written - written % 512 + 512);
    assert!(found[..0x2000] == drive.plain[..0x2000] && found[behind..] == drive.plain[behind..]);
    // Mended in place, it opens as before; the first sector alone is written.
    let before = std::fs::read(drive.bench.path("e.img")).unwrap();
    let mended =
        drive.bench.run(&format!("repair e.img --in-place --backup-file backup {WITH_PASSWORD} --json")).json();
    assert_eq!(mended["writes"].as_array().unwrap().len(), 1);
    let after = std::fs::read(drive.bench.path("e.img")).unwrap();
    assert!(after[..512] == drive.sound[..512] && after[512..] == before[512..]);
}

#[test]
fn a_volume_in_a_disk_without_its_partition_table() {
    let drive = Drive::new();
    let start = 1 << 20;
    for header in [true, false] {
        drive.damage(|bytes| {
            if !header {
                bytes[..512].fill(0);
            }
            bytes.splice(0..0, vec![0; start]);
            bytes.extend_from_slice(&[0; 1 << 20]);
        });
        let document = drive.rescues(WITH_PASSWORD);
        assert_eq!(document["volume"]["start_bytes"].as_u64(), Some(start as u64));
        let dry = drive.bench.run(&format!("repair e.img --in-place --dry-run --json {WITH_PASSWORD}"));
        assert!(dry.stderr.contains(&format!("starts at byte {start}")), "{}", dry.stderr);
        let writes = dry.json()["writes"].clone();
        if header {
            assert_eq!(writes.as_array().unwrap().len(), 0);
        } else {
            assert_eq!(writes[0]["offset_bytes"].as_u64(), Some(start as u64), "{writes}");
        }
    }
}

/// One copy left, and nothing tells which it is: the start that decrypts to a file system is right.
#[test]
fn the_start_is_told_by_what_decrypts() {
    let drive = Drive::new();
    let start = (24 << 20) + 5 * 512;
    drive.damage(|bytes| {
        bytes[..512].fill(0);
        drive.lose_copies(bytes, &[1, 2]);
        bytes.splice(0..0, vec![0; start]);
        bytes.extend_from_slice(&vec![0; 32 << 20]);
    });
    let document = drive.rescues(WITH_PASSWORD);
    assert_eq!(document["volume"]["start_bytes"].as_u64(), Some(start as u64));
    let mended =
        drive.bench.run(&format!("repair e.img --in-place --backup-file backup {WITH_PASSWORD} --json")).json();
    assert_eq!(mended["writes"].as_array().unwrap().len(), 3, "{mended}");
    let bytes = std::fs::read(drive.bench.path("e.img")).unwrap();
    assert!(bytes[start..start + drive.sound.len()] == drive.sound);
}

#[test]
fn with_all_copies_lost_a_key_package_rescues() {
    let drive = Drive::new();
    let bench = &drive.bench;
    bench.run(&format!("protectors export-package d.img --output key.package {WITH_PASSWORD}")).text();
    let listed = bench.run("protectors list d.img --json").json();
    let protectors = listed["protectors"].as_array().unwrap();
    let word = protectors.iter().find(|it| it["kind"] == "password").unwrap()["identifier"].as_str().unwrap();
    bench
        .run(&format!("protectors export-package d.img --protector {word} --output word.package {WITH_PASSWORD}"))
        .text();
    // Without metadata its places are not zeros but noise, unless the header tells them.
    let places_apart = |found: &mut [u8]| drive.copies.iter().for_each(|at| found[*at..*at + REGION].fill(0));
    for header in [true, false] {
        for (package, secret) in [("key.package", WITH_KEY), ("word.package", WITH_PASSWORD)] {
            drive.damage(|bytes| {
                drive.lose_copies(bytes, &[0, 1, 2]);
                if !header {
                    bytes[..512].fill(0);
                }
            });
            let refused = drive.repair(secret);
            assert!(refused.told(1).contains("--key-package"), "{}", refused.stderr);
            assert!(!bench.path("out.img").exists());
            let document = drive.repair(&format!("--key-package {package} {secret}")).json();
            assert_eq!(document["volume"]["found_by"], "key package");
            let mut found = drive.output();
            if !header {
                places_apart(&mut found);
            }
            assert!(found == drive.plain, "{package} {header}");
        }
    }
    let mismatched = drive.repair(&format!("--map other.map --key-package word.package {WITH_KEY}"));
    mismatched.told(2);
    drive.damage(|bytes| drive.lose_copies(bytes, &[0, 1, 2]));
    let wrong = drive.repair(&format!("--key-package word.package {WITH_KEY}"));
    assert!(wrong.told(1).contains("does not open the key package"), "{}", wrong.stderr);
    let no_package = drive.repair(&format!("--key-package key.txt {WITH_KEY}"));
    assert!(no_package.told(1).contains("is not a key package"), "{}", no_package.stderr);
}

#[test]
fn wrong_secrets_and_drives_without_metadata_are_told() {
    let drive = Drive::new();
    drive.bench.file("wrong", b"not the password");
    drive.damage(|bytes| bytes[..512].fill(0));
    let wrong = drive.repair("--password-file wrong");
    assert!(wrong.told(1).contains("this password does not open"), "{}", wrong.stderr);
    drive.damage(|_| {});
    let wrong = drive.repair("--password-file wrong");
    assert!(wrong.told(1).contains("--search"), "{}", wrong.stderr);
    drive.bench.file("e.img", &vec![0; 8 << 20]);
    let empty = drive.repair(WITH_PASSWORD);
    assert!(empty.told(1).contains("no BitLocker metadata was found"), "{}", empty.stderr);
    assert!(!drive.bench.path("out.img").exists() && !drive.bench.path("out.img.map").exists());
    assert_eq!(drive.bench.run(&format!("repair nowhere.img --output out.img {WITH_PASSWORD}")).status, 2);
}

/// The end of the image is missing: what is there is rescued, and the rest is listed.
#[test]
fn an_image_that_was_cut_off_is_rescued_as_far_as_it_goes() {
    let drive = Drive::new();
    let kept = drive.copies[1] + 0x2_0000;
    drive.damage(|bytes| bytes.truncate(kept));
    let ran = drive.repair(WITH_PASSWORD);
    let document = lossy(&ran);
    assert_eq!(document["lost_bytes"].as_u64(), Some((drive.sound.len() - kept) as u64));
    assert_eq!(document["lost"][0]["offset_bytes"].as_u64(), Some(kept as u64));
    assert!(drive.output() == drive.plain[..kept]);
}

#[test]
fn files_that_are_there_are_never_touched() {
    let drive = Drive::new();
    drive.damage(|_| {});
    drive.bench.file("out.img", b"precious");
    let refused = drive.repair(WITH_PASSWORD);
    assert!(refused.told(2).contains("exists already"), "{}", refused.stderr);
    // A map of another volume, or for something of another size.
    drive.bench.file("out.img.map", b"0 ? 1\n0 8 +\n");
    drive.repair(WITH_PASSWORD).told(2);
    drive.bench.file("out.img.map", b"# Volume: {another} at 0\n0 ? 1\n0 8 +\n");
    assert!(drive.repair(WITH_PASSWORD).told(2).contains("another volume"));
    drive.bench.file("out.img.map", b"not a map\n");
    drive.repair(WITH_PASSWORD).told(2);
    assert_eq!(drive.output(), b"precious");
    std::fs::remove_file(drive.bench.path("out.img")).unwrap();
    assert!(drive.repair(WITH_PASSWORD).told(2).contains("without its output"));
    // A map that cannot be written leaves no output behind that nobody could go on with.
    let nowhere = drive.bench.run(&format!("repair e.img --output new.img --map nowhere/new.map {WITH_PASSWORD}"));
    assert!(nowhere.told(2).contains("new.map") && !drive.bench.path("new.img").exists(), "{}", nowhere.stderr);
    // The drive itself, by another name.
    std::os::unix::fs::symlink("e.img", drive.bench.path("same.img")).unwrap();
    let same = drive.bench.run(&format!("repair e.img --output same.img {WITH_PASSWORD}"));
    assert!(same.told(2).contains("would lie on the drive"), "{}", same.stderr);
    let same = drive.bench.run(&format!("repair e.img --in-place --backup-file same.img {WITH_PASSWORD}"));
    assert!(same.told(2).contains("would lie on the drive"), "{}", same.stderr);
    assert!(std::fs::read(drive.bench.path("e.img")).unwrap() == drive.sound);
}

#[test]
fn what_an_earlier_run_left_is_finished() {
    let drive = Drive::new();
    drive.damage(|_| {});
    drive.rescues(WITH_PASSWORD);
    // As if the power had failed: a part is written down as read, the rest of the file is empty.
    let half = drive.plain.len() / 2 + 777;
    let output = std::fs::File::options().write(true).open(drive.bench.path("out.img")).unwrap();
    output.set_len(half as u64).unwrap();
    output.set_len(drive.plain.len() as u64).unwrap();
    // What the map calls read is not looked at again.
    output.write_all_at(b"left alone", 100).unwrap();
    drive.bench.file("out.img.map", format!("0 ? 1\n0 {half} +\n").as_bytes());
    let ran = drive.repair(WITH_PASSWORD);
    assert!(ran.stderr.contains("going on"), "{}", ran.stderr);
    ran.json();
    let found = drive.output();
    assert!(found[100..110] == *b"left alone" && found[half..] == drive.plain[half..]);
}

#[test]
fn copies_and_header_are_mended_in_place() {
    let drive = Drive::new();
    let bench = &drive.bench;
    for (lost, header) in [(vec![1], true), (vec![0, 2], true), (vec![], false), (vec![0, 1], false)] {
        drive.damage(|bytes| {
            drive.lose_copies(bytes, &lost);
            if !header {
                bytes[..512].fill(0x5A);
            }
        });
        let damaged = std::fs::read(bench.path("e.img")).unwrap();
        let dry = bench.run(&format!("repair e.img --in-place --dry-run --json {WITH_KEY}")).json();
        assert_eq!(dry["writes"].as_array().unwrap().len(), lost.len() + usize::from(!header), "{dry}");
        assert!(std::fs::read(bench.path("e.img")).unwrap() == damaged);
        let ran = bench.run(&format!("repair e.img --in-place --backup-file backup --json {WITH_KEY}"));
        assert_eq!(ran.json()["writes"], dry["writes"]);
        assert!(std::fs::read(bench.path("e.img")).unwrap() == drive.sound, "{lost:?} {header}");
        // The backup brings back what was there.
        let backup = std::fs::read(bench.path("backup")).unwrap();
        let (index, mut content) = backup.split_at(4096);
        let index = String::from_utf8(index.to_vec()).unwrap();
        let mut undone = drive.sound.clone();
        for line in index.trim_end_matches('\0').lines().skip(1) {
            let (at, length) = line.split_once(' ').unwrap();
            let (at, length): (usize, usize) = (at.parse().unwrap(), length.parse().unwrap());
            undone[at..at + length].copy_from_slice(&content[..length]);
            content = &content[length..];
        }
        assert!(undone == damaged && content.is_empty());
        let again = bench.run(&format!("repair e.img --in-place --dry-run {WITH_KEY}")).text();
        assert!(again.contains("nothing has to be repaired"), "{again}");
    }
}

#[test]
fn mending_in_place_is_careful() {
    let drive = Drive::new();
    let bench = &drive.bench;
    drive.damage(|bytes| bytes[..512].fill(0));
    let before = std::fs::read(bench.path("e.img")).unwrap();
    let usage = bench.run(&format!("repair e.img --in-place {WITH_KEY}"));
    assert!(usage.refused_usage().contains("--backup-file"), "{}", usage.stderr);
    bench.run("repair e.img").refused_usage();
    bench.file("there", b"precious");
    bench.run(&format!("repair e.img --in-place --backup-file there {WITH_KEY}")).told(2);
    assert_eq!(std::fs::read(bench.path("there")).unwrap(), b"precious");
    bench.file("wrong", b"not the password");
    bench.run("repair e.img --in-place --backup-file backup --password-file wrong").told(1);
    let lock = std::fs::File::open(bench.path("e.img")).unwrap();
    lock.lock_shared().unwrap();
    let busy = bench.run(&format!("repair e.img --in-place --backup-file backup {WITH_KEY}"));
    assert!(busy.told(1).contains("in use"), "{}", busy.stderr);
    lock.unlock().unwrap();
    assert!(!bench.path("backup").exists());
    assert!(std::fs::read(bench.path("e.img")).unwrap() == before);
    // Where the moved first sectors are gone as well, nothing proves where the volume starts.
    let moved = drive.copies[0] + REGION;
    drive.damage(|bytes| {
        bytes[..512].fill(0);
        bytes[moved..moved + 512].fill(0x11);
    });
    let refused = bench.run(&format!("repair e.img --in-place --backup-file backup {WITH_KEY}"));
    assert!(refused.told(1).contains("nothing was written"), "{}", refused.stderr);
    assert!(!bench.path("backup").exists());
    // Into a file it goes all the same, with a word about it.
    let ran = drive.repair(WITH_KEY);
    assert!(ran.status == 0 && ran.stderr.contains("warning"), "{}", ran.stderr);
    assert!(drive.output()[0x2000..] == drive.plain[0x2000..]);
}

/// A drive with bad sectors, shown by the kernel as a file whose reads fail there.
#[cfg(all(feature = "mount", target_os = "linux"))]
mod bad_sectors {
    use std::ops::Range;
    use std::process::Stdio;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use block_io::{BlockRead, BlockWrite, Error, FileDisk, Geometry};
    use export::{Access, Disk};
    use export_fuse::{Mount, Options, VOLUME_FILE, mount_disk};

    use super::*;

    struct Failing {
        below: FileDisk,
        bad: Vec<Range<u64>>,
        /// Each read takes so long.
        delay: Duration,
    }

    impl BlockRead for Failing {
        fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
            std::thread::sleep(self.delay);
            let end = offset_bytes + buffer.len() as u64;
            if self.bad.iter().any(|bad| bad.start < end && offset_bytes < bad.end) {
                let source = std::io::Error::from_raw_os_error(5);
                return Err(Error::Io { operation: "read", offset_bytes, source });
            }
            self.below.read_exact_at(offset_bytes, buffer)
        }

        fn geometry(&self) -> Geometry {
            self.below.geometry()
        }
    }

    impl BlockWrite for Failing {
        fn write_all_at(&self, _: u64, _: &[u8]) -> Result<(), Error> {
            Err(Error::ReadOnly)
        }

        fn flush(&self) -> Result<(), Error> {
            Ok(())
        }
    }

    struct Shown {
        mount: Option<Mount>,
        name: String,
    }

    impl Shown {
        fn new(drive: &Drive, bad: Vec<Range<u64>>) -> Self {
            Self::slow(drive, bad, Duration::ZERO)
        }

        fn slow(drive: &Drive, bad: Vec<Range<u64>>, delay: Duration) -> Self {
            let folder = drive.bench.path("shown");
            std::fs::create_dir_all(&folder).unwrap();
            let below = FileDisk::open(&drive.bench.path("e.img")).unwrap();
            let disk = Disk::new(Box::new(Failing { below, bad, delay }), Access::ReadOnly);
            let mount = mount_disk(Arc::new(disk), &folder, &Options::default()).unwrap();
            Self { mount: Some(mount), name: format!("shown/{VOLUME_FILE}") }
        }

        fn repair(&self, drive: &Drive, more: &str) -> Ran {
            drive.bench.run(&format!("repair {} --output out.img --json {more} {WITH_PASSWORD}", self.name))
        }
    }

    impl Drop for Shown {
        fn drop(&mut self) {
            if let Some(mount) = self.mount.take() {
                mount.stopper().stop();
                let _ = mount.serve(&mut |_| {});
            }
        }
    }

    #[test]
    fn bad_sectors_are_left_out_listed_and_tried_again() {
        if !crate::running::fuse() {
            return;
        }
        let drive = Drive::new();
        drive.damage(|_| {});
        // One sector, two across a page, a megabyte, and the last one of a copy and the first sector of the drive.
        let at = 0x30_0000;
        let bad = vec![at..at + 512, at + 0x1E00..at + 0x2200, at + 0x10_0000..at + 0x20_0000];
        let lost = bad.clone();
        let shown = Shown::new(&drive, bad);
        let ran = shown.repair(&drive, "");
        let document = lossy(&ran);
        let text = std::fs::read_to_string(drive.bench.path("out.img.map")).unwrap();
        let map = RescueMap::parse(&text, drive.plain.len() as u64).unwrap();
        assert_eq!(map.lost(), lost, "{}", ran.stderr);
        let lost_bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
        assert_eq!((map.bytes(Status::Bad), document["lost_bytes"].as_u64()), (lost_bytes, Some(lost_bytes)));
        assert_eq!(document["map"], "out.img.map");
        let mut expected = drive.plain.clone();
        for range in &lost {
            expected[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].fill(0);
        }
        assert!(drive.output() == expected);
        drop(shown);
        // The next day one place reads again.
        let shown = Shown::new(&drive, lost[..1].to_vec());
        let ran = shown.repair(&drive, "");
        assert!(ran.stderr.contains("going on"), "{}", ran.stderr);
        assert_eq!(lossy(&ran)["lost_bytes"].as_u64(), Some(512));
        drop(shown);
        let shown = Shown::new(&drive, Vec::new());
        assert_eq!(shown.repair(&drive, "").json()["lost_bytes"].as_u64(), Some(0));
        assert!(drive.output() == drive.plain && !drive.bench.path("out.img.map").exists());
    }

    #[test]
    fn ctrl_c_keeps_what_was_rescued_and_the_same_command_goes_on() {
        if !crate::running::fuse() {
            return;
        }
        let drive = Drive::new();
        drive.damage(|_| {});
        let shown = Shown::slow(&drive, Vec::new(), Duration::from_millis(100));
        let mut command = keyhaven();
        command.current_dir(drive.bench.folder.path()).args(["repair", &shown.name, "--output", "out.img"]);
        command.args(["--password-file", "password"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (map, begin) = (drive.bench.path("out.img.map"), Instant::now());
        while !map.exists() {
            assert!(begin.elapsed() < crate::running::PATIENCE, "no map was written");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(400));
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let ran = Ran::new(child.wait_with_output().unwrap());
        assert!(ran.refused(1).contains("the same command goes on"), "{}", ran.stderr);
        let text = std::fs::read_to_string(&map).unwrap();
        let read = RescueMap::parse(&text, drive.plain.len() as u64).unwrap().bytes(Status::Read);
        assert!(read > 0 && read < drive.plain.len() as u64, "{read}");
        drop(shown);
        let shown = Shown::new(&drive, Vec::new());
        let ran = shown.repair(&drive, "");
        assert!(ran.status == 0 && ran.stderr.contains("going on"), "{}", ran.stderr);
        assert!(drive.output() == drive.plain && !map.exists());
    }

    #[test]
    fn an_unreadable_first_sector_and_copies_are_worked_around() {
        if !crate::running::fuse() {
            return;
        }
        let drive = Drive::new();
        drive.damage(|_| {});
        let copy = |index: usize| drive.copies[index] as u64 + 0x200..drive.copies[index] as u64 + 0x400;
        let shown = Shown::new(&drive, vec![0..512, copy(0), copy(2)]);
        let document = shown.repair(&drive, "").json();
        assert_eq!(
            (document["volume"]["found_by"].as_str(), document["lost_bytes"].as_u64()),
            (Some("search"), Some(0))
        );
        assert!(drive.output() == drive.plain);
    }
}

/// The secret comes from standard input once, however many volumes are tried.
#[test]
fn forged_metadata_in_front_is_passed_over() {
    let drive = Drive::new();
    let mut forged = drive.sound[drive.copies[0]..drive.copies[0] + REGION].to_vec();
    // Another place for the moved first sectors; the checksum is made to fit, the seal cannot be.
    forged[0x38..0x40].copy_from_slice(&0x40_0000_u64.to_le_bytes());
    let length = usize::from(u16::from_le_bytes([forged[8], forged[9]])) * 16;
    let crc = crc32fast::hash(&forged[..length]);
    forged[length + 4..length + 8].copy_from_slice(&crc.to_le_bytes());
    drive.damage(|bytes| {
        bytes[..512].fill(0);
        bytes[0x10_0000..0x10_0000 + REGION].copy_from_slice(&forged);
        bytes[drive.copies[0]..drive.copies[0] + REGION].copy_from_slice(&forged);
    });
    let overwritten = 0x10_0000..0x10_0000 + REGION;
    let ran = drive.bench.run_typing("repair e.img --output out.img --json --password-file -", PASSWORD);
    assert_eq!(ran.json()["volume"]["start_bytes"].as_u64(), Some(0));
    let mut found = drive.output();
    found[overwritten.clone()].copy_from_slice(&drive.plain[overwritten]);
    assert!(found == drive.plain, "{}", ran.stderr);
}
