//! A tree of files as the kernel shows it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use export::MemoryTree;
use export_fuse::{Mount, Options, mount_files};

/// Mounts a tree for as long as `work` takes.
fn mounted(tree: MemoryTree, work: impl FnOnce(&Path)) {
    if File::options().read(true).write(true).open("/dev/fuse").is_err() {
        return testkit::skip("no /dev/fuse");
    }
    if !testkit::programs(&["fusermount3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = mount_files(Arc::new(tree), folder.path(), &Options::default()).unwrap();
    let ending = End { mount: Some(mount) };
    work(folder.path());
    drop(ending);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "still mounted");
}

/// Unmounts, also after a failed check: a dead mount would stay.
struct End {
    mount: Option<Mount>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mount = self.mount.take().unwrap();
        mount.stopper().stop();
        if std::thread::panicking() {
            mount.stopper().stop();
        }
        let ended = mount.serve(&mut |_| {});
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7919 % 251).unwrap()).collect()
}

#[test]
fn files_directories_and_links_are_shown_as_they_are() {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    let tree = MemoryTree::new()
        .directory("deep")
        .file("deep/file \u{e4}\u{1f511}.bin", pattern(3_000_000))
        .file("empty", Vec::new())
        .file("one", *b"hello")
        .hard_link("two", "one")
        .link("deep/there", "../one")
        .link("nowhere", "gone/away")
        .other("strange")
        .with("one", |entry| entry.times.modified = Some(then));
    mounted(tree, |folder| {
        assert_eq!(names(folder), ["deep", "empty", "nowhere", "one", "strange", "two"].map(str::to_owned).into());
        let big = folder.join("deep/file \u{e4}\u{1f511}.bin");
        assert!(fs::read(&big).unwrap() == pattern(3_000_000));
        let file = File::open(&big).unwrap();
        let mut buffer = [0; 10];
        assert_eq!(file.read_at(&mut buffer, 2_999_995).unwrap(), 5);
        assert_eq!(file.read_at(&mut buffer, 9_000_000).unwrap(), 0);
        assert_eq!(fs::read(folder.join("empty")).unwrap(), b"");
        assert_eq!(fs::read(folder.join("deep/there")).unwrap(), b"hello");
        assert_eq!(fs::read_link(folder.join("nowhere")).unwrap(), Path::new("gone/away"));

        let (one, two) = (folder.join("one").metadata().unwrap(), folder.join("two").metadata().unwrap());
        assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
        assert_eq!(one.modified().unwrap(), then);
        assert_eq!(one.permissions().mode() & 0o7777, 0o444);
        assert_eq!(folder.join("deep").metadata().unwrap().permissions().mode() & 0o7777, 0o555);
        assert_eq!(one.uid(), rustix::process::geteuid().as_raw());

        assert!(fs::read(folder.join("strange")).is_err());
        assert!(fs::read(folder.join("ONE")).is_err(), "a name is one name");
        assert!(fs::write(folder.join("new"), b"x").is_err());
        assert!(fs::write(folder.join("one"), b"x").is_err());
        assert!(fs::remove_file(folder.join("one")).is_err());
        assert!(fs::create_dir(folder.join("d")).is_err());
        assert_eq!(fs::read(folder.join("one")).unwrap(), b"hello");
    });
}

#[test]
fn the_longest_names_of_windows_and_the_two_dots_are_shown() {
    let long = "\u{9577}".repeat(255);
    let tree = MemoryTree::new().directory("d").file(&format!("d/{long}"), *b"long");
    mounted(tree, |folder| {
        let folder = folder.join("d");
        assert_eq!(names(&folder), [long.clone()].into());
        assert_eq!(fs::read(folder.join(&long)).unwrap(), b"long");
        let listed = Command::new("ls").args(["-a", "-i", "-1", "-U"]).arg(&folder).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let own = folder.metadata().unwrap().ino();
        for (dots, number) in [(".", own), ("..", 1)] {
            let line = listed.lines().find(|line| line.ends_with(&format!(" {dots}"))).unwrap();
            assert_eq!(line.split_whitespace().next(), Some(number.to_string().as_str()), "{listed}");
        }
    });
}

#[test]
fn inodes_stay_the_same_between_mounts() {
    let tree = || (0..50).fold(MemoryTree::new(), |tree, index| tree.file(&format!("f{index}"), Vec::new()));
    let mut seen = Vec::new();
    for _ in 0..2 {
        mounted(tree(), |folder| {
            let inodes = (0..50).map(|index| folder.join(format!("f{index}")).metadata().unwrap().ino());
            seen.push(inodes.collect::<Vec<_>>());
        });
    }
    if let [first, second] = seen.as_slice() {
        assert_eq!(first, second);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 50);
    }
}

#[test]
fn a_directory_of_thousands_is_listed_whole_and_by_many() {
    let tree = (0..5000).fold(MemoryTree::new().directory("many"), |tree, index| {
        tree.file(&format!("many/a file with a longer name, number {index}"), vec![b'x'; index % 7])
    });
    mounted(tree, |folder| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let listed: Vec<_> = fs::read_dir(folder.join("many")).unwrap().map(Result::unwrap).collect();
                    assert_eq!(listed.len(), 5000);
                    for entry in listed.iter().step_by(97) {
                        let name = entry.file_name().into_string().unwrap();
                        let index: usize = name.rsplit(' ').next().unwrap().parse().unwrap();
                        assert_eq!(entry.metadata().unwrap().len(), index as u64 % 7);
                        assert_eq!(fs::read(entry.path()).unwrap().len(), index % 7);
                    }
                });
            }
        });
    });
}

#[test]
fn names_that_cannot_be_are_escaped_and_damage_stays_where_it_is() {
    let tree = MemoryTree::new()
        .file("good", *b"good")
        .file("odd", *b"?")
        .with("odd", |entry| entry.name = "a/b".to_owned())
        .file("dots", *b"?")
        .with("dots", |entry| entry.name = "..".to_owned())
        .damaged_file("damaged", pattern(1 << 20), 500_000);
    mounted(tree, |folder| {
        assert_eq!(names(folder), ["%2E.", "a%2Fb", "damaged", "good"].map(str::to_owned).into());
        for escaped in ["%2E.", "a%2Fb"] {
            assert_eq!(folder.join(escaped).metadata().unwrap().len(), 1);
            assert!(fs::read(folder.join(escaped)).is_err());
        }
        assert_eq!(fs::read(folder.join("good")).unwrap(), b"good");
        let file = File::open(folder.join("damaged")).unwrap();
        let mut buffer = [0; 4096];
        file.read_exact_at(&mut buffer, 900_000).unwrap_err();
        assert_eq!(fs::read(folder.join("good")).unwrap(), b"good");
    });
}
