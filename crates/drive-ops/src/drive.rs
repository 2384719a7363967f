//! Opening a drive, and putting the engine's errors into words for people.

use std::path::Path;

use block_io::{BlockRead, Slice};
use disk_image::DiskImage;
use fve::{CopyHealth, Error, ProtectorKind, UnlockedVolume, Volume};

use crate::disk;
use crate::failure::{Failure, Kind, Outcome};
use crate::note::note;

/// What a drive lies on: an image of any format or a device, or one partition of it.
pub type Disk = Slice<DiskImage>;
/// A drive that is open, without its key.
pub type Locked = Volume<Disk>;
/// The plain view of a drive.
pub type Unlocked = UnlockedVolume<Disk>;

/// Opens the drive without a key.
pub fn open(path: &Path) -> Outcome<Locked> {
    disk::open_volume(path, DiskImage::open).map(told)
}

/// As [`open`], for changing the metadata.
pub fn open_writable(path: &Path) -> Outcome<Locked> {
    disk::open_volume(path, DiskImage::open_writable).map(told)
}

/// With a word about metadata that is damaged.
#[must_use]
pub fn told(volume: Locked) -> Locked {
    for (index, copy) in volume.copies().iter().enumerate().filter(|(_, copy)| !copy.health.is_usable()) {
        note(&format!(
            "warning: metadata copy {} of 3 cannot be used ({}); copy {} is used instead",
            index + 1,
            copy.health,
            volume.copy_in_use() + 1
        ));
    }
    if volume.copies().iter().any(|copy| matches!(copy.health, CopyHealth::Differs)) {
        note("warning: the metadata copies are not the same; a change of the keys may have been interrupted");
    }
    volume
}

/// The kinds of protectors on the volume.
#[must_use]
pub fn kinds<D: BlockRead>(volume: &Volume<D>) -> Vec<ProtectorKind> {
    volume.protectors().iter().map(fve::KeyProtector::kind).collect()
}

/// Error, cause and next step for an engine error about the drive at `path`.
#[must_use]
pub fn explain(path: &Path, error: &Error) -> Failure {
    let name = path.display();
    let list = format!("`keyhaven info {name}` lists the keys this drive accepts");
    match error {
        Error::NotBitLocker { found } => {
            let failure = Failure::no(format!("{name} is not a BitLocker drive"))
                .kind(Kind::NotBitLocker)
                .hint(format!("if it was one, `keyhaven repair {name} --output FILE` looks for what is left of it"));
            match found {
                Some(found) => failure.cause(format!("it starts like {found}")),
                None => failure.cause("its first sector has no BitLocker signature"),
            }
        }
        Error::NoMetadata { copies } => Failure::no(format!("the BitLocker metadata of {name} cannot be used"))
            .kind(Kind::Damaged)
            .cause(
                copies
                    .iter()
                    .enumerate()
                    .map(|(index, copy)| format!("copy {}: {}", index + 1, copy.health))
                    .collect::<Vec<_>>()
                    .join("; "),
            )
            .hint(format!(
                "do not write to this drive; make an image of it first and work on the image: `keyhaven repair {name} --output \
                 FILE` rescues what can be had"
            )),
        Error::WrongSecret { kind, tried } => Failure::no(format!("this {kind} does not open {name}"))
            .kind(Kind::WrongKey)
            .cause(
                tried
                    .iter()
                    .map(|identifier| format!("{kind} protector {{{identifier}}}: AES-CCM tag mismatch"))
                    .collect::<Vec<_>>()
                    .join("; "),
            )
            .hint(match (kind, tried.first()) {
                (ProtectorKind::RecoveryPassword, Some(first)) => {
                    format!("look for the recovery key whose key ID begins with {}; {list}", &first.to_string()[..8])
                }
                _ => list,
            }),
        Error::NoSuchProtector { kind, found: Some(found), .. } => {
            Failure::no(format!("this {kind} alone does not open {name}"))
                .kind(Kind::OtherKey)
                .cause(format!("it belongs to a protector that asks for more: {found}"))
                .hint(format!("use the drive's recovery key; {list}"))
        }
        Error::NoSuchProtector { kind, wanted: Some(wanted), .. } => {
            Failure::no(format!("this {kind} belongs to another drive than {name}"))
                .kind(Kind::OtherKey)
                .cause(format!("the drive has no protector {{{wanted}}}"))
                .hint(list)
        }
        Error::NoSuchProtector { kind, wanted: None, .. } => {
            Failure::no(format!("{name} cannot be opened with a {kind}")).kind(Kind::OtherKey).because(error).hint(list)
        }
        Error::Tampered => Failure::no(format!("{name} is not opened: its metadata was changed"))
            .kind(Kind::Damaged)
            .because(error)
            .hint("somebody may have manipulated the drive; make an image of it before anything else"),
        Error::Short { .. } => Failure::no(format!("{name} is incomplete"))
            .because(error)
            .hint("--allow-short reads as far as the image goes"),
        Error::NoConversionMap { .. } => Failure::no(format!("the data of {name} cannot be told apart")).because(error).hint(
            "the keys are not affected (`keyhaven verify` tells); make an image of the drive, then connect it to Windows: it \
             may be able to finish the conversion",
        ),
        Error::BadConversion { .. } => Failure::no(format!("where the conversion of {name} stands cannot be told"))
            .kind(Kind::Damaged)
            .because(error)
            .hint("do not write to this drive; make an image of it before anything else and work on the image"),
        Error::CannotConvert(_) => Failure::no(format!("{name} cannot be converted in place")).because(error),
        Error::Decrypted => Failure::no(format!("{name} has no keys"))
            .because(error)
            .hint(format!("`keyhaven ls {name}` and `keyhaven decrypt {name}` work without one")),
        Error::Storage(_) => Failure::could_not(format!("cannot read {name}")).because(error),
        Error::BadFvek { .. } | Error::BadPlace { .. } | Error::Unsupported(_) | Error::Format(_) => {
            Failure::no(format!("{name} cannot be opened"))
                .because(error)
                .hint("the key is not at fault; make an image of the drive before anything else and work on the image")
        }
        Error::UnsupportedMethod(_) => Failure::no(format!("{name} cannot be opened"))
            .kind(Kind::Unsupported)
            .because(error)
            .hint("the key is not at fault; a newer version of this program may know the method"),
        _ => Failure::no(format!("{name} cannot be opened")).because(error).hint(list),
    }
}
