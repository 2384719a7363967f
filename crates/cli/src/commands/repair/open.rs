//! A damaged volume opened: by its first sector, by a search for its metadata, or with a key package.

use std::path::Path;

use block_io::BlockRead;
use fve::salvage::{FoundVolume, Remains, Search, WithoutMetadata, open_with_key_package};
use fve::{Error, KeyPackage, ProtectorKind, UnlockOptions, Volume};

use super::RepairArgs;
use super::locate::Place;
use crate::drive::{self, Locked, Unlocked};
use crate::failure::{Failure, Outcome};
use crate::secrets::{Given, read_secret_file};
use crate::{host, output, progress};

/// How a volume was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Way {
    /// Its first sector named its metadata.
    Header,
    /// Its metadata was found by its signature.
    Search {
        /// Copies that name each other.
        copies: usize,
        /// Whether its first sector was sound.
        has_header: bool,
    },
    /// By a key package.
    KeyPackage(WithoutMetadata),
}

/// A volume that was found, and the secret that opens it.
pub(super) struct Found {
    pub(super) volume: Locked,
    pub(super) given: Given,
    pub(super) way: Way,
    /// Where the volume starts in the place that was named.
    pub(super) start_bytes: u64,
}

/// The plain view.
pub(super) struct Opened {
    pub(super) unlocked: Unlocked,
    pub(super) way: Way,
    /// Where the volume starts in the place that was named.
    pub(super) start_bytes: u64,
    /// Bytes of the volume, of which the storage may hold fewer.
    pub(super) volume_bytes: u64,
    /// What identifies it, for maps.
    pub(super) identifier: String,
}

const OPTIONS: UnlockOptions = UnlockOptions { allow_short: true };

/// Opens and unlocks, by whatever way works.
pub(super) fn unlocked(arguments: &RepairArgs, place: &Place) -> Outcome<Opened> {
    let path = &arguments.drive.drive;
    let package = arguments.key_package.as_deref().map(read_package).transpose()?;
    let opened = opened_by_header(arguments, place)?;
    match (opened, package) {
        (ByHeader::Locked(volume), package) => {
            let protectors = volume.protectors();
            if volume.is_decrypted() {
                return decrypted(path, volume);
            }
            let given = match &package {
                // The secret may be for the package alone.
                Some(package) => arguments.secrets.resolve_for(&[protectors, package.protectors()].concat())?,
                None => arguments.secrets.resolve_for(&protectors)?,
            };
            warn(&volume);
            let (volume_bytes, identifier) = (volume.volume_bytes(), volume.metadata().identifier.to_string());
            let error = match volume.unlock(given.material(), OPTIONS) {
                Ok((unlocked, _)) => {
                    return Ok(Opened { unlocked, way: Way::Header, start_bytes: 0, volume_bytes, identifier });
                }
                Err(error) => error,
            };
            if let Some(package) = package {
                return with_package(place, path, &package, &given);
            }
            // The secret is right, and what the first sector or the chosen copy says is not.
            match error {
                Error::BadPlace { .. } | Error::Unsupported(_) | Error::Tampered => {
                    searched(arguments, place, Some(given)).map_err(|_| drive::explain(path, &error))
                }
                error => Err(explain(path, &error)),
            }
        }
        (ByHeader::Lost(_), Some(package)) => {
            let given = arguments.secrets.resolve_for(&package.protectors())?;
            with_package(place, path, &package, &given)
        }
        (ByHeader::Lost(why), None) => {
            output::note(&format!("{why}; looking for the metadata by its signature"));
            searched(arguments, place, None)
        }
    }
}

/// Finds the volume and proves the secret, for mending it.
pub(super) fn found(arguments: &RepairArgs, place: &Place) -> Outcome<Found> {
    let path = &arguments.drive.drive;
    match opened_by_header(arguments, place)? {
        ByHeader::Locked(volume) => {
            if volume.is_decrypted() {
                return Err(drive::explain(path, &Error::Decrypted));
            }
            let given = arguments.secrets.resolve(&volume)?;
            volume.unwrap_vmk(given.material()).map_err(|error| explain(path, &error))?;
            Ok(Found { volume, given, way: Way::Header, start_bytes: 0 })
        }
        ByHeader::Lost(why) => {
            output::note(&format!("{why}; looking for the metadata by its signature"));
            let (hit, given, _) = hit(arguments, place, None)?;
            let given = given.ok_or_else(|| drive::explain(path, &Error::Decrypted))?;
            let region = hit.region(place.disk()?.geometry().length_bytes);
            let volume = hit.open(place.part(region)?).map_err(|error| drive::explain(path, &error))?;
            Ok(Found { volume, given, way: way_of(&hit), start_bytes: hit.start_bytes })
        }
    }
}

fn way_of(found: &FoundVolume) -> Way {
    Way::Search { copies: found.copies, has_header: found.has_header() }
}

/// What the first sector leads to.
#[allow(clippy::large_enum_variant, reason = "there is one, for a moment")]
enum ByHeader {
    Locked(Locked),
    /// Nothing, and why.
    Lost(String),
}

fn opened_by_header(arguments: &RepairArgs, place: &Place) -> Outcome<ByHeader> {
    let path = &arguments.drive.drive;
    if arguments.search {
        return Ok(ByHeader::Lost("the first sector is not asked".to_owned()));
    }
    match Volume::open(place.disk()?) {
        Ok(volume) => Ok(ByHeader::Locked(drive::told(volume))),
        Err(Error::NotBitLocker { found }) => {
            let like = found.map(|found| format!(": it looks like {found}")).unwrap_or_default();
            Ok(ByHeader::Lost(format!("{} does not begin as a BitLocker drive{like}", path.display())))
        }
        Err(error @ Error::NoMetadata { .. }) => Ok(ByHeader::Lost(error.to_string())),
        Err(Error::Storage(_)) => Ok(ByHeader::Lost(format!("the first sector of {} cannot be read", path.display()))),
        Err(error) => Err(drive::explain(path, &error)),
    }
}

fn warn(volume: &Locked) {
    if let Some(lost) = volume.interrupted_range() {
        output::note(&format!(
            "warning: a conversion was interrupted; the {} bytes from byte {} on were being rewritten and read as zeros",
            lost.end - lost.start,
            lost.start
        ));
    }
}

fn decrypted(path: &Path, volume: Locked) -> Outcome<Opened> {
    output::note("this drive is decrypted: its data needs no key");
    let (volume_bytes, identifier) = (volume.volume_bytes(), volume.metadata().identifier.to_string());
    let unlocked = volume.open_decrypted(OPTIONS).map_err(|error| drive::explain(path, &error))?;
    Ok(Opened { unlocked, way: Way::Header, start_bytes: 0, volume_bytes, identifier })
}

fn searched(arguments: &RepairArgs, place: &Place, given: Option<Given>) -> Outcome<Opened> {
    let (found, _, (unlocked, volume_bytes)) = hit(arguments, place, given)?;
    let identifier = found.metadata().identifier.to_string();
    Ok(Opened { unlocked, way: way_of(&found), start_bytes: found.start_bytes, volume_bytes, identifier })
}

/// The first volume found that the secret opens and that decrypts to a file system; else the first that it opens.
fn hit(
    arguments: &RepairArgs,
    place: &Place,
    mut given: Option<Given>,
) -> Outcome<(FoundVolume, Option<Given>, (Unlocked, u64))> {
    let path = &arguments.drive.drive;
    let disk = place.disk()?;
    let length_bytes = disk.geometry().length_bytes;
    let bar = progress::bytes(length_bytes, "searching");
    let mut search = Search::new(disk);
    let mut second_best = None;
    let mut refused: Option<Failure> = None;
    while let Some(found) = search.next_volume(&mut |at| bar.set_position(at)) {
        let volume = match found.open(place.part(found.region(length_bytes))?) {
            Ok(volume) => volume,
            Err(error) => {
                refused.get_or_insert_with(|| drive::explain(path, &error));
                continue;
            }
        };
        let volume_bytes = volume.volume_bytes();
        if volume.is_decrypted() {
            // Nothing proves such a volume; where a secret was named, another one is meant.
            let opened = volume.open_decrypted(OPTIONS).ok().filter(|_| !arguments.secrets.are_named());
            if let Some(unlocked) = opened.filter(|unlocked| unlocked.file_system_start().is_some()) {
                bar.finish_and_clear();
                tell(&found, &unlocked, place);
                return Ok((found, None, (unlocked, volume_bytes)));
            }
            refused.get_or_insert_with(|| drive::explain(path, &Error::Decrypted));
            continue;
        }
        if given.as_ref().is_none_or(|given| given.material().kind() == ProtectorKind::ClearKey) {
            match bar.suspend(|| arguments.secrets.resolve(&volume)) {
                Ok(secret) => given = Some(secret),
                // An account has keys of certain drives only, and this may be the wrong one.
                Err(failure) if arguments.secrets.from_account => {
                    refused.get_or_insert(failure);
                    continue;
                }
                Err(failure) => return Err(failure),
            }
        }
        let Some(secret) = &given else { continue };
        match volume.unlock(secret.material(), OPTIONS) {
            Ok((unlocked, _)) if unlocked.file_system_start().is_some() => {
                second_best = Some((found, (unlocked, volume_bytes)));
                break;
            }
            Ok((unlocked, _)) => {
                second_best.get_or_insert((found, (unlocked, volume_bytes)));
            }
            Err(error) => {
                refused.get_or_insert_with(|| explain(path, &error));
            }
        }
    }
    bar.finish_and_clear();
    if search.unreadable_bytes() > 0 {
        output::note(&format!(
            "warning: {} could not be searched: unreadable",
            output::size(search.unreadable_bytes())
        ));
    }
    let Some((found, opened)) = second_best else {
        return Err(nothing_found(path, &search, refused));
    };
    tell(&found, &opened.0, place);
    Ok((found, given, opened))
}

fn tell(found: &FoundVolume, unlocked: &Unlocked, place: &Place) {
    let start = place.start_bytes() + found.start_bytes;
    output::note(&format!(
        "found: a BitLocker volume that starts at byte {start}, {} of 3 metadata copies, first sector {}",
        found.copies,
        if found.has_header() { "sound" } else { "lost" }
    ));
    match unlocked.file_system_start() {
        Some(inside) => output::note(&format!("its key opens it; {} is inside", inside.name)),
        None => output::note(
            "warning: its key opens it, but it does not begin with a file system that is known; the start of the volume may be \
             guessed wrongly",
        ),
    }
}

fn nothing_found<D: BlockRead>(path: &Path, search: &Search<D>, refused: Option<Failure>) -> Failure {
    let limits = if search.is_cut_short() {
        "; the search ended early, because the drive holds more signatures than are looked at: some may be forged"
    } else {
        ""
    };
    if let Some(failure) = refused {
        let cause = failure.cause.clone().unwrap_or_default();
        return failure.cause(format!("{cause}{limits}"));
    }
    Failure::no(format!("no BitLocker metadata was found on {}", path.display()))
        .cause(format!("{} were searched for its signature{limits}", output::size(search.searched_bytes())))
        .hint(
            "do not write to this drive. With a key package (Active Directory keeps them, `keyhaven protectors export-package` \
             makes them) --key-package rescues it without metadata",
        )
}

fn read_package(path: &Path) -> Outcome<KeyPackage> {
    let bytes = read_secret_file(path)?;
    KeyPackage::parse(&bytes)
        .map_err(|error| Failure::no(format!("{} is not a key package", path.display())).because(&error))
}

fn with_package(place: &Place, path: &Path, package: &KeyPackage, given: &Given) -> Outcome<Opened> {
    let disk = place.disk()?;
    let (remains, length_bytes) = (Remains::look(&disk), disk.geometry().length_bytes);
    output::note("the metadata is lost; with the key package the first sectors are looked for");
    let bar = progress::bytes(length_bytes, "searching");
    let opened = open_with_key_package(disk, package, given.material(), &remains, host::workers(), &|bytes| {
        bar.inc(bytes);
    });
    bar.finish_and_clear();
    let (unlocked, told) = opened.map_err(|error| match error {
        Error::WrongSecret { .. } | Error::NoSuchProtector { .. } => {
            Failure::no("this secret does not open the key package").because(&error).hint(format!(
                "it belongs to the protectors {}",
                package.protectors().iter().map(|it| it.identifier.to_string()).collect::<Vec<_>>().join(", ")
            ))
        }
        error => drive::explain(path, &error),
    })?;
    match (&told.first_sectors_at, &told.file_system) {
        (Some(at), Some(inside)) => {
            output::note(&format!("the first sectors of the {} inside were found at byte {at}", inside.name));
        }
        _ => output::note(
            "warning: the first sectors of the file system were not found; the first 8 KiB are written as they lie. If \
             nothing in the result makes sense, the key package belongs to another drive",
        ),
    }
    if !told.metadata_places_known {
        output::note(
            "the places of the lost metadata are not known: 192 KiB somewhere will be noise, outside all files",
        );
    }
    let volume_bytes = unlocked.geometry().length_bytes;
    let identifier = package.header.identifier.to_string();
    Ok(Opened { unlocked, way: Way::KeyPackage(told), start_bytes: 0, volume_bytes, identifier })
}

/// As for other commands, with a word about where else the key may fit.
fn explain(path: &Path, error: &Error) -> Failure {
    let failure = drive::explain(path, error);
    match error {
        Error::WrongSecret { .. } | Error::NoSuchProtector { .. } => {
            let hint = failure.hint.clone().unwrap_or_default();
            failure.hint(format!("{hint}; if the drive was set up anew since, --search looks for older metadata"))
        }
        _ => failure,
    }
}
