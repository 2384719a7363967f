//! VMDK, the format of VMware.
//!
//! A descriptor, a text, lists extents: plain (flat) or sparse pieces of the disk, each in a file of its own. A sparse
//! disk in one file holds its descriptor inside.
//! Source: VMware, Virtual Disk Format 5.0.

mod descriptor;
mod sparse;

use std::path::Path;

use block_io::{BlockRead, Error as IoError, FileDisk, Geometry, Slice, check_range};

pub(crate) use self::descriptor::is_descriptor;
use self::descriptor::{Descriptor, ExtentKind};
use self::sparse::Sparse;
use crate::mapped::cut_off;
use crate::{Error, ImageFormat};

pub(crate) const SECTOR_BYTES: u64 = 512;

/// The disk as its extents, one behind the other.
struct Extents {
    extents: Vec<Extent>,
    length_bytes: u64,
}

struct Extent {
    start_bytes: u64,
    length_bytes: u64,
    /// `None`: zeros.
    disk: Option<Box<dyn BlockRead>>,
}

/// Opens a sparse disk in one file. The file may be one piece of several; without its descriptor it is no disk.
pub(crate) fn open_sparse(file: FileDisk) -> Result<impl BlockRead, Error> {
    let sparse = Sparse::open(file)?;
    // Pieces have room for a descriptor, and nothing in it.
    let text = sparse.descriptor()?.filter(|text| !text.trim().is_empty());
    let text =
        text.ok_or(Error::Unsupported { what: "one piece of a VMDK image, without the descriptor of the whole," })?;
    Descriptor::parse(&text)?.refuse_parent()?;
    Ok(sparse)
}

/// Opens the disk that a descriptor of its own file describes.
pub(crate) fn open_descriptor(path: &Path, file: &FileDisk) -> Result<impl BlockRead + use<>, Error> {
    let text = descriptor::read(file)?;
    let descriptor = Descriptor::parse(&text)?;
    descriptor.refuse_parent()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut disk = Extents { extents: Vec::new(), length_bytes: 0 };
    for extent in &descriptor.extents {
        let length_bytes = extent.sectors * SECTOR_BYTES;
        let opened: Option<Box<dyn BlockRead>> = match &extent.kind {
            ExtentKind::Zero => None,
            ExtentKind::Flat { name, offset_sectors } => {
                let file = open_part(folder, name)?;
                let file_bytes = file.geometry().length_bytes;
                let start = offset_sectors * SECTOR_BYTES;
                // A piece that ends too early is read as far as it goes.
                let there = length_bytes.min(file_bytes.saturating_sub(start));
                Some(Box::new(Slice::new(file, start.min(file_bytes), there)?))
            }
            ExtentKind::Sparse { name } => Some(Box::new(Sparse::open(open_part(folder, name)?)?)),
        };
        disk.extents.push(Extent { start_bytes: disk.length_bytes, length_bytes, disk: opened });
        disk.length_bytes = disk.length_bytes.saturating_add(length_bytes);
    }
    Ok(disk)
}

/// Opens a file that the descriptor names: a plain file in the folder of the descriptor, nothing else.
fn open_part(folder: &Path, name: &str) -> Result<FileDisk, Error> {
    let elsewhere = || Error::Elsewhere { name: name.to_owned() };
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
        return Err(elsewhere());
    }
    let path = folder.join(name);
    // A link may lead anywhere, and a device is not part of an image.
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(elsewhere());
    }
    FileDisk::open(&path).map_err(|source| Error::Part { path, source })
}

impl BlockRead for Extents {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        check_range(offset_bytes, buffer.len(), self.length_bytes)?;
        let (mut at, mut rest) = (offset_bytes, buffer);
        let first = self.extents.partition_point(|extent| extent.start_bytes + extent.length_bytes <= at);
        for extent in self.extents.get(first..).unwrap_or_default() {
            let inside = at - extent.start_bytes;
            let count = usize::try_from(extent.length_bytes - inside).unwrap_or(usize::MAX).min(rest.len());
            let (piece, behind) = rest.split_at_mut(count);
            match &extent.disk {
                None => piece.fill(0),
                Some(disk) => disk.read_exact_at(inside, piece).map_err(|error| on_disk(error, at))?,
            }
            rest = behind;
            at += count as u64;
            if rest.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.length_bytes, sector_bytes: 512 }
    }
}

/// An error of an extent, told with its place on the disk.
fn on_disk(error: IoError, at: u64) -> IoError {
    match error {
        IoError::OutOfRange { .. } => cut_off(at),
        IoError::Refused { reason, .. } => IoError::Refused { offset_bytes: at, reason },
        other => other,
    }
}

fn damaged(what: &'static str, offset_bytes: u64) -> Error {
    Error::Damaged { format: ImageFormat::Vmdk, what, offset_bytes }
}
