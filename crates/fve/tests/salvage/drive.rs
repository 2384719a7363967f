//! The volume that is damaged, and how it is opened again.

use block_io::{BlockRead, BlockWrite, Slice};
use fve::salvage::{FoundVolume, Search};
use fve::{Error, KeyMaterial, NewVolume, Password, Placement, UnlockOptions, UnlockedVolume, Volume};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock};
use secret::SecretString;

use crate::common::{Layered, PASSWORD, VOLUME_BYTES, options};

pub(crate) const SHORT: UnlockOptions = UnlockOptions { allow_short: true };

/// The password of the drive.
pub(crate) fn password() -> Password {
    Password(SecretString::from(PASSWORD))
}

pub(crate) fn placement() -> Placement {
    Placement::choose(VOLUME_BYTES, 512, 0).unwrap()
}

/// The first sector of an NTFS that takes the whole volume.
pub(crate) fn boot_sector(volume_bytes: u64, sector_bytes: u16) -> Vec<u8> {
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
pub(crate) fn content(at: u64, length: usize) -> Vec<u8> {
    (at..at + length as u64).map(|at| u8::try_from(((at / 512) ^ (at / 5) ^ (at >> 19)) % 256).unwrap()).collect()
}

/// A finished volume with a file system's first sector, its backup in the last one, and content in some places.
pub(crate) fn drive() -> Layered {
    drive_placed(placement())
}

pub(crate) fn drive_placed(placement: Placement) -> Layered {
    let disk = Layered::empty(VOLUME_BYTES);
    let options = options(Some(PASSWORD), placement);
    let new = NewVolume::begin(&disk, &options).unwrap();
    let volume = new.volume();
    volume.write_all_at(0, &boot_sector(VOLUME_BYTES, 512)).unwrap();
    volume.write_all_at(VOLUME_BYTES - 512, &boot_sector(VOLUME_BYTES, 512)).unwrap();
    volume.write_all_at(4096, &content(4096, 0x1000)).unwrap();
    volume.write_all_at(0x10_0000, &content(0x10_0000, 0x20_0000)).unwrap();
    new.finish().unwrap();
    disk
}

pub(crate) fn copy_of(disk: &Layered) -> Layered {
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

pub(crate) fn assert_content(volume: &UnlockedVolume<impl BlockRead>) {
    for (at, length) in [(4096, 0x1000), (0x10_0000, 0x20_0000)] {
        let mut read = vec![0; length];
        volume.read_exact_at(at, &mut read).unwrap();
        assert!(read == content(at, length), "content at {at:#x}");
    }
    let start = volume.file_system_start().unwrap();
    assert_eq!((start.name, start.length_bytes), ("NTFS", VOLUME_BYTES));
}

pub(crate) fn found(disk: &impl BlockRead) -> Vec<FoundVolume> {
    let mut search = Search::new(disk);
    std::iter::from_fn(|| search.next_volume(&mut |_| {})).collect()
}

pub(crate) fn open_found<'a>(disk: &'a Layered, found: &FoundVolume) -> Result<Volume<Slice<&'a Layered>>, Error> {
    let region = found.region(disk.geometry().length_bytes);
    found.open(Slice::new(disk, region.start, region.end - region.start).unwrap())
}

/// The first answer that the secret opens and whose inside is a file system, as a program would go about it.
pub(crate) fn opened<'a>(
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
pub(crate) fn destroy(disk: &Layered, at: u64, length: usize) {
    let noise: Vec<u8> = (0..length).map(|index| u8::try_from((index * 73 + index / 251) % 256).unwrap()).collect();
    disk.put(at, &noise);
}

/// Each choice of copies to destroy that leaves one at least.
pub(crate) fn choices() -> impl Iterator<Item = Vec<usize>> {
    (0..7_u8).map(|bits| (0..3).filter(|index| bits >> index & 1 == 1).collect())
}

/// The block of a volume with other fields and a checksum that fits: what anybody can make.
pub(crate) fn forged(disk: &Layered, change: impl FnOnce(&mut MetadataBlock)) -> Vec<u8> {
    let place = placement().metadata_offsets[0];
    let mut block = MetadataBlock::parse(&disk.bytes(place, METADATA_REGION_BYTES)).unwrap();
    change(&mut block);
    let hash = block.validation.hash.clone();
    block.seal(|_| hash).unwrap();
    block.encode().unwrap()
}
