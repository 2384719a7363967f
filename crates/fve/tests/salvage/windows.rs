//! Volumes of Windows.

use fve::salvage::{Remains, open_with_key_package};
use fve::{Error, Volume, VolumeState};
use fve_format::METADATA_REGION_BYTES;

use crate::common::{self, Layered, NOW, images, sha256_of};
use crate::drive::*;

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
        let right = found(&disk).into_iter().find(|found| found.start_bytes == 0).unwrap();
        let (unlocked, _) = open_found(&disk, &right).unwrap().unlock(secret.as_ref(), SHORT).unwrap();
        assert_eq!(sha256_of(&unlocked).unwrap(), expected, "{}", image.name);
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

/// With a key package and no metadata: every method, sectors of 4096 bytes, and the places where Windows puts things.
#[test]
fn key_packages_of_windows_volumes_are_enough() {
    let Some(corpus) = testkit::corpus() else { return };
    let (mut checked, mut large) = (0, 0);
    for image in images(&corpus) {
        let Some(expected) = image.field("SHA256SUM") else { continue };
        let secrets = image.secrets(&corpus);
        let Some((_, secret)) = secrets.first() else { continue };
        let disk = Layered::over(&image.path);
        let whole = Volume::open(&disk).unwrap();
        let finished = whole.header().encrypt_on_write.is_none() && image.name != "win-vista" && !whole.is_decrypted();
        let (unlocked, _) = match finished.then(|| Volume::open(&disk).unwrap().unlock(secret.as_ref(), SHORT)) {
            Some(Ok(unlocked)) => unlocked,
            _ => continue,
        };
        // Some publishers made noise of the first sectors: nothing can be found by what they decrypt to.
        if unlocked.file_system_start().is_none() {
            continue;
        }
        let (vmk, identifier) = whole.unwrap_vmk(secret.as_ref()).unwrap();
        let package = whole.key_package(&vmk, identifier).unwrap();
        let to_go = whole.header().layout == fve::VolumeLayout::ToGo;
        for copy in whole.copies() {
            // How much a To Go drive moved is told by the remains alone.
            let from = copy.offset_bytes.unwrap() + if to_go { 0x80 } else { 0 };
            destroy(&disk, from, METADATA_REGION_BYTES - 0x80);
        }
        drop(whole);
        let remains = Remains::look(&disk);
        let opened = open_with_key_package(&disk, &package, secret.as_ref(), &remains, 2, &|_| {});
        let (unlocked, told) = opened.unwrap();
        assert!(told.file_system.is_some() && told.metadata_places_known, "{}", image.name);
        assert_eq!(sha256_of(&unlocked).unwrap(), expected, "{}", image.name);
        checked += 1;
        large += u32::from(told.sector_bytes == 4096);
    }
    assert!(checked > 5 && large > 0, "{checked} {large}");
}
