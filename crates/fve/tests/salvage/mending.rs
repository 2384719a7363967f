//! Mending volumes where they lie.

use block_io::Slice;
use fve::salvage::Part;
use fve::{CopyHealth, Error, Volume};
use fve_format::METADATA_REGION_BYTES;
use secret::RecoveryPassword;

use crate::common::{NOW, VOLUME_BYTES};
use crate::drive::*;

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
