//! Volumes made by Windows: every secret opens its volume, and the plaintext has the recorded SHA-256.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use block_io::{BlockRead, FileDisk};
use common::{images, sha256_of};
use fve::convert::{Converter, DecryptOptions, Direction, Outcome, journal_bytes};
use fve::{ClearKey, ExternalKey, ExternalKeyFile, KeyMaterial, Source, UnlockOptions, UnlockedVolume, Volume};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock, VolumeHeader};
use secret::RecoveryPassword;

/// Volumes in conversion whose maps were emptied by their publishers: their data cannot be told apart.
const MAP_EMPTIED: [&str; 2] = ["bitlk-aes-xts-128-eow", "bitlk-partially-encrypted-aes-cbc-128"];

fn plain_sha256(path: &Path, material: &dyn KeyMaterial, allow_short: bool) -> Result<String, fve::Error> {
    let volume = Volume::open(FileDisk::open(path)?)?;
    let (unlocked, _) = volume.unlock(material, UnlockOptions { allow_short })?;
    Ok(sha256_of(&unlocked)?)
}

#[test]
fn every_secret_decrypts_to_the_recorded_hash() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut checked = 0;
    for image in images(&corpus).iter().filter(|image| !MAP_EMPTIED.contains(&image.name.as_str())) {
        // The image of the Vista volume ends long before the volume does.
        let (part, whole) = (image.field("PRESENT_PART_SHA256"), image.field("SHA256SUM"));
        let expected = part.or(whole).unwrap_or_else(|| panic!("{} has no hash", image.name));
        let secrets = image.secrets(&corpus);
        assert!(!secrets.is_empty(), "{} has no secret", image.name);
        for (kind, material) in secrets {
            let found = plain_sha256(&image.path, material.as_ref(), part.is_some());
            assert_eq!(found.as_deref().ok(), Some(expected), "{} by {kind}: {found:?}", image.name);
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} secrets were checked");
}

/// Their keys are found, the data is refused with the reason.
#[test]
fn emptied_conversion_maps_are_refused() {
    let Some(corpus) = testkit::corpus() else { return };
    for image in images(&corpus).iter().filter(|image| MAP_EMPTIED.contains(&image.name.as_str())) {
        for (kind, material) in image.secrets(&corpus) {
            let volume = Volume::open(FileDisk::open(&image.path).expect("image")).expect("a volume");
            assert!(volume.unwrap_vmk(material.as_ref()).is_ok(), "{} by {kind}", image.name);
            let result = plain_sha256(&image.path, material.as_ref(), false);
            assert!(matches!(result, Err(fve::Error::NoConversionMap { .. })), "{}: {result:?}", image.name);
        }
    }
}

#[test]
fn the_vista_volume_is_read_only_and_its_boot_sector_is_that_of_ntfs() {
    let Some(corpus) = testkit::corpus() else { return };
    let images = images(&corpus);
    let image = images.iter().find(|image| image.name == "win-vista").expect("the Vista volume");
    let volume = Volume::open(FileDisk::open(&image.path).expect("image")).expect("a volume");
    assert_eq!(volume.volume_bytes(), (188_071_935 + 1) * 512);
    assert_eq!(
        volume.protectors().len(),
        volume.protectors().iter().map(|it| it.identifier).collect::<BTreeSet<_>>().len()
    );
    let (_, material) = image.secrets(&corpus).remove(0);
    let (unlocked, _) = volume.unlock(material.as_ref(), UnlockOptions { allow_short: true }).expect("unlocks");
    let mut name = [0; 8];
    unlocked.read_exact_at(3, &mut name).expect("reads");
    assert_eq!(&name, b"NTFS    ");
    assert_eq!(unlocked.why_read_only(), Some("volumes of Windows Vista are read only"));
}

/// Nothing is lost that is not understood: headers, all three copies and key files come out as they went in.
#[test]
fn what_was_parsed_is_written_back_byte_for_byte() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut copies = 0;
    for image in images(&corpus) {
        let disk = FileDisk::open(&image.path).expect("image");
        let mut sector = [0; 512];
        disk.read_exact_at(0, &mut sector).expect("reads");
        let header = VolumeHeader::parse(&sector).expect("a volume header");
        assert!(header.encode() == sector, "{}: volume header", image.name);
        let volume = Volume::open(FileDisk::open(&image.path).expect("image")).expect("a volume");
        for copy in volume.copies().iter().filter(|copy| copy.health.is_usable()) {
            let mut region = vec![0; if header.file_system_sectors.is_some() { 0x4000 } else { METADATA_REGION_BYTES }];
            let at = copy.offset_bytes.expect("a place");
            disk.read_exact_at(at, &mut region).expect("reads");
            let block = MetadataBlock::parse(&region).expect("a good copy");
            assert!(block.encode().expect("fits") == region, "{}: copy at {at:#x}", image.name);
            // One level deeper, too: every protector, every entry inside it.
            for protector in block.protectors() {
                let stored =
                    block.entries.iter().find(|entry| entry.data.starts_with(&protector.identifier.to_bytes()));
                assert_eq!(protector.to_entry().expect("fits").data, stored.expect("stored").data, "{}", image.name);
            }
            copies += 1;
        }
    }
    assert!(copies > 45, "only {copies} copies");
    for file in std::fs::read_dir(&corpus).expect("corpus").map(|file| file.expect("file").path()) {
        if file.extension().is_some_and(|extension| extension == "BEK") {
            let bytes = std::fs::read(&file).expect("reads");
            let parsed = ExternalKeyFile::parse(&bytes).expect("a key file");
            assert_eq!(parsed.encode().expect("fits").as_slice(), bytes, "{}", file.display());
        }
    }
}

/// The volume with some bytes of its own, and what was there for the rest.
struct Changed<'a> {
    disk: &'a FileDisk,
    at: u64,
    bytes: Vec<u8>,
}

impl BlockRead for Changed<'_> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
        self.disk.read_exact_at(offset_bytes, buffer)?;
        // The copies are read whole, everything else lies elsewhere.
        if offset_bytes == self.at {
            let count = buffer.len().min(self.bytes.len());
            buffer[..count].copy_from_slice(&self.bytes[..count]);
        }
        Ok(())
    }

    fn geometry(&self) -> block_io::Geometry {
        self.disk.geometry()
    }
}

/// Every single bit of each copy, with the other two gone: it opens as before or is refused, never with other data. With
/// the other two there: it opens as before.
#[test]
fn no_flipped_bit_of_the_metadata_gives_wrong_data() {
    let Some(corpus) = testkit::corpus() else { return };
    let disk = FileDisk::open(&corpus.join("bitlk-aes-xts-128-clearkey-only.img")).expect("image");
    let volume = Volume::open(&disk).expect("a volume");
    let offsets = volume.copies().each_ref().map(|copy| copy.offset_bytes.expect("a place"));
    let expected = first_bytes(volume).expect("opens");
    for index in 0..3 {
        flip_every_bit(&disk, &expected, offsets[index], [offsets[(index + 1) % 3], offsets[(index + 2) % 3]]);
    }
}

fn flip_every_bit(disk: &FileDisk, expected: &[u8], at: u64, others: [u64; 2]) {
    let mut block = vec![0; METADATA_REGION_BYTES];
    disk.read_exact_at(at, &mut block).expect("reads");
    // Block and validation record; zeros follow to the end of the region, of which one bit in 64 bytes is flipped.
    let used = usize::from(u16::from_le_bytes([block[8], block[9]])) * 16 + 88;
    let bits = (0..used * 8).chain((used * 8..METADATA_REGION_BYTES * 8).step_by(509));
    let mut refused = 0;
    for bit in bits {
        let mut bytes = block.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = Changed { disk, at, bytes };
        let with_others = Volume::open(&changed).and_then(first_bytes);
        assert!(with_others.is_ok_and(|found| found == expected), "bit {bit} of the copy at {at:#x}");
        let alone = OnlyCopy { changed: &changed, others };
        match Volume::open(&alone).and_then(first_bytes) {
            Ok(found) => assert!(found == expected, "bit {bit} of the copy at {at:#x}, alone"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused >= (used - 88) * 8, "only {refused} were noticed");
}

/// The same with two copies unreadable.
struct OnlyCopy<'a> {
    changed: &'a Changed<'a>,
    others: [u64; 2],
}

impl BlockRead for OnlyCopy<'_> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
        if self.others.contains(&offset_bytes) {
            return Err(block_io::Error::Refused { offset_bytes, reason: "this copy is gone" });
        }
        self.changed.read_exact_at(offset_bytes, buffer)
    }

    fn geometry(&self) -> block_io::Geometry {
        self.changed.geometry()
    }
}

/// The relocated header and the sectors behind it.
fn first_bytes<D: BlockRead>(volume: Volume<D>) -> Result<Vec<u8>, fve::Error> {
    let (unlocked, _) = volume.unlock(&ClearKey, UnlockOptions::default())?;
    let mut bytes = vec![0; 0x4000];
    unlocked.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_damaged_copy_is_passed_over_and_told() {
    let Some(corpus) = testkit::corpus() else { return };
    let disk = FileDisk::open(&corpus.join("bitlk-aes-xts-128-crc.img")).expect("the image");
    let volume = Volume::open(disk).expect("one copy is good");
    let usable: Vec<bool> = volume.copies().iter().map(|copy| copy.health.is_usable()).collect();
    assert_eq!(usable, [false, false, true]);
    assert_eq!(volume.copy_in_use(), 2);
}

/// Wrong secrets are a well-formed no that names the protectors they were tried on.
#[test]
fn wrong_secrets_are_told_apart() {
    let Some(corpus) = testkit::corpus() else { return };
    let open = |name: &str| Volume::open(FileDisk::open(&corpus.join(name)).expect("image")).expect("a volume");
    let other = RecoveryPassword::parse("042647-302313-590458-071500-554323-116567-412181-516978").expect("valid");
    match open("bitlk-aes-xts-128-two-recovery.img").unwrap_vmk(&other).err() {
        Some(fve::Error::WrongSecret { tried, .. }) => assert_eq!(tried.len(), 2),
        other => panic!("{:?}", other.map(|error| error.to_string())),
    }
    let file = std::fs::read(corpus.join("4381F759-C4F8-4DE0-BB61-FC33A831BDA5.BEK")).expect("file");
    let file = ExternalKeyFile::parse(&file).expect("good");
    let key = ExternalKey::from_file(&file).expect("key");
    match open("bitlk-aes-xts-128.img").unwrap_vmk(&key).err() {
        Some(fve::Error::NoSuchProtector { wanted, .. }) => assert_eq!(wanted, Some(file.identifier)),
        other => panic!("{:?}", other.map(|error| error.to_string())),
    }
    assert!(matches!(
        open("bitlk-aes-xts-128.img").unwrap_vmk(&ClearKey),
        Err(fve::Error::NoSuchProtector { wanted: None, .. })
    ));
}

/// Every volume that has a recovery password shows it to whoever opens it another way.
#[test]
fn recovery_passwords_are_shown_again() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut shown = 0;
    for image in images(&corpus).iter().filter(|image| !MAP_EMPTIED.contains(&image.name.as_str())) {
        let Some(expected) = image.field("RP") else { continue };
        let volume = Volume::open(FileDisk::open(&image.path).expect("image")).expect("a volume");
        let (_, material) = image.secrets(&corpus).remove(0);
        let (vmk, _) = volume.unwrap_vmk(material.as_ref()).expect("unlocks");
        let passwords = volume.recovery_passwords(&vmk);
        assert!(passwords.iter().any(|(_, password)| password.to_text().expose() == expected), "{}", image.name);
        shown += 1;
    }
    assert!(shown > 8, "only {shown} volumes");
}

/// Volumes that are not decrypted in place, and a word of the reason.
const NOT_IN_PLACE: [(&str, &str); 5] = [
    ("bitlk-aes-xts-128-crc", "copies"),
    ("bitlk-aes-xts-128-eow", "Windows has begun"),
    ("bitlk-partially-encrypted-aes-cbc-128", "Windows has begun"),
    ("bitlk-togo-aes-xts-128", "To Go"),
    ("win-vista", "Vista"),
];
const JOURNAL_BATCH_BYTES: u32 = 1 << 20;

/// A place that BitLocker does not use, and what it holds.
fn place_for_journal<D: BlockRead>(plain: &UnlockedVolume<D>) -> (std::ops::Range<u64>, Vec<u8>) {
    let length = journal_bytes(JOURNAL_BATCH_BYTES, 0, 0);
    let own: Vec<_> = plain.segments().filter(|it| it.source == Source::Zeros).collect();
    let apart = |at: u64| own.iter().all(|own| own.end_bytes <= at || own.start_bytes >= at + length);
    let at = (0x10_0000..plain.geometry().length_bytes - length).step_by(0x1_0000).find(|at| apart(*at)).unwrap();
    let mut content = vec![0; usize::try_from(length).unwrap()];
    plain.read_exact_at(at, &mut content).unwrap();
    (at..at + length, content)
}

/// Volumes of Windows become the plain volumes that they hold, byte for byte.
#[test]
fn decrypted_in_place_they_are_the_recorded_plain_volumes() {
    let Some(corpus) = testkit::corpus() else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.img");
    let mut done = BTreeSet::new();
    for image in images(&corpus) {
        let Some((_, material)) = image.secrets(&corpus).into_iter().next_back() else { continue };
        let bytes = std::fs::read(&image.path).unwrap();
        std::fs::write(&copy, &bytes).unwrap();
        let volume = Volume::open(FileDisk::open(&image.path).unwrap()).unwrap();
        let end = usize::try_from(volume.volume_bytes()).unwrap();
        let (journal, content) = volume
            .unlock(material.as_ref(), UnlockOptions { allow_short: true })
            .map_or_else(|_| (0..0, Vec::new()), |(plain, _)| place_for_journal(&plain));
        let at = usize::try_from(journal.start).unwrap();
        let options = DecryptOptions { journal, writes: Vec::new(), batch_bytes: JOURNAL_BATCH_BYTES };
        let volume = Volume::open(FileDisk::open_writable(&copy).unwrap()).unwrap();
        let converter = Converter::decrypt(volume, material.as_ref(), &options);
        if let Some((_, reason)) = NOT_IN_PLACE.iter().find(|(name, _)| *name == image.name) {
            let error = converter.map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(reason), "{}: {error}", image.name);
            assert!(std::fs::read(&copy).unwrap() == bytes, "{} was changed", image.name);
            continue;
        }
        let never = std::sync::atomic::AtomicBool::new(false);
        let converter = converter.unwrap_or_else(|error| panic!("{}: {error}", image.name));
        assert_eq!(converter.run(Direction::Decrypt, &mut |_| {}, &never).unwrap(), Outcome::Finished);
        let mut plain = std::fs::read(&copy).unwrap();
        // The test does not look for free space; what it took is put back.
        plain[at..at + content.len()].copy_from_slice(&content);
        let hash: String = {
            use sha2::Digest;
            sha2::Sha256::digest(&plain[..end]).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(Some(hash.as_str()), image.field("SHA256SUM"), "{}", image.name);
        assert!(plain[end..] == bytes[end..], "{}: what lies behind the volume was changed", image.name);
        done.insert(image.name);
    }
    assert!(done.len() >= 10, "only {done:?}");
}
