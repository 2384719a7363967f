//! The list: drives of this machine that are BitLocker or can become it, and the images that a person chose.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use drive_ops::create::kind_name;
use drive_ops::drive::{self, Locked};
use drive_ops::drives::{self, Candidate, Listed, Plain, Survey};
use drive_ops::failure::Failure;
use drive_ops::words::shown;
use drive_ops::{disk, info, rotate};
use fve::convert::{Direction as Way, Step};
use fve::{KeyProtector, ProtectorKind as Kind, VolumeState};

use crate::app::App;
use crate::failure::{Answer, Code, locked};
use crate::types::{Conversion, Direction, Drive, DriveState, Drives, NotOpened, Protector, ProtectorKind};

/// How the interface names a drive: the same as long as its path is the same.
pub(crate) fn id_of(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl App {
    /// Everything that is in the list.
    pub(crate) fn list(&self) -> Drives {
        let host = drives::of_this_computer(&self.devices.0, &self.devices.1);
        let (survey, trouble) = match drives::of_host(&*host) {
            Ok(survey) => (survey, None),
            Err(failure) => (Survey::default(), Some(in_one_line(&failure))),
        };
        let mounted = Mounted::read();
        let not_opened = survey
            .skipped
            .iter()
            .map(|skipped| NotOpened {
                name: skipped.name.clone(),
                no_rights: skipped.no_rights,
                reason: skipped.reason.clone(),
            })
            .collect();
        let mut found = self.described(survey, false, &mounted);
        let images = locked(&self.images).paths.clone();
        for path in images {
            found.extend(self.of_image(&path, &mounted));
        }
        Drives { drives: found, not_opened, trouble }
    }

    /// The drives inside a chosen image.
    pub(crate) fn of_image(&self, path: &Path, mounted: &Mounted) -> Vec<Drive> {
        let missing = |trouble: Option<String>| {
            let drive = self.empty(path, DriveState::Missing, 0, true);
            vec![Drive { trouble, ..drive }]
        };
        match drives::in_image(path) {
            Ok(survey) => {
                let found = self.described(survey, true, mounted);
                if found.is_empty() {
                    return missing(Some("there is no drive in it that is known here".to_owned()));
                }
                found
            }
            Err(failure) => missing(Some(in_one_line(&failure))),
        }
    }

    fn described(&self, survey: Survey, image: bool, mounted: &Mounted) -> Vec<Drive> {
        let encrypted = survey.listed.iter().map(|listed| self.listed(listed, image, mounted));
        let plain = survey.plain.iter().map(|plain| self.plain(plain, image, mounted));
        encrypted.chain(plain).collect()
    }

    /// The path of a drive in the list.
    pub(crate) fn path_of(&self, id: &str) -> Answer<PathBuf> {
        let known = |path: &PathBuf| id_of(path) == id;
        let images = locked(&self.images).paths.clone();
        if let Some(path) = images.iter().find(|path| known(path)) {
            return Ok(path.clone());
        }
        // A partition of an image, or a device: found again as the list finds it.
        let inside = images.iter().filter_map(|path| drives::in_image(path).ok());
        let host = drives::of_this_computer(&self.devices.0, &self.devices.1);
        let on_host = drives::of_host(&*host).ok();
        let surveys = inside.chain(on_host);
        let names = surveys.flat_map(|survey| {
            let listed = survey.listed.into_iter().map(|listed| listed.name);
            listed.chain(survey.plain.into_iter().map(|plain| plain.name)).collect::<Vec<_>>()
        });
        names.map(PathBuf::from).find(known).ok_or_else(|| Code::NoDrive.into())
    }

    /// One drive of the list, as it is now.
    pub(crate) fn drive(&self, id: &str) -> Answer<Drive> {
        let list = self.list();
        list.drives.into_iter().find(|drive| drive.id == id).ok_or_else(|| Code::NoDrive.into())
    }

    fn empty(&self, path: &Path, state: DriveState, bytes: u64, image: bool) -> Drive {
        let id = id_of(path);
        Drive {
            name: path.display().to_string(),
            image,
            model: None,
            removable: false,
            bytes,
            state,
            label: None,
            file_system: None,
            description: None,
            method: None,
            protectors: Vec::new(),
            conversion: None,
            job: self.jobs.of_drive(&id),
            unlocked: self.views.has(&id),
            mounted: false,
            rotation_unfinished: false,
            copies_usable: None,
            trouble: None,
            id,
        }
    }

    fn listed(&self, listed: &Listed, image: bool, mounted: &Mounted) -> Drive {
        let path = PathBuf::from(&listed.name);
        let base = self.empty(&path, DriveState::Damaged, listed.bytes, image);
        let base = on_device(base, listed.device.as_ref(), mounted);
        let details = match &listed.details {
            Ok(details) => details,
            Err(trouble) => return Drive { trouble: Some(trouble.clone()), ..base },
        };
        let base = Drive {
            description: details.description.as_deref().map(shown),
            method: Some(details.method.clone()),
            ..base
        };
        match drive::open(&path) {
            Ok(volume) => self.of_volume(base, &volume),
            Err(failure) => Drive { trouble: Some(in_one_line(&failure)), ..base },
        }
    }

    fn of_volume(&self, base: Drive, volume: &Locked) -> Drive {
        let conversion = volume.in_place_conversion();
        let seen = self.views.inside(&base.id);
        let state = match (&conversion, volume.state()) {
            (Some(conversion), _) if conversion.direction == Way::Encrypt => DriveState::Encrypting,
            (Some(_), _) => DriveState::Decrypting,
            _ if volume.is_decrypted() => DriveState::Decrypted,
            _ if volume.header().encrypt_on_write.is_some() => DriveState::Converting,
            (None, (now, next)) if now != next => DriveState::Converting,
            (None, (VolumeState::Decrypted, _)) => DriveState::Decrypted,
            _ if drive::kinds(volume).contains(&Kind::ClearKey) => DriveState::Suspended,
            _ => DriveState::Encrypted,
        };
        let usable = volume.copies().iter().filter(|copy| copy.health.is_usable()).count();
        Drive {
            state,
            protectors: volume.protectors().iter().map(protector).collect(),
            conversion: conversion.map(|conversion| Conversion {
                direction: if conversion.direction == Way::Encrypt { Direction::Encrypt } else { Direction::Decrypt },
                restoring: conversion.step == Step::Restoring,
                encrypted_bytes: conversion.encrypted_bytes,
                total_bytes: conversion.total_bytes,
            }),
            rotation_unfinished: rotate::is_unfinished(volume),
            copies_usable: u32::try_from(usable).ok(),
            file_system: seen.as_ref().map(|seen| seen.0.clone()),
            label: seen.and_then(|seen| seen.1),
            trouble: volume.conversion_problem().map(|problem| problem.to_string()),
            ..base
        }
    }

    fn plain(&self, plain: &Plain, image: bool, mounted: &Mounted) -> Drive {
        let base = self.empty(Path::new(&plain.name), DriveState::Plain, plain.bytes, image);
        Drive {
            file_system: Some(kind_name(plain.file_system).to_owned()),
            label: plain.label.as_deref().map(shown),
            ..on_device(base, plain.device.as_ref(), mounted)
        }
    }
}

fn on_device(drive: Drive, device: Option<&Candidate>, mounted: &Mounted) -> Drive {
    let Some(device) = device else { return drive };
    Drive {
        model: device.model.as_deref().map(shown),
        removable: device.removable,
        mounted: mounted.has(Path::new(&drive.name)),
        ..drive
    }
}

fn protector(protector: &KeyProtector) -> Protector {
    let kind = protector.kind();
    Protector {
        identifier: protector.identifier.to_string(),
        key_id: info::key_id(protector.identifier),
        kind: match kind {
            Kind::RecoveryPassword => ProtectorKind::RecoveryPassword,
            Kind::Password => ProtectorKind::Password,
            Kind::ExternalKey => ProtectorKind::ExternalKey,
            Kind::ClearKey => ProtectorKind::ClearKey,
            Kind::Tpm | Kind::TpmAndPin | Kind::TpmAndStartupKey | Kind::TpmPinAndStartupKey => ProtectorKind::Tpm,
            Kind::PublicKey => ProtectorKind::PublicKey,
            _ => ProtectorKind::Unknown,
        },
        kind_name: kind.to_string(),
        name: info::name(protector).as_deref().map(shown),
        modified: protector.modified.to_string(),
        usable: info::can_be_used(kind),
    }
}

/// What failed and why, in one line.
pub(crate) fn in_one_line(failure: &Failure) -> String {
    match &failure.cause {
        Some(cause) => format!("{}: {cause}", failure.error),
        None => failure.error.clone(),
    }
}

/// The devices whose file systems are mounted, by the system's own table.
#[derive(Default)]
pub(crate) struct Mounted(HashMap<PathBuf, ()>);

impl Mounted {
    pub(crate) fn read() -> Self {
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let sources = table.lines().filter_map(|line| line.split(' ').next()).filter(|source| source.starts_with('/'));
        Self(sources.filter_map(|source| Path::new(source).canonicalize().ok()).map(|path| (path, ())).collect())
    }

    fn has(&self, device: &Path) -> bool {
        disk::image_of(device).canonicalize().is_ok_and(|device| self.0.contains_key(&device))
    }
}
