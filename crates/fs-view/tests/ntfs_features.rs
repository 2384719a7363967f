//! What NTFS can do beyond plain files, written by ntfs-3g.

#![allow(clippy::unwrap_used, reason = "tests")]

mod images;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use block_io::{FileDisk, MemoryDisk};
use fs_view::{Entry, EntryKind, Error, FileSystem, Visited};
use images::{Image, Mounted, pattern};

/// Text that compresses, of any length.
fn text(length: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|line| format!("line {line} of a text that repeats itself\n").into_bytes())
        .take(length)
        .collect()
}

fn volume(image: &Image) -> FileSystem<FileDisk> {
    FileSystem::open(FileDisk::open(&image.path()).unwrap()).unwrap()
}

fn read(volume: &FileSystem<FileDisk>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    volume.read(path, &mut bytes, &mut |_| {}).unwrap();
    bytes
}

/// Every path below the root, with its entry. Problems fail the test.
fn tree(volume: &FileSystem<FileDisk>) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut visitor = |visited: Visited<'_>| {
        match visited {
            Visited::Entry { path, entry } => drop(found.insert(path.to_owned(), entry.clone())),
            Visited::Problem(problem) => panic!("{problem:?}"),
        }
        ControlFlow::Continue(())
    };
    volume.walk("", &mut visitor).unwrap();
    found
}

/// Everything that the driver shows has the same content, length and date here.
fn same_as_mounted(image: &Image, options: &str) {
    let Some(mounted) = Mounted::new("ntfs-3g", options, &image.path()) else { return };
    let volume = volume(image);
    let found = tree(&volume);
    let mut seen = 0;
    let mut waiting = vec![mounted.path().to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("/{}", path.strip_prefix(mounted.path()).unwrap().to_str().unwrap());
            let metadata = path.symlink_metadata().unwrap();
            let ours = found.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
            seen += 1;
            if metadata.is_dir() {
                assert_eq!(ours.kind, EntryKind::Directory, "{name}");
                waiting.push(path);
            } else if metadata.is_file() {
                assert_eq!(ours.size_bytes, metadata.len(), "{name}");
                assert_eq!(ours.modified, metadata.modified().ok(), "{name}");
                assert_eq!(u64::from(ours.links), metadata.nlink(), "{name}");
                assert!(read(&volume, &name) == fs::read(&path).unwrap(), "{name}");
            }
        }
    }
    assert_eq!(seen, found.len());
}

#[test]
fn compressed_and_sparse_files() {
    if !testkit::programs(&["mkntfs", "ntfs-3g", "setfattr"]) {
        return;
    }
    for cluster in ["512", "1024", "4096"] {
        let image = Image::ntfs(64 << 20, &["-c", cluster], &[]);
        let Some(mounted) = Mounted::new("ntfs-3g", "compression", &image.path()) else { return };
        fs::create_dir(mounted.path().join("packed")).unwrap();
        mounted.run("setfattr", &["-h", "-n", "system.ntfs_attrib_be", "-v", "0x00000810", "packed"]);
        let mut files = vec![
            ("text", text(1_000_000)),
            ("short", text(300)),
            ("one unit", text(65_536)),
            ("zeros", vec![0; 500_000]),
            ("noise", pattern(300_000, 7)),
        ];
        // Units of every kind by turns.
        let mixed = [text(70_000), vec![0; 200_000], pattern(150_000, 8), text(10)].concat();
        files.push(("mixed", mixed));
        for (name, content) in &files {
            fs::write(mounted.path().join("packed").join(name), content).unwrap();
        }
        let sparse = File::create(mounted.path().join("sparse")).unwrap();
        sparse.set_len(30 << 20).unwrap();
        sparse.write_all_at(b"in the middle", 10 << 20).unwrap();
        drop(sparse);
        drop(mounted);
        let volume = volume(&image);
        for (name, content) in &files {
            let path = format!("packed/{name}");
            let entry = volume.stat(&path).unwrap();
            assert!(entry.attributes.compressed() && entry.size_bytes == content.len() as u64, "{entry:?}");
            assert!(read(&volume, &path) == *content, "{cluster} {name}");
        }
        let entry = volume.stat("packed/text").unwrap();
        assert!(entry.allocated_bytes < 500_000, "{entry:?}");
        // Anywhere, by several threads.
        let (file, content) = (volume.open_file("packed/mixed").unwrap(), &files[5].1);
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let offset = next.fetch_add(104_729, Ordering::Relaxed) % content.len() as u64;
                        let mut buffer = vec![0xFF; 3000];
                        let count = volume.read_at(&file, offset, &mut buffer).unwrap();
                        let start = usize::try_from(offset).unwrap();
                        assert_eq!(count, 3000.min(content.len() - start));
                        assert!(buffer[..count] == content[start..start + count]);
                    }
                });
            }
        });
        let holes = read(&volume, "sparse");
        assert_eq!((holes.len(), &holes[10 << 20..(10 << 20) + 13]), (30 << 20, &b"in the middle"[..]));
        assert!(holes.iter().filter(|byte| **byte != 0).count() == 13);
        same_as_mounted(&image, "ro");
    }
}

#[test]
fn links_streams_and_names() {
    if !testkit::programs(&["mkntfs", "ntfs-3g", "setfattr", "ln"]) {
        return;
    }
    let image = Image::ntfs(32 << 20, &[], &[]);
    let Some(mounted) = Mounted::new("ntfs-3g", "streams_interface=windows", &image.path()) else { return };
    let at = |name: &str| mounted.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("folder/file"), b"content").unwrap();
    fs::write(at("folder/file:notes"), b"a stream").unwrap();
    fs::write(at("folder/file:large"), pattern(200_000, 1)).unwrap();
    fs::hard_link(at("folder/file"), at("other name")).unwrap();
    fs::write(at("Name"), b"upper").unwrap();
    fs::write(at("name"), b"lower").unwrap();
    fs::write(at(&"ö".repeat(255)), b"long").unwrap();
    mounted.run("ln", &["-s", "folder/file", "unix link"]);
    fs::create_dir(at("junction")).unwrap();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (real, shown) = (wide(r"\??\C:\Users"), wide(r"C:\Users"));
    let field = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
    let mut data = [field(0), field(real.len()), field(real.len() + 2), field(shown.len())].concat();
    data.extend([&real[..], &[0, 0], &shown[..], &[0, 0]].concat());
    reparse(&mounted, "junction", 0xA000_0003, &data);
    fs::write(at("link"), b"").unwrap();
    let target = wide(r"folder\file");
    let mut data = [field(0), field(target.len()), field(0), field(target.len())].concat();
    data.extend(1_u32.to_le_bytes());
    data.extend(&target);
    reparse(&mounted, "link", 0xA000_000C, &data);
    fs::create_dir(at("cloud folder")).unwrap();
    fs::write(at("cloud folder/kept"), b"kept here").unwrap();
    fs::write(at("system file"), text(9000)).unwrap();
    reparse(&mounted, "system file", 0x8000_0017, &[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    mounted.run("setfattr", &["-h", "-n", "system.ntfs_attrib_be", "-v", "0x00000003", "Name"]);
    drop(mounted);

    let volume = volume(&image);
    let stat = |path: &str| volume.stat(path).unwrap();
    assert_eq!((stat("folder/file").id, stat("folder/file").links), (stat("other name").id, 2));
    let streams: Vec<(String, u64)> =
        volume.streams("other name").unwrap().into_iter().map(|stream| (stream.name, stream.size_bytes)).collect();
    assert_eq!(streams, [("large".to_owned(), 200_000), ("notes".to_owned(), 8)]);
    assert_eq!(read(&volume, "folder/file:notes"), b"a stream");
    assert_eq!(read(&volume, "folder/file:NOTES:$DATA"), b"a stream");
    assert!(read(&volume, "folder/file:large") == pattern(200_000, 1));
    assert!(matches!(volume.open_file("folder/file:none"), Err(Error::NotFound { .. })));
    assert_eq!((read(&volume, "Name"), read(&volume, "name")), (b"upper".to_vec(), b"lower".to_vec()));
    assert!(matches!(&read(&volume, "NAME")[..], b"upper" | b"lower"));
    assert_eq!(read(&volume, &"Ö".repeat(255)), b"long");
    assert!(stat("Name").attributes.read_only() && stat("Name").attributes.hidden());
    for (path, kind, target) in [
        ("unix link", EntryKind::SymbolicLink, "folder/file"),
        ("junction", EntryKind::Junction, r"C:\Users"),
        ("link", EntryKind::SymbolicLink, r"folder\file"),
    ] {
        assert_eq!(stat(path).kind, kind, "{path}");
        assert_eq!(volume.read_link(path).unwrap(), target);
        assert!(matches!(volume.open_file(path), Err(Error::NotAFile { .. })), "{path}");
    }
    assert!(matches!(volume.read_link("name"), Err(Error::NotALink { .. })));
    assert!(matches!(volume.list("junction"), Err(Error::NotADirectory { .. })));
    assert_eq!(read(&volume, "cloud folder/kept"), b"kept here");
    assert_eq!(stat("system file").kind, EntryKind::File);
    let refused = volume.open_file("system file");
    assert!(matches!(refused, Err(Error::Unsupported { how, .. }) if how.contains("CompactOS")));
    assert_eq!(tree(&volume).len(), 12);
}

/// Makes a reparse point of a file.
fn reparse(mounted: &Mounted, name: &str, tag: u32, data: &[u8]) {
    let mut value = tag.to_le_bytes().to_vec();
    value.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
    value.extend([0, 0]);
    value.extend(data);
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    mounted.run("setfattr", &["-h", "-n", "system.ntfs_reparse_data", "-v", &format!("0x{hex}"), name]);
}

/// A file of thousands of pieces, whose runs do not fit into one record; and a file table of many pieces.
#[test]
fn fragmented_files_and_a_fragmented_table() {
    if !testkit::programs(&["mkntfs", "ntfs-3g", "ntfsinfo"]) {
        return;
    }
    let image = Image::ntfs(48 << 20, &["-c", "1024"], &[]);
    let Some(mounted) = Mounted::new("ntfs-3g", "big_writes", &image.path()) else { return };
    // The volume full of small files, then every second one removed.
    let filler = mounted.path().join("filler");
    fs::create_dir(&filler).unwrap();
    let mut count = 0;
    while fs::write(filler.join(format!("{count}")), pattern(3000, count)).is_ok() {
        count += 1;
    }
    for index in (0..count).step_by(2) {
        fs::remove_file(filler.join(format!("{index}"))).unwrap();
    }
    let large = pattern(9_000_000, 1);
    fs::write(mounted.path().join("large"), &large).unwrap();
    let mut names = 0;
    while names < 6000 && File::create(mounted.path().join(format!("an empty file {names}"))).is_ok() {
        names += 1;
    }
    drop(mounted);
    let info = |what: &[&str]| {
        let output = Command::new("ntfsinfo").args(["-f", "-v"]).args(what).arg(image.path()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(info(&["-F", "/large"]).contains("$ATTRIBUTE_LIST"));
    let table = info(&["-i", "0"]);
    let runs = table.split_once("Total runs: ").and_then(|(_, rest)| rest.split(' ').next()).unwrap();
    assert!(runs.parse::<u32>().unwrap() > 20, "{runs}");
    let volume = volume(&image);
    assert!(read(&volume, "large") == large);
    let file = volume.open_file("LARGE").unwrap();
    let mut buffer = vec![0; 100_001];
    for offset in [0, 1023, 5_000_000, 8_950_000] {
        let got = volume.read_at(&file, offset, &mut buffer).unwrap();
        let start = usize::try_from(offset).unwrap();
        assert!(buffer[..got] == large[start..start + got] && (got == buffer.len() || start + got == large.len()));
    }
    same_as_mounted(&image, "ro");
    drop(volume);
    damaged_table(&image);
}

/// The first records and the boot sector are there twice.
fn damaged_table(image: &Image) {
    let original = image.bytes();
    let field = |offset: usize| u64::from_le_bytes(original[offset..offset + 8].try_into().unwrap());
    let cluster = u64::from(original[13]) * 512;
    let table = usize::try_from(field(48) * cluster).unwrap();
    let entries = |bytes: Vec<u8>| {
        let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
        let listing = volume.list("").unwrap();
        (listing.entries.len(), listing.problems.len(), volume.warnings().len())
    };
    let (whole, none, _) = entries(original.clone());
    assert_eq!(none, 0);
    let mut bytes = original.clone();
    bytes[table..table + 1024].fill(0xAA);
    assert_eq!(entries(bytes), (whole, 0, 1));
    let mut bytes = original.clone();
    bytes[..512].fill(0);
    assert_eq!(entries(bytes), (whole, 0, 1));
    // A record in the middle of the table: its file is told, all others are listed.
    let mut bytes = original.clone();
    let record = table + 1024 * 64;
    let damaged = (record..).step_by(1024).find(|place| original[*place + 22] == 1).unwrap();
    bytes[damaged..damaged + 4].copy_from_slice(b"BAAD");
    let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
    let problems = ["", "filler"].map(|path| volume.list(path).unwrap().problems.len());
    assert_eq!(problems.iter().sum::<usize>(), 1);
}

#[test]
fn sectors_and_clusters_of_any_size() {
    if !testkit::programs(&["mkntfs", "ntfs-3g"]) {
        return;
    }
    for options in
        [&["-c", "65536"][..], &["-s", "4096"], &["-s", "4096", "-c", "65536"], &["-s", "1024", "-c", "2048"]]
    {
        let image = Image::ntfs(96 << 20, options, &[]);
        let Some(mounted) = Mounted::new("ntfs-3g", "big_writes", &image.path()) else { return };
        for folder in 0..3 {
            let folder = mounted.path().join(format!("folder {folder}"));
            fs::create_dir(&folder).unwrap();
            for index in 0..300 {
                fs::write(folder.join(format!("file number {index} of this folder")), pattern(index * 37, 1)).unwrap();
            }
        }
        fs::write(mounted.path().join("large"), pattern(5_000_000, 2)).unwrap();
        drop(mounted);
        same_as_mounted(&image, "ro");
        fs::remove_file(image.path()).unwrap();
        assert!(!Path::new(&image.path()).exists());
    }
}
