//! Volumes found by their signatures.

use std::time::{Duration, Instant};

use block_io::BlockRead;
use fve::salvage::{MAX_FOUND, Part, Search};
use fve::{Error, Placement, Volume};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock};
use secret::RecoveryPassword;
use testkit::volumes::{METADATA_OFFSETS, SmallVolume, State};

use crate::common::{Layered, NOW, VOLUME_BYTES, layered, recovery};
use crate::drive::*;

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
    for (start, header) in [(1 << 20, true), (1 << 20, false), (512 * 54_321, false), (63 * 512, true)] {
        let disk = Layered::empty(VOLUME_BYTES + (40 << 20));
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
    for (index, place) in places.into_iter().enumerate() {
        let disk = copy_of(&sound);
        disk.put(0, &[0; 512]);
        let block = forged(&sound, |block| {
            block.header.encrypted_bytes = 0x100_0000;
            block.metadata.next_nonce += 1000;
        });
        disk.put(place, &block);
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
