//! Damaged volumes: an error or a problem, never a panic, and never for long.

#![allow(clippy::unwrap_used, reason = "tests")]

mod images;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use block_io::MemoryDisk;
use fs_view::{EntryKind, FileSystem, Visited};
use images::{Image, Mounted, pattern};

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Lists, walks and reads whatever is there.
fn exercise(bytes: Vec<u8>) {
    let Ok(volume) = FileSystem::open(MemoryDisk::new(bytes)) else {
        return;
    };
    let _ = volume.label();
    let _ = volume.list("/");
    let mut files = vec!["/folder/inner/large.bin".to_owned(), "/large.bin".to_owned()];
    let mut visits = 0;
    let mut entries = Vec::new();
    let _ = volume.walk("", &mut |visited| {
        visits += 1;
        if let Visited::Entry { entry, .. } = visited
            && entries.len() < 200
        {
            entries.push(entry.clone());
        }
        if let Visited::Entry { path, entry } = visited
            && entry.kind == EntryKind::File
            && files.len() < 40
        {
            files.push(path.to_owned());
        }
        if visits < 20_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    for entry in entries {
        let _ = volume.link_target(&entry);
        for stream in volume.streams_of(&entry).unwrap_or_default() {
            let opened = volume.open_stream(&entry, &stream.name, "");
            let _ = opened.and_then(|file| volume.read_at(&file, 10, &mut [0; 100]));
        }
    }
    for path in files {
        let _ = volume.stat(&path);
        let _ = volume.read(&path, &mut std::io::sink(), &mut |_| {});
    }
}

/// Damages one to eight bytes, where there is anything but zeros more often than elsewhere.
fn damage_and_exercise(original: &[u8], variants: usize, seed: u64) {
    let used: Vec<usize> = (0..original.len()).filter(|index| original[*index] != 0 && index % 4096 < 1200).collect();
    let mut numbers = Numbers(seed);
    for variant in 0..variants {
        let mut bytes = original.to_vec();
        for _ in 0..=numbers.below(8) {
            let place = match variant % 4 {
                // The boot sector and what follows it.
                0 => numbers.below(1024),
                1 => numbers.below(bytes.len()),
                _ => (used[numbers.below(used.len())] + numbers.below(3)).min(bytes.len() - 1),
            };
            bytes[place] = match numbers.below(3) {
                0 => 0,
                1 => 0xFF,
                _ => bytes[place] ^ (1 << numbers.below(8)),
            };
        }
        let start = Instant::now();
        exercise(bytes);
        assert!(start.elapsed() < Duration::from_secs(5), "variant {variant} took {:?}", start.elapsed());
    }
}

fn fat_files() -> ([(&'static str, Vec<u8>); 4], [&'static str; 2]) {
    let files = [
        ("folder/inner/large.bin", pattern(100_000, 1)),
        ("folder/A long name with umlauts äöü.txt", pattern(5000, 2)),
        ("folder/inner/empty", Vec::new()),
        ("top.bin", pattern(600, 3)),
    ];
    (files, ["folder", "folder/inner"])
}

fn fat(bits: u32, length: u64) -> Vec<u8> {
    let (files, directories) = fat_files();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (*name, &content[..])).collect();
    Image::fat(length, bits, &files, &directories).bytes()
}

#[test]
fn fat12_and_fat16() {
    if testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        damage_and_exercise(&fat(12, 1 << 20), 400, 0x1234_5678_9ABC_DEF1);
        damage_and_exercise(&fat(16, 9 << 20), 150, 0x2234_5678_9ABC_DEF1);
    }
}

#[test]
fn fat32() {
    if testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        damage_and_exercise(&fat(32, 34 << 20), 150, 0x3234_5678_9ABC_DEF1);
    }
}

/// A sound boot sector, and behind it what a wrong key would give: every cluster can be taken for a directory of more of
/// the kind.
#[test]
fn a_volume_of_noise_is_walked_to_an_end() {
    if !testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        return;
    }
    let mut bytes = fat(16, 34 << 20);
    let mut numbers = Numbers(0x5234_5678_9ABC_DEF1);
    for word in bytes[4096..].chunks_exact_mut(2) {
        word.copy_from_slice(&u16::try_from(numbers.below(1 << 16)).unwrap().to_le_bytes());
    }
    let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
    let (start, mut visits) = (Instant::now(), 0);
    volume
        .walk("", &mut |_| {
            visits += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(visits < 20_000 && start.elapsed() < Duration::from_secs(20), "{visits} visits, {:?}", start.elapsed());
}

#[test]
fn ntfs() {
    if !testkit::programs(&["mkntfs", "ntfscp"]) {
        return;
    }
    let mut files = vec![("large.bin".to_owned(), pattern(300_000, 4)), ("empty".to_owned(), Vec::new())];
    files.extend((0..30).map(|index| (format!("{index} {}", "name ".repeat(30)), pattern(index * 300, 5))));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (&name[..], &content[..])).collect();
    let image = Image::ntfs(4 << 20, &[], &files).bytes();
    damage_and_exercise(&image, 400, 0x4234_5678_9ABC_DEF1);
}

/// Compressed and sparse content, streams, links, and a file in so many pieces that it has an attribute list.
#[test]
fn ntfs_with_everything() {
    if !testkit::programs(&["mkntfs", "ntfs-3g", "setfattr"]) {
        return;
    }
    let image = Image::ntfs(6 << 20, &["-c", "512"], &[]);
    let options = "compression,streams_interface=windows";
    let Some(mounted) = Mounted::new("ntfs-3g", options, &image.path()) else { return };
    let at = |name: &str| mounted.path().join(name);
    std::fs::create_dir(at("packed")).unwrap();
    mounted.run("setfattr", &["-h", "-n", "system.ntfs_attrib_be", "-v", "0x00000810", "packed"]);
    let text: Vec<u8> = (0..20_000_u32).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    std::fs::write(at("packed/text"), &text).unwrap();
    std::fs::write(at("packed/text:stream"), b"stream").unwrap();
    mounted.run("ln", &["-s", "packed/text", "link"]);
    std::fs::create_dir(at("filler")).unwrap();
    let count =
        (0..).take_while(|index| std::fs::write(at(&format!("filler/{index}")), pattern(900, 1)).is_ok()).count();
    for index in (0..count).step_by(2) {
        std::fs::remove_file(at(&format!("filler/{index}"))).unwrap();
    }
    std::fs::write(at("large.bin"), pattern(500_000, 2)).unwrap();
    for index in (1..count).filter(|index| index % 2 == 1 && index % 50 != 1) {
        std::fs::remove_file(at(&format!("filler/{index}"))).unwrap();
    }
    drop(mounted);
    damage_and_exercise(&image.bytes(), 600, 0x6234_5678_9ABC_DEF1);
}

#[test]
fn exfat() {
    if !testkit::programs(&["mkfs.exfat"]) {
        return;
    }
    let image = Image::new(4 << 20);
    let path = image.path();
    let made = std::process::Command::new("mkfs.exfat").args(["-c", "4K"]).arg(&path).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let Some(mounted) = Mounted::exfat(&path) else { return };
    std::fs::create_dir_all(mounted.path().join("folder/inner")).unwrap();
    for (name, content) in fat_files().0 {
        std::fs::write(mounted.path().join(name), content).unwrap();
    }
    for index in 0..100 {
        std::fs::write(mounted.path().join(format!("folder/file number {index}")), pattern(index * 10, 1)).unwrap();
    }
    drop(mounted);
    damage_and_exercise(&image.bytes(), 600, 0x7234_5678_9ABC_DEF1);
}

/// A directory whose cluster chain leads back to its start, and one that contains its parent.
#[test]
fn loops_on_fat_end() {
    if !testkit::programs(&["mkfs.fat", "mmd", "mcopy"]) {
        return;
    }
    let mut bytes = fat(16, 9 << 20);
    let at = |offset: usize| usize::from(u16::from_le_bytes([bytes[offset], bytes[offset + 1]]));
    let (table, fat_bytes) = (at(14) * 512, at(22) * 512);
    let root = table + usize::from(bytes[16]) * fat_bytes;
    let data = root + at(17) * 32;
    let entry = (root..data).step_by(32).find(|place| bytes[*place..].starts_with(b"FOLDER  ")).unwrap();
    let cluster = at(entry + 26);
    let number = u16::try_from(cluster).unwrap().to_le_bytes();
    let cluster_bytes = usize::from(bytes[13]) * 512;
    let folder = data + (cluster - 2) * cluster_bytes;
    let inner =
        (folder..folder + cluster_bytes).step_by(32).find(|place| bytes[*place..].starts_with(b"INNER   ")).unwrap();
    let mut looped = bytes.clone();
    let link = table + 2 * cluster;
    looped[link..link + 2].copy_from_slice(&number);
    // No entry that ends the directory, so that only the chain can.
    let end = (folder..folder + cluster_bytes).step_by(32).find(|place| looped[*place] == 0).unwrap();
    (end..folder + cluster_bytes).step_by(32).for_each(|place| looped[place] = 0xE5);
    // The second table is sound.
    let listing = FileSystem::open(MemoryDisk::new(looped.clone())).unwrap().list("folder").unwrap();
    assert_eq!((listing.entries.len(), listing.problems.len()), (2, 0));
    looped[link + fat_bytes..link + fat_bytes + 2].copy_from_slice(&number);
    let listing = FileSystem::open(MemoryDisk::new(looped)).unwrap().list("folder").unwrap();
    assert_eq!((listing.entries.len(), listing.problems.len()), (2, 1));

    bytes[inner + 26..inner + 28].copy_from_slice(&number);
    let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
    let (mut entries, mut problems) = (0, 0);
    let mut visitor = |visited: Visited<'_>| {
        match visited {
            Visited::Entry { .. } => entries += 1,
            Visited::Problem(_) => problems += 1,
        }
        ControlFlow::Continue(())
    };
    volume.walk("", &mut visitor).unwrap();
    assert_eq!((entries, problems), (4, 1));
}
