//! Disks with a content that shows every mistake of placement.

#![allow(dead_code, clippy::unwrap_used, reason = "tests; not every file uses everything")]

use std::path::{Path, PathBuf};
use std::process::Command;

use block_io::BlockRead;
use disk_image::DiskImage;

/// Runs a program in a folder; its arguments are parted by spaces.
pub(crate) fn run(folder: &Path, line: &str) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A raw disk: blocks of 64 KiB of which some are zero, some text that compresses, some noise.
pub(crate) fn content(length: usize, seed: u32) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut state = seed | 1;
    for (index, block) in bytes.chunks_mut(64 << 10).enumerate() {
        for (place, word) in block.chunks_mut(4).enumerate() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = match (index * 7 + index / 5) % 4 {
                0 | 1 => break,
                2 => u32::try_from(index * 1000 + place / 16).unwrap(),
                _ => state,
            };
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        }
    }
    bytes
}

/// Writes a raw disk of this length and gives its path and content.
pub(crate) fn raw(folder: &Path, length: usize) -> (PathBuf, Vec<u8>) {
    let (path, bytes) = (folder.join("raw.img"), content(length, 42));
    std::fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

/// Reads the image wholly and in odd pieces; both must be `expected`, which may end before the disk does.
pub(crate) fn check(image: &Path, expected: &[u8]) -> DiskImage {
    let disk = DiskImage::open(image).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    let name = image.display();
    let mut read = vec![1; usize::try_from(disk.geometry().length_bytes).unwrap()];
    disk.read_exact_at(0, &mut read).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read.len() >= expected.len(), "{name}: {} bytes of {}", read.len(), expected.len());
    let different = read.iter().zip(expected).position(|(one, other)| one != other);
    assert_eq!(different, None, "{name}: the first byte that differs");
    assert!(read[expected.len()..].iter().all(|byte| *byte == 0), "{name}: zeros behind");
    let mut at = 0;
    for length in [1, 511, 4096, 65_537, 3, 1 << 20, 200_000].into_iter().cycle() {
        let mut piece = vec![1; usize::min(length, read.len() - at)];
        disk.read_exact_at(at as u64, &mut piece).unwrap();
        assert!(piece == read[at..at + piece.len()], "{name}: {length} bytes at {at}");
        at += piece.len() + 777;
        if at >= read.len() {
            break;
        }
    }
    assert!(disk.read_exact_at(read.len() as u64, &mut [0]).is_err(), "{name}: nothing behind the end");
    disk
}
