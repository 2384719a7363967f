//! The drives of this computer, and the volumes inside images.

mod host;
mod linux;

use std::io;
use std::path::Path;

use block_io::{BlockRead, Error as IoError, FileDisk};
use disk_image::partitions;
use fs_view::{FileSystem, FileSystemKind};
use fve::{ProtectorKind, Volume, VolumeState};

pub use self::host::{Candidate, HostDrives};
use crate::failure::{Failure, Outcome};
use crate::info::{key_id, state_name};
use crate::{disk, drive};

/// A volume that was found.
pub struct Listed {
    /// How other commands name it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What it is, or why that cannot be told.
    pub details: Result<Details, String>,
    /// Where it was found, for drives of this computer.
    pub device: Option<Candidate>,
}

/// What a volume is.
pub struct Details {
    /// Of the volume.
    pub identifier: String,
    /// How sectors are encrypted.
    pub method: String,
    /// Its state in words.
    pub state: String,
    /// `on`, `off` or `suspended`.
    pub protection: &'static str,
    /// What the drive calls itself.
    pub description: Option<String>,
    /// Kind and key ID of each protector.
    pub keys: Vec<(ProtectorKind, String)>,
}

/// A device that could not be looked at.
pub struct Skipped {
    /// How it is named.
    pub name: String,
    /// Why.
    pub reason: String,
    /// For lack of rights.
    pub no_rights: bool,
}

impl Listed {
    /// Looks at what lies on `disk`; `None` where it is no BitLocker volume.
    #[must_use]
    pub fn read(name: String, disk: &impl BlockRead) -> Option<Self> {
        let bytes = disk.geometry().length_bytes;
        let details = match open(disk)? {
            Err(failure) => Err(failure.error),
            Ok(volume) => {
                let kinds = drive::kinds(&volume);
                let protection = match volume.state().0 {
                    VolumeState::Decrypted => "off",
                    _ if kinds.contains(&ProtectorKind::ClearKey) => "suspended",
                    _ => "on",
                };
                let protectors = volume.protectors();
                Ok(Details {
                    identifier: volume.metadata().identifier.to_string(),
                    method: volume.metadata().method.to_string(),
                    state: state_name(&volume),
                    protection,
                    description: volume.description(),
                    keys: protectors.iter().map(|key| (key.kind(), key_id(key.identifier))).collect(),
                })
            }
        };
        Some(Self { name, bytes, details, device: None })
    }

    fn identifier(&self) -> Option<&str> {
        self.details.as_ref().ok().map(|details| details.identifier.as_str())
    }

    /// Whether `composed` shows the same volume again, put together from where this one was found.
    fn is_shown_by(&self, composed: &Self) -> bool {
        let (Some(own), Some(other)) = (&self.device, &composed.device) else { return false };
        other.is_composed
            && !own.is_composed
            && own.family == other.family
            && self.identifier().is_some_and(|identifier| Some(identifier) == composed.identifier())
    }
}

/// The drives of this computer, by where its kernel tells its devices and where devices are.
#[must_use]
pub fn of_this_computer(sys: &Path, dev: &Path) -> Box<dyn HostDrives> {
    if cfg!(target_os = "linux") {
        Box::new(linux::Linux { sys: sys.to_owned(), dev: dev.to_owned() })
    } else {
        Box::new(host::OtherSystem)
    }
}

/// A drive without BitLocker that could be encrypted where it lies.
pub struct Plain {
    /// How other commands name it.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The file system on it.
    pub file_system: FileSystemKind,
    /// Its name.
    pub label: Option<String>,
    /// Where it was found, for drives of this computer.
    pub device: Option<Candidate>,
}

impl Plain {
    /// Looks at what lies on `disk`; `None` where it has no file system that is known here.
    #[must_use]
    pub fn read(name: String, disk: &impl BlockRead) -> Option<Self> {
        let bytes = disk.geometry().length_bytes;
        let inside = FileSystem::open(disk).ok()?;
        let label = inside.label().ok().flatten();
        Some(Self { name, bytes, file_system: inside.kind(), label, device: None })
    }
}

/// What was found where drives may be.
#[derive(Default)]
pub struct Survey {
    /// BitLocker volumes.
    pub listed: Vec<Listed>,
    /// Drives without.
    pub plain: Vec<Plain>,
    /// Devices that could not be looked at.
    pub skipped: Vec<Skipped>,
}

impl Survey {
    fn look(&mut self, name: String, disk: &impl BlockRead, device: Option<&Candidate>) -> bool {
        if let Some(mut found) = Listed::read(name.clone(), disk) {
            found.device = device.cloned();
            self.listed.push(found);
            return true;
        }
        let found = Plain::read(name, disk).map(|found| Plain { device: device.cloned(), ..found });
        let is_there = found.is_some();
        self.plain.extend(found);
        is_there
    }
}

/// The volumes of an image or device, in a partition or over all of it.
///
/// # Errors
/// It cannot be opened, or its partitions cannot be found.
pub fn in_image(path: &Path) -> Outcome<Survey> {
    let image = disk::open_image(path)?;
    let mut survey = Survey::default();
    if !survey.look(path.display().to_string(), &image, None) {
        let table = disk::read_table(path, &image)?;
        for partition in &table.partitions {
            if let Ok(region) = partition.of(&image) {
                survey.look(disk::name_of(path, partition.number), &region, None);
            }
        }
    }
    Ok(survey)
}

/// The volumes on everything that the system names, and what could not be opened.
///
/// # Errors
/// The system does not tell its drives.
pub fn of_host(host: &dyn HostDrives) -> Outcome<Survey> {
    let mut survey = Survey::default();
    for candidate in host.candidates()? {
        let path = &candidate.path;
        let device = match FileDisk::open(path).and_then(|device| readable(&device).map(|()| device)) {
            Ok(device) => device,
            Err(error) => {
                survey.skipped.extend(Skipped::new(path, &error));
                continue;
            }
        };
        if !survey.look(path.display().to_string(), &device, Some(&candidate)) && candidate.look_inside {
            // A table that cannot be used is no news in a list: `info` on the device tells.
            for partition in partitions(&device).map(|table| table.partitions).unwrap_or_default() {
                if let Ok(region) = partition.of(&device) {
                    survey.look(disk::name_of(path, partition.number), &region, Some(&candidate));
                }
            }
        }
    }
    list_once(&mut survey.listed);
    Ok(survey)
}

/// Reads the first sector, as a device without a medium opens and gives nothing.
fn readable(device: &FileDisk) -> Result<(), IoError> {
    let mut sector = [0; 512];
    let length = usize::try_from(device.geometry().length_bytes).unwrap_or(usize::MAX).min(sector.len());
    device.read_exact_at(0, &mut sector[..length])
}

impl Skipped {
    /// Why a device is not looked at; `None` where there is nothing to look at.
    fn new(path: &Path, error: &IoError) -> Option<Self> {
        /// A drive without a medium, and a device that has gone.
        const NO_MEDIUM: [i32; 3] = [123, 6, 19];
        let IoError::Io { source, .. } = error else { return None };
        if source.kind() == io::ErrorKind::NotFound
            || source.raw_os_error().is_some_and(|code| NO_MEDIUM.contains(&code))
        {
            return None;
        }
        let no_rights = source.kind() == io::ErrorKind::PermissionDenied;
        Some(Self { name: path.display().to_string(), reason: source.to_string(), no_rights })
    }
}

/// What a volume is like, or why that cannot be told; `None` where there is none.
fn open<D: BlockRead>(disk: D) -> Option<Result<Volume<D>, Failure>> {
    match Volume::open(disk) {
        Ok(volume) => Some(Ok(volume)),
        Err(error @ fve::Error::NoMetadata { .. }) => Some(Err(Failure::no(error.to_string()))),
        Err(_) => None,
    }
}

/// Volumes that a composed device shows again are listed under that device only: it is what may be in use.
fn list_once(listed: &mut Vec<Listed>) {
    let again: Vec<bool> = listed.iter().map(|found| listed.iter().any(|other| found.is_shown_by(other))).collect();
    let mut again = again.into_iter();
    listed.retain(|_| !again.next().unwrap_or(false));
}
