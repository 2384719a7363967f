//! Volumes we make: they open with each of their secrets, hold what was written, and notice damage.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, UNIX_EPOCH};

use block_io::{BlockRead, BlockWrite, MemoryDisk};
use fve::{CreateOptions, EncryptionMethod, Filetime, NewVolume, Password, Placement, UnlockOptions, Volume};
use secret::{RecoveryPassword, SecretString};

const VOLUME_BYTES: u64 = 64 * 1024 * 1024;

fn options(method: EncryptionMethod) -> CreateOptions {
    CreateOptions {
        method,
        description: "TEST E: 2026-11-24".to_owned(),
        now: Filetime::from_system_time_ms(UNIX_EPOCH + Duration::from_secs(1_795_000_000)),
        recovery_password: RecoveryPassword::from_key(&[7; 16]),
        password: Some(SecretString::from("correct horse")),
        placement: Placement::choose(VOLUME_BYTES, 512, 0).expect("a good size"),
    }
}

/// A finished volume with `content` at `at`.
fn volume(method: EncryptionMethod, at: u64, content: &[u8]) -> Vec<u8> {
    let disk = MemoryDisk::new(vec![0; usize::try_from(VOLUME_BYTES).expect("fits")]);
    let new = NewVolume::begin(&disk, &options(method)).expect("begins");
    new.volume().write_all_at(at, content).expect("writes");
    new.finish().expect("finishes");
    disk.to_vec()
}

fn open(bytes: Vec<u8>) -> Result<Volume<MemoryDisk>, fve::Error> {
    Volume::open(MemoryDisk::new(bytes))
}

#[test]
fn both_secrets_open_it_and_the_content_is_there() {
    for method in [EncryptionMethod::AesXts128, EncryptionMethod::AesXts256, EncryptionMethod::AesCbc128Diffuser] {
        let bytes = volume(method, 4000, b"over the border of a sector and of eight");
        let recovery = RecoveryPassword::from_key(&[7; 16]);
        let password = Password(SecretString::from("correct horse"));
        for material in [&recovery as &dyn fve::KeyMaterial, &password] {
            let opened = open(bytes.clone()).expect("opens");
            let (unlocked, _) = opened.unlock(material, UnlockOptions::default()).expect("unlocks");
            let mut read = [0; 40];
            unlocked.read_exact_at(4000, &mut read).expect("reads");
            assert_eq!(&read, b"over the border of a sector and of eight");
        }
        assert!(!bytes.windows(16).any(|window| window == b"over the border "));
    }
}

#[test]
fn the_metadata_regions_read_as_zeros_and_refuse_writes() {
    let bytes = volume(EncryptionMethod::AesXts128, 0, b"x");
    let opened = open(bytes).expect("opens");
    let (unlocked, _) =
        opened.unlock(&RecoveryPassword::from_key(&[7; 16]), UnlockOptions::default()).expect("unlocks");
    for range in options(EncryptionMethod::AesXts128).placement.metadata_offsets {
        let mut read = [1; 512];
        unlocked.read_exact_at(range, &mut read).expect("reads");
        assert_eq!(read, [0; 512]);
        assert!(matches!(unlocked.write_all_at(range - 1, &[1, 1]), Err(block_io::Error::Refused { .. })));
        let mut before = [1];
        unlocked.read_exact_at(range - 1, &mut before).expect("reads");
        assert_ne!(before, [1], "a refused write has no effect");
    }
}

/// A volume with exFAT inside: Windows leaves the sector size of the volume header 0, as exFAT has none there.
#[test]
fn a_header_without_a_sector_size_is_read_and_written() {
    let mut bytes = volume(EncryptionMethod::AesXts128, 4000, b"over the border of a sector and of eight");
    bytes[0x0B..0x0E].fill(0);
    let disk = MemoryDisk::new(bytes);
    let recovery = RecoveryPassword::from_key(&[7; 16]);
    let opened = Volume::open(&disk).expect("opens");
    assert_eq!(opened.sector_bytes(), 512);
    let (unlocked, _) = opened.unlock(&recovery, UnlockOptions::default()).expect("unlocks");
    unlocked.write_all_at(4005, b"THE").expect("writes");
    let mut read = [0; 40];
    unlocked.read_exact_at(4000, &mut read).expect("reads");
    assert_eq!(&read, b"over THE border of a sector and of eight");
}

#[test]
fn damaged_copies_are_passed_over_until_none_is_left() {
    let mut bytes = volume(EncryptionMethod::AesXts128, 0, b"x");
    let offsets = options(EncryptionMethod::AesXts128).placement.metadata_offsets;
    for damaged in 1..=3 {
        bytes[usize::try_from(offsets[damaged - 1]).expect("fits") + 0x90] ^= 1;
        match open(bytes.clone()) {
            Ok(opened) => {
                assert_eq!(opened.copy_in_use(), damaged);
                assert_eq!(opened.copies().iter().filter(|copy| !copy.health.is_usable()).count(), damaged);
            }
            Err(fve::Error::NoMetadata { copies }) => {
                assert_eq!(damaged, 3);
                assert!(copies.iter().all(|copy| !copy.health.is_usable()));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// A changed block with a corrected checksum: the wrapped hash tells.
#[test]
fn tampered_metadata_is_refused() {
    let mut bytes = volume(EncryptionMethod::AesXts128, 0, b"x");
    for offset in options(EncryptionMethod::AesXts128).placement.metadata_offsets {
        let at = usize::try_from(offset).expect("fits");
        let block_bytes = usize::from(u16::from_le_bytes([bytes[at + 8], bytes[at + 9]])) * 16;
        // A character of the description.
        bytes[at + 0x78] ^= 1;
        let crc = crc32(&bytes[at..at + block_bytes]);
        bytes[at + block_bytes + 4..at + block_bytes + 8].copy_from_slice(&crc.to_le_bytes());
    }
    let opened = open(bytes).expect("the checksum fits");
    assert!(matches!(opened.unwrap_vmk(&RecoveryPassword::from_key(&[7; 16])), Err(fve::Error::Tampered)));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn a_truncated_image_is_an_error_unless_allowed() {
    let mut bytes = volume(EncryptionMethod::AesXts128, 1_000_000, b"near the front");
    bytes.truncate(60 * 1024 * 1024 + 100);
    let recovery = RecoveryPassword::from_key(&[7; 16]);
    let refused = open(bytes.clone()).expect("opens").unlock(&recovery, UnlockOptions::default());
    assert!(matches!(refused, Err(fve::Error::Short { volume_bytes: VOLUME_BYTES, .. })));
    let allowed = UnlockOptions { allow_short: true };
    let (unlocked, _) = open(bytes).expect("opens").unlock(&recovery, allowed).expect("unlocks");
    assert_eq!(unlocked.geometry().length_bytes, 60 * 1024 * 1024);
    let mut read = [0; 14];
    unlocked.read_exact_at(1_000_000, &mut read).expect("reads");
    assert_eq!(&read, b"near the front");
}

#[test]
fn other_things_are_not_bitlocker() {
    assert!(matches!(open(vec![0; 100]), Err(fve::Error::NotBitLocker { .. })));
    assert!(matches!(open(vec![0; 4096]), Err(fve::Error::NotBitLocker { found: Some("an empty disk") })));
    let mut ntfs = vec![0; 4096];
    ntfs[3..11].copy_from_slice(b"NTFS    ");
    assert!(matches!(open(ntfs), Err(fve::Error::NotBitLocker { found: Some("a plain NTFS volume") })));
}

#[test]
fn impossible_sizes_are_refused() {
    for size in [0, 1, 64 * 1024 * 1024 - 512, 64 * 1024 * 1024 + 1] {
        assert!(Placement::choose(size, 512, 0).is_err(), "{size}");
    }
    assert!(Placement::choose(VOLUME_BYTES, 512, VOLUME_BYTES - 256 * 1024).is_err());
    for size in [VOLUME_BYTES, 100 << 20, 1 << 30, 4 << 40] {
        let placement = Placement::choose(size, 4096, 0).expect("fits");
        let reserved = placement.reserved();
        assert!(reserved[0].end <= reserved[1].start && reserved[1].end <= reserved[2].start);
        assert!(reserved[2].end <= size, "{size}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(8))]

    /// Any sequence of unaligned writes reads back as on a plain disk, metadata regions left out.
    #[test]
    fn writes_behave_as_on_a_plain_disk(
        writes in proptest::collection::vec((0..32_u64 * 1024 * 1024, 1..9000_usize, 0..=255_u8), 1..12)
    ) {
        let disk = MemoryDisk::new(vec![0; usize::try_from(VOLUME_BYTES).unwrap()]);
        let new = NewVolume::begin(&disk, &options(EncryptionMethod::AesXts128)).unwrap();
        let mut model = std::collections::BTreeMap::new();
        for (at, length, value) in writes {
            new.volume().write_all_at(at, &vec![value; length]).unwrap();
            for index in 0..length as u64 {
                model.insert(at + index, value);
            }
        }
        for (at, value) in model {
            let mut read = [0];
            new.volume().read_exact_at(at, &mut read).unwrap();
            proptest::prop_assert_eq!(read[0], value, "byte {}", at);
        }
    }
}
