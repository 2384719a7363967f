//! Images that are cut off, damaged, or made to do harm: an error, never a panic, never wrong data told as right where a
//! checksum or the length of the file can tell, never an endless loop.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use block_io::BlockRead;
use common::{raw, run};
use disk_image::{DiskImage, partitions};

const DISK_BYTES: usize = 3 << 20;
/// For the tests that read many disks.
const SMALL_BYTES: usize = 400 << 10;
const FORMATS: [(&str, &str); 9] = [
    ("fixed.vhd", "-O vpc -o subformat=fixed,force_size=on"),
    ("dynamic.vhd", "-O vpc -o subformat=dynamic,force_size=on"),
    ("fixed.vhdx", "-O vhdx -o subformat=fixed,block_size=1M"),
    ("dynamic.vhdx", "-O vhdx -o subformat=dynamic,block_size=1M"),
    ("plain.qcow2", "-O qcow2"),
    ("small.qcow2", "-c -O qcow2 -o cluster_size=4k"),
    ("sparse.vmdk", "-O vmdk"),
    ("flat.vmdk", "-O vmdk -o subformat=monolithicFlat"),
    ("stream.vmdk", "-O vmdk -o subformat=streamOptimized"),
];

/// Reads the whole disk in pieces; gives what could be read, with errors as `None`.
fn read_all(path: &Path) -> Option<Vec<Option<Vec<u8>>>> {
    let disk = DiskImage::open(path).ok()?;
    let length = disk.geometry().length_bytes;
    // Tables of a damaged disk may be told as well.
    let _ = partitions(&disk);
    let pieces = (0..length.min(DISK_BYTES as u64)).step_by(64 << 10).map(|at| {
        let count = usize::try_from((length - at).min(64 << 10)).unwrap();
        let mut piece = vec![0; count];
        disk.read_exact_at(at, &mut piece).ok().map(|()| piece)
    });
    let mut end = [0; 512];
    let _ = disk.read_exact_at(length.saturating_sub(512), &mut end);
    Some(pieces.collect())
}

/// An image file that is damaged in place and mended again.
struct Patient {
    path: PathBuf,
    whole: Vec<u8>,
    file: File,
}

impl Patient {
    fn new(path: PathBuf) -> Self {
        let whole = std::fs::read(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        Self { path, whole, file }
    }

    /// Reads everything with these bytes in it.
    fn read_with(&self, wrong: &[(usize, Vec<u8>)]) -> bool {
        for (at, bytes) in wrong {
            self.file.write_all_at(bytes, *at as u64).unwrap();
        }
        let opened = read_all(&self.path).is_some();
        for (at, bytes) in wrong {
            self.file.write_all_at(&self.whole[*at..at + bytes.len()], *at as u64).unwrap();
        }
        opened
    }
}

#[test]
fn a_cut_off_image_never_reads_as_zeros() {
    if !testkit::programs(&["qemu-img", "ewfacquire"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, bytes) = raw(folder.path(), DISK_BYTES);
    let path = |name: &str| folder.path().join(name);
    for (name, options) in FORMATS {
        run(folder.path(), &format!("qemu-img convert -f raw {options} raw.img {name}"));
    }
    run(folder.path(), "ewfacquire -u -q -f encase6 -c deflate:fast -t ewf raw.img");
    let names = FORMATS.iter().map(|(name, _)| *name).filter(|name| *name != "flat.vmdk").chain(["ewf.E01"]);
    for name in names {
        let whole = std::fs::read(path(name)).unwrap();
        let mut refused = 0;
        for part in 1..48 {
            let cut = path("cut.E01");
            std::fs::write(&cut, &whole[..whole.len() * part / 48]).unwrap();
            let Some(pieces) = read_all(&cut) else {
                refused += 1;
                continue;
            };
            for (index, piece) in pieces.iter().enumerate() {
                let Some(piece) = piece else {
                    refused += 1;
                    continue;
                };
                let right = bytes.get(index * (64 << 10)..).unwrap_or_default();
                let right = &right[..right.len().min(piece.len())];
                assert!(piece.starts_with(right), "{name} cut to {part} of 48: piece {index} is not what it was");
            }
        }
        // A fixed VHD without its footer is a raw disk that is too short; that is for the volume to say.
        assert!(refused > 0 || name == "fixed.vhd", "{name}");
    }
}

#[test]
fn an_extent_that_is_too_short_is_told() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path(), DISK_BYTES);
    run(folder.path(), "qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat raw.img flat.vmdk");
    let flat = folder.path().join("flat-flat.vmdk");
    std::fs::File::options().write(true).open(flat).unwrap().set_len(1 << 20).unwrap();
    let disk = DiskImage::open(&folder.path().join("flat.vmdk")).unwrap();
    assert_eq!(disk.geometry().length_bytes, DISK_BYTES as u64);
    disk.read_exact_at((1 << 20) - 512, &mut [0; 512]).unwrap();
    let error = disk.read_exact_at((1 << 20) - 256, &mut [0; 512]).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[test]
fn flipped_bits_are_survived() {
    if !testkit::programs(&["qemu-img", "ewfacquire"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path(), SMALL_BYTES);
    for (name, options) in FORMATS {
        run(folder.path(), &format!("qemu-img convert -f raw {options} raw.img {name}"));
    }
    run(folder.path(), "ewfacquire -u -q -f encase6 -c deflate:fast -t ewf raw.img");
    for name in FORMATS.iter().map(|(name, _)| *name).chain(["ewf.E01"]) {
        let patient = Patient::new(folder.path().join(name));
        let length = patient.whole.len();
        let mut state = 7_u32;
        for round in 0..600_usize {
            let mut wrong = Vec::new();
            for _ in 0..=round % 3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let random = (state >> 8) as usize;
                let at = match round % 4 {
                    0 => random % length.min(512),
                    1 => random % length.min(4096),
                    2 => length - 1 - random % length.min(2048),
                    _ => random % length,
                };
                let byte = match round % 5 {
                    0 => 0xFF,
                    1 => 0,
                    _ => patient.whole[at] ^ 1 << (state >> 4 & 7),
                };
                wrong.push((at, vec![byte]));
            }
            patient.read_with(&wrong);
        }
    }
}

#[test]
fn numbers_made_to_overflow_are_survived() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path(), SMALL_BYTES);
    for (name, options) in FORMATS {
        run(folder.path(), &format!("qemu-img convert -f raw {options} raw.img {name}"));
        let patient = Patient::new(folder.path().join(name));
        let length = patient.whole.len();
        for value in [[0xFF; 8], [0; 8], [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0, 0, 0, 0, 0x80]]
        {
            for at in (0..length.min(640)).step_by(4) {
                let mut wrong = vec![(at, value[..8.min(length - at)].to_vec())];
                // The checksum of a VHD footer would refuse all of it.
                if name == "dynamic.vhd" && at < 504 {
                    let mut footer = patient.whole[..512].to_vec();
                    footer[at..at + 8].copy_from_slice(&value);
                    footer[64..68].fill(0);
                    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
                    wrong.push((64, (!sum).to_be_bytes().to_vec()));
                }
                patient.read_with(&wrong);
            }
        }
    }
}

/// CRC-32C, bit by bit, written again for the tests.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

fn seal(bytes: &mut [u8]) {
    bytes[4..8].fill(0);
    let crc = crc32c(bytes);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Structures of a VHDX whose checksums are right and whose numbers are not.
#[test]
fn a_sealed_vhdx_with_impossible_numbers_is_survived() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path(), SMALL_BYTES);
    run(folder.path(), "qemu-img convert -f raw -O vhdx raw.img good.vhdx");
    let patient = Patient::new(folder.path().join("good.vhdx"));
    let mut opened = 0;
    for (start, length, places) in [(64 << 10, 4096, 8..80), (192 << 10, 65_536, 8..80)] {
        for value in [[0xFF; 8], [0, 0, 0, 0, 0, 0, 0, 0x7F], [1, 0, 0, 0, 0, 0, 0, 0]] {
            for at in places.clone().step_by(4) {
                // Both copies, so that the damaged one is used.
                let wrong = [start, start + (64 << 10)].map(|copy| {
                    let mut bytes = patient.whole[copy..copy + length].to_vec();
                    bytes[at..at + 8].copy_from_slice(&value);
                    seal(&mut bytes);
                    (copy, bytes)
                });
                opened += usize::from(patient.read_with(&wrong));
            }
        }
    }
    assert!(opened > 10, "the checksums were right: {opened}");
}

/// Where the entries of the log lie, in the order in which they were written.
fn log_entries(bytes: &[u8]) -> Vec<usize> {
    (1 << 20..2 << 20).step_by(4096).filter(|at| bytes[*at..].starts_with(b"loge")).collect()
}

/// A VHDX as it is when its program was killed while it wrote the block table: the log is in use, in one entry or in all
/// that were written, and the table still is what it was before.
fn torn_vhdx(folder: &Path, entries_in_use: usize) -> PathBuf {
    run(folder, "qemu-img create -q -f vhdx -o block_size=1M,log_size=1M torn.vhdx 16M");
    let mut io = Command::new("qemu-io");
    io.args(["-f", "vhdx", "-c", "write -P 0x11 0 64k", "-c", "write -P 0x5a 5M 64k", "-c", "write -P 0x77 9M 3M"]);
    assert!(io.arg("torn.vhdx").current_dir(folder).output().unwrap().status.success());
    let path = folder.join("torn.vhdx");
    let mut bytes = std::fs::read(&path).unwrap();
    let entries = log_entries(&bytes);
    assert_eq!(entries.len(), 5);
    let used = &entries[entries.len() - entries_in_use..];
    // QEMU makes a sequence of its own for each entry. One sequence: one identifier, and one tail.
    for entry in used {
        let length = usize::try_from(number(&bytes[entry + 8..]) & 0xFFFF_FFFF).unwrap();
        bytes[entry + 12..entry + 16].copy_from_slice(&u32::try_from(used[0] - (1 << 20)).unwrap().to_le_bytes());
        bytes[entry + 32..entry + 48].fill(0xA5);
        seal(&mut bytes[*entry..entry + length]);
    }
    let header = [64 << 10, 128 << 10].into_iter().max_by_key(|at| number(&bytes[at + 8..])).unwrap();
    bytes[header + 48..header + 64].fill(0xA5);
    seal(&mut bytes[header..header + 4096]);
    let table = table_of(&bytes);
    bytes[table..table + 4096].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    path
}

/// Where the block table lies: the region that is not the metadata.
fn table_of(bytes: &[u8]) -> usize {
    let regions = [0, 32].map(|entry| usize::try_from(number(&bytes[(192 << 10) + 32 + entry..])).unwrap());
    regions.into_iter().find(|at| !bytes[*at..].starts_with(b"metadata")).unwrap()
}

#[test]
fn the_log_of_a_vhdx_that_was_not_closed_is_replayed() {
    if !testkit::programs(&["qemu-img", "qemu-io"]) {
        return;
    }
    for entries in [1, 5] {
        let folder = tempfile::tempdir().unwrap();
        let path = torn_vhdx(folder.path(), entries);
        let before = std::fs::read(&path).unwrap();
        let disk = DiskImage::open(&path).unwrap();
        let places =
            [(0, 0x11), (65_535, 0x11), (65_536, 0), (5 << 20, 0x5A), (4 << 20, 0), (9 << 20, 0x77), (12 << 20, 0)];
        for (at, expected) in places {
            let mut byte = [9];
            disk.read_exact_at(at, &mut byte).unwrap();
            assert_eq!(byte, [expected], "byte {at}");
        }
        assert!(std::fs::read(&path).unwrap() == before, "the file stays as it is");
        let mut ours = vec![0; 16 << 20];
        disk.read_exact_at(0, &mut ours).unwrap();
        // QEMU replays the log into the file; it must find the same disk.
        run(folder.path(), "qemu-img check -q -r all -f vhdx torn.vhdx");
        run(folder.path(), "qemu-img convert -f vhdx -O raw torn.vhdx theirs.img");
        assert!(std::fs::read(folder.path().join("theirs.img")).unwrap() == ours, "QEMU reads another disk");
    }
}

#[test]
fn a_damaged_log_in_use_is_refused() {
    if !testkit::programs(&["qemu-img", "qemu-io"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let patient = Patient::new(torn_vhdx(folder.path(), 1));
    assert!(patient.read_with(&[]));
    let last = *log_entries(&patient.whole).last().unwrap();
    for at in [0, 4, 8, 12, 16, 24, 32, 48, 64, 80, 4096, 4104, 8188] {
        assert!(!patient.read_with(&[(last + at, vec![patient.whole[last + at] ^ 0x41])]), "byte {at} of the only one");
    }
    let patient = Patient::new(torn_vhdx(folder.path(), 5));
    let entries = log_entries(&patient.whole);
    // The newest was being written when the program was killed: what it announces has not begun.
    patient.file.write_all_at(&[0; 512], last as u64 + 4096).unwrap();
    let disk = DiskImage::open(&patient.path).unwrap();
    for (at, expected) in [(9 << 20, 0x77), (11 << 20, 0)] {
        let mut byte = [9];
        disk.read_exact_at(at, &mut byte).unwrap();
        assert_eq!(byte, [expected], "byte {at}");
    }
    patient.file.write_all_at(&patient.whole[last + 4096..last + 4608], last as u64 + 4096).unwrap();
    // One in the middle: the sequence is not complete.
    assert!(!patient.read_with(&[(entries[2] + 100, vec![1])]));
    // Sealed nonsense: counts, lengths, places.
    for value in [0_u32, 1, 2, 4096, 0x7FFF_F000, u32::MAX] {
        for at in [8, 12, 16, 20, 24, 48, 52, 56, 60, 64, 68, 72, 80, 84, 88] {
            let mut entry = patient.whole[last..last + 8192].to_vec();
            entry[at..at + 4].copy_from_slice(&value.to_le_bytes());
            seal(&mut entry);
            patient.read_with(&[(last, entry)]);
        }
    }
    // Entries everywhere that each claim the whole log: checking all their checksums would take for ever.
    let mut entry = patient.whole[last..last + 64].to_vec();
    entry[8..12].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    let claims: Vec<_> = (1 << 20..2 << 20).step_by(4096).map(|at| (at, entry.clone())).collect();
    assert!(!patient.read_with(&claims));
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}
