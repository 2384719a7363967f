//! Which part of which disk: as other commands find it, but without giving up where a partition table or a first sector
//! cannot be read.

use std::ops::Range;
use std::path::{Path, PathBuf};

use block_io::{BlockRead, Slice};
use disk_image::{DiskImage, Error, ImageFormat, partitions};
use fve::Volume;

use super::patient::Patient;
use crate::disk::{self, Named};
use crate::drive::Disk;
use crate::failure::{Failure, Outcome};
use crate::output;

/// The part of a disk that a person named.
pub(super) struct Place {
    image: PathBuf,
    writable: bool,
    /// In the disk.
    region: Range<u64>,
}

impl Place {
    /// Finds it. A whole disk with one BitLocker volume in a partition means that one; with none that can be told, all of it.
    pub(super) fn find(argument: &Path, writable: bool) -> Outcome<Self> {
        let Named { image, partition } = Named::parse(argument);
        let disk = open(&image, writable)?;
        let whole = 0..disk.geometry().length_bytes;
        let Some(number) = partition else {
            let region = only_volume(&disk, &image)?.unwrap_or(whole);
            return Ok(Self { image, writable, region });
        };
        let table = disk::read_table(&image, &disk)?;
        let found = table.partitions.iter().find(|found| found.number == number);
        let found = found.ok_or_else(|| disk::no_such_partition(&image, number, &table))?;
        let region = found.start_bytes.min(whole.end)..found.end_bytes().min(whole.end);
        if region.end < found.end_bytes() {
            output::note("warning: the disk ends before this partition does; what is there is used");
        }
        Ok(Self { image, writable, region })
    }

    /// All of it.
    pub(super) fn disk(&self) -> Outcome<Disk> {
        self.part(0..self.region.end - self.region.start)
    }

    /// A part of it.
    pub(super) fn part(&self, part: Range<u64>) -> Outcome<Disk> {
        let disk = open(&self.image, self.writable)?;
        let cut = Slice::new(disk, self.region.start.saturating_add(part.start), part.end.saturating_sub(part.start));
        cut.map_err(|error| Failure::could_not(format!("cannot read {}", self.image.display())).because(&error))
    }

    /// Where it starts in the disk.
    pub(super) fn start_bytes(&self) -> u64 {
        self.region.start
    }
}

/// Where the medium does not give what tells the format, the bytes count as they are.
fn open(image: &Path, writable: bool) -> Outcome<DiskImage> {
    let opened = if writable { DiskImage::open_writable(image) } else { DiskImage::open(image) };
    let opened = match opened {
        Err(Error::Storage(block_io::Error::Io { operation: "read", .. })) => DiskImage::open_raw(image, writable),
        opened => opened,
    };
    let opened = opened.map_err(|error| disk::explain(image, &error))?;
    if writable || opened.format() != ImageFormat::Raw {
        return Ok(opened);
    }
    let patient = Patient::open(image);
    patient.map(|disk| DiskImage::over(Box::new(disk))).map_err(|error| disk::explain(image, &error.into()))
}

/// The only partition with a BitLocker volume, where the disk does not begin with one.
fn only_volume(disk: &DiskImage, image: &Path) -> Outcome<Option<Range<u64>>> {
    if !matches!(Volume::open(disk), Err(fve::Error::NotBitLocker { .. })) {
        return Ok(None);
    }
    // A table that is lost or damaged is one reason to be here.
    let Ok(table) = partitions(disk) else { return Ok(None) };
    let volumes: Vec<_> = table.partitions.iter().filter(|partition| disk::holds_volume(disk, partition)).collect();
    match volumes.as_slice() {
        [] => Ok(None),
        [only] => {
            let name = disk::name_of(image, only.number);
            output::note(&format!("{} is a whole disk; its BitLocker volume is {name}", image.display()));
            Ok(Some(only.start_bytes..only.end_bytes()))
        }
        [first, ..] => Err(Failure::no(format!("{} holds {} BitLocker volumes", image.display(), volumes.len()))
            .cause(disk::describe(volumes.iter().copied()))
            .hint(format!("name one of them: {}", disk::name_of(image, first.number)))),
    }
}
