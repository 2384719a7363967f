//! Copying: resumed, verified, and everything that can be wrong with a drive, a target or a name.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::harness::{Bench, Ran, keyhaven, pattern, same};

const COPY: &str = "--password-file password";

/// A drive `n.img` with NTFS in it, filled by ntfs-3g. BitLocker's first region lies where NTFS grows its file table,
/// the others behind the end of NTFS.
fn ntfs(bench: &Bench, fill: impl FnOnce(&Path)) -> bool {
    if !Path::new("/dev/fuse").exists() {
        testkit::skip("no /dev/fuse, which mounting needs");
        return false;
    }
    if !testkit::programs(&["mkntfs", "ntfs-3g", "fusermount3"]) {
        return false;
    }
    let plain = bench.path("plain");
    let bytes = 400_u64 << 20;
    File::create(&plain).unwrap().set_len(bytes).unwrap();
    run(Command::new("/usr/sbin/mkntfs").args(["-F", "-q", "-Q"]).arg(&plain));
    let folder = bench.path("filled");
    fs::create_dir(&folder).unwrap();
    let mounted = Mounted::ntfs(&plain, &folder, "streams_interface=windows");
    fill(&folder);
    drop(mounted);
    bench
        .run("create n.img --size 4G --filesystem none --used-space-only --password-file password --recovery-out n.txt")
        .text();
    encrypt(bench, "plain", "n.img");
    true
}

/// Writes a plain volume into an encrypted one.
fn encrypt(bench: &Bench, plain: &str, drive: &str) {
    let volume = fve::Volume::open(block_io::FileDisk::open_writable(&bench.path(drive)).unwrap()).unwrap();
    let key = fve::Password(secret::SecretString::from(crate::harness::PASSWORD));
    let (volume, _) = volume.unlock(&key, fve::UnlockOptions::default()).unwrap();
    let plain = File::open(bench.path(plain)).unwrap();
    let bytes = plain.metadata().unwrap().len();
    let mut chunk = vec![0; 1 << 20];
    for offset in (0..bytes).step_by(chunk.len()) {
        plain.read_exact_at(&mut chunk, offset).unwrap();
        if chunk.iter().any(|byte| *byte != 0) {
            block_io::BlockWrite::write_all_at(&volume, offset, &chunk).unwrap();
        }
    }
    block_io::BlockWrite::flush(&volume).unwrap();
}

struct Mounted {
    image: PathBuf,
    folder: PathBuf,
}

impl Mounted {
    fn ntfs(image: &Path, folder: &Path, options: &str) -> Self {
        run(Command::new("ntfs-3g").args(["-o", options]).args([image, folder]));
        Self { image: image.to_owned(), folder: folder.to_owned() }
    }
}

impl Drop for Mounted {
    /// Returns when the driver has written everything and ended.
    fn drop(&mut self) {
        let done =
            Command::new("fusermount3").arg("-u").arg(&self.folder).status().is_ok_and(|status| status.success());
        assert!(done || std::thread::panicking());
        let image = self.image.to_str().unwrap().to_owned();
        while processes().any(|line| line.contains("ntfs-3g") && line.contains(&image)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn processes() -> impl Iterator<Item = String> {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    folders
        .filter_map(|folder| fs::read(folder.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
}

fn run(command: &mut Command) {
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A small file system in memory, for root alone.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn new(folder: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "none"]).arg(&folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        testkit::skip("a full target needs a small tmpfs, which root alone can mount");
        None
    }

    fn resize(&self, size: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0));
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status().is_ok_and(|status| status.success());
        assert!(done || std::thread::panicking());
    }
}

/// A drive `b.img` with a file of 48 MiB and two hundred small ones, and the same in `big`.
fn big() -> Bench {
    let bench = Bench::new();
    bench.file("big/large.bin", &pattern(48 << 20));
    for index in 0..200 {
        bench.file(&format!("big/small/{index}"), &pattern(1000 + index * 37));
    }
    bench
        .run("create b.img --size 128M --used-space-only --password-file password --recovery-out b.txt --add big")
        .text();
    bench
}

/// Unfinished files below a folder.
fn partials(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(partials(&entry.path()));
        } else if entry.file_name().to_string_lossy().ends_with(".keyhaven-partial") {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// Every file that has its name is the whole file.
fn all_whole(copied: &Path, original: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(copied).unwrap().flatten() {
        let (here, there) = (entry.path(), original.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            count += all_whole(&here, &there);
        } else if !here.to_string_lossy().ends_with(".keyhaven-partial") {
            assert!(fs::read(&here).unwrap() == fs::read(&there).unwrap(), "{}", here.display());
            count += 1;
        }
    }
    count
}

#[test]
fn a_killed_copy_goes_on() {
    let bench = big();
    let unfinished = bench.path("out/large.bin.keyhaven-partial");
    for attempt in 0.. {
        assert!(attempt < 10, "the copy is always faster than the kill");
        let _ = fs::remove_dir_all(bench.path("out"));
        let mut command = keyhaven();
        command.current_dir(bench.folder.path()).args(["cp", "b.img", "big", "out", "--password-file", "password"]);
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && unfinished.metadata().map_or(0, |found| found.len()) < 4 << 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if unfinished.exists() {
            break;
        }
    }
    assert!(!bench.path("out/large.bin").exists());
    all_whole(&bench.path("out"), &bench.path("big"));
    // What a power cut may leave in it: the length, but not the bytes.
    File::options().write(true).open(&unfinished).unwrap().write_all_at(&[0; 5000], 1_000_000).unwrap();
    fs::create_dir(bench.path("again")).unwrap();
    let refused = bench.run(&format!("cp b.img big/large.bin out {COPY}"));
    assert!(refused.refused(1).contains("--resume goes on with it"), "{}", refused.stderr);
    // Into a folder that exists goes a folder of the name of the source.
    fs::rename(bench.path("out"), bench.path("again/big")).unwrap();
    let report = bench.run(&format!("cp b.img big again --resume --verify --json {COPY}")).json();
    assert_eq!(report["files"].as_u64().unwrap() + report["passed_over"].as_u64().unwrap(), 201, "{report}");
    assert_eq!(report["verified"], 201, "{report}");
    assert!(same(&bench.path("big"), &bench.path("again/big")) && partials(&bench.path("again")).is_empty());
}

#[test]
fn what_exists_is_named_and_stays() {
    let bench = Bench::with_drive();
    fs::create_dir(bench.path("out")).unwrap();
    bench.file("out/tree/hello.txt", b"HELLO");
    let ran = bench.run(&format!("cp d.img tree out {COPY}"));
    assert!(ran.refused(1).contains("out/tree/hello.txt exists, and is never overwritten"), "{}", ran.stderr);
    assert_eq!(fs::read(bench.path("out/tree/hello.txt")).unwrap(), b"HELLO");
    assert!(same(&bench.path("tree/deep"), &bench.path("out/tree/deep")), "the others were copied");

    // The same length is not the same file.
    let ran = bench.run(&format!("cp d.img tree out --resume {COPY}"));
    assert!(ran.refused(1).contains("hello.txt is another file"), "{}", ran.stderr);
    // Another date, but the same content.
    bench.file("out/tree/hello.txt", b"hello");
    let report = bench.run(&format!("cp d.img tree out --resume --json {COPY}")).json();
    assert_eq!((report["files"].as_u64(), report["passed_over"].as_u64()), (Some(0), Some(3)));

    // A folder, a link or a file stands where something else is to go: nothing is written through it.
    fs::remove_dir_all(bench.path("out/tree")).unwrap();
    fs::create_dir_all(bench.path("elsewhere")).unwrap();
    fs::create_dir_all(bench.path("out/tree/hello.txt")).unwrap();
    symlink(bench.path("elsewhere"), bench.path("out/tree/deep")).unwrap();
    let ran = bench.run(&format!("cp d.img tree out --resume {COPY}"));
    assert!(ran.refused(1).contains("nothing below it was copied"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(bench.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn unfinished_files_are_not_followed_elsewhere() {
    let bench = Bench::with_drive();
    fs::create_dir(bench.path("out")).unwrap();
    bench.file("victim", b"precious");
    symlink(bench.path("victim"), bench.path("out/hello.txt.keyhaven-partial")).unwrap();
    for option in ["", "--resume"] {
        bench.run(&format!("cp d.img tree/hello.txt out {option} {COPY}")).refused(1);
        assert_eq!(fs::read(bench.path("victim")).unwrap(), b"precious");
    }
}

#[test]
fn verifying_catches_what_changed_on_the_target() {
    let bench = Bench::with_drive();
    bench.run(&format!("cp d.img tree out --verify {COPY}")).text();
    let name = bench.path("out/deep/A long name, with umlauts \u{e4}\u{f6}\u{fc}.bin");
    let modified = name.metadata().unwrap().modified().unwrap();
    let file = File::options().write(true).open(&name).unwrap();
    file.write_all_at(b"x", 123_456).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    fs::create_dir(bench.path("over")).unwrap();
    fs::rename(bench.path("out"), bench.path("over/tree")).unwrap();
    let passed = bench.run(&format!("cp d.img tree over --resume {COPY}")).text();
    assert!(passed.contains("3 files passed over"), "{passed}");
    let ran = bench.run(&format!("cp d.img tree over --resume --verify {COPY}"));
    assert!(ran.refused(1).contains("differs from the drive from byte 123456 on"), "{}", ran.stderr);
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(text.contains("2 files verified") && text.contains("3 files passed over"), "{text}");
}

#[test]
fn a_full_target_is_told_and_the_copy_goes_on_later() {
    let bench = big();
    let Some(target) = Tmpfs::new(bench.path("full"), "40M") else { return };
    let ran = bench.run(&format!("cp b.img big full {COPY}"));
    assert!(ran.refused(2).contains("not enough room"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(&target.0).unwrap().count(), 0);

    let ran = bench.run(&format!("cp b.img big full --no-space-check {COPY}"));
    assert!(ran.refused(2).contains("--resume goes on") && ran.stderr.contains("still to be copied"), "{}", ran.stderr);
    assert!(!bench.path("full/big/large.bin").exists());
    all_whole(&bench.path("full"), bench.folder.path());
    // Much is kept, little is removed.
    assert_eq!(partials(&target.0), ["large.bin.keyhaven-partial"], "{}", ran.stderr);

    target.resize("100M");
    let report = bench.run(&format!("cp b.img big full --resume --json {COPY}")).json();
    assert_eq!(report["files"].as_u64().unwrap() + report["passed_over"].as_u64().unwrap(), 201, "{report}");
    assert!(same(&bench.path("big"), &bench.path("full/big")) && partials(&target.0).is_empty());
}

/// As FAT does with files from 4 GiB on.
#[test]
fn a_file_that_is_too_large_for_the_target_stops_nothing_else() {
    let bench = big();
    let mut command = Command::new("sh");
    // Units of 512 or 1024 bytes, by the shell: 20 or 40 MiB.
    let limited = r#"trap '' XFSZ; ulimit -f 40960; exec "$0" cp b.img big out --password-file password"#;
    command.current_dir(bench.folder.path()).args(["-c", limited]).arg(env!("CARGO_BIN_EXE_keyhaven"));
    let ran = Ran::new(command.output().unwrap());
    assert!(ran.refused(1).contains("warning: /big/large.bin: cannot write out/large.bin: "), "{}", ran.stderr);
    assert_eq!(all_whole(&bench.path("out"), &bench.path("big")), 200);
    assert!(partials(&bench.path("out")).is_empty() && !ran.stderr.contains("--resume"), "{}", ran.stderr);
}

#[test]
fn an_image_that_ends_early_leaves_nothing_that_looks_whole() {
    let bench = big();
    let bytes = fs::read(bench.path("b.img")).unwrap();
    bench.file("short.img", &bytes[..bytes.len() / 3]);
    let ran = bench.run(&format!("cp short.img big out --allow-short {COPY}"));
    let stderr = ran.refused(1);
    assert!(stderr.contains("warning: /big/large.bin: ") && stderr.contains("named above"), "{stderr}");
    assert!(!bench.path("out/large.bin").exists());
    let found = all_whole(&bench.path("out"), &bench.path("big"));
    let told = stderr.matches("warning: /big/").count();
    assert!(found + told >= 201, "{found} files, {told} told: {stderr}");
}

#[test]
fn several_sources_go_on_without_the_one_that_is_missing() {
    let bench = Bench::with_drive();
    fs::create_dir(bench.path("out")).unwrap();
    let ran = bench.run(&format!("cp d.img tree/hello.txt nothing tree/deep tree/deep/../x TREE/HELLO.TXT out {COPY}"));
    let stderr = ran.refused(1);
    for told in ["warning: nothing: ", "warning: tree/deep/../x: ", "another source has the same name"] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    assert_eq!(fs::read(bench.path("out/hello.txt")).unwrap(), b"hello");
    assert!(same(&bench.path("tree/deep"), &bench.path("out/deep")));
    // The root has no name of its own.
    fs::create_dir(bench.path("all")).unwrap();
    bench.run(&format!("cp d.img / all {COPY}")).text();
    bench.run(&format!("cp d.img / new {COPY}")).text();
    assert!(same(&bench.path("tree"), &bench.path("all/tree")) && same(&bench.path("all"), &bench.path("new")));
}

/// Changes the signature of the file record that has this name in an NTFS image.
fn damage_record(image: &Path, name: &str) {
    let mut bytes = fs::read(image).unwrap();
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let holds = |record: &&mut [u8]| record.starts_with(b"FILE") && record.windows(wide.len()).any(|part| part == wide);
    let record = bytes.chunks_exact_mut(1024).find(holds).unwrap();
    record[..4].copy_from_slice(b"NONE");
    fs::write(image, bytes).unwrap();
}

fn day(number: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(number * 86_400) + Duration::from_nanos(123_456_700)
}

fn date(path: &Path, number: u64) {
    let times = FileTimes::new().set_modified(day(number)).set_accessed(day(number + 1));
    File::open(path).unwrap().set_times(times).unwrap();
}

#[test]
fn everything_that_ntfs_has() {
    let bench = Bench::new();
    let long = "\u{4e2d}".repeat(120) + ".txt";
    let filled = ntfs(&bench, |root| {
        fs::create_dir_all(root.join("f/inner/empty")).unwrap();
        fs::write(root.join("f/one.txt"), b"one").unwrap();
        fs::hard_link(root.join("f/one.txt"), root.join("f/inner/two.txt")).unwrap();
        fs::write(root.join("f/one.txt:note"), b"a stream").unwrap();
        fs::write(root.join("f").join(&long), b"long").unwrap();
        for name in ["odd?", "end.", "con", "Case", "case", "x.keyhaven-partial", "x"] {
            fs::write(root.join("f").join(name), name).unwrap();
        }
        symlink("..", root.join("f/inner/loop")).unwrap();
        symlink("/etc/passwd", root.join("f/inner/outside")).unwrap();
        fs::write(root.join("f/inner/lost.txt"), b"damaged later").unwrap();
        let sparse = File::create(root.join("f/sparse.bin")).unwrap();
        sparse.set_len(40 << 20).unwrap();
        sparse.write_all_at(b"middle", 20 << 20).unwrap();
        drop(sparse);
        date(&root.join("f/one.txt"), 10_000);
        date(&root.join("f/inner/empty"), 11_000);
        date(&root.join("f/inner"), 12_000);
    });
    if !filled {
        return;
    }
    let ran = bench.run(&format!("cp n.img f out --verify --json {COPY}"));
    let report = ran.json();
    let out = bench.path("out");
    for name in ["odd?", "end.", "con", "Case", "case", "x"] {
        assert_eq!(fs::read(out.join(name)).unwrap(), name.as_bytes());
    }
    assert_eq!(report["renamed"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(fs::read(out.join("x.keyhaven-partia%6C")).unwrap(), b"x.keyhaven-partial");
    let cut: Vec<_> =
        fs::read_dir(&out).unwrap().flatten().filter(|found| found.metadata().unwrap().len() == 4).collect();
    assert!(cut.iter().any(|found| fs::read(found.path()).unwrap() == b"long"));

    // Links are named, never made or followed.
    assert_eq!(report["links"].as_array().unwrap().len(), 2, "{report}");
    assert!(ran.stderr.contains("/f/inner/outside -> /etc/passwd"), "{}", ran.stderr);
    assert!(fs::symlink_metadata(out.join("inner/loop")).is_err());
    assert_eq!(report["streams_not_copied"], 1, "{report}");
    bench.run(&format!("cp n.img f/one.txt:note note {COPY}")).text();
    assert_eq!(fs::read(bench.path("note")).unwrap(), b"a stream");

    let (one, two) = (out.join("one.txt").metadata().unwrap(), out.join("inner/two.txt").metadata().unwrap());
    assert_eq!((one.ino(), one.nlink(), report["hard_links"].as_u64()), (two.ino(), 2, Some(1)));
    assert_eq!((one.modified().unwrap(), one.accessed().unwrap()), (day(10_000), day(10_001)));
    assert_eq!(out.join("inner/empty").metadata().unwrap().modified().unwrap(), day(11_000));
    assert_eq!(out.join("inner").metadata().unwrap().modified().unwrap(), day(12_000));

    let sparse = out.join("sparse.bin").metadata().unwrap();
    assert_eq!(sparse.len(), 40 << 20);
    let content = fs::read(out.join("sparse.bin")).unwrap();
    assert_eq!(&content[20 << 20..(20 << 20) + 6], b"middle");
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 6);
    assert!(sparse.blocks() * 512 <= 1 << 20, "the holes stay holes: {} blocks", sparse.blocks());
    names_that_windows_cannot_have(&bench);
}

/// The same drive onto NTFS, by a driver that takes only the names of Windows.
fn names_that_windows_cannot_have(bench: &Bench) {
    let image = bench.path("target.ntfs");
    File::create(&image).unwrap().set_len(100 << 20).unwrap();
    run(Command::new("/usr/sbin/mkntfs").args(["-F", "-q", "-Q"]).arg(&image));
    let folder = bench.path("windows");
    fs::create_dir(&folder).unwrap();
    let mounted = Mounted::ntfs(&image, &folder, "windows_names");
    let ran: Ran = bench.run(&format!("cp n.img f windows --verify {COPY}"));
    let text = ran.text();
    for (name, expected) in [("odd%3F", "odd?"), ("end%2E", "end."), ("%63on", "con"), ("x", "x")] {
        assert_eq!(fs::read(folder.join("f").join(name)).unwrap(), expected.as_bytes());
        assert!(name == "x" || ran.stderr.contains(&format!("renamed: /f/{expected} is now {name}")), "{}", ran.stderr);
    }
    assert!(text.contains("verified"), "{text}");
    assert_eq!(fs::read_dir(folder.join("f")).unwrap().count(), fs::read_dir(bench.path("out")).unwrap().count());
    drop(mounted);
}

#[test]
fn a_damaged_record_stops_nothing_else() {
    let bench = Bench::new();
    let filled = ntfs(&bench, |root| {
        for index in 0..50 {
            fs::write(root.join(format!("file {index:02}")), format!("{index}")).unwrap();
        }
    });
    if !filled {
        return;
    }
    damage_record(&bench.path("plain"), "file 17");
    encrypt(&bench, "plain", "n.img");
    fs::create_dir(bench.path("out")).unwrap();
    let ran = bench.run(&format!("cp n.img / out {COPY}"));
    assert!(ran.refused(1).contains("warning: /file 17: "), "{}", ran.stderr);
    let names: Vec<_> = fs::read_dir(bench.path("out")).unwrap().flatten().collect();
    assert_eq!(names.len(), 49);
    assert!(names.iter().all(|found| !found.file_name().to_string_lossy().contains("17")));
}

#[test]
fn going_on_completes_the_copy_and_makes_no_second_one_inside() {
    let bench = Bench::with_drive();
    let words = "cp d.img tree rescued --password-file password --json";
    assert_eq!(bench.run(words).json()["files"], 3);
    std::fs::remove_file(bench.path("rescued/hello.txt")).unwrap();
    let again = bench.run(&format!("{words} --resume")).json();
    assert_eq!((again["files"].as_u64(), again["passed_over"].as_u64()), (Some(1), Some(2)), "{again}");
    assert!(same(&bench.path("rescued"), &bench.path("tree")));
    // Another folder, in which there is nothing of the source, is where it goes into.
    std::fs::create_dir(bench.path("shelf")).unwrap();
    bench.run("cp d.img tree shelf --password-file password --resume").text();
    assert!(same(&bench.path("shelf/tree"), &bench.path("tree")));
    // Nor does a copy inside turn into one beside it.
    let inside = bench.run("cp d.img tree shelf --password-file password --resume --json").json();
    assert_eq!((inside["files"].as_u64(), inside["passed_over"].as_u64()), (Some(0), Some(3)), "{inside}");
}
