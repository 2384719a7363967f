//! exFAT volumes made by exfatprogs, filled by exfat-fuse.

#![allow(clippy::unwrap_used, reason = "tests")]

mod images;

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use block_io::{FileDisk, MemoryDisk};
use fs_view::{EntryKind, Error, FileSystem, FileSystemKind, Visited};
use images::{Image, Mounted, pattern};

const LONG_NAME: &str =
    "A rather long name with spaces and umlauts äöü, so that it takes many entries of a set 日本語.text";

/// Files by their names, in folders.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("empty".to_owned(), Vec::new()),
        ("large.bin".to_owned(), pattern(9_000_001, 1)),
        (format!("größe/ünter/{LONG_NAME}"), pattern(70_000, 2)),
        ("größe/x".to_owned(), b"x".to_vec()),
        ("n".repeat(255), b"long".to_vec()),
    ];
    files.extend((0..700).map(|index| (format!("many/file number {index}"), pattern(index * 13, 3))));
    files
}

/// An image with the files; `None` where it cannot be made.
fn image(options: &[&str]) -> Option<Image> {
    if !testkit::programs(&["mkfs.exfat"]) {
        return None;
    }
    let image = Image::new(160 << 20);
    let made = Command::new("mkfs.exfat").args(["-L", "Größe"]).args(options).arg(image.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mounted = Mounted::exfat(&image.path())?;
    for (name, content) in files() {
        let path = mounted.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    // Two files that grow by turns have no consecutive clusters.
    let turns = ["one", "two"].map(|name| File::create(mounted.path().join(name)).unwrap());
    for round in 0..200_u32 {
        for (file, seed) in turns.iter().zip([4, 5]) {
            file.write_all_at(&pattern(4096, seed + round * 7), u64::from(round) * 4096).unwrap();
        }
    }
    for name in ["removed", "many/removed"] {
        fs::write(mounted.path().join(name), b"removed").unwrap();
        fs::remove_file(mounted.path().join(name)).unwrap();
    }
    drop(turns);
    mounted.run("touch", &["-d", "@1700000000", "empty"]);
    drop(mounted);
    Some(image)
}

fn read(volume: &FileSystem<impl block_io::BlockRead>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    volume.read(path, &mut bytes, &mut |_| {}).unwrap();
    bytes
}

/// Upper case as Windows knows it.
fn upper(name: &str) -> String {
    name.split('ß').map(str::to_uppercase).collect::<Vec<_>>().join("ß")
}

fn walked(volume: &FileSystem<impl block_io::BlockRead>) -> (usize, Vec<String>) {
    let (mut entries, mut problems) = (0, Vec::new());
    let mut visitor = |visited: Visited<'_>| {
        match visited {
            Visited::Entry { .. } => entries += 1,
            Visited::Problem(problem) => problems.push(format!("{problem:?}")),
        }
        ControlFlow::Continue(())
    };
    volume.walk("", &mut visitor).unwrap();
    (entries, problems)
}

#[test]
fn files_read_as_they_were_written() {
    for options in [&[][..], &["-c", "4K"], &["-c", "128K"]] {
        let Some(image) = image(options) else { return };
        let volume = FileSystem::open(FileDisk::open(&image.path()).unwrap()).unwrap();
        assert_eq!((volume.kind(), volume.label().unwrap().as_deref()), (FileSystemKind::ExFat, Some("Größe")));
        for (name, content) in files() {
            let entry = volume.stat(&name).unwrap();
            assert_eq!((entry.kind, entry.size_bytes), (EntryKind::File, content.len() as u64), "{name}");
            assert!(read(&volume, &name) == content, "{name}");
            assert!(read(&volume, &upper(&name).replace('/', "\\")) == content, "{name}");
        }
        for (name, seed) in [("one", 4), ("two", 5)] {
            let expected: Vec<u8> = (0..200).flat_map(|round| pattern(4096, seed + round * 7)).collect();
            assert!(read(&volume, name) == expected, "{name}");
            let file = volume.open_file(name).unwrap();
            let mut buffer = vec![0; 10_000];
            volume.read_at(&file, 123_456, &mut buffer).unwrap();
            assert!(buffer == expected[123_456..133_456]);
        }
        assert!(matches!(volume.stat("removed"), Err(Error::NotFound { .. })));
        assert!(matches!(volume.list("empty"), Err(Error::NotADirectory { .. })));
        // Three folders and two files by turns besides.
        assert_eq!(walked(&volume), (files().len() + 5, Vec::new()));
        let modified = volume.stat("empty").unwrap().modified.unwrap();
        let day = Duration::from_secs(86_400);
        let written = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(modified, written);
        assert!(volume.stat("largE.bin").unwrap().created.unwrap() > SystemTime::now() - day);
    }
}

/// Where the first set of entries with this name begins.
fn set_of(bytes: &[u8], name: &str) -> usize {
    let mut part = vec![0xC1, 0];
    part.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
    let at = bytes.windows(part.len()).position(|window| window == part).unwrap();
    at - 64
}

/// The checksum of a set, made right again.
fn mend(bytes: &mut [u8], set: usize) {
    let length = (1 + usize::from(bytes[set + 1])) * 32;
    let counted = bytes[set..set + length].iter().enumerate().filter(|(index, _)| !matches!(index, 2 | 3));
    let sum = counted.fold(0_u16, |sum, (_, byte)| sum.rotate_right(1).wrapping_add((*byte).into()));
    bytes[set + 2..set + 4].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn what_was_never_written_reads_as_zeros() {
    let Some(image) = image(&[]) else { return };
    let mut bytes = image.bytes();
    let set = set_of(&bytes, "large.bin");
    bytes[set + 40..set + 48].copy_from_slice(&1_000_000_u64.to_le_bytes());
    mend(&mut bytes, set);
    let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
    let (read, written) = (read(&volume, "large.bin"), pattern(9_000_001, 1));
    assert!(read[..1_000_000] == written[..1_000_000]);
    assert!(read.len() == written.len() && read[1_000_000..].iter().all(|byte| *byte == 0));
    assert_eq!(walked(&volume).1, Vec::<String>::new());
}

#[test]
fn damage_is_told_and_the_rest_is_listed() {
    let Some(image) = image(&[]) else { return };
    let original = image.bytes();
    let whole = walked(&FileSystem::open(MemoryDisk::new(original.clone())).unwrap()).0;
    let check = |change: &dyn Fn(&mut Vec<u8>), missing: usize, told: &str| {
        let mut bytes = original.clone();
        change(&mut bytes);
        let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
        let (entries, problems) = walked(&volume);
        assert_eq!(entries, whole - missing, "{told}: {problems:?}");
        let warnings: Vec<String> = volume.warnings().iter().map(|problem| format!("{problem:?}")).collect();
        assert!([problems, warnings].concat().iter().any(|problem| problem.contains(told)), "{told}");
    };
    check(&|bytes| bytes[..512].fill(0), 0, "its copy is used");
    check(&|bytes| bytes[80] ^= 0xFF, 0, "its copy is used");
    let empty = set_of(&original, "empty");
    check(&|bytes| bytes[empty + 4] ^= 1, 0, "checksum");
    check(&|bytes| bytes[empty + 32] = 0xC7, 1, "no stream entry");
    check(&|bytes| bytes[empty + 1] = 3, 1, "cut off");
    // A folder that contains itself, and one that lies outside.
    let folder = set_of(&original, "ünter");
    let parent = set_of(&original, "größe");
    let cluster = original[parent + 52..parent + 56].to_vec();
    let inside = 1;
    check(
        &|bytes| {
            bytes[folder + 52..folder + 56].copy_from_slice(&cluster);
            mend(bytes, folder);
        },
        inside,
        "appears in two places",
    );
    check(
        &|bytes| {
            bytes[folder + 52..folder + 56].copy_from_slice(&u32::MAX.to_le_bytes());
            mend(bytes, folder);
        },
        inside,
        "outside of the volume",
    );
}

#[test]
fn another_driver_finds_the_same() {
    let Some(image) = image(&["-c", "4K"]) else { return };
    if !testkit::programs(&["fsck.exfat"]) {
        return;
    }
    // The images that the other tests trust are sound.
    let checked = Command::new("fsck.exfat").arg("-n").arg(image.path()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    assert!(Path::new(&image.path()).exists());
}
