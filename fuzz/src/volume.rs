//! A whole volume: opened, unlocked, read, written.

use std::sync::Once;

use block_io::{BlockRead, BlockWrite};
use fve::{ClearKey, Error, ExternalKey, Filetime, KeyMaterial, UnlockOptions, UnlockedVolume, Volume};
use testkit::volumes::{SmallVolume, SparseDisk, State};

use crate::pack::{ALLOW_SHORT, SEAL_METADATA, SEAL_RECORDS, pack, unpack};
use crate::structures::told;

/// Segments that are looked at; an encrypt-on-write volume may have one for each sector.
const SEGMENTS: usize = 2000;
/// Segments at whose borders is read and written.
const BORDERS: usize = 12;
/// When protectors are changed.
const NOW: Filetime = Filetime(135_000_000_000_000_000);

/// Opens, unlocks and uses the volume that the input stands for.
pub fn open(data: &[u8]) {
    static CHECKED: Once = Once::new();
    CHECKED.call_once(check_states);
    let (disk, switches) = unpack(data);
    exercise(&disk, switches & ALLOW_SHORT != 0);
}

/// A sound volume survives being packed and opens: were it not so, only refusals would be tested.
fn check_states() {
    for (name, state) in State::ALL {
        let (disk, _) = unpack(&pack(&SmallVolume::new(state), SEAL_METADATA | SEAL_RECORDS));
        let volume = Volume::open(&disk);
        let unlocked = volume.and_then(|volume| match volume.is_decrypted() {
            true => volume.open_decrypted(UnlockOptions::default()),
            false => volume.unlock(&ClearKey, UnlockOptions::default()).map(|(unlocked, _)| unlocked),
        });
        assert!(unlocked.is_ok(), "{name} opens");
    }
}

/// Changes the protectors of the volume that the input stands for: what is not refused must open as before and as changed.
pub fn edit(data: &[u8]) {
    static CHECKED: Once = Once::new();
    CHECKED.call_once(|| {
        let (disk, _) = unpack(&pack(&SmallVolume::new(State::Encrypted), SEAL_METADATA | SEAL_RECORDS));
        let editor = Volume::open(&disk).and_then(|volume| volume.edit(&ClearKey, NOW));
        let changed = editor.and_then(|mut editor| {
            editor.add_external_key()?;
            editor.commit()
        });
        assert!(changed.is_ok(), "a sound volume is changed: were it not so, only refusals would be tested");
    });
    let (disk, _) = unpack(data);
    let Ok(volume) = Volume::open(&disk) else { return };
    let mut editor = match volume.edit(&ClearKey, NOW) {
        Ok(editor) => editor,
        Err(error) => return told(&error),
    };
    let added = editor.add_external_key();
    if let Err(error) = editor.replace_master_key() {
        told(&error);
    }
    match (editor.commit(), added) {
        (Ok(()), Ok(file)) => {
            let key = ExternalKey::from_file(&file);
            let opens =
                |material: &dyn KeyMaterial| Volume::open(&disk).is_ok_and(|it| it.unwrap_vmk(material).is_ok());
            assert!(opens(&ClearKey) && key.is_some_and(|key| opens(&key)), "a changed volume opens");
            assert!(editor.to_repair().is_empty());
        }
        (Err(error), _) | (_, Err(error)) => told(&error),
    }
}

/// The first bytes of a disk, without any help.
pub fn open_raw(data: &[u8]) {
    let disk = SparseDisk::new(data.len() as u64);
    disk.put(0, data);
    exercise(&disk, true);
}

/// Everything that can be done with what may be a volume.
pub fn exercise(disk: &SparseDisk, allow_short: bool) {
    let volume = match Volume::open(disk) {
        Ok(volume) => volume,
        Err(Error::NoMetadata { copies }) => {
            assert!(copies.iter().all(|copy| !copy.health.is_usable() && !copy.health.to_string().is_empty()));
            return;
        }
        Err(error) => return told(&error),
    };
    ask(&volume);
    let options = UnlockOptions { allow_short };
    let unlocked = if volume.is_decrypted() {
        volume.open_decrypted(options)
    } else {
        volume.unlock(&ClearKey, options).map(|(unlocked, _)| unlocked)
    };
    match unlocked {
        Ok(unlocked) => use_unlocked(&unlocked),
        Err(error) => told(&error),
    }
}

/// What is known without a key.
fn ask<D: BlockRead>(volume: &Volume<D>) {
    let copies = volume.copies();
    assert!(copies[volume.copy_in_use()].health.is_usable());
    let _ = copies.each_ref().map(|copy| copy.health.to_string());
    let _ = (volume.description(), volume.unlocks_other_drives(), volume.interrupted_range());
    let _ = (volume.volume_bytes(), volume.storage_bytes(), volume.sector_bytes(), volume.encrypted_bytes());
    for protector in volume.protectors() {
        let _ = (protector.kind().to_string(), protector.modified.to_string());
    }
}

/// The segments are in order and without gaps; places around their borders read the same in one piece and in two, and what
/// was written is read again.
fn use_unlocked(volume: &UnlockedVolume<&SparseDisk>) {
    let length = volume.geometry().length_bytes;
    let mut borders = vec![0, length];
    let mut end = 0;
    for segment in volume.segments().take(SEGMENTS) {
        assert_eq!(segment.start_bytes, end, "segments have no gaps");
        assert!(segment.end_bytes > end, "no segment is empty");
        end = segment.end_bytes;
        if borders.len() < BORDERS {
            borders.push(end);
        }
    }
    for border in borders {
        let start = border.saturating_sub(700).min(length);
        for count in [1400, 9000] {
            read_twice(volume, start, count.min(length - start));
        }
        assert!(volume.read_exact_at(length.saturating_sub(1), &mut [0; 2]).is_err() || length == 0);
    }
    for at in [0, (length / 2) | 1, length.saturating_sub(600)] {
        let data = [0xA5; 600];
        match volume.write_all_at(at, &data) {
            Ok(()) => {
                assert_eq!(volume.why_read_only(), None);
                let mut read = [0; 600];
                assert!(volume.read_exact_at(at, &mut read).is_ok() && read == data, "what was written is read");
            }
            Err(error) => told(&error),
        }
    }
}

fn read_twice(volume: &UnlockedVolume<&SparseDisk>, start: u64, count: u64) {
    let count = usize::try_from(count).unwrap_or(0);
    let (mut whole, mut pieces) = (vec![0; count], vec![1; count]);
    if let Err(error) = volume.read_exact_at(start, &mut whole) {
        return told(&error);
    }
    let (first, second) = pieces.split_at_mut(count / 3);
    let read =
        volume.read_exact_at(start, first).and_then(|()| volume.read_exact_at(start + first.len() as u64, second));
    assert!(read.is_ok() && whole == pieces, "{count} bytes at {start:#x} are the same in one piece and in two");
}
