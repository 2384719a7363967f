//! Encrypting drives that other programs made and filled, where they lie, and decrypting them again.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::judges::{self, Secret};

use crate::harness::{Bench, PASSWORD, digits_in, keyhaven, pattern, same};
use crate::inner::Inner;

const SIZE: u64 = 160 << 20;

/// A plain drive `plain.img` with files of all sizes; they are in `tree`, too.
fn plain_drive(inner: Inner) -> Option<Bench> {
    if !inner.is_possible() {
        return None;
    }
    let bench = Bench::new();
    bench.file("tree/hello.txt", b"hello");
    bench.file("tree/deep/empty", b"");
    bench.file("tree/deep/large.bin", &pattern(9_000_000));
    for index in 0..200 {
        bench.file(&format!("tree/many/{index}"), &pattern(index * 97));
    }
    let image = bench.path("plain.img");
    fs::File::create(&image).unwrap().set_len(SIZE).unwrap();
    inner.make(&image);
    inner.fill(&bench, &image, &bench.path("tree"));
    Some(bench)
}

fn tool(program: &str, words: &[&str], image: &Path) {
    let path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";
    let output = Command::new(program).env("PATH", path).args(words).arg(image).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&said));
}

/// The checker of the file system finds nothing wrong.
fn check_file_system(inner: Inner, image: &Path) {
    match inner {
        Inner::Ntfs => tool("ntfsfix", &["-n"], image),
        Inner::ExFat => tool("fsck.exfat", &["-n"], image),
        Inner::Fat32 => tool("fsck.fat", &["-n"], image),
    }
}

fn there_and_back(inner: Inner, method: &str) {
    let Some(bench) = plain_drive(inner) else { return };
    let (image, tree) = (bench.path("plain.img"), bench.path("tree"));
    let before = fs::read(&image).unwrap();
    let words = format!("encrypt plain.img --to file:key.txt --new-password-file password --method {method} --json");
    let ran = bench.run(&words);
    assert_eq!(ran.status, 0, "{}", ran.stderr);

    let info = bench.run("info plain.img --json").json();
    assert_eq!(info["state"], "encrypted", "{info}");
    bench.run("verify plain.img --recovery-password-file key.txt").text();
    bench.run("cp plain.img / copied --password-file password").text();
    assert!(same(&bench.path("copied"), &tree));
    bench.run("decrypt plain.img --output out.img --password-file password").text();
    check_file_system(inner, &bench.path("out.img"));
    inner.read(&bench, &bench.path("out.img"), |folder| {
        assert!(Command::new("diff").arg("-r").args([folder, &tree]).status().unwrap().success());
    });
    others_agree(inner, &bench);

    let ran = bench.run("decrypt plain.img --in-place --password-file password");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(bench.run("info plain.img").refused(1).contains("not a BitLocker drive"));
    check_file_system(inner, &image);
    inner.read(&bench, &image, |folder| {
        assert!(Command::new("diff").arg("-r").args([folder, &tree]).status().unwrap().success());
    });
    // What is left of it is in free space alone: the places of the metadata and of the journal are zeros now.
    let after = fs::read(&image).unwrap();
    let changed = before.chunks(4096).zip(after.chunks(4096)).filter(|(before, after)| before != after).count();
    assert!(changed < 1024, "{changed} pieces of 4 KiB are not as they were");
}

/// Other implementations open it with each secret, and read the same.
fn others_agree(inner: Inner, bench: &Bench) {
    let (image, ours) = (bench.path("plain.img"), bench.path("out.img"));
    let digits = digits_in(&fs::read(bench.path("key.txt")).unwrap());
    for secret in [Secret::Password(PASSWORD), Secret::Recovery(&digits)] {
        if testkit::programs(&["cryptsetup"]) {
            let text = if matches!(secret, Secret::Password(_)) { PASSWORD } else { &digits };
            assert!(judges::cryptsetup_takes(&image, text));
        }
        let theirs = bench.path("theirs");
        if testkit::programs(&["dislocker-file"]) {
            judges::dislocker(&image, secret, &theirs);
            judges::assert_same(&theirs, &ours, "dislocker");
            fs::remove_file(&theirs).unwrap();
        }
        // libbde takes no header without a sector size, which that of exFAT is.
        if matches!(inner, Inner::ExFat) {
            continue;
        }
        if let Some(python) = testkit::judges_python("pybde") {
            judges::libbde(&python, &image, secret, &theirs);
            judges::assert_same(&theirs, &ours, "libbde");
            fs::remove_file(&theirs).unwrap();
        }
    }
}

#[test]
fn ntfs_there_and_back() {
    there_and_back(Inner::Ntfs, "xts-aes-128");
}

#[test]
fn exfat_there_and_back() {
    there_and_back(Inner::ExFat, "xts-aes-256");
}

#[test]
fn fat32_there_and_back() {
    there_and_back(Inner::Fat32, "aes-cbc-256");
}

#[test]
fn nothing_begins_before_the_key_is_saved() {
    let Some(bench) = plain_drive(Inner::Fat32) else { return };
    let before = fs::read(bench.path("plain.img")).unwrap();
    bench.file("taken.txt", b"something else");
    for (words, status) in [
        ("encrypt plain.img", 2),
        ("encrypt plain.img --to file:taken.txt", 2),
        ("encrypt plain.img --to file:nowhere/key.txt", 2),
        ("encrypt plain.img --to file:plain.img", 1),
        // The page is there, and nobody says that it is on paper.
        ("encrypt plain.img --to print:key.pdf", 2),
        // The first place has it, the second has not.
        ("encrypt plain.img --to file:key.txt --to file:taken.txt", 2),
        // No account on this computer.
        ("encrypt plain.img --to account", 2),
        ("encrypt plain.img --to file:key.txt --dry-run", 0),
    ] {
        // Without a terminal to ask on, and without an account.
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(keyhaven().get_program()).args(words.split_whitespace());
        command.env("HOME", bench.path("home")).env_remove("XDG_STATE_HOME").env_remove("XDG_DATA_HOME");
        let output = command.current_dir(bench.folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words}: {said}");
        assert!(fs::read(bench.path("plain.img")).unwrap() == before, "{words} changed the drive");
        for file in ["key.txt", "key.pdf"] {
            assert!(!bench.path(file).exists(), "{words} left a key that opens nothing");
            let told = said.contains(&format!("{file} was removed again"));
            assert_eq!(told, words.contains(&format!(":{file}")) && status != 0, "{words}: {said}");
        }
    }
    assert_eq!(fs::read(bench.path("taken.txt")).unwrap(), b"something else");
    let report = bench.run("encrypt plain.img --without-backup --json");
    assert_eq!(report.status, 0, "{}", report.stderr);
}

#[test]
fn drives_that_must_not_be_touched_are_left_as_they_are() {
    let Some(bench) = plain_drive(Inner::Ntfs) else { return };
    let image = bench.path("plain.img");
    // Windows hibernated: its file begins with a mark.
    Inner::Ntfs.fill(&bench, &image, &{
        let folder = bench.path("sleep");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("hiberfil.sys"), [b"hibr".as_slice(), &[0; 5000]].concat()).unwrap();
        folder
    });
    let before = fs::read(&image).unwrap();
    let ran = bench.run("encrypt plain.img --to file:key.txt");
    assert!(ran.refused(1).contains("hibernated"), "{}", ran.stderr);
    assert!(!bench.path("key.txt").exists(), "the key was saved for nothing");
    assert!(fs::read(&image).unwrap() == before);

    fs::write(bench.path("noise.img"), pattern(4_000_000)).unwrap();
    let ran = bench.run("encrypt noise.img --to file:key.txt");
    assert!(ran.refused(1).contains("nothing was changed"), "{}", ran.stderr);
    let ran = bench.run("encrypt nothing.img --to file:key.txt");
    ran.refused(2);
}
