//! Turning encryption on for a drive with files: everything is checked and planned before anything is written.

use std::path::Path;
use std::time::SystemTime;

use block_io::BlockRead;
use disk_image::DiskImage;
use fs_reserve::{Error as SpaceError, FileSystem, Unclean};
use fve::convert::{BATCH_BYTES, EncryptOptions, Places};
use fve::{CreateOptions, EncryptionMethod, Filetime, Placement, Volume};
use secret::RecoveryPassword;

use crate::drive::{self, Disk};
use crate::failure::{Failure, Kind, Outcome};
use crate::{convert, disk, host, places};

/// What is on a drive that shall be encrypted.
pub enum Found {
    /// Something that is not BitLocker.
    Plain(Disk),
    /// It is half encrypted already: the conversion can go on.
    HalfWay,
}

/// Looks at the drive before it is encrypted.
///
/// # Errors
/// [`Kind::AlreadyEncrypted`]; it cannot be opened.
pub fn look(path: &Path) -> Outcome<Found> {
    let storage = disk::open_plain(path, DiskImage::open_writable)?;
    match Volume::open(&storage) {
        Err(fve::Error::NotBitLocker { .. }) => {}
        Ok(volume) if volume.in_place_conversion().is_some() => return Ok(Found::HalfWay),
        Ok(_) => {
            return Err(Failure::no(format!("{} is a BitLocker drive already", path.display()))
                .kind(Kind::AlreadyEncrypted)
                .hint(format!("`keyhaven info {}` tells its state", path.display())));
        }
        Err(error) => return Err(drive::explain(path, &error)),
    }
    Ok(Found::Plain(storage))
}

/// Where everything goes, and what changes in the file system. Nothing is written.
///
/// # Errors
/// The drive cannot be encrypted in place as it is.
pub fn plan(path: &Path, storage: &Disk, method: EncryptionMethod, key: &RecoveryPassword) -> Outcome<EncryptOptions> {
    let cannot = |error: &SpaceError| unusable(path, error);
    let inside = FileSystem::open(storage).map_err(|error| cannot(&error))?;
    inside.check_clean().map_err(|error| cannot(&error))?;
    let sector_bytes = file_system_sector(storage).map_err(|error| drive::explain(path, &error.into()))?;
    let stored = storage.geometry().length_bytes;
    let volume_bytes = stored - stored % u64::from(sector_bytes.max(1));
    let usual = Placement::choose(volume_bytes, inside.cluster_bytes().max(4096), 0)
        .map_err(|error| Failure::no(format!("{} is too small to be encrypted", path.display())).because(&error))?;
    let found = places::find(&inside, &usual).map_err(|error| cannot(&error))?;
    let writes = convert::for_engine(inside.reserve(&found.ranges()).map_err(|error| cannot(&error))?);
    let placement = found.placement(volume_bytes);
    let journal =
        convert::journal_place(&inside, &found.ranges(), &writes, BATCH_BYTES).map_err(|error| cannot(&error))?;
    let now = Filetime::from_system_time_ms(SystemTime::now());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let volume = CreateOptions {
        method,
        description: format!("{} {name} {}", host::name_for_description(), &now.to_string()[..10]),
        now,
        recovery_password: key.clone(),
        password: None,
        placement: placement.clone(),
    };
    let places = Places {
        metadata_offsets: placement.metadata_offsets,
        header_offset_bytes: placement.header_offset_bytes,
        journal,
    };
    Ok(EncryptOptions::new(volume, sector_bytes, &places, writes))
}

/// The sector size that the boot sector names; exFAT writes it as a power of two.
fn file_system_sector(storage: &Disk) -> Result<u32, block_io::Error> {
    let mut sector = [0; 512];
    storage.read_exact_at(0, &mut sector)?;
    Ok(match &sector[3..11] {
        b"EXFAT   " => 1_u32.checked_shl(sector[0x6C].into()).unwrap_or(0),
        _ => u16::from_le_bytes([sector[0x0B], sector[0x0C]]).into(),
    })
}

fn unusable(path: &Path, error: &SpaceError) -> Failure {
    let failure = Failure::no(format!("{} cannot be encrypted in place", path.display())).because(error);
    match error {
        SpaceError::NotClean(Unclean::Hibernated { .. } | Unclean::FastStartup { .. }) => failure.kind(Kind::Hibernated).hint(
            "nothing was changed; start Windows and shut it down fully (hold Shift while choosing Shut down), then try again",
        ),
        SpaceError::NotClean(_) => failure.kind(Kind::NotClean).hint(
            "nothing was changed; unmount the drive cleanly, or check it first (`chkdsk` on Windows, `ntfsfix`, `fsck.fat` or \
             `fsck.exfat` here)",
        ),
        SpaceError::NotEnoughSpace { .. } => {
            failure.kind(Kind::NoSpace).hint("nothing was changed; BitLocker's own data needs some free space in one piece: make some room")
        }
        SpaceError::FileSystem(fs_view::Error::Unknown { .. }) => failure.kind(Kind::UnknownFileSystem).hint(
            "nothing was changed; NTFS, exFAT and FAT drives can be encrypted where they lie. For others, `keyhaven create` \
             makes an empty encrypted drive",
        ),
        SpaceError::Storage(_) => Failure::could_not(format!("cannot read {}", path.display())).because(error),
        _ => failure.hint("nothing was changed; check the drive first (`chkdsk` on Windows)"),
    }
}
