//! Files of other programs, inside a volume of ours, by every way out of it: mounted, as a network block device, over WebDAV.
//! All must have the same hashes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Bench, pattern};
use crate::inner::Inner;
use crate::running::{Running, fuse};

const OPEN: &str = "--password-file password";

#[test]
fn ntfs() {
    all_ways_agree(Inner::Ntfs);
}

#[test]
fn exfat() {
    all_ways_agree(Inner::ExFat);
}

#[test]
fn fat32() {
    all_ways_agree(Inner::Fat32);
}

fn all_ways_agree(inner: Inner) {
    if !fuse() || !inner.is_possible() || !testkit::programs(&["nbdcopy", "curl", "sha256sum"]) {
        return;
    }
    let bench = Bench::new();
    model(&bench.path("model"));
    let expected = hashes(&bench.path("model"));
    assert!(expected.len() > 300);
    bench.run(&format!("create d.img --size 128M --filesystem none --used-space-only {OPEN}")).text();
    let running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    let volume = bench.path("m/volume.img");
    inner.make(&volume);
    inner.fill(&bench, &volume, &bench.path("model"));
    running.terminate();

    let running = Running::mount(&bench, &format!("d.img shown {OPEN}"), "shown");
    compare(&hashes(&bench.path("shown")), &expected, "mounted");
    running.terminate();

    let running = Running::start(&bench, &format!("export nbd d.img --socket s.sock {OPEN}"));
    let uri = running.report["uri"].as_str().unwrap();
    assert!(Command::new("nbdcopy").arg(uri).arg(bench.path("copied")).status().unwrap().success());
    running.terminate();
    compare(&inner.read(&bench, &bench.path("copied"), hashes), &expected, "by NBD");

    let running = Running::start(&bench, &format!("export webdav d.img {OPEN}"));
    fetch(&bench, &running, &expected);
    compare(&hashes(&bench.path("fetched")), &expected, "by WebDAV");
    running.terminate();
}

/// Names, sizes and depths that make a difference.
fn model(folder: &Path) {
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("empty", b"");
    write("one", b"1");
    write("sector", &pattern(512));
    write("large.bin", &pattern(3_000_001));
    write("with space & 100%, #1 [x]+'~.txt", b"odd");
    write(
        "größe und mehr/ünter der größe/日本語 and a name that is long enough for several entries of a directory.text",
        &pattern(70_000),
    );
    write("a/b/c/d/e/f/g/h/i/deep", b"deep");
    for index in 0..300_u32 {
        write(&format!("many/file number {index}"), &pattern(index * 37));
    }
}

/// Hash and path of every file, in order.
fn hashes(folder: &Path) -> Vec<String> {
    let mut command = Command::new("sh");
    command.args(["-c", "find . -type f -exec sha256sum {} +"]).env("LC_ALL", "C.UTF-8").current_dir(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn compare(found: &[String], expected: &[String], way: &str) {
    let missing: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
    let other: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
    assert!(missing.is_empty() && other.is_empty(), "{way}: missing {missing:?}, and instead {other:?}");
}

/// Gets every file by its address, after each was found in the listing of its folder.
fn fetch(bench: &Bench, running: &Running, expected: &[String]) {
    let (url, password) = (running.report["url"].as_str().unwrap(), running.report["password"].as_str().unwrap());
    bench.file("netrc", format!("machine 127.0.0.1 login keyhaven password {password}").as_bytes());
    let mut wanted = String::new();
    let paths: Vec<&str> = expected.iter().map(|line| line.split_once("  ./").unwrap().1).collect();
    for path in &paths {
        wanted.push_str(&format!("url = \"{url}{}\"\noutput = \"fetched/{path}\"\n", encoded(path)));
    }
    bench.file("wanted", wanted.as_bytes());
    let curl = |more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--digest", "--netrc-file", "netrc"]).args(more);
        let output = command.current_dir(bench.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    curl(&["--create-dirs", "-K", "wanted"]);
    let mut folders: Vec<PathBuf> = paths.iter().map(|path| Path::new(path).parent().unwrap().to_owned()).collect();
    folders.dedup();
    for folder in folders {
        let address = encoded(folder.to_str().unwrap());
        let listed = curl(&["-X", "PROPFIND", "-H", "Depth: 1", &format!("{url}{address}")]);
        for path in paths.iter().filter(|path| Path::new(path).parent() == Some(&folder)) {
            assert!(listed.contains(&format!("<D:href>/{}</D:href>", encoded(path))), "{path}: {listed}");
        }
    }
}

fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
