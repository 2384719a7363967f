//! Random, unaligned writes into volumes made by Windows: afterwards dislocker and libbde read the same plaintext as we.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use std::fs;
use std::path::Path;

use block_io::{BlockRead, BlockWrite, FileDisk};
use fve::{Password, Source, UnlockOptions, UnlockedVolume, Volume};
use secret::SecretString;
use testkit::judges::{self, Secret};

/// One of each kind: XTS, CBC and diffuser, 512 and 4096 bytes, fixed and To Go.
const VOLUMES: [(&str, &str); 7] = [
    ("bitlk-aes-xts-128", "anaconda"),
    ("bitlk-aes-xts-128-4k", "anaconda"),
    ("bitlk-aes-cbc-128", "anaconda"),
    ("bitlk-aes-cbc-256", "anaconda"),
    ("bitlk-aes-cbc-elephant-128", "anaconda"),
    ("bitlk-togo-aes-xts-128", "anaconda"),
    ("win-aes_128_diffuser", "password12!@"),
];
const WRITES: usize = 400;

/// SplitMix64: the same places on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }
}

fn unlock(image: &Path, password: &str) -> UnlockedVolume<FileDisk> {
    let volume = Volume::open(FileDisk::open_writable(image).unwrap()).unwrap();
    volume.unlock(&Password(SecretString::from(password)), UnlockOptions::default()).unwrap().0
}

/// Writes in places of all sizes, many of them over borders: sectors, the relocated header, BitLocker's own regions.
fn write_randomly(volume: &UnlockedVolume<FileDisk>, seed: u64) -> (usize, usize) {
    let mut random = Random(seed);
    let length = volume.geometry().length_bytes;
    let borders: Vec<u64> = volume.segments().flat_map(|segment| [segment.start_bytes, segment.end_bytes]).collect();
    let (mut written, mut refused) = (0, 0);
    for index in 0..WRITES {
        let count = 1 + random.next() % [16, 700, 5000, 70_000][index % 4];
        let near = borders[(random.next() % borders.len() as u64) as usize].saturating_sub(random.next() % 6000);
        // Not the boot sector: libbde wants to see a file system there.
        let at = if index % 3 == 0 { near } else { random.next() % length }.clamp(4096, length - count);
        let data: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
        match volume.write_all_at(at, &data) {
            Ok(()) => written += 1,
            Err(block_io::Error::Refused { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    volume.flush().unwrap();
    (written, refused)
}

/// The plain volume as we read it after opening it anew.
fn plain(image: &Path, password: &str, out: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(out).unwrap();
    unlock(image, password)
        .stream::<block_io::Error>(2, |chunk| {
            file.write_all(chunk).unwrap();
            Ok(())
        })
        .unwrap();
}

#[test]
fn dislocker_and_libbde_read_what_was_written() {
    let Some(corpus) = testkit::corpus() else { return };
    let Some(python) = testkit::judges_python("pybde") else { return };
    if !testkit::programs(&["dislocker-file"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (image, ours, theirs) = (folder.path().join("image"), folder.path().join("ours"), folder.path().join("theirs"));
    for (seed, (name, password)) in (1..).zip(VOLUMES) {
        fs::copy(corpus.join(format!("{name}.img")), &image).unwrap();
        let mut permissions = fs::metadata(&image).unwrap().permissions();
        #[allow(clippy::permissions_set_readonly_false, reason = "a copy in a folder of its own")]
        permissions.set_readonly(false);
        fs::set_permissions(&image, permissions).unwrap();

        let volume = unlock(&image, password);
        assert_eq!(volume.why_read_only(), None, "{name}");
        assert!(volume.segments().any(|segment| segment.source == Source::Zeros));
        let (written, refused) = write_randomly(&volume, seed);
        assert!(written > WRITES / 2 && refused > 0, "{name}: {written} written, {refused} refused");
        drop(volume);
        plain(&image, password, &ours);
        judges::dislocker(&image, Secret::Password(password), &theirs);
        judges::assert_same(&theirs, &ours, &format!("dislocker on {name}, seed {seed}"));
        fs::remove_file(&theirs).unwrap();
        judges::libbde(&python, &image, Secret::Password(password), &theirs);
        judges::assert_same(&theirs, &ours, &format!("libbde on {name}, seed {seed}"));
        fs::remove_file(&theirs).unwrap();
    }
}

/// A flush reaches the storage underneath, and a write that was refused changed nothing there.
#[test]
fn a_refused_write_leaves_the_storage_as_it_was() {
    let Some(corpus) = testkit::corpus() else { return };
    let bytes = fs::read(corpus.join("bitlk-aes-xts-128.img")).unwrap();
    let disk = block_io::MemoryDisk::new(bytes.clone());
    let volume = Volume::open(&disk).unwrap();
    let (volume, _) = volume.unlock(&Password(SecretString::from("anaconda")), UnlockOptions::default()).unwrap();
    for segment in volume.segments().filter(|segment| segment.source == Source::Zeros) {
        for at in [segment.start_bytes - 1, segment.start_bytes, segment.end_bytes - 1] {
            assert!(matches!(volume.write_all_at(at, &[1; 2]), Err(block_io::Error::Refused { .. })));
        }
    }
    assert!(disk.to_vec() == bytes);
}
