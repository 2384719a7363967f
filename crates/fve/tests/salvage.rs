//! Damaged volumes: found, opened, read around what cannot be read, mended.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use block_io::{BlockRead, BlockWrite, Error as IoError, Geometry, Slice};
use common::{Layered, NOW, PASSWORD, VOLUME_BYTES, images, layered, recovery};
use fve::salvage::{
    Ended, FoundVolume, MAX_FOUND, Part, Pass, Remains, RescueMap, RescueOptions, Search, Status, WithoutMetadata,
    open_with_key_package, rescue,
};
use fve::{
    CopyHealth, CreateOptions, EncryptionMethod, Error, Filetime, KeyMaterial, KeyPackage, NewVolume, Password,
    Placement, UnlockOptions, UnlockedVolume, Volume, VolumeState,
};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock};
use secret::{RecoveryPassword, SecretString};
use testkit::volumes::{METADATA_OFFSETS, SmallVolume, State};

const SHORT: UnlockOptions = UnlockOptions { allow_short: true };

/// Opens any protector with a VMK that was found before: stretching takes long.
fn password() -> Password {
    Password(SecretString::from(PASSWORD))
}

fn placement() -> Placement {
    Placement::choose(VOLUME_BYTES, 512, 0).unwrap()
}

/// The first sector of an NTFS that takes the whole volume.
fn boot_sector(volume_bytes: u64, sector_bytes: u16) -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..3].copy_from_slice(&[0xEB, 0x52, 0x90]);
    sector[3..11].copy_from_slice(b"NTFS    ");
    sector[0x0B..0x0D].copy_from_slice(&sector_bytes.to_le_bytes());
    sector[0x0D] = 8;
    sector[0x15] = 0xF8;
    sector[0x28..0x30].copy_from_slice(&(volume_bytes / u64::from(sector_bytes) - 1).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

/// Content of every sector, so that all that is lost shows.
fn content(at: u64, length: usize) -> Vec<u8> {
    (at..at + length as u64).map(|at| (((at / 512) ^ (at / 5) ^ (at >> 19)) & 0xFF) as u8).collect()
}

/// A finished volume with a file system's first sector, its backup in the last one, and content in some places.
fn drive() -> Layered {
    drive_placed(placement())
}

fn drive_placed(placement: Placement) -> Layered {
    let disk = Layered::empty(VOLUME_BYTES);
    let options = CreateOptions {
        method: EncryptionMethod::AesXts128,
        description: "TEST E: 2026-11-25".to_owned(),
        now: Filetime::from_system_time_ms(UNIX_EPOCH + Duration::from_secs(1_795_000_000)),
        recovery_password: recovery(),
        password: Some(SecretString::from(PASSWORD)),
        placement,
    };
    let new = NewVolume::begin(&disk, &options).unwrap();
    let volume = new.volume();
    volume.write_all_at(0, &boot_sector(VOLUME_BYTES, 512)).unwrap();
    volume.write_all_at(VOLUME_BYTES - 512, &boot_sector(VOLUME_BYTES, 512)).unwrap();
    volume.write_all_at(4096, &content(4096, 0x1000)).unwrap();
    volume.write_all_at(0x10_0000, &content(0x10_0000, 0x20_0000)).unwrap();
    new.finish().unwrap();
    disk
}

fn copy_of(disk: &Layered) -> Layered {
    let copy = Layered::empty(disk.geometry().length_bytes);
    let step = 1 << 20;
    for at in (0..copy.geometry().length_bytes).step_by(step) {
        let bytes = disk.bytes(at, step.min(usize::try_from(copy.geometry().length_bytes - at).unwrap()));
        for (index, part) in bytes.chunks(4096).enumerate().filter(|(_, part)| part.iter().any(|byte| *byte != 0)) {
            copy.put(at + (index * 4096) as u64, part);
        }
    }
    copy
}

fn assert_content(volume: &UnlockedVolume<impl BlockRead>) {
    for (at, length) in [(4096, 0x1000), (0x10_0000, 0x20_0000)] {
        let mut read = vec![0; length];
        volume.read_exact_at(at, &mut read).unwrap();
        assert!(read == content(at, length), "content at {at:#x}");
    }
    let start = volume.file_system_start().unwrap();
    assert_eq!((start.name, start.length_bytes), ("NTFS", VOLUME_BYTES));
}

fn found(disk: &impl BlockRead) -> Vec<FoundVolume> {
    let mut search = Search::new(disk);
    std::iter::from_fn(|| search.next_volume(&mut |_| {})).collect()
}

fn open_found<'a>(disk: &'a Layered, found: &FoundVolume) -> Result<Volume<Slice<&'a Layered>>, Error> {
    let region = found.region(disk.geometry().length_bytes);
    found.open(Slice::new(disk, region.start, region.end - region.start).unwrap())
}

/// The first answer that the secret opens and whose inside is a file system, as a program would go about it.
fn opened<'a>(
    disk: &'a Layered,
    secret: &dyn KeyMaterial,
) -> Result<(FoundVolume, UnlockedVolume<Slice<&'a Layered>>), Option<Error>> {
    let mut first = None;
    for found in found(disk) {
        match open_found(disk, &found).and_then(|volume| volume.unlock(secret, SHORT)) {
            Ok((unlocked, _)) if unlocked.file_system_start().is_some() => return Ok((found, unlocked)),
            Ok(_) => {}
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first)
}

/// Overwrites a place with noise, as a wiped or failing disk may show it.
fn destroy(disk: &Layered, at: u64, length: usize) {
    let noise: Vec<u8> = (0..length).map(|index| (index * 73 + index / 251) as u8).collect();
    disk.put(at, &noise);
}

/// Each choice of copies to destroy that leaves one at least.
fn choices() -> impl Iterator<Item = Vec<usize>> {
    (0..7_u8).map(|bits| (0..3).filter(|index| bits >> index & 1 == 1).collect())
}

#[test]
fn a_lost_header_and_any_two_copies_are_survived() {
    let sound = drive();
    let places = placement().metadata_offsets;
    for lost in choices() {
        let disk = copy_of(&sound);
        // What a quick format writes: a boot sector, tables, a directory.
        disk.put(0, &vec![0; 0x8000]);
        let mut fat = boot_sector(VOLUME_BYTES, 512);
        fat[3..11].copy_from_slice(b"mkfs.fat");
        disk.put(0, &fat);
        for index in &lost {
            destroy(&disk, places[*index], METADATA_REGION_BYTES);
        }
        assert!(matches!(Volume::open(&disk), Err(Error::NotBitLocker { .. })));
        let (found, unlocked) = opened(&disk, &recovery()).unwrap();
        assert_eq!((found.start_bytes, found.copies, found.has_header()), (0, 3 - lost.len(), false), "{lost:?}");
        assert_content(&unlocked);
        assert!(unlocked.why_read_only().is_some() || lost.is_empty());
    }
}

#[test]
fn remains_of_a_damaged_copy_lead_to_the_others() {
    let disk = drive();
    disk.put(0, &[0; 512]);
    // Damaged behind the header: its checksum no longer fits, its places are still there.
    destroy(&disk, placement().metadata_offsets[0] + 0x100, 64);
    let mut search = Search::new(&disk);
    let found = search.next_volume(&mut |_| {}).unwrap();
    assert_eq!((found.start_bytes, found.copies), (0, 2));
    assert!(
        search.searched_bytes() < placement().metadata_offsets[1],
        "the search went no further than the damaged copy"
    );
    assert_eq!(search.remains().len(), 1);
}

#[test]
fn a_volume_inside_a_disk_without_a_partition_table_is_found_with_its_start() {
    let sound = drive();
    for (start, header) in [(1 << 20, true), (1 << 20, false), (512 * 12_345, false), (63 * 512, true)] {
        let disk = Layered::empty(VOLUME_BYTES + (8 << 20));
        for at in (0..VOLUME_BYTES).step_by(1 << 20) {
            let bytes = sound.bytes(at, 1 << 20);
            if bytes.iter().any(|byte| *byte != 0) {
                disk.put(start + at, &bytes);
            }
        }
        if !header {
            disk.put(start, &[0; 512]);
        }
        // The last copy alone has to tell the start, too: three answers, and one of them decrypts.
        for lost in [vec![], vec![0, 1], vec![1, 2], vec![0, 2]] {
            let disk = copy_of(&disk);
            for index in lost {
                destroy(&disk, start + placement().metadata_offsets[index], METADATA_REGION_BYTES);
            }
            let (found, unlocked) = opened(&disk, &password()).unwrap();
            assert_eq!((found.start_bytes, found.has_header()), (start, header));
            assert_eq!(found.region(disk.geometry().length_bytes), start..disk.geometry().length_bytes);
            assert_eq!(unlocked.geometry().length_bytes, VOLUME_BYTES);
            assert_content(&unlocked);
        }
    }
}

#[test]
fn places_that_no_program_chooses_are_found_as_well() {
    let placement = Placement {
        volume_bytes: VOLUME_BYTES,
        metadata_offsets: [0x37A_1200, 0x30_0E00, 0x210_4A00],
        header_offset_bytes: 0x1FF_1600,
    };
    let disk = drive_placed(placement);
    disk.put(0, &[0; 512]);
    let (found, unlocked) = opened(&disk, &password()).unwrap();
    assert_eq!((found.start_bytes, found.copies), (0, 3));
    assert_content(&unlocked);
}

#[test]
fn a_wrong_secret_opens_nothing_that_is_found() {
    let disk = drive();
    disk.put(0, &[0; 512]);
    let wrong = RecoveryPassword::from_key(&[9; 16]);
    assert!(matches!(opened(&disk, &wrong), Err(Some(Error::WrongSecret { .. }))));
}

/// The block of a volume with other fields and a checksum that fits: what anybody can make.
fn forged(disk: &Layered, change: impl FnOnce(&mut MetadataBlock)) -> Vec<u8> {
    let place = placement().metadata_offsets[0];
    let mut block = MetadataBlock::parse(&disk.bytes(place, METADATA_REGION_BYTES)).unwrap();
    change(&mut block);
    let hash = block.validation.hash.clone();
    block.seal(|_| hash).unwrap();
    block.encode().unwrap()
}

#[test]
fn a_forged_block_is_not_believed_over_a_genuine_one() {
    let sound = drive();
    let places = placement().metadata_offsets;
    let other_places = |block: &mut MetadataBlock| {
        block.header.header_offset_bytes = 0x10_0000;
        block.header.metadata_offsets = [0x1_0000, 0x300_0000, 0x310_0000];
        block.metadata.next_nonce += 1000;
    };
    // A volume of its own, in front of the genuine one: its protectors are genuine, its places are not.
    let disk = copy_of(&sound);
    disk.put(0, &[0; 512]);
    disk.put(0x1_0000, &forged(&sound, other_places));
    let all = found(&disk);
    assert!(all.len() > 1);
    assert!(matches!(open_found(&disk, &all[0]).unwrap().unlock(&recovery(), SHORT).err(), Some(Error::Tampered)));
    let (found_one, unlocked) = opened(&disk, &recovery()).unwrap();
    assert_eq!(found_one.copies, 3);
    assert_content(&unlocked);
    // In the place of a genuine copy, newer by its own account.
    for index in 0..3 {
        let disk = copy_of(&sound);
        disk.put(0, &[0; 512]);
        let block = forged(&sound, |block| {
            block.header.encrypted_bytes = 0x100_0000;
            block.metadata.next_nonce += 1000;
        });
        disk.put(places[index], &block);
        let (_, unlocked) = opened(&disk, &recovery()).unwrap();
        assert_content(&unlocked);
        assert_eq!(unlocked.geometry().length_bytes, VOLUME_BYTES);
        // Mending takes the genuine one, and the forged one goes.
        let all = found(&disk);
        let plan = open_found(&disk, &all[0]).unwrap().plan_repair(&recovery(), NOW).unwrap();
        assert_eq!(plan.writes().iter().map(|write| write.part).collect::<Vec<_>>(), [Part::Copy(index), Part::Header]);
    }
}

#[test]
fn disks_full_of_signatures_end_soon_and_are_told() {
    // Signatures with nothing behind.
    let disk = Layered::empty(VOLUME_BYTES);
    let mut sector = [0; 512];
    sector[..8].copy_from_slice(b"-FVE-FS-");
    sector[8..12].copy_from_slice(&[0xF0, 0x0F, 2, 0]);
    disk.put(0, &sector.repeat(40_000));
    let begin = Instant::now();
    let mut search = Search::new(&disk);
    assert!(search.next_volume(&mut |_| {}).is_none());
    assert!(search.is_cut_short());
    assert!(search.remains().len() <= 256);
    // Blocks whose checksums fit.
    let sound = drive();
    let block = forged(&sound, |block| block.header.metadata_offsets = [0, 0x1000, 0x2000]);
    let disk = Layered::empty(VOLUME_BYTES);
    for index in 0..500 {
        disk.put(index * 0x1_0000, &block[..0x4000]);
    }
    let mut search = Search::new(&disk);
    let count = std::iter::from_fn(|| search.next_volume(&mut |_| {})).count();
    assert!(count == MAX_FOUND && search.is_cut_short(), "{count}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn every_state_is_found_or_told() {
    for (name, state) in State::ALL {
        let volume = SmallVolume::new(state);
        let disk = layered(volume.disk.clone());
        disk.put(0, &[0; 512]);
        let all = found(&disk);
        assert_eq!((all.len(), all[0].copies, all[0].start_bytes), (1, 3, 0), "{name}");
        let opened = open_found(&disk, &all[0]);
        if state == State::Vista {
            assert!(matches!(opened.err(), Some(Error::Unsupported(_))));
            continue;
        }
        let opened = opened.unwrap();
        let unlocked = match state {
            State::Decrypted => opened.open_decrypted(SHORT).unwrap(),
            _ => opened.unlock(&testkit::volumes::recovery_password(), SHORT).unwrap().0,
        };
        for (at, bytes) in &volume.content {
            let mut read = vec![0; bytes.len()];
            unlocked.read_exact_at(*at, &mut read).unwrap();
            assert!(read == *bytes, "{name}: content at {at:#x}");
        }
    }
}

#[test]
fn a_conversion_whose_descriptors_are_lost_as_well_is_refused() {
    let volume = SmallVolume::new(State::EncryptOnWrite);
    let disk = layered(volume.disk.clone());
    disk.put(0, &[0; 512]);
    for at in volume.places.iter().filter(|(name, _)| name.contains("descriptor")).flat_map(|(_, places)| places) {
        disk.put(*at, &[0; 512]);
    }
    let all = found(&disk);
    let refused = open_found(&disk, &all[0]).err();
    assert!(matches!(refused, Some(Error::NoConversionMap { .. })), "{refused:?}");
}

#[test]
fn a_conversion_in_place_is_told_as_such() {
    let disk = layered(SmallVolume::new(State::Encrypted).disk);
    disk.put(0, &[0; 512]);
    for place in METADATA_OFFSETS {
        disk.put(place, b"-KHVCNV-");
    }
    let all = found(&disk);
    assert!(all[0].is_masked && all[0].copies == 3);
    assert!(matches!(open_found(&disk, &all[0]).err(), Some(Error::BadConversion { .. })));
}

fn package(disk: &Layered, secret: &dyn KeyMaterial) -> KeyPackage {
    let volume = Volume::open(disk).unwrap();
    let (vmk, identifier) = volume.unwrap_vmk(secret).unwrap();
    let package = volume.key_package(&vmk, identifier).unwrap();
    KeyPackage::parse(&package.encode().unwrap()).unwrap()
}

fn with_package<'a>(
    disk: &'a Layered,
    package: &KeyPackage,
    secret: &dyn KeyMaterial,
) -> Result<(UnlockedVolume<&'a Layered>, WithoutMetadata), Error> {
    open_with_key_package(disk, package, secret, &Remains::look(disk), 2, &|_| {})
}

#[test]
fn with_all_copies_lost_a_key_package_opens_the_volume() {
    let unusual = Placement { header_offset_bytes: 0x222_2000, ..placement() };
    for (placement, is_usual) in [(placement(), true), (unusual, false)] {
        let sound = drive_placed(placement.clone());
        for secret in [&recovery() as &dyn KeyMaterial, &password()] {
            let package = package(&sound, secret);
            for header in [true, false] {
                let disk = copy_of(&sound);
                for at in placement.metadata_offsets {
                    destroy(&disk, at, METADATA_REGION_BYTES);
                }
                if !header {
                    disk.put(0, &[0; 4096]);
                }
                assert!(found(&disk).is_empty());
                let (unlocked, told) = with_package(&disk, &package, secret).unwrap();
                assert_eq!(told.first_sectors_at, Some(placement.header_offset_bytes), "{is_usual} {header}");
                assert_eq!((told.sector_bytes, told.metadata_places_known), (512, header));
                assert_content(&unlocked);
                let mut bytes = [1; 512];
                unlocked.read_exact_at(placement.header_offset_bytes, &mut bytes).unwrap();
                assert_eq!(bytes, [0; 512], "the moved sectors themselves read as zeros");
                assert!(unlocked.write_all_at(0x20_0000, &[0; 512]).is_err());
            }
        }
        let package = package(&sound, &recovery());
        let wrong = RecoveryPassword::from_key(&[9; 16]);
        assert!(matches!(with_package(&sound, &package, &wrong).err(), Some(Error::WrongSecret { .. })));
        assert!(matches!(with_package(&sound, &package, &password()).err(), Some(Error::NoSuchProtector { .. })));
    }
}

#[test]
fn without_the_first_sectors_everything_else_is_decrypted() {
    let disk = drive();
    let package = package(&disk, &recovery());
    for at in placement().metadata_offsets.into_iter().chain([0, placement().header_offset_bytes]) {
        destroy(&disk, at, METADATA_REGION_BYTES);
    }
    let (unlocked, told) = with_package(&disk, &package, &recovery()).unwrap();
    assert_eq!((told.first_sectors_at, told.file_system), (None, None));
    let mut read = vec![0; 0x1000];
    unlocked.read_exact_at(0x10_0000, &mut read).unwrap();
    assert_eq!(read, content(0x10_0000, 0x1000));
    unlocked.read_exact_at(0, &mut read).unwrap();
    assert_eq!(read, disk.bytes(0, 0x1000), "the start comes as it lies");
}

/// A disk that cannot be read in some places, always or for the first few times.
struct Failing<'a> {
    below: &'a Layered,
    bad: Vec<Range<u64>>,
    /// Requests that touch a bad place and fail before it heals.
    heals_after: AtomicU32,
    reads: Mutex<Vec<Range<u64>>>,
    gone_after: Option<u64>,
    requests: AtomicU64,
}

impl<'a> Failing<'a> {
    fn new(below: &'a Layered, bad: Vec<Range<u64>>) -> Self {
        let (heals_after, reads, requests) = (AtomicU32::new(u32::MAX), Mutex::default(), AtomicU64::new(0));
        Self { below, bad, heals_after, reads, gone_after: None, requests }
    }
}

impl BlockRead for Failing<'_> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let failed = |number| {
            let source = std::io::Error::from_raw_os_error(number);
            Err(IoError::Io { operation: "read", offset_bytes, source })
        };
        let range = offset_bytes..offset_bytes + buffer.len() as u64;
        if self.gone_after.is_some_and(|last| self.requests.fetch_add(1, Ordering::Relaxed) >= last) {
            return failed(19);
        }
        self.reads.lock().unwrap().push(range.clone());
        let touches = self.bad.iter().any(|bad| bad.start < range.end && range.start < bad.end);
        let left = self.heals_after.load(Ordering::Relaxed);
        if touches && left > 0 {
            self.heals_after.store(left - 1, Ordering::Relaxed);
            // As real disks do: what is in the buffer then is anything.
            buffer.fill(0xEE);
            return failed(5);
        }
        self.below.read_exact_at(offset_bytes, buffer)
    }

    fn geometry(&self) -> Geometry {
        self.below.geometry()
    }
}

fn unlocked<'a>(disk: &'a Failing<'a>) -> UnlockedVolume<&'a Failing<'a>> {
    disk.reads.lock().unwrap().clear();
    Volume::open(disk).unwrap().unlock(&password(), SHORT).unwrap().0
}

/// Rescues into memory, and checks that all that was handed over is right.
fn rescued(volume: &UnlockedVolume<&Failing<'_>>, map: &mut RescueMap, retries: u32, workers: usize) -> Layered {
    let target = Layered::empty(VOLUME_BYTES);
    let options = RescueOptions { workers, retries };
    let ended = rescue::<_, IoError>(
        volume,
        map,
        options,
        &|at, bytes| {
            if bytes.iter().any(|byte| *byte != 0) { target.write_all_at(at, bytes) } else { Ok(()) }
        },
        &|_, _| Ok(true),
    );
    assert_eq!(ended.unwrap(), Ended::Finished);
    target
}

/// Bad places in the midst of content, at its sectors' borders and inside them, a whole chunk, the last sector, and one in the
/// moved first sectors; and what of the plain volume is lost with them.
fn bad_places() -> (Vec<Range<u64>>, Vec<Range<u64>>) {
    let moved = placement().header_offset_bytes;
    let bad = vec![
        0x10_0000..0x10_0200,
        0x10_0A01..0x10_0A02,
        0x10_0FFF..0x10_1001,
        0x18_0000..0x20_0000,
        moved + 0x1200..moved + 0x1400,
        VOLUME_BYTES - 512..VOLUME_BYTES,
    ];
    let lost = vec![
        0x1200..0x1400,
        0x10_0000..0x10_0200,
        0x10_0A00..0x10_0C00,
        0x10_0E00..0x10_1200,
        0x18_0000..0x20_0000,
        VOLUME_BYTES - 512..VOLUME_BYTES,
    ];
    (bad, lost)
}

#[test]
fn exactly_the_sectors_that_cannot_be_read_are_lost() {
    let sound = drive();
    let (bad, lost) = bad_places();
    for workers in [1, 4] {
        let disk = Failing::new(&sound, bad.clone());
        let volume = unlocked(&disk);
        let mut map = RescueMap::new(VOLUME_BYTES);
        let target = rescued(&volume, &mut map, 0, workers);
        assert_eq!(map.lost(), lost);
        let lost_bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
        assert_eq!((map.bytes(Status::Bad), map.bytes(Status::Read)), (lost_bytes, VOLUME_BYTES - lost_bytes));
        let lost_at = |at: u64| lost.iter().any(|range| range.contains(&at));
        let expected: Vec<u8> = content(0x10_0000, 0x20_0000)
            .into_iter()
            .zip(0x10_0000..)
            .map(|(byte, at)| if lost_at(at) { 0 } else { byte })
            .collect();
        assert!(target.bytes(0x10_0000, 0x20_0000) == expected, "all around is right, and zeros are there");
        assert_eq!(target.bytes(0, 512), boot_sector(VOLUME_BYTES, 512));
    }
}

#[test]
fn a_rescue_goes_on_with_its_map_and_reads_only_what_is_missing() {
    let sound = drive();
    let (bad, lost) = bad_places();
    let disk = Failing::new(&sound, bad);
    let volume = unlocked(&disk);
    let mut map = RescueMap::new(VOLUME_BYTES);
    rescued(&volume, &mut map, 0, 1);
    // Through its file; the disk was cooled, and one place reads again.
    let mut map = RescueMap::parse(&map.to_text("x"), VOLUME_BYTES).unwrap();
    let disk = Failing::new(&sound, vec![lost[0].clone(), 0x10_0A00..0x10_0C00]);
    let volume = unlocked(&disk);
    disk.reads.lock().unwrap().clear();
    let target = rescued(&volume, &mut map, 1, 1);
    assert_eq!(map.lost(), [0x10_0A00..0x10_0C00]);
    let missing: BTreeSet<u64> = lost.iter().flat_map(|range| (range.start..range.end).step_by(512)).collect();
    let moved = placement().header_offset_bytes;
    for read in disk.reads.lock().unwrap().iter() {
        let inside = |at: u64| missing.contains(&at) || at.checked_sub(moved).is_some_and(|at| missing.contains(&at));
        assert!((read.start..read.end).step_by(512).all(inside), "{read:?} was read again");
    }
    assert_eq!(target.bytes(0x18_0000, 0x8_0000), content(0x18_0000, 0x8_0000));
}

#[test]
fn bad_sectors_are_tried_again_as_often_as_asked() {
    let sound = drive();
    let bad = 0x10_0000..0x10_0200;
    for (retries, heals) in [(0, false), (1, false), (3, true)] {
        let disk = Failing::new(&sound, vec![bad.clone()]);
        let volume = unlocked(&disk);
        // The chunk, ten halves of it down to the sector, and two retries.
        disk.heals_after.store(13, Ordering::Relaxed);
        let mut map = RescueMap::new(VOLUME_BYTES);
        rescued(&volume, &mut map, retries, 1);
        assert_eq!(map.lost().is_empty(), heals, "{retries}");
    }
}

#[test]
fn a_device_that_is_gone_or_a_stop_ends_the_work_and_marks_nothing_bad() {
    let sound = drive();
    let mut disk = Failing::new(&sound, Vec::new());
    disk.gone_after = Some(60);
    let volume = unlocked(&disk);
    let mut map = RescueMap::new(VOLUME_BYTES);
    let options = RescueOptions { workers: 1, retries: 5 };
    let ended = rescue::<_, IoError>(&volume, &mut map, options, &|_, _| Ok(()), &|_, _| Ok(true));
    assert!(matches!(ended, Err(IoError::Io { .. })));
    assert!(map.bytes(Status::Read) > 0 && map.bytes(Status::Bad) + map.bytes(Status::Failed) == 0);
    let disk = Failing::new(&sound, Vec::new());
    let volume = unlocked(&disk);
    let mut map = RescueMap::new(VOLUME_BYTES);
    let enough = 2 << 20;
    let watch = |map: &RescueMap, pass: Pass| Ok(pass != Pass::Copying || map.bytes(Status::Read) < enough);
    let ended = rescue::<_, IoError>(&volume, &mut map, options, &|_, _| Ok(()), &watch);
    assert_eq!(ended.unwrap(), Ended::Stopped);
    assert_eq!(map.bytes(Status::Read), enough);
}

#[test]
fn header_and_copies_are_mended_to_what_they_were() {
    let sound = drive();
    let places = placement().metadata_offsets;
    for lost in choices() {
        for header in [false, true] {
            let disk = copy_of(&sound);
            for index in &lost {
                destroy(&disk, places[*index], METADATA_REGION_BYTES);
            }
            if !header {
                destroy(&disk, 0, 512);
            }
            let volume = if header {
                let whole = Slice::new(&disk, 0, VOLUME_BYTES).unwrap();
                Volume::open(whole).unwrap()
            } else {
                let all = found(&disk);
                let right = all.iter().find(|found| found.start_bytes == 0).unwrap();
                open_found(&disk, right).unwrap()
            };
            let plan = volume.plan_repair(&password(), NOW).unwrap();
            let mut expected: Vec<Part> = lost.iter().map(|index| Part::Copy(*index)).collect();
            expected.extend((!header).then_some(Part::Header));
            let writes = plan.writes();
            assert_eq!(writes.iter().map(|write| write.part).collect::<Vec<_>>(), expected);
            for write in &writes {
                let before = disk.bytes(write.offset_bytes, write.length_bytes);
                assert_eq!(plan.overwritten(write), (before, 0));
            }
            let before = disk.writes();
            plan.run().unwrap();
            assert_eq!(disk.writes() - before, writes.len() as u64);
            for at in places.into_iter().chain([0]) {
                assert!(
                    disk.bytes(at, METADATA_REGION_BYTES) == sound.bytes(at, METADATA_REGION_BYTES),
                    "{at:#x} {lost:?}"
                );
            }
            let volume = Volume::open(&disk).unwrap();
            assert!(volume.copies().iter().all(|copy| matches!(copy.health, CopyHealth::Good)));
        }
    }
}

#[test]
fn a_header_that_names_wrong_places_is_mended() {
    let sound = drive();
    for (at, byte) in [(0xB2, 0x77), (0xC1, 0x13), (0x0C, 0x10)] {
        let disk = copy_of(&sound);
        disk.put(at, &[byte]);
        // One place is wrong, or the sector size: what the sealed metadata says counts.
        let plan = Volume::open(&disk).unwrap().plan_repair(&password(), NOW).unwrap();
        assert_eq!(plan.writes().iter().map(|write| write.part).collect::<Vec<_>>(), [Part::Header]);
        plan.run().unwrap();
        assert_eq!(disk.bytes(0, 512), sound.bytes(0, 512));
    }
}

#[test]
fn a_header_is_not_written_where_nothing_proves_its_place() {
    let disk = drive();
    destroy(&disk, 0, 512);
    destroy(&disk, placement().header_offset_bytes, 512);
    let all = found(&disk);
    let refused = open_found(&disk, &all[0]).unwrap().plan_repair(&password(), NOW).err();
    assert!(matches!(refused, Some(Error::NoFileSystem)), "{refused:?}");
    // An answer that is not the right one.
    let disk = drive();
    disk.put(0, &[0; 512]);
    for index in [0, 2] {
        destroy(&disk, placement().metadata_offsets[index], METADATA_REGION_BYTES);
    }
    let wrong = found(&disk).into_iter().find(|found| found.start_bytes != 0).unwrap();
    let before = disk.writes();
    let refused = open_found(&disk, &wrong).and_then(|volume| volume.plan_repair(&password(), NOW)).err();
    assert!(refused.is_some());
    assert_eq!(disk.writes(), before);
    let wrong = RecoveryPassword::from_key(&[9; 16]);
    let whole = drive();
    assert!(matches!(Volume::open(&whole).unwrap().plan_repair(&wrong, NOW).err(), Some(Error::WrongSecret { .. })));
}

/// Volumes of Windows, damaged, give what was recorded of them.
#[test]
fn damaged_volumes_of_windows_give_their_recorded_content() {
    let Some(corpus) = testkit::corpus() else { return };
    let mut checked = 0;
    for image in images(&corpus) {
        let Some(expected) = image.field("SHA256SUM") else { continue };
        let secrets = image.secrets(&corpus);
        let Some((_, secret)) = secrets.first() else { continue };
        let whole = Volume::open(Layered::over(&image.path)).unwrap();
        let places = whole.copies().each_ref().map(|copy| copy.offset_bytes.unwrap());
        let broken = whole.conversion_problem().is_some() || image.name == "win-vista";
        if broken || whole.is_decrypted() || whole.header().encrypt_on_write.is_some() {
            continue;
        }
        assert_eq!(whole.state().0, VolumeState::Encrypted, "{}", image.name);
        let intact: Vec<usize> = (0..3).filter(|index| whole.copies()[*index].health.is_usable()).collect();
        // The last sound copy is all that is left, and the first sector is gone.
        let kept = *intact.last().unwrap();
        let disk = Layered::over(&image.path);
        disk.put(0, &[0; 512]);
        for index in (0..3).filter(|index| *index != kept) {
            destroy(&disk, places[index], METADATA_REGION_BYTES);
        }
        let hashed = |volume: &UnlockedVolume<_>| sha256_of(volume);
        let right = found(&disk).into_iter().find(|found| found.start_bytes == 0).unwrap();
        let (unlocked, _) = open_found(&disk, &right).unwrap().unlock(secret.as_ref(), SHORT).unwrap();
        assert_eq!(hashed(&unlocked), expected, "{}", image.name);
        // And mended where it lies, it opens by itself.
        let plan = open_found(&disk, &right).unwrap().plan_repair(secret.as_ref(), NOW);
        if let Ok(plan) = plan {
            plan.run().unwrap();
            assert_eq!(common::plain_sha256(&disk, secret.as_ref()), expected, "{}", image.name);
            checked += 1;
        } else {
            // Their publishers made noise of everything, first sectors included.
            assert!(matches!(plan.err(), Some(Error::NoFileSystem)), "{}", image.name);
        }
    }
    assert!(checked > 5, "{checked}");
}

fn sha256_of(volume: &UnlockedVolume<impl BlockRead>) -> String {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    let hashed = volume.stream::<IoError>(2, |chunk| {
        hash.update(chunk);
        Ok(())
    });
    hashed.unwrap();
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
