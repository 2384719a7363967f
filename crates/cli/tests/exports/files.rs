//! The files of a drive: mounted, and over WebDAV.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;

use crate::harness::{Bench, pattern, same};
use crate::running::{Running, fuse, is_mounted};

const OPEN: &str = "--password-file password";

#[test]
fn a_mount_shows_the_files_and_takes_none() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    let running = Running::mount(&bench, &format!("d.img m {OPEN}"), "m");
    let mount = bench.path("m");
    assert!(same(&mount.join("tree"), &bench.path("tree")));
    let file = mount.join("tree/hello.txt");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    assert!(fs::write(&file, b"x").is_err() && fs::remove_file(&file).is_err());
    let long = mount.join("tree/deep/A long name, with umlauts \u{e4}\u{f6}\u{fc}.bin");
    let mut part = [0; 1000];
    File::open(&long).unwrap().read_exact_at(&mut part, 123_457).unwrap();
    assert_eq!(part, pattern(300_000)[123_457..124_457]);
    running.signal("-INT");
    let ran = running.ended();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!is_mounted(&mount));
}

#[test]
fn a_volume_without_a_known_file_system_leads_to_raw() {
    if !fuse() {
        return;
    }
    let bench = Bench::new();
    bench.run("create d.img --size 64M --filesystem none --used-space-only --password-file password").text();
    fs::create_dir(bench.path("m")).unwrap();
    for words in ["mount d.img m", "export webdav d.img"] {
        let ran = bench.run(&format!("{words} {OPEN}"));
        assert!(ran.refused(1).contains("--raw"), "{}", ran.stderr);
    }
}

#[test]
fn webdav_gives_the_files_to_those_with_the_password() {
    if !testkit::programs(&["curl"]) {
        return;
    }
    let bench = Bench::with_drive();
    let running = Running::start(&bench, &format!("export webdav d.img {OPEN}"));
    let (url, password) = (running.report["url"].as_str().unwrap(), running.report["password"].as_str().unwrap());
    assert!(url.starts_with("http://127.0.0.1:") && !url.contains(password));
    bench.file("netrc", format!("machine 127.0.0.1 login keyhaven password {password}").as_bytes());
    bench.file("wrong", b"machine 127.0.0.1 login keyhaven password abcdef-abcdef-abcdef-abcdef");
    let curl = |netrc: &str, more: &[&str], path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--netrc-file", netrc]).args(more).arg(format!("{url}{path}"));
        command.current_dir(bench.folder.path()).output().unwrap()
    };
    let long = "tree/deep/A%20long%20name,%20with%20umlauts%20%C3%A4%C3%B6%C3%BC.bin";
    for scheme in ["--digest", "--basic"] {
        let whole = curl("netrc", &[scheme], long);
        assert!(whole.status.success() && whole.stdout == pattern(300_000));
        assert!(!curl("wrong", &[scheme], long).status.success());
        assert_eq!(curl("netrc", &[scheme, "-r", "100000-100099"], long).stdout, pattern(300_000)[100_000..100_100]);
    }
    let listed = curl("netrc", &["-X", "PROPFIND", "-H", "Depth: 1"], "tree/");
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("<D:href>/tree/hello.txt</D:href>"), "{listed}");
    assert!(!curl("netrc", &["-T", "wrong"], "tree/new").status.success());
    running.terminate();
    let open = bench.run(&format!("export webdav d.img --listen 0.0.0.0:0 {OPEN}"));
    assert!(open.refused(1).contains("other computers"), "{}", open.stderr);
}
