//! `keyhaven drives`: the BitLocker volumes of this computer, or inside images.

mod host;
mod linux;
mod listing;

use std::io;
use std::path::{Path, PathBuf};

use block_io::{BlockRead, Error as IoError, FileDisk};
use clap::Args;
use disk_image::partitions;
use fve::Volume;

use self::host::HostDrives;
use self::listing::{Listed, Skipped};
use crate::disk;
use crate::failure::{Failure, Outcome};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven drives\nExample: keyhaven drives whole-disk.vhdx")]
pub(crate) struct DrivesArgs {
    /// Images or devices to look into, instead of the drives of this computer
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the kernel tells its devices
    #[arg(long, hide = true, value_name = "DIR", default_value = "/sys")]
    sys_root: PathBuf,
    /// Where devices are
    #[arg(long, hide = true, value_name = "DIR", default_value = "/dev")]
    dev_root: PathBuf,
}

pub(crate) fn run(arguments: &DrivesArgs, json: bool) -> Outcome {
    if arguments.paths.is_empty() {
        let (listed, skipped) = of_host(&*host(arguments))?;
        listing::report(&listed, &skipped, "No BitLocker drive was found on this computer.\n", json)?;
        listing::tell_skipped(&skipped);
        return Ok(());
    }
    let (mut listed, mut failure) = (Vec::new(), None);
    for path in &arguments.paths {
        // The other images are looked into all the same.
        if let Err(failed) = in_image(path, &mut listed)
            && let Some(earlier) = failure.replace(failed)
        {
            output::failure(&earlier, json);
        }
    }
    listing::report(&listed, &[], "No BitLocker volume was found there.\n", json)?;
    failure.map_or(Ok(()), Err)
}

fn host(arguments: &DrivesArgs) -> Box<dyn HostDrives> {
    host_at(&arguments.sys_root, &arguments.dev_root)
}

fn host_at(sys: &Path, dev: &Path) -> Box<dyn HostDrives> {
    if cfg!(target_os = "linux") {
        Box::new(linux::Linux { sys: sys.to_owned(), dev: dev.to_owned() })
    } else {
        Box::new(host::OtherSystem)
    }
}

/// How other commands name the BitLocker volumes of this computer.
pub(crate) fn found_on_host() -> Outcome<Vec<PathBuf>> {
    let (listed, _) = of_host(&*host_at(Path::new("/sys"), Path::new("/dev")))?;
    Ok(listed.iter().map(|listed| listed.name().into()).collect())
}

/// The volumes of an image or device, in a partition or over all of it.
fn in_image(path: &Path, listed: &mut Vec<Listed>) -> Outcome {
    let image = disk::open_image(path)?;
    if let Some(found) = Listed::read(path.display().to_string(), &image) {
        listed.push(found);
        return Ok(());
    }
    let table = disk::read_table(path, &image)?;
    for partition in &table.partitions {
        let region = partition.of(&image).ok();
        listed.extend(region.and_then(|region| Listed::read(disk::name_of(path, partition.number), &region)));
    }
    Ok(())
}

/// The volumes on everything that the system names, and what could not be opened.
fn of_host(host: &dyn HostDrives) -> Outcome<(Vec<Listed>, Vec<Skipped>)> {
    let (mut listed, mut skipped) = (Vec::new(), Vec::new());
    for candidate in host.candidates()? {
        let path = &candidate.path;
        let device = match FileDisk::open(path).and_then(|device| readable(&device).map(|()| device)) {
            Ok(device) => device,
            Err(error) => {
                skipped.extend(Skipped::new(path, &error));
                continue;
            }
        };
        let mut found: Vec<Listed> = Listed::read(path.display().to_string(), &device).into_iter().collect();
        if found.is_empty() && candidate.look_inside {
            // A table that cannot be used is no news in a list: `info` on the device tells.
            for partition in partitions(&device).map(|table| table.partitions).unwrap_or_default() {
                let region = partition.of(&device).ok();
                found.extend(region.and_then(|region| Listed::read(disk::name_of(path, partition.number), &region)));
            }
        }
        listed.extend(found.into_iter().map(|found| found.on(&candidate)));
    }
    listing::list_once(&mut listed);
    Ok((listed, skipped))
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
