//! Volumes made by mkfs.fat, mtools and ntfs-3g.

#![allow(clippy::unwrap_used, reason = "tests")]

mod images;

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use block_io::{BlockRead, FileDisk};
use fs_view::{EntryKind, Error, FileSystem, FileSystemKind, Visited};
use images::{Image, pattern};

const LONG_NAME: &str = "A rather long name with spaces, commas and many more letters than eight plus three.text";

fn open(image: &Image) -> FileSystem<FileDisk> {
    FileSystem::open(FileDisk::open(&image.path()).unwrap()).unwrap()
}

fn read(volume: &FileSystem<impl BlockRead>, path: &str) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::new(), 0);
    let length = volume.read(path, &mut bytes, &mut |done| last = done).unwrap();
    assert_eq!((length, last), (bytes.len() as u64, bytes.len() as u64));
    bytes
}

/// Upper case as Windows knows it.
fn upper(name: &str) -> String {
    name.split('ß').map(str::to_uppercase).collect::<Vec<_>>().join("ß")
}

fn names(volume: &FileSystem<impl BlockRead>, path: &str) -> Vec<String> {
    let listing = volume.list(path).unwrap();
    assert_eq!(listing.problems, []);
    let mut names: Vec<String> = listing.entries.into_iter().map(|entry| entry.name).collect();
    names.sort_by_key(|name| upper(name));
    names
}

fn walked(volume: &FileSystem<impl BlockRead>, path: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut visitor = |visited: Visited<'_>| {
        match visited {
            Visited::Entry { path, .. } => paths.push(path.to_owned()),
            Visited::Problem(problem) => panic!("{problem:?}"),
        }
        ControlFlow::Continue(())
    };
    volume.walk(path, &mut visitor).unwrap();
    paths
}

fn is_recent(time: Option<SystemTime>) -> bool {
    // FAT keeps local time, so that it can be off by the zone.
    let day = Duration::from_secs(86_400);
    time.is_some_and(|time| time > SystemTime::now() - day && time < SystemTime::now() + day)
}

#[test]
fn fat() {
    if !testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        return;
    }
    let kinds = [(12, 4, FileSystemKind::Fat12), (16, 16, FileSystemKind::Fat16), (32, 64, FileSystemKind::Fat32)];
    for (bits, mib, kind) in kinds {
        let large = pattern(if bits == 12 { 2 << 20 } else { 7 << 20 } + 12_345, bits);
        let files: [(&str, &[u8]); 5] = [
            ("empty.txt", b""),
            ("größe/ünter/日本語.bin", &large),
            ("größe/small", b"small"),
            (LONG_NAME, b"long"),
            ("UPPER.TXT", b"upper"),
        ];
        let volume = open(&Image::fat(mib << 20, bits, &files, &["größe", "größe/ünter"]));
        assert_eq!(volume.kind(), kind);
        assert_eq!(volume.label().unwrap().as_deref(), Some("LABEL"));
        // mtools stores some of them as short names alone, which have no case.
        let mut expected = ["empty.txt", "größe", LONG_NAME, "UPPER.TXT"].map(upper);
        expected.sort();
        assert_eq!(names(&volume, "").iter().map(|name| upper(name)).collect::<Vec<_>>(), expected);
        for (path, content) in files {
            assert!(read(&volume, path) == content, "{path}");
            assert!(read(&volume, &upper(path).replace('/', "\\")) == content, "{path}");
            let entry = volume.stat(path).unwrap();
            assert_eq!((entry.kind, entry.size_bytes), (EntryKind::File, content.len() as u64));
            assert!(is_recent(entry.modified), "{entry:?}");
        }
        let walked: Vec<String> = walked(&volume, "größe").iter().map(|path| upper(path)).collect();
        assert_eq!(walked, ["/größe/ünter", "/größe/small", "/größe/ünter/日本語.bin"].map(upper));
        assert!(matches!(volume.list("empty.txt"), Err(Error::NotADirectory { .. })));
        assert!(matches!(volume.stat("empty.txt/x"), Err(Error::NotADirectory { .. })));
        assert!(matches!(volume.stat("größe/none"), Err(Error::NotFound { .. })));
        assert!(matches!(volume.read("größe", &mut Vec::new(), &mut |_| {}), Err(Error::NotAFile { .. })));
        assert!(matches!(volume.list("größe/.."), Err(Error::BadPath { .. })));
    }
}

#[test]
fn fat_with_a_damaged_free_space_sector() {
    if !testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        return;
    }
    let mut bytes = Image::fat(40 << 20, 32, &[("file", b"content")], &[]).bytes();
    bytes[512..1024].fill(0);
    let volume = FileSystem::open(block_io::MemoryDisk::new(bytes)).unwrap();
    assert_eq!(read(&volume, "file"), b"content");
}

#[test]
fn ntfs() {
    if !testkit::programs(&["mkntfs", "ntfscp"]) {
        return;
    }
    let large = pattern((7 << 20) + 12_345, 3);
    for options in [&[][..], &["-c", "512"], &["-c", "65536"]] {
        let mut files: Vec<(String, Vec<u8>)> = vec![
            ("empty.txt".to_owned(), Vec::new()),
            ("日本語 größe.bin".to_owned(), large.clone()),
            (LONG_NAME.to_owned(), b"long".to_vec()),
        ];
        // So many that the index has several nodes.
        files.extend((0..60).map(|index| (format!("{index:03} {}", "long ".repeat(30)), vec![b'x'; index * 100])));
        let borrowed: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (&name[..], &content[..])).collect();
        let volume = open(&Image::ntfs(32 << 20, options, &borrowed));
        assert_eq!(volume.kind(), FileSystemKind::Ntfs);
        assert_eq!(volume.label().unwrap().as_deref(), Some("Größe"));
        let mut expected: Vec<String> = files.iter().map(|(name, _)| name.trim_end().to_owned()).collect();
        expected.sort();
        let listed: Vec<String> = names(&volume, "/").into_iter().map(|name| name.trim_end().to_owned()).collect();
        assert_eq!(listed, expected);
        for (path, content) in &files {
            assert!(read(&volume, path) == *content, "{path}");
            assert!(read(&volume, &upper(path)) == *content, "{path}");
            let entry = volume.stat(path).unwrap();
            assert_eq!((entry.kind, entry.size_bytes), (EntryKind::File, content.len() as u64));
            assert!(is_recent(entry.created), "{entry:?}");
        }
        assert!(matches!(volume.stat("$MFT"), Err(Error::NotFound { .. })));
        assert!(matches!(volume.stat("none"), Err(Error::NotFound { .. })));
        assert!(matches!(volume.list("empty.txt"), Err(Error::NotADirectory { .. })));
        assert_eq!(walked(&volume, "").len(), files.len());
    }
}

#[test]
fn a_sink_that_fails_is_told() {
    if !testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        return;
    }
    let volume = open(&Image::fat(4 << 20, 12, &[("file", b"content")], &[]));
    let mut full: &mut [u8] = &mut [0; 3];
    assert!(matches!(volume.read("file", &mut full, &mut |_| {}), Err(Error::Sink(_))));
}
