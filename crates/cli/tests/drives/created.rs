//! Every kind of drive that `create` makes, judged by other implementations of BitLocker and by the checkers of the file
//! system inside; and drives on block devices.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::judges::{self, Secret};

use crate::harness::{Bench, PASSWORD, Ran, digits_in, keyhaven};

const METHODS: [&str; 6] =
    ["xts-aes-128", "xts-aes-256", "aes-cbc-128", "aes-cbc-256", "aes-cbc-128 --diffuser", "aes-cbc-256 --diffuser"];

/// A program that some folders hold for root alone.
fn tool(program: &str, arguments: &[&str], volume: &Path) -> String {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    let output = command.args(arguments).arg(volume).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} says no: {said}");
    said
}

fn check_file_system(filesystem: &str, plain: &Path) {
    match filesystem {
        "ntfs" => {
            assert!(tool("ntfsfix", &["-n"], plain).contains("processed successfully"));
            let said = tool("ntfsresize", &["--info", "--force", "--bad-sectors"], plain);
            // 64 + 8 + 64 + 64 + 64 KiB in clusters of 4 KiB.
            assert!(said.contains("at least 66 bad sectors"), "{said}");
        }
        "exfat" => assert!(tool("fsck.exfat", &["-n"], plain).contains("clean")),
        _ => drop(tool("fsck.fat", &["-n"], plain)),
    }
}

/// Every method with both sector sizes; each secret is taken by cryptsetup, and one each decrypted by dislocker and libbde.
fn check(filesystem: &str, programs: &[&str]) {
    if !testkit::programs(&[&["cryptsetup", "dislocker-file"], programs].concat()) {
        return;
    }
    let Some(python) = testkit::judges_python("pybde") else { return };
    for sector in [512, 4096] {
        // FAT32 has at least 65525 clusters, and none is smaller than a sector. One method is enough for so large a volume:
        // the others have both sector sizes with NTFS.
        let is_large = (filesystem, sector) == ("fat32", 4096);
        let (size, methods) = if is_large { ("270M", &METHODS[..1]) } else { ("64M", &METHODS[..]) };
        for (number, method) in methods.iter().enumerate() {
            let bench = Bench::new();
            bench
                .run(&format!(
                    "create d.img --size {size} --filesystem {filesystem} --sector-size {sector} --method {method} \
                     --label JUDGED --used-space-only --password-file password --recovery-out key.txt"
                ))
                .text();
            let case = format!("{filesystem} {sector} {method}");
            bench.run("decrypt d.img --output ours --password-file password").text();
            let [image, ours, theirs] = ["d.img", "ours", "theirs"].map(|name| bench.path(name));
            check_file_system(filesystem, &ours);
            let digits = digits_in(&fs::read(bench.path("key.txt")).unwrap());
            for (turn, secret) in [Secret::Recovery(&digits), Secret::Password(PASSWORD)].into_iter().enumerate() {
                let (Secret::Recovery(text) | Secret::Password(text)) = secret;
                // dislocker never overwrites.
                let _ = fs::remove_file(&theirs);
                assert!(judges::cryptsetup_takes(&image, text), "{case}");
                // By turns: each method with one secret by each judge. The tests of `fve` have every method with both.
                let judged = |judge: usize| (number + turn + judge).is_multiple_of(2);
                // The volume header of exFAT has no sector size. dislocker asks the device then, and takes 512 for a file.
                if (filesystem, sector) != ("exfat", 4096) && judged(0) {
                    judges::dislocker(&image, secret, &theirs);
                    judges::assert_same(&theirs, &ours, "dislocker");
                }
                // And libbde refuses it: it knows the headers of NTFS and FAT alone.
                if filesystem != "exfat" && judged(1) {
                    judges::libbde(&python, &image, secret, &theirs);
                    judges::assert_same(&theirs, &ours, "libbde");
                }
            }
        }
    }
}

#[test]
fn ntfs_with_every_method_and_sector_size() {
    check("ntfs", &["mkntfs", "ntfsfix", "ntfsresize"]);
}

#[test]
fn exfat_with_every_method_and_sector_size() {
    check("exfat", &["mkfs.exfat", "fsck.exfat"]);
}

#[test]
fn fat32_with_every_method() {
    check("fat32", &["fsck.fat"]);
}

/// Encrypting everything or what is used alone gives the same file system; only free space differs.
#[test]
fn full_and_used_space_only_hold_the_same_file_system() {
    if !testkit::programs(&["mkntfs", "mkfs.exfat", "ntfsfix", "ntfsresize", "fsck.exfat", "ntfsls"]) {
        return;
    }
    let bench = Bench::new();
    for filesystem in ["ntfs", "exfat"] {
        for mode in ["--full", "--used-space-only"] {
            let words = format!("create {filesystem}{mode} --size 64M --filesystem {filesystem} {mode} --label FULL");
            bench.run(&format!("{words} --password-file password --recovery-out {filesystem}{mode}.key")).text();
            let words = format!("decrypt {filesystem}{mode} --output plain{mode} --password-file password");
            bench.run(&words).text();
            check_file_system(filesystem, &bench.path(&format!("plain{mode}")));
            fs::remove_file(bench.path(&format!("plain{mode}"))).unwrap();
        }
        // Zeros that are encrypted are no zeros; those of a sparse file stay what they are.
        let free = |mode: &str| {
            let mut bytes = vec![0; 1 << 20];
            let file = File::open(bench.path(&format!("{filesystem}{mode}"))).unwrap();
            file.read_exact_at(&mut bytes, 60 << 20).unwrap();
            bytes.iter().all(|byte| *byte == 0)
        };
        assert_eq!((free("--full"), free("--used-space-only")), (false, true), "{filesystem}");
        let leftovers = fs::read_dir(bench.folder.path()).unwrap();
        assert!(!leftovers.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".plain")));
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let bench = Bench::new();
    assert!(bench.run("create e.img --size 64M --diffuser").refused(2).contains("aes-cbc"));
    assert!(bench.run("create e.img").refused(2).contains("--size"));
    assert!(bench.run("create e.img --size 64M --sector-size 1024").refused(2).contains("512 or 4096"));
    assert!(bench.run("create e.img --size 64M --sector-size 4096").refused(1).contains("another size"));
    assert!(bench.run("create e.img --size 67109376 --sector-size 4096 --filesystem ntfs").refused(1).contains("4096"));
    assert!(bench.run("create e.img --size 32M --filesystem ntfs").refused(1).contains("64 MiB is the smallest"));
    assert!(bench.run("create e.img --size 64M --filesystem ntfs --add password").refused(2).contains("fat32"));
    assert!(bench.run("create e.img --size 64M --filesystem exfat --label twelve-chars").refused(2).contains("11"));
    assert!(bench.run("create password --size 64M --filesystem ntfs").refused(2).contains("never overwritten"));
    assert!(!bench.path("e.img").exists());
}

#[test]
fn programs_that_make_file_systems_get_no_secrets() {
    let bench = Bench::new();
    // In place of the real one, as it would be found.
    let program = bench.file("bin/mkntfs", b"#!/bin/sh\n/usr/bin/env > seen\nexit 3\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = keyhaven();
    command.current_dir(bench.folder.path()).args(["create", "e.img", "--size", "64M", "--filesystem", "ntfs"]);
    command.env("PATH", bench.path("bin")).env("KEYHAVEN_PASSWORD", PASSWORD);
    let ran = Ran::new(command.output().unwrap());
    assert!(ran.refused(2).contains("mkntfs could not make the file system"), "{ran:?}");
    let seen = fs::read_to_string(bench.path("seen")).unwrap();
    assert!(seen.contains("LC_ALL=") && !seen.contains("KEYHAVEN_"), "{seen}");
    assert!(!bench.path("e.img").exists());
}

/// A file as a block device, until this is dropped.
struct Loop(PathBuf);

impl Loop {
    /// `None`, after saying so, where there are no loop devices.
    fn new(file: &Path, sector: u32) -> Option<Self> {
        if !testkit::programs(&["losetup"]) {
            return None;
        }
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let arguments = ["--find", "--show", "--sector-size", &sector.to_string()];
        let output = Command::new("losetup").env("PATH", path).args(arguments).arg(file).output().unwrap();
        if !output.status.success() {
            testkit::skip(&format!("losetup: {}", String::from_utf8_lossy(&output.stderr).trim()));
            return None;
        }
        Some(Self(String::from_utf8(output.stdout).unwrap().trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("/sbin/losetup").arg("-d").arg(&self.0).status();
    }
}

#[test]
fn a_device_is_overwritten_only_when_that_is_said_twice() {
    if !testkit::programs(&["dislocker-file", "fsck.exfat", "mkfs.exfat", "setsid"]) {
        return;
    }
    let bench = Bench::new();
    for sector in [512, 4096] {
        File::create(bench.path("disk")).unwrap().set_len(64 << 20).unwrap();
        let Some(device) = Loop::new(&bench.path("disk"), sector) else { return };
        let name = device.0.to_str().unwrap();
        let create = format!("create {name} --filesystem exfat --used-space-only --password-file password");
        assert!(bench.run(&format!("{create} --yes --size 64M")).refused(2).contains("--size"));
        let held = File::options().read(true).custom_flags(0o200).open(&device.0).unwrap();
        assert!(bench.run(&format!("{create} --yes")).refused(2).contains("in use"));
        drop(held);
        // As a mount of ours has it, which does not keep it from others.
        let shown = File::open(&device.0).unwrap();
        shown.lock_shared().unwrap();
        assert!(bench.run(&format!("{create} --yes")).refused(1).contains("Keyhaven works on it"));
        drop(shown);
        // Nobody to ask.
        let mut asked = Command::new("setsid");
        asked.current_dir(bench.folder.path()).args(["-w", env!("CARGO_BIN_EXE_keyhaven")]).args(create.split(' '));
        let output = asked.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("--yes"), "{said}");

        let made = bench.run(&format!("{create} --yes --json")).json();
        assert_eq!(made["sector_bytes"], sector);
        let theirs = bench.path(&format!("theirs{sector}"));
        judges::dislocker(&device.0, Secret::Password(PASSWORD), &theirs);
        check_file_system("exfat", &theirs);
        bench.run(&format!("decrypt {name} --output ours{sector} --password-file password")).text();
        judges::assert_same(&theirs, &bench.path(&format!("ours{sector}")), "dislocker");

        let before = fs::read(bench.path("disk")).unwrap();
        // A key file that exists is noticed before anything is lost.
        let kept = bench.run(&format!("{create} --yes --overwrite --recovery-out password"));
        assert!(kept.refused(2).contains("never overwritten") && !kept.stderr.contains("lost"));
        let refused = bench.run(&format!("{create} --yes"));
        assert!(refused.refused(1).contains("a BitLocker volume") && refused.stderr.contains("--overwrite"));
        assert!(fs::read(bench.path("disk")).unwrap() == before, "a refused command changed the device");
        let again = bench.run(&format!("{create} --yes --overwrite --json")).json();
        assert_ne!(again["recovery_identifier"], made["recovery_identifier"]);
        if sector == 4096 {
            assert!(bench.run(&format!("{create} --yes --overwrite --sector-size 512")).refused(1).contains("4096"));
        }
    }
}
