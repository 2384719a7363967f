//! Opening a drive named on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
#[cfg(any(feature = "mount", feature = "export"))]
use drive_ops::drive::open_writable;
pub(crate) use drive_ops::drive::{Disk, Locked, Unlocked, explain, kinds, open, told};
use fve::UnlockOptions;

use crate::failure::{Failure, Outcome};
use crate::output;
use crate::secrets::SecretArgs;

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
