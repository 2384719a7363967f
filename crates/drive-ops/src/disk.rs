//! The disk that a drive lies on, found by how a person names it: a device, an image of any format, or a partition of
//! either (`IMAGE:2`).

use std::path::{Path, PathBuf};

use block_io::{BlockRead, Error as IoError, Slice};
use disk_image::{DiskImage, Error, Partition, PartitionTable, partitions};
use fve::Volume;

use crate::drive::{self, Disk, Locked};
use crate::failure::{Failure, Kind, Outcome};
use crate::note::note;
use crate::words::size;

/// A drive as it was named.
pub struct Named {
    /// The file or device.
    pub image: PathBuf,
    /// The number of a partition of it.
    pub partition: Option<u32>,
}

impl Named {
    /// A number behind the last colon names a partition, unless a file really has this name.
    #[must_use]
    pub fn parse(argument: &Path) -> Self {
        let whole = || Self { image: argument.to_owned(), partition: None };
        let Some((image, number)) = argument.to_str().and_then(|text| text.rsplit_once(':')) else { return whole() };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || image.is_empty() || argument.symlink_metadata().is_ok() {
            return whole();
        }
        // A number too large for any table is still a number: the answer is that there is no such partition.
        Self { image: image.into(), partition: Some(number.parse().unwrap_or(u32::MAX)) }
    }
}

/// How a partition of an image is named.
#[must_use]
pub fn name_of(image: &Path, number: u32) -> String {
    format!("{}:{number}", image.display())
}

/// The file or device in the name of a drive.
#[must_use]
pub fn image_of(argument: &Path) -> PathBuf {
    Named::parse(argument).image
}

/// How an image is opened: for reading, or for writing as well.
pub type Opening = fn(&Path) -> Result<DiskImage, Error>;

/// Opens the volume that the argument names. A whole disk with one BitLocker volume in a partition means that one.
pub fn open_volume(argument: &Path, opening: Opening) -> Outcome<Locked> {
    let Named { image, partition } = Named::parse(argument);
    let opened = || opening(&image).map_err(|error| explain(&image, &error));
    let disk = opened()?;
    match partition {
        Some(number) => {
            let table = read_table(&image, &disk)?;
            let found = table.partitions.iter().find(|found| found.number == number);
            let found = found.ok_or_else(|| no_such_partition(&image, number, &table))?;
            in_partition(disk, found, argument)
        }
        None => match Volume::open(whole(disk, &image)?) {
            Err(fve::Error::NotBitLocker { found }) => in_any_partition(opened()?, &image, found),
            opened => opened.map_err(|error| drive::explain(argument, &error)),
        },
    }
}

/// Opens what the argument names, whatever is on it. A whole disk with partitions is refused: one of them is meant.
pub fn open_plain(argument: &Path, opening: Opening) -> Outcome<Disk> {
    let Named { image, partition } = Named::parse(argument);
    let disk = opening(&image).map_err(|error| explain(&image, &error))?;
    let table = read_table(&image, &disk)?;
    match partition {
        Some(number) => {
            let found = table.partitions.iter().find(|found| found.number == number);
            let found = found.ok_or_else(|| no_such_partition(&image, number, &table))?;
            found.of(disk).map_err(|error| Failure::no(format!("{} is not there", argument.display())).because(&error))
        }
        None if table.partitions.is_empty() => whole(disk, &image),
        None => Err(Failure::no(format!("{} is a whole disk", image.display()))
            .cause(format!("its partitions are: {}", describe(table.partitions.iter())))
            .hint(format!("name one of them: {}", name_of(&image, table.partitions[0].number)))),
    }
}

/// Opens an image or device, of whatever format.
pub fn open_image(image: &Path) -> Outcome<DiskImage> {
    DiskImage::open(image).map_err(|error| explain(image, &error))
}

fn whole(disk: DiskImage, image: &Path) -> Outcome<Disk> {
    let length_bytes = disk.geometry().length_bytes;
    Slice::new(disk, 0, length_bytes).map_err(|error| cannot_read(image, &error))
}

fn in_partition(disk: DiskImage, partition: &Partition, argument: &Path) -> Outcome<Locked> {
    let region = partition.of(disk).map_err(|error| {
        Failure::no(format!("{} is not there", argument.display()))
            .because(&error)
            .hint("the image is shorter than its partition table says; if it is a copy, copy it again")
    })?;
    Volume::open(region).map_err(|error| drive::explain(argument, &error))
}

/// The one partition with a BitLocker volume; `found` is what the start of the disk looks like.
fn in_any_partition(disk: DiskImage, image: &Path, found: Option<&'static str>) -> Outcome<Locked> {
    let table = read_table(image, &disk)?;
    let mut volumes = table.partitions.iter().filter(|partition| holds_volume(&disk, partition));
    match (volumes.next(), volumes.count()) {
        (Some(only), 0) => {
            let name = name_of(image, only.number);
            note(&format!("{} is a whole disk; its BitLocker volume is {name}", image.display()));
            in_partition(disk, only, Path::new(&name))
        }
        (Some(first), more) => {
            let several: Vec<&Partition> =
                table.partitions.iter().filter(|partition| holds_volume(&disk, partition)).collect();
            Err(Failure::no(format!("{} holds {} BitLocker volumes", image.display(), more + 1))
                .cause(describe(several.into_iter()))
                .hint(format!("name one of them: {}", name_of(image, first.number))))
        }
        (None, _) => {
            let failure = drive::explain(image, &fve::Error::NotBitLocker { found });
            Err(if table.partitions.is_empty() {
                failure
            } else {
                failure.cause(format!(
                    "it is a whole disk ({} partition table), and no partition holds a BitLocker volume: {}",
                    table.kind,
                    describe(table.partitions.iter())
                ))
            })
        }
    }
}

/// Whether a BitLocker volume is there, sound or damaged.
#[must_use]
pub fn holds_volume(disk: &DiskImage, partition: &Partition) -> bool {
    let volume = partition.of(disk).map(Volume::open);
    matches!(volume, Ok(Ok(_) | Err(fve::Error::NoMetadata { .. } | fve::Error::BadConversion { .. })))
}

/// Reads the partition table and tells what is wrong with it.
pub fn read_table(image: &Path, disk: &DiskImage) -> Outcome<PartitionTable> {
    let table = partitions(disk).map_err(|error| explain(image, &error))?;
    for problem in &table.problems {
        note(&format!("warning: {}: {problem}", image.display()));
    }
    Ok(table)
}

/// Why there is nothing to open.
#[must_use]
pub fn no_such_partition(image: &Path, number: u32, table: &PartitionTable) -> Failure {
    let failure = Failure::no(format!("{} has no partition {number}", image.display()));
    if table.partitions.is_empty() {
        return failure
            .cause("it has no partition table")
            .hint(format!("name it without a number: {}", image.display()));
    }
    failure.cause(format!("its partitions are: {}", describe(table.partitions.iter())))
}

/// Partitions as a person tells them apart. Their names come from the disk, so they are escaped.
#[must_use]
pub fn describe<'a>(partitions: impl Iterator<Item = &'a Partition>) -> String {
    let one = |partition: &Partition| {
        let name = partition.name.as_ref().map(|name| format!("{name:?}, ")).unwrap_or_default();
        format!("{} ({}, {name}{})", partition.number, partition.kind, size(partition.length_bytes))
    };
    partitions.map(one).collect::<Vec<_>>().join(", ")
}

fn cannot_read(image: &Path, error: &IoError) -> Failure {
    Failure::could_not(format!("cannot read {}", image.display())).because(error)
}

/// Error, cause and next step for an image or its partition table.
#[must_use]
pub fn explain(image: &Path, error: &Error) -> Failure {
    let name = image.display();
    let cannot_be_used = || Failure::no(format!("the image {name} cannot be used")).because(error);
    match error {
        Error::Storage(cause @ IoError::Io { operation: "open", source, .. }) => {
            let failure = Failure::could_not(format!("cannot open {name}")).because(cause);
            let failure = match source.kind() {
                std::io::ErrorKind::PermissionDenied => failure.kind(Kind::NoRights),
                std::io::ErrorKind::NotFound => failure.kind(Kind::NotFound),
                _ => failure,
            };
            match source.kind() {
                std::io::ErrorKind::PermissionDenied if image.starts_with("/dev") => {
                    failure.hint("devices belong to root and to their group (often `disk`)")
                }
                _ => failure,
            }
        }
        Error::Storage(cause) => cannot_read(image, cause),
        Error::CutOff { .. } => cannot_be_used().hint("if it is a copy, copy it again"),
        Error::Damaged { .. } | Error::Refused { .. } => {
            cannot_be_used().hint("work on a copy of it; `qemu-img check` tells more about images of virtual machines")
        }
        Error::Unsupported { .. } => cannot_be_used()
            .kind(Kind::Unsupported)
            .hint("`qemu-img convert -O raw IMAGE raw.img` makes a plain image of most formats"),
        Error::ReadOnly { .. } => Failure::no(format!("{name} cannot be written"))
            .kind(Kind::ReadOnly)
            .because(error)
            .hint("it can be read; `qemu-img convert -O raw IMAGE raw.img` makes one that can be written, too"),
        Error::Part { .. } => Failure::could_not(format!("cannot open all of {name}"))
            .because(error)
            .hint("all files of an image must lie in one folder"),
        Error::BadTable { .. } => Failure::no(format!("the partitions of {name} cannot be found"))
            .because(error)
            .hint("do not write to this disk; make an image of it, and let `gdisk` or `testdisk` mend a copy"),
        _ => cannot_be_used(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names() {
        let parts = |text: &str| {
            let named = Named::parse(Path::new(text));
            (named.image.display().to_string(), named.partition)
        };
        let whole = |text: &str| (text.to_owned(), None);
        assert_eq!(parts("disk.img:2"), ("disk.img".to_owned(), Some(2)));
        assert_eq!(parts("/dev/sdb:12"), ("/dev/sdb".to_owned(), Some(12)));
        assert_eq!(parts(r"C:\disks\a.vhdx:3"), (r"C:\disks\a.vhdx".to_owned(), Some(3)));
        assert_eq!(parts("disk.img:99999999999"), ("disk.img".to_owned(), Some(u32::MAX)));
        for text in ["disk.img", r"C:\disks\a.vhdx", r"\\.\PhysicalDrive1", "disk.img:", ":2", "disk.img:2a", "disk:-1"]
        {
            assert_eq!(parts(text), whole(text));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk:2");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(parts(path.to_str().unwrap()), whole(path.to_str().unwrap()));
    }
}
