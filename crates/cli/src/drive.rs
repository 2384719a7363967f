//! Opening a drive named on the command line, and putting the engine's errors into words for people.

use std::path::{Path, PathBuf};

use block_io::{BlockRead, Slice};
use clap::{Args, ValueHint};
use disk_image::DiskImage;
use fve::{CopyHealth, Error, ProtectorKind, UnlockOptions, UnlockedVolume, Volume};

use crate::disk;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::secrets::SecretArgs;

/// What a drive lies on: an image of any format or a device, or one partition of it.
pub(crate) type Disk = Slice<DiskImage>;
/// A drive that is open, without its key.
pub(crate) type Locked = Volume<Disk>;
/// The plain view of a drive.
pub(crate) type Unlocked = UnlockedVolume<Disk>;

/// Which drive.
#[derive(Debug, Args)]
pub(crate) struct DriveArgs {
    /// Disk image (raw, VHD, VHDX, qcow2, VMDK, E01) or block device; a number names a partition: disk.img:2
    #[arg(value_name = "DRIVE", value_hint = ValueHint::FilePath)]
    pub(crate) drive: PathBuf,
}

/// A drive that is to be unlocked.
#[derive(Debug, Args)]
pub(crate) struct UnlockArgs {
    #[command(flatten)]
    pub(crate) secrets: SecretArgs,
    /// Accept an image that ends before its volume does, and read as far as it goes
    #[arg(long, help_heading = "How to open the drive")]
    pub(crate) allow_short: bool,
}

/// Opens the drive without a key.
pub(crate) fn open(path: &Path) -> Outcome<Locked> {
    disk::open_volume(path, DiskImage::open).map(told)
}

/// As [`open`], for changing the metadata.
pub(crate) fn open_writable(path: &Path) -> Outcome<Locked> {
    disk::open_volume(path, DiskImage::open_writable).map(told)
}

/// With a word about metadata that is damaged.
pub(crate) fn told(volume: Locked) -> Locked {
    for (index, copy) in volume.copies().iter().enumerate().filter(|(_, copy)| !copy.health.is_usable()) {
        output::note(&format!(
            "warning: metadata copy {} of 3 cannot be used ({}); copy {} is used instead",
            index + 1,
            copy.health,
            volume.copy_in_use() + 1
        ));
    }
    if volume.copies().iter().any(|copy| matches!(copy.health, CopyHealth::Differs)) {
        output::note("warning: the metadata copies are not the same; a change of the keys may have been interrupted");
    }
    volume
}

/// Opens and unlocks the drive. One that is decrypted needs no key, and none is asked for.
pub(crate) fn unlock(path: &Path, arguments: &UnlockArgs) -> Outcome<Unlocked> {
    unlocked(path, open(path)?, arguments)
}

/// As [`unlock`], for writing. A drive that must not be written is refused.
#[cfg(any(feature = "mount", feature = "export"))]
pub(crate) fn unlock_writable(path: &Path, arguments: &UnlockArgs) -> Outcome<Unlocked> {
    let volume = unlocked(path, open_writable(path)?, arguments)?;
    match volume.why_read_only() {
        None => Ok(volume),
        Some(reason) => Err(Failure::no(format!("{} cannot be written", path.display()))
            .cause(reason)
            .hint("without --write it can be read")),
    }
}

fn unlocked(path: &Path, volume: Locked, arguments: &UnlockArgs) -> Outcome<Unlocked> {
    let options = UnlockOptions { allow_short: arguments.allow_short };
    if let Some(lost) = volume.interrupted_range() {
        output::note(&format!(
            "warning: a conversion was interrupted; the {} bytes from byte {} on were being rewritten and read as zeros",
            lost.end - lost.start,
            lost.start
        ));
    }
    if volume.is_decrypted() {
        if volume.in_place_conversion().is_some() {
            output::note("the last steps of its decryption are missing; `keyhaven resume` does them without a key");
            return volume.open_decrypted(options).map_err(|error| explain(path, &error));
        }
        // Nothing proves such a drive genuine, least of all a key that is not looked at.
        if arguments.secrets.are_named() {
            return Err(Failure::no(format!("{} has no key to compare with", path.display()))
                .cause("it is decrypted: its data is stored plain, by whoever wrote it last")
                .hint("to read it all the same, leave the key out"));
        }
        output::note("this drive is decrypted: its data needs no key");
        return volume.open_decrypted(options).map_err(|error| explain(path, &error));
    }
    if volume.header().encrypt_on_write.is_some() && !volume.is_encrypt_on_write_sealed() {
        output::note(
            "warning: the first sector calls for a conversion that the sealed metadata does not know of; some of the data \
             may have been put there by somebody without the key",
        );
    }
    let given = arguments.secrets.resolve(&volume)?;
    volume.unlock(given.material(), options).map(|(unlocked, _)| unlocked).map_err(|error| explain(path, &error))
}

/// The kinds of protectors on the volume.
pub(crate) fn kinds<D: BlockRead>(volume: &Volume<D>) -> Vec<ProtectorKind> {
    volume.protectors().iter().map(fve::KeyProtector::kind).collect()
}

/// Error, cause and next step for an engine error about the drive at `path`.
pub(crate) fn explain(path: &Path, error: &Error) -> Failure {
    let name = path.display();
    let list = format!("`keyhaven info {name}` lists the keys this drive accepts");
    match error {
        Error::NotBitLocker { found } => {
            let failure = Failure::no(format!("{name} is not a BitLocker drive"))
                .hint(format!("if it was one, `keyhaven repair {name} --output FILE` looks for what is left of it"));
            match found {
                Some(found) => failure.cause(format!("it starts like {found}")),
                None => failure.cause("its first sector has no BitLocker signature"),
            }
        }
        Error::NoMetadata { copies } => Failure::no(format!("the BitLocker metadata of {name} cannot be used"))
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
                .cause(format!("it belongs to a protector that asks for more: {found}"))
                .hint(format!("use the drive's recovery key; {list}"))
        }
        Error::NoSuchProtector { kind, wanted: Some(wanted), .. } => {
            Failure::no(format!("this {kind} belongs to another drive than {name}"))
                .cause(format!("the drive has no protector {{{wanted}}}"))
                .hint(list)
        }
        Error::NoSuchProtector { kind, wanted: None, .. } => {
            Failure::no(format!("{name} cannot be opened with a {kind}")).because(error).hint(list)
        }
        Error::Tampered => Failure::no(format!("{name} is not opened: its metadata was changed"))
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
            .because(error)
            .hint("the key is not at fault; a newer version of this program may know the method"),
        _ => Failure::no(format!("{name} cannot be opened")).because(error).hint(list),
    }
}
