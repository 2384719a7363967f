//! Damaged file systems: every operation ends, and every change that is given lies on the volume.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../fs-view/tests/images/mod.rs"]
mod images;

use std::process::Command;

use block_io::{BlockRead, BlockWrite, MemoryDisk};
use fs_reserve::{FileSystem, Want};
use images::Image;

const CASES: u64 = 500;
const WANTS: [Want; 2] = [
    Want { bytes: 65_536, align_bytes: 4096, at_least_offset: 1 << 20 },
    Want { bytes: 3000, align_bytes: 512, at_least_offset: 0 },
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Everything, one after the other; whether it could be done to the end.
fn use_all(disk: &MemoryDisk) -> bool {
    let length = disk.geometry().length_bytes;
    let Ok(volume) = FileSystem::open(disk) else { return false };
    assert!(volume.cluster_area().end <= length);
    let _ = volume.check_clean();
    let _ = volume.free_runs(5);
    let Ok(places) = volume.find(&WANTS) else { return false };
    for change in [FileSystem::reserve, FileSystem::release] {
        let Ok(writes) = change(&volume, &places) else { return false };
        for write in writes {
            assert!(write.offset_bytes.is_multiple_of(512));
            disk.write_all_at(write.offset_bytes, &write.bytes).unwrap();
        }
    }
    true
}

/// Bytes of the sectors that hold anything are changed, most of them where numbers matter: to nothing, to all, by a bit.
fn check(name: &str, image: &[u8]) {
    assert!(use_all(&MemoryDisk::new(image.to_vec())), "{name} is sound");
    let sectors: Vec<usize> = (0..image.len() / 512)
        .filter(|at| image[at * 512..at * 512 + 512].iter().any(|byte| ![0, 0xFF].contains(byte)))
        .collect();
    // Large images take longer to copy than to look at.
    let cases = CASES / (image.len() as u64 >> 22).max(1);
    let mut done = 0;
    for seed in 0..cases {
        let mut random = Random(seed);
        let mut bytes = image.to_vec();
        for _ in 0..=random.below(4) {
            // The first sectors matter most.
            let among = if random.below(2) == 0 { sectors.len().min(4) } else { sectors.len() };
            let sector = sectors[random.below(among)];
            let within = if random.below(2) == 0 { 64 } else { 512 };
            let at = sector * 512 + random.below(within);
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => u8::try_from(random.below(256)).unwrap(),
                _ => bytes[at] ^ 1 << random.below(8),
            };
        }
        // A panic names the seed.
        let outcome = std::panic::catch_unwind(|| use_all(&MemoryDisk::new(bytes)));
        done += usize::from(outcome.unwrap_or_else(|_| panic!("{name}, seed {seed}")));
    }
    assert!(done > 0 && done < usize::try_from(cases).unwrap(), "{name}: {done} of {cases} were as before");
}

#[test]
fn damaged_fat() {
    if !testkit::programs(&["mkfs.fat", "mcopy"]) {
        return;
    }
    for (length, bits) in [(4 << 20, 12), (16 << 20, 16), (34 << 20, 32)] {
        check(&format!("FAT{bits}"), &Image::fat(length, bits, &[("a", b"file")], &["dir"]).bytes());
    }
}

#[test]
fn damaged_exfat() {
    if !testkit::programs(&["mkfs.exfat"]) {
        return;
    }
    let image = Image::new(8 << 20);
    assert!(Command::new("mkfs.exfat").arg(image.path()).output().unwrap().status.success());
    check("exFAT", &image.bytes());
}

#[test]
fn damaged_ntfs() {
    if !testkit::programs(&["mkntfs", "ntfscp"]) {
        return;
    }
    check("NTFS", &Image::ntfs(4 << 20, &[], &[("a", b"file")]).bytes());
}
