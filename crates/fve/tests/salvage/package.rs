//! Volumes whose metadata is lost altogether.

use block_io::{BlockRead, BlockWrite};
use fve::salvage::{Remains, WithoutMetadata, open_with_key_package};
use fve::{Error, KeyMaterial, KeyPackage, Placement, UnlockedVolume, Volume};
use fve_format::METADATA_REGION_BYTES;
use secret::RecoveryPassword;

use crate::common::{Layered, recovery};
use crate::drive::*;

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

/// The remains of a damaged block may say anything about how much was moved.
#[test]
fn a_damaged_length_of_the_first_sectors_is_not_believed() {
    let disk = drive();
    let package = package(&disk, &recovery());
    for at in placement().metadata_offsets {
        disk.put(at + 0x1C, &0x9000_u32.to_le_bytes());
    }
    let (unlocked, told) = with_package(&disk, &package, &recovery()).unwrap();
    assert_eq!(told.first_sectors_at, Some(placement().header_offset_bytes));
    assert_content(&unlocked);
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
