//! Everything that can be wrong: a clear error, the exit status that was agreed, and nothing lost.

use std::process::Command;

use crate::harness::{Bench, PASSWORD, Ran, digits_in};

/// Where the first metadata block of a new volume lies.
fn metadata_offsets(bench: &Bench) -> Vec<usize> {
    let info = bench.run("info d.img --json").json();
    let copies = info["metadata_copies"].as_array().unwrap().clone();
    copies.iter().map(|copy| usize::try_from(copy["offset_bytes"].as_u64().unwrap()).unwrap()).collect()
}

#[test]
fn what_is_no_bitlocker_drive_is_said() {
    let bench = Bench::new();
    bench.file("empty", b"");
    bench.file("text", &b"just a text, long enough to fill a sector. ".repeat(40));
    let mut fat = vec![0; 4096];
    fat[..11].copy_from_slice(b"\xEB\x3C\x90MSDOS5.0");
    fat[510..512].copy_from_slice(&[0x55, 0xAA]);
    bench.file("fat", &fat);
    for name in ["empty", "text", "fat"] {
        let ran = bench.run(&format!("info {name}"));
        assert!(ran.refused(1).contains("is not a BitLocker drive"), "{}", ran.stderr);
    }
    assert!(bench.run("info nothing").refused(2).contains("cannot open nothing"));
    assert!(bench.run("info .").refused(2).contains("cannot read ."));
}

#[test]
fn a_truncated_image_is_told_and_read_as_far_as_it_goes_on_request() {
    let bench = Bench::with_drive();
    bench.damaged("short.img", |bytes| bytes.truncate(60 << 20));
    let ran = bench.run("decrypt short.img --output out --password-file password");
    assert!(ran.refused(1).contains("--allow-short"), "{}", ran.stderr);
    assert!(!bench.path("out").exists());
    assert!(bench.run("info short.img").text().contains("incomplete"));
    let read = bench.run("cat short.img tree/hello.txt --allow-short --password-file password").text();
    assert_eq!(read, "hello");
    bench.damaged("stump.img", |bytes| bytes.truncate(1 << 20));
    assert!(bench.run("info stump.img").refused(1).contains("copy 1"), "no metadata is left");
}

#[test]
fn each_damaged_metadata_copy_is_passed_over_and_told() {
    let bench = Bench::with_drive();
    let offsets = metadata_offsets(&bench);
    for (index, offset) in offsets.iter().enumerate() {
        bench.damaged("one.img", |bytes| bytes[offset + 100] ^= 1);
        let ran = bench.run("cat one.img tree/hello.txt --password-file password");
        assert_eq!(ran.text(), "hello");
        assert!(ran.stderr.contains(&format!("metadata copy {} of 3 cannot be used", index + 1)), "{}", ran.stderr);
        bench.damaged("two.img", |bytes| {
            for other in offsets.iter().filter(|other| *other != offset) {
                bytes[other + 100] ^= 1;
            }
        });
        let ran = bench.run("cat two.img tree/hello.txt --recovery-password-file key.txt");
        assert_eq!((ran.text(), ran.stderr.matches("warning").count()), ("hello".to_owned(), 2));
    }
    bench.damaged("three.img", |bytes| offsets.iter().for_each(|offset| bytes[offset + 100] ^= 1));
    let ran = bench.run("verify three.img --password-file password");
    assert!(ran.refused(1).contains("copy 3: ") && ran.stderr.contains("make an image"), "{}", ran.stderr);
}

/// Changes all three metadata copies in the same way and makes their checksums right again, as a newer Windows could
/// have written them.
fn rewritten(bench: &Bench, name: &str, change: impl Fn(&mut [u8])) {
    let offsets = metadata_offsets(bench);
    bench.damaged(name, |bytes| {
        for offset in offsets {
            let length = 16 * usize::from(u16::from_le_bytes([bytes[offset + 8], bytes[offset + 9]]));
            change(&mut bytes[offset..offset + length]);
            let crc = crc32fast::hash(&bytes[offset..offset + length]);
            bytes[offset + length + 4..offset + length + 8].copy_from_slice(&crc.to_le_bytes());
        }
    });
}

#[test]
fn an_unknown_method_and_an_unknown_protector_are_listed_as_unsupported() {
    let bench = Bench::with_drive();
    // The method stands at 0x24 of the metadata header, which begins at 0x40.
    rewritten(&bench, "method.img", |block| block[0x64..0x66].copy_from_slice(&[0x42, 0x99]));
    let info = bench.run("info method.img").text();
    assert!(info.contains("0x9942") && info.contains("not supported"), "{info}");
    bench.run("cat method.img tree/hello.txt --password-file password").refused(1);

    rewritten(&bench, "protector.img", |block| {
        let mut at = 0x70;
        // Entries of type 2 are protectors; what they are protected by stands 34 bytes into them.
        while u16::from_le_bytes([block[at + 2], block[at + 3]]) != 2 || block[at + 34..at + 36] != [0x00, 0x20] {
            at += usize::from(u16::from_le_bytes([block[at], block[at + 1]]));
        }
        block[at + 34..at + 36].copy_from_slice(&[0x00, 0x77]);
    });
    let info = bench.run("info protector.img").text();
    assert!(info.contains("0x7700") && info.contains("not supported here"), "{info}");
    let ran = bench.run("verify protector.img --password-file password");
    assert!(ran.refused(1).contains("password"), "{}", ran.stderr);
    // The other secret opens it, and shows that this was not BitLocker's own change.
    let ran = bench.run("verify protector.img --recovery-password-file key.txt");
    assert!(ran.refused(1).contains("its metadata was changed"), "{}", ran.stderr);
}

#[test]
fn wrong_secrets_name_what_they_were_tried_on() {
    let bench = Bench::with_drive();
    bench.file("wrong", b"not the password");
    let ran = bench.run("verify d.img --password-file wrong");
    assert!(ran.refused(1).contains("password protector {"), "{}", ran.stderr);
    bench.file("other", b"042647-302313-590458-071500-554323-116567-412181-516978");
    let ran = bench.run("verify d.img --recovery-password-file other");
    assert!(
        ran.refused(1).contains("recovery password protector {") && ran.stderr.contains("keyhaven info"),
        "{}",
        ran.stderr
    );
    let digits = digits_in(&std::fs::read(bench.path("key.txt")).unwrap());
    let group = digits.split('-').nth(4).unwrap();
    let last = if group.ends_with('0') { '1' } else { '0' };
    let bad: Vec<String> = digits
        .split('-')
        .enumerate()
        .map(|(index, group)| if index == 4 { format!("{}{last}", &group[..5]) } else { group.to_owned() })
        .collect();
    bench.file("bad", bad.join(" ").as_bytes());
    let ran = bench.run("verify d.img --recovery-password-file bad");
    assert!(ran.refused(1).contains("group 5"), "{}", ran.stderr);
    bench.file("short", &digits.as_bytes()[..40]);
    bench.run("verify d.img --recovery-password-file short").refused(1);
    bench.file("empty", b"");
    assert!(bench.run("verify d.img --password-file empty").refused(2).contains("holds no password"));
    assert!(bench.run("verify d.img --startup-key wrong").refused(1).contains("not a startup key file"));
}

#[test]
fn failures_tell_no_secret_and_come_as_json_on_request() {
    let bench = Bench::with_drive();
    let digits = digits_in(&std::fs::read(bench.path("key.txt")).unwrap());
    bench.file("wrong", b"a secret that does not fit");
    let runs: [Ran; 3] = [
        bench.run("verify d.img --password-file wrong --json"),
        bench.run("cat d.img nothing --password-file password --json"),
        bench.run("verify key.txt --recovery-password-file key.txt --json"),
    ];
    for ran in runs {
        let failure: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!((ran.status, failure["status"].as_u64()), (1, Some(1)), "{failure}");
        assert!(failure["error"].is_string() && ran.stdout.is_empty());
        for secret in [PASSWORD, "does not fit", &digits] {
            assert!(!ran.stderr.contains(secret));
        }
    }
}

#[test]
fn a_full_disk_leaves_no_partial_file() {
    let bench = Bench::with_drive();
    // A limit on the size of files stands in for a full disk: the same call fails.
    let limited = |words: &str| {
        let script = format!("trap '' XFSZ; ulimit -f 1024; exec {} {words}", env!("CARGO_BIN_EXE_keyhaven"));
        let mut command = Command::new("sh");
        Ran::new(command.current_dir(bench.folder.path()).args(["-c", &script]).output().unwrap())
    };
    let ran = limited("decrypt d.img --output out --password-file password");
    assert!(ran.refused(2).contains("no file there may be as large"), "{}", ran.stderr);
    assert!(!bench.path("out").exists());
    bench.file("large/file.bin", &vec![7; 3 << 20]);
    bench.run("create e.img --size 64M --used-space-only --add large --password-file password").text();
    let ran = limited("cp e.img large copied --password-file password");
    // It stops this file alone: smaller ones would still go there.
    assert!(ran.refused(1).contains("cannot write copied/file.bin"), "{}", ran.stderr);
    assert!(!bench.path("copied/file.bin").exists());
    limited("create f.img --size 64M").refused(2);
    assert!(!bench.path("f.img").exists());
    // And a device that is really full.
    let full = Command::new("sh")
        .current_dir(bench.folder.path())
        .args([
            "-c",
            &format!(
                "exec {} decrypt d.img --output - --password-file password > /dev/full",
                env!("CARGO_BIN_EXE_keyhaven")
            ),
        ])
        .output()
        .unwrap();
    let ran = Ran::new(full);
    assert!(ran.refused(2).contains("free some space"), "{}", ran.stderr);
}
