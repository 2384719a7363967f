//! Conversion in place: who may do it, where its journal goes, how it stands in words.

use std::ops::Range;
use std::path::Path;

use block_io::BlockRead;
use disk_image::DiskImage;
use fs_reserve::FileSystem;
use fve::convert::{
    BATCH_BYTES, ConversionProgress, Converter, DecryptOptions, Direction, FsWrite, Step, journal_bytes,
};
use fve::{KeyMaterial, UnlockOptions};

use crate::disk;
use crate::drive::{self, Disk, Locked};
use crate::failure::{Failure, Outcome};
use crate::lock::{Alone, Lock};
use crate::places::without;

/// What keeps everybody else away while a drive is converted.
pub struct Held {
    _lock: Lock,
    _alone: Alone,
}

/// Keeps everybody else away from a drive.
///
/// # Errors
/// Somebody is there.
pub fn hold(path: &Path) -> Outcome<Held> {
    Ok(Held { _lock: Lock::take(path, true)?, _alone: Alone::take(path)? })
}

/// Opens a drive for a conversion.
///
/// # Errors
/// As [`disk::open_volume`].
pub fn open(path: &Path) -> Outcome<Locked> {
    disk::open_volume(path, DiskImage::open_writable)
}

/// Begins to decrypt a drive where it lies.
///
/// # Errors
/// The secret does not open it, or it cannot be converted.
pub fn begin_decrypting(path: &Path, volume: Locked, material: &dyn KeyMaterial) -> Outcome<Converter<Disk>> {
    let (journal, writes) = free_places(path, &volume, material)?;
    let options = DecryptOptions { journal, writes, batch_bytes: BATCH_BYTES };
    Converter::decrypt(volume, material, &options).map_err(|error| explain(path, &error))
}

/// A place for the journal in the file system inside, and the writes that give it BitLocker's places back, where it has marked
/// them as bad; Windows gives them to hidden files, which stay.
fn free_places(path: &Path, volume: &Locked, material: &dyn KeyMaterial) -> Outcome<(Range<u64>, Vec<FsWrite>)> {
    let reserved = volume.reserved_region();
    let own = volume.own_places();
    // Opened once more: what is unlocked belongs to the view of its files.
    let (plain, _) =
        open(path)?.unlock(material, UnlockOptions::default()).map_err(|error| drive::explain(path, &error))?;
    let found = FileSystem::open(&plain).and_then(|inside| {
        let writes = match inside.release(&own) {
            Ok(writes) => writes,
            Err(fs_reserve::Error::NotReserved { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let writes = for_engine(writes);
        Ok((journal_place(&inside, &own, &writes, BATCH_BYTES)?, writes))
    });
    match (found, reserved) {
        (Ok(found), _) => Ok(found),
        // No file system that is understood, or one that may not be changed: nothing in it changes then.
        (Err(_), Some(reserved)) => Ok((reserved, Vec::new())),
        (Err(error), None) => Err(Failure::no(format!("{} cannot be decrypted in place", path.display()))
            .because(&error)
            .hint("`keyhaven decrypt DRIVE --output FILE` writes the plain volume to a file")),
    }
}

/// Changes of a file system as the engine takes them.
#[must_use]
pub fn for_engine(writes: Vec<fs_reserve::Write>) -> Vec<FsWrite> {
    writes.into_iter().map(|write| FsWrite { offset_bytes: write.offset_bytes, bytes: write.bytes }).collect()
}

/// Free space of the file system for the journal, outside `taken`: as much as batches of this size need, or else as much as
/// there is in one piece.
///
/// # Errors
/// [`fs_reserve::Error::NotEnoughSpace`], or the file system cannot be read.
pub fn journal_place<D: BlockRead>(
    inside: &FileSystem<D>,
    taken: &[Range<u64>],
    writes: &[FsWrite],
    batch_bytes: u32,
) -> Result<Range<u64>, fs_reserve::Error> {
    let bytes: u64 = writes.iter().map(|write| write.bytes.len() as u64).sum();
    let wanted = journal_bytes(batch_bytes, writes.len(), bytes);
    let mut best: Range<u64> = 0..0;
    for run in inside.free_runs(64)? {
        for part in without(&[run], taken) {
            let start = part.start.next_multiple_of(4096);
            let end = part.end.min(start.saturating_add(wanted));
            if end > start && end - start > best.end - best.start {
                best = start..end - end % 4096;
            }
        }
        if best.end - best.start == wanted {
            break;
        }
    }
    let least = journal_bytes(4096, writes.len(), bytes);
    match best.end - best.start {
        found if found >= least => Ok(best),
        largest_bytes => Err(fs_reserve::Error::NotEnoughSpace { needed_bytes: least, largest_bytes }),
    }
}

/// The state of a drive that is being converted, in words.
#[must_use]
pub fn state(conversion: &ConversionProgress) -> String {
    let percent = percent(conversion);
    match (conversion.step, conversion.direction) {
        (Step::Restoring, _) => "decrypted in place; the last steps are missing".to_owned(),
        (Step::Finishing, _) => "encrypted in place; the last steps are missing".to_owned(),
        (_, Direction::Encrypt) => format!("being encrypted in place, {percent} % of it is encrypted"),
        (_, Direction::Decrypt) => format!("being decrypted in place, {percent} % of it is still encrypted"),
    }
}

/// What to do about it.
#[must_use]
pub fn advice(name: &str, conversion: &ConversionProgress) -> String {
    match (conversion.step, conversion.direction) {
        (Step::Restoring, _) => format!("`keyhaven resume {name}` ends it; no key is needed"),
        (_, Direction::Encrypt) => {
            format!("`keyhaven resume {name}` goes on, `keyhaven decrypt {name} --in-place` goes back")
        }
        (_, Direction::Decrypt) => {
            format!("`keyhaven resume {name}` goes on, `keyhaven resume {name} --turn-round` goes back")
        }
    }
}

/// Rounded down: 100 only when all is encrypted.
#[must_use]
pub fn percent(conversion: &ConversionProgress) -> u64 {
    let part = u128::from(conversion.encrypted_bytes) * 100;
    u64::try_from(part.checked_div(u128::from(conversion.total_bytes)).unwrap_or(100)).unwrap_or(100)
}

/// Error, cause and next step for a conversion that cannot begin or go on.
#[must_use]
pub fn explain(path: &Path, error: &fve::Error) -> Failure {
    match error {
        fve::Error::CannotConvert(reason) => {
            Failure::no(format!("{} cannot be converted in place", path.display())).cause(*reason)
        }
        fve::Error::BadPlace { .. } => Failure::no(format!("{} cannot be converted in place", path.display()))
            .because(error)
            .hint("nothing was changed; `keyhaven decrypt DRIVE --output FILE` writes the plain volume to a file"),
        _ => drive::explain(path, error),
    }
}

/// It began, and could not go on.
#[must_use]
pub fn stopped(path: &Path, error: &fve::Error) -> Failure {
    let name = path.display();
    match error {
        fve::Error::CannotConvert(_) => explain(path, error),
        _ => Failure::could_not(format!("the conversion of {name} had to stop")).because(error).hint(format!(
            "nothing is lost: what was done is written down on the drive, which can be read meanwhile; `keyhaven resume \
             {name}` goes on once the drive works again. If it is failing, make an image of it first"
        )),
    }
}
