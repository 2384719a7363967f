//! `tar`: what GNU tar makes of our archives, and what damage makes of them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Bench, keyhaven, pattern, same};
use crate::volumes::{Inside, junction, make, reparse, tool};

const PASSWORD: &str = "--password-file password";

/// Writes an archive to `out.tar` and unpacks it by GNU tar into a new folder; gives the status and what was said.
fn archived(bench: &Bench, words: &str, folder: &str) -> (i32, String) {
    let ran = bench.run(&format!("tar {words} {PASSWORD}"));
    fs::write(bench.path("out.tar"), &ran.stdout).unwrap();
    fs::create_dir(bench.path(folder)).unwrap();
    let said = tool(
        "tar",
        &["--warning=no-timestamp", "-xf"],
        &[&bench.path("out.tar"), Path::new("-C"), &bench.path(folder)],
    );
    // Not even a warning, but that dates before 1970 look odd.
    assert_eq!(said, "", "{words}");
    (ran.status, ran.stderr)
}

#[test]
fn gnu_tar_unpacks_names_dates_and_links() {
    let bench = Bench::new();
    let long = format!("{}/{}", "folder ".repeat(20).trim(), "\u{e4}\u{4e2d}".repeat(40));
    bench.file(&format!("model/top/{long}"), b"long");
    bench.file("model/top/plain.txt", b"plain");
    bench.file("model/top/read only.bin", &pattern(1_500_000));
    bench.file("model/other/file", b"other");
    let made = make(&bench, Inside::Ntfs, |folder| {
        tool("touch", &["-d", "2020-02-29T12:34:56.123456700Z"], &[&folder.join("top/plain.txt")]);
        tool("touch", &["-d", "1955-11-05T06:00:00.25Z"], &[&folder.join("other/file")]);
        tool("setfattr", &["-n", "system.ntfs_attrib_be", "-v", "0x00000001"], &[&folder.join("top/read only.bin")]);
        fs::hard_link(folder.join("top/plain.txt"), folder.join("other/hard")).unwrap();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
        link("plain.txt", "top/inside");
        link("../other/file", "top/across");
        link("../../../etc/passwd", "top/up");
        link("/etc/passwd", "top/absolute");
        link("inside/../../..", "top/through");
        link(&format!("../top/{long}"), "top/to long");
        junction(&folder.join("top/junction"), r"C:\other");
        fs::write(folder.join("top/compacted"), b"cannot be read").unwrap();
        reparse(&folder.join("top/compacted"), 0x8000_0017, &[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    });
    if !made {
        return;
    }
    let (status, said) = archived(&bench, "v.img", "all");
    assert_eq!(status, 1, "{said}");
    for name in ["up", "absolute", "through", "junction", "compacted"] {
        assert!(said.contains(&format!("/top/{name}: ")), "{name}: {said}");
        assert!(bench.path("all/top").join(name).symlink_metadata().is_err(), "{name}");
    }
    assert!(said.contains("5 things"), "{said}");
    let at = |name: &str| bench.path("all").join(name);
    assert_eq!(fs::read(at("top").join(&long)).unwrap(), b"long");
    assert!(fs::read(at("top/read only.bin")).unwrap() == pattern(1_500_000));
    assert_eq!(at("top/read only.bin").metadata().unwrap().mode() & 0o777, 0o444);
    let time = |name: &str| at(name).metadata().map(|data| (data.mtime(), data.mtime_nsec())).unwrap();
    assert_eq!(time("top/plain.txt"), (1_582_979_696, 123_456_700));
    let before = time("other/file");
    assert_eq!(before, (-446_752_800, 250_000_000), "{before:?}");
    let ino = |name: &str| at(name).metadata().unwrap().ino();
    assert_eq!(ino("top/plain.txt"), ino("other/hard"));
    assert_eq!(fs::read_link(at("top/inside")).unwrap(), Path::new("plain.txt"));
    assert_eq!(fs::read(at("top/across")).unwrap(), b"other");
    assert_eq!(fs::read(at("top/to long")).unwrap(), b"long");

    // What leads out of what was asked for is left out, too.
    let (status, said) = archived(&bench, "v.img TOP other/hard", "some");
    assert!(status == 1 && said.contains("/top/across: a link out of the archive"), "{said}");
    assert_eq!(fs::read(bench.path("some/other/hard")).unwrap(), b"plain");
    assert!(!bench.path("some/other/file").exists());
    let names = tool("tar", &["-tf"], &[&bench.path("out.tar")]);
    assert!(names.lines().all(|name| !name.starts_with('/') && !name.contains("..")), "{names}");
}

/// The middle of a large file is missing: the archive stays whole, and the lie is told.
#[test]
fn a_large_file_that_breaks_off_does_not_harm_the_archive() {
    let bench = Bench::new();
    let whole = pattern(20 << 20);
    for (name, content) in [("1 small", &b"small"[..]), ("2 large", &whole), ("3 large", &whole), ("4 small", b"too")] {
        bench.file(&format!("tree/{name}"), content);
    }
    bench
        .run("create d.img --size 96M --used-space-only --password-file password --recovery-out key --add tree")
        .text();
    // One of the two large files goes on behind the end, whichever was put there last.
    bench.damaged("short.img", |bytes| bytes.truncate(38 << 20));
    let (status, said) = archived(&bench, "short.img --allow-short", "all");
    assert!(status == 1 && said.contains(" large: ") && said.contains("it is zeros in the archive"), "{said}");
    let zeros_from: usize = said.split("from byte ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(zeros_from > 10 << 20, "{said}");
    let mut broken = 0;
    for name in ["1 small", "2 large", "3 large", "4 small"] {
        let source = fs::read(bench.path("tree").join(name)).unwrap();
        match (fs::read(bench.path("all/tree").join(name)), said.contains(&format!("/tree/{name}: "))) {
            (Ok(content), false) => assert!(content == source, "{name}"),
            (Ok(content), true) => {
                broken += 1;
                assert!(content.len() == source.len() && content[..zeros_from] == source[..zeros_from], "{name}");
                assert!(content[zeros_from..].iter().all(|byte| *byte == 0), "{name}");
            }
            (Err(_), told) => assert!(told, "{name} is neither there nor told"),
        }
    }
    assert_eq!(broken, 1, "{said}");
    std::fs::remove_dir_all(bench.path("all")).unwrap();
    // Without damage all is there.
    assert_eq!(archived(&bench, "d.img", "whole"), (0, String::new()));
    assert!(same(&bench.path("tree"), &bench.path("whole/tree")));
}

#[test]
fn terminals_are_refused_and_readers_may_leave() {
    if !testkit::programs(&["script"]) {
        return;
    }
    let bench = Bench::with_drive();
    let program = env!("CARGO_BIN_EXE_keyhaven");
    let line = format!("{program} tar d.img {PASSWORD}");
    let mut script = Command::new("script");
    let output =
        script.current_dir(bench.folder.path()).args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("not written to a terminal"), "{said}");

    for words in ["tar d.img", "tree d.img", "find d.img", "find d.img --json"] {
        let mut command = keyhaven();
        command.current_dir(bench.folder.path()).args(words.split(' ')).args(["--password-file", "password"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
    }
    let line = format!("exec {program} tar d.img {PASSWORD} > /dev/full");
    let output = Command::new("sh").current_dir(bench.folder.path()).args(["-c", &line]).output().unwrap();
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("free some space"));
}
