//! A new, empty BitLocker volume in an image file or on a block device.
//!
//! Order: the start of a device is wiped, then everything is written, and the volume header last. Until then there is
//! nothing that looks like a volume.

mod plain;
mod target;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use block_io::FileDisk;
use fs_view::fat32;
use fve::{CreateOptions, EncryptionMethod, Filetime, FillProgress, Guid, NewVolume, Placement, UnlockedVolume};
use secret::{RecoveryPassword, SecretString};

use self::plain::{Plain, Wanted};
pub use self::target::{Target, kind_name};
use crate::failure::{Failure, Kind, Outcome};
use crate::words::size;
use crate::{host, lock};

/// File systems that a new volume can get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// FAT32.
    Fat32,
    /// NTFS, made by `mkntfs`.
    Ntfs,
    /// exFAT, made by `mkfs.exfat`.
    Exfat,
    /// None: all zeros.
    None,
}

/// What the new volume shall be.
#[derive(Debug, Clone)]
pub struct NewDrive {
    /// The image file or device.
    pub file: PathBuf,
    /// Size of the volume.
    pub volume_bytes: u64,
    /// Its sectors: 512 or 4096 bytes.
    pub sector_bytes: u32,
    /// Sectors before it on its disk.
    pub hidden_sectors: u32,
    /// How sectors are encrypted.
    pub method: EncryptionMethod,
    /// What is inside.
    pub file_system: FileSystem,
    /// Its name.
    pub label: String,
    /// Encrypt only what is written.
    pub used_space_only: bool,
}

/// Everything that is decided before anything is written.
pub struct Plan {
    /// What it shall be.
    pub drive: NewDrive,
    placement: Placement,
    plain: Option<Plain>,
}

/// What happens beside the making.
pub struct Making<'m> {
    /// Identifier that the recovery key gets.
    pub identifier: Guid,
    /// Called with the identifier of the recovery key before there is a volume: a key without a volume does no harm.
    pub before: &'m mut dyn FnMut(&str) -> Outcome,
    /// Bytes that are encrypted, and how many there are.
    pub progress: FillProgress<'m>,
    /// Called with the new volume when its file system is there.
    pub add: &'m mut dyn FnMut(&UnlockedVolume<&FileDisk>) -> Outcome,
}

impl NewDrive {
    /// Whether the name can be one of its file system.
    ///
    /// # Errors
    /// It is too long, or has characters that cannot be shown.
    pub fn check_label(&self) -> Outcome {
        let limit = match self.file_system {
            FileSystem::None => return Ok(()),
            FileSystem::Ntfs => 32,
            FileSystem::Fat32 | FileSystem::Exfat => 11,
        };
        let label = &self.label;
        if label.encode_utf16().count() > limit || label.contains(char::is_control) {
            return Err(Failure::could_not(format!("{label:?} cannot be the name of a volume"))
                .cause(format!("it has more than {limit} characters, or some that cannot be shown")));
        }
        Ok(())
    }

    /// Where BitLocker's structures go, out of the way of the file system's own; and the file system, where another program
    /// makes it, in a temporary file.
    ///
    /// # Errors
    /// The size does not do; [`Kind::NoProgram`].
    pub fn plan(self) -> Outcome<Plan> {
        let (volume_bytes, sector_bytes) = (self.volume_bytes, self.sector_bytes);
        let bad = |error: &dyn std::error::Error| {
            Failure::no(format!("a volume of {} cannot be made", size(volume_bytes))).because(error)
        };
        if !volume_bytes.is_multiple_of(sector_bytes.into()) {
            return Err(Failure::no(format!("a volume of {volume_bytes} bytes cannot be made"))
                .cause(format!("it is not a multiple of {sector_bytes} bytes, the sector size")));
        }
        let (cluster_bytes, first_free) = match self.file_system {
            FileSystem::None => (4096, 0),
            FileSystem::Fat32 => {
                let plan = fat32::plan_with_sectors(volume_bytes, sector_bytes).map_err(|error| {
                    bad(&error).hint("choose another size, or `--filesystem none` for an empty volume")
                })?;
                (u64::from(plan.cluster_bytes), plan.data_start_bytes)
            }
            file_system @ (FileSystem::Ntfs | FileSystem::Exfat) => {
                let wanted = Wanted {
                    file_system,
                    volume_bytes,
                    sector_bytes,
                    hidden_sectors: self.hidden_sectors,
                    label: &self.label,
                };
                let plain = Plain::make(&folder_of(&self.file), &wanted)?;
                return Ok(Plan { placement: plain.placement().clone(), plain: Some(plain), drive: self });
            }
        };
        let placement = Placement::choose(volume_bytes, cluster_bytes, first_free).map_err(|error| bad(&error))?;
        Ok(Plan { drive: self, placement, plain: None })
    }
}

/// Where temporary files go: beside a new file, because there is room for it; no device has files beside it.
fn folder_of(file: &Path) -> PathBuf {
    if lock::is_device(file) {
        return std::env::temp_dir();
    }
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Plan {
    /// Fills the storage and puts the file system in; gives the identifier of the recovery key. A file that was made for a
    /// volume that could not be finished is removed again.
    ///
    /// # Errors
    /// [`Kind::DiskFull`]; the storage cannot be written.
    pub fn make(
        &self,
        target: &Target,
        recovery: &RecoveryPassword,
        password: Option<SecretString>,
        making: Making<'_>,
    ) -> Outcome<String> {
        self.made(target, recovery, password, making).inspect_err(|_| target.give_up())
    }

    fn made(
        &self,
        target: &Target,
        recovery: &RecoveryPassword,
        password: Option<SecretString>,
        making: Making<'_>,
    ) -> Outcome<String> {
        let now = Filetime::from_system_time_ms(SystemTime::now());
        let description = format!("{} {} {}", host::name_for_description(), self.drive.label, &now.to_string()[..10]);
        let options = CreateOptions {
            method: self.drive.method,
            description,
            now,
            recovery_password: recovery.clone(),
            password,
            placement: self.placement.clone(),
        };
        let new = NewVolume::begin_as(&target.disk, &options, self.drive.sector_bytes, making.identifier)
            .map_err(|error| self.failed(&error))?;
        let identifier = new.recovery_identifier().to_string();
        (making.before)(&identifier)?;
        self.fill(target, &new, making.progress, making.add)?;
        new.finish().map_err(|error| self.failed(&error))?;
        Ok(identifier)
    }

    /// Everything but the metadata and the volume header.
    fn fill(
        &self,
        target: &Target,
        new: &NewVolume<&FileDisk>,
        progress: FillProgress<'_>,
        add: &mut dyn FnMut(&UnlockedVolume<&FileDisk>) -> Outcome,
    ) -> Outcome {
        target.wipe_start().map_err(|error| self.failed(&error))?;
        if !self.drive.used_space_only {
            new.fill(host::workers(), progress).map_err(|error| self.failed(&error))?;
        }
        if let Some(plain) = &self.plain {
            return plain.copy_to(new.volume(), !self.drive.used_space_only);
        }
        if self.drive.file_system == FileSystem::Fat32 {
            let format = fat32::Format {
                label: &self.drive.label,
                reserved: &self.placement.reserved(),
                sector_bytes: self.drive.sector_bytes,
                hidden_sectors: self.drive.hidden_sectors,
            };
            fat32::format_with(new.volume(), &format).map_err(|error| self.no_file_system(&error))?;
            add(new.volume())?;
        }
        Ok(())
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let failure = Failure::could_not(format!("cannot write {}", self.drive.file.display())).because(error);
        if is_full(error) {
            failure.kind(Kind::DiskFull).hint("free some space or choose another place, then run it again")
        } else {
            failure
        }
    }

    fn no_file_system(&self, error: &fs_view::Error) -> Failure {
        let name = self.drive.file.display();
        match error {
            fs_view::Error::BadLabel => {
                Failure::could_not(format!("{:?} cannot be the name of a volume", self.drive.label)).because(error)
            }
            _ => Failure::could_not(format!("cannot put a file system into {name}")).because(error),
        }
    }
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    false
}
