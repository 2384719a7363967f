//! qcow2, the format of QEMU, read by the crate `imago`.
//!
//! The crate reads what lies past the end of the file as zeros, as QEMU does. A disk that was cut off would then seem
//! to be empty there. So the places of tables are checked here when the image is opened, and data is read from the file
//! by us, at the places that the crate found. All numbers are big-endian.
//! Source: QEMU, docs/interop/qcow2.

use std::fs::File;
use std::path::Path;

use block_io::{BlockRead, Error as IoError, FileDisk, Geometry, check_range};
use imago::{FormatAccess, Mapping};

use crate::bytes::{u32_be, u64_be};
use crate::inflated::Inflated;
use crate::mapped::{cut_off, read_block, refused};
use crate::{Error, ImageFormat};

type ImagoFile = imago::file::File;
type ImagoQcow2 = imago::qcow2::Qcow2<ImagoFile>;

/// Bits of an entry that hold a place in the file.
const OFFSET_MASK: u64 = 0x00FF_FFFF_FFFF_FE00;
/// Tables of this size are what QEMU accepts, too.
const MAX_L1_BYTES: u64 = 32 << 20;

/// A qcow2 image.
pub(crate) struct Qcow2 {
    access: FormatAccess<ImagoFile>,
    file: FileDisk,
    tables: Tables,
    inflated: Inflated,
}

impl Qcow2 {
    /// Opens the image. An image that stands on another, or has its data elsewhere, is refused.
    pub(crate) fn open(path: &Path, file: FileDisk) -> Result<Self, Error> {
        let tables = Tables::read(&file)?;
        let refused = |source| Error::Refused { format: ImageFormat::Qcow2, source };
        let storage = File::open(path)
            .map_err(|source| IoError::Io { operation: "open", offset_bytes: 0, source })
            .map(ImagoFile::try_from)?;
        let mut image = ImagoQcow2::open_image(storage.map_err(refused)?, false).map_err(refused)?;
        if image.requires_external_data_file() {
            return Err(Error::Unsupported { what: "a qcow2 image whose data is in another file" });
        }
        if image.implicit_backing_file().is_some() {
            return Err(Error::Unsupported { what: "a qcow2 image that only holds changes to another image" });
        }
        // Nothing is opened that the image names.
        image.set_data_file(None);
        image.set_backing(None);
        Ok(Self { access: FormatAccess::new(image), file, tables, inflated: Inflated::default() })
    }

    /// One run of the disk; gives its length, at most that of `buffer`.
    fn read_run(&self, at: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        let failed = |source| IoError::Io { operation: "read", offset_bytes: at, source };
        let (mapping, length) = self.access.get_mapping(at, buffer.len() as u64).map_err(failed)?;
        let count = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
        let run = buffer.get_mut(..count).unwrap_or_default();
        match mapping {
            Mapping::Raw { offset, .. } => read_block(&self.file, offset, run, at)?,
            Mapping::Zero { .. } => run.fill(0),
            Mapping::Special { .. } => return self.read_compressed(at, buffer),
            _ => return Err(refused(at, "the qcow2 image has nothing there")),
        }
        match count {
            0 => Err(refused(at, "the qcow2 image has nothing there")),
            count => Ok(count),
        }
    }

    /// From a compressed cluster; never past its end.
    fn read_compressed(&self, at: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        let cluster_bytes = self.tables.cluster_bytes;
        let start = at / cluster_bytes * cluster_bytes;
        let cluster = self.inflated.block(start, || {
            if !self.tables.compressed_is_there(&self.file, start)? {
                return Err(cut_off(start));
            }
            let length_bytes = cluster_bytes.min(self.geometry().length_bytes - start);
            let mut cluster = vec![0; usize::try_from(length_bytes).unwrap_or(0)];
            let failed = |source| IoError::Io { operation: "read", offset_bytes: start, source };
            self.access.read(&mut cluster[..], start).map_err(failed)?;
            Ok(cluster)
        })?;
        let inside = usize::try_from(at - start).unwrap_or(usize::MAX);
        let rest = cluster.get(inside..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl BlockRead for Qcow2 {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        check_range(offset_bytes, buffer.len(), self.geometry().length_bytes)?;
        let mut done = 0;
        while done < buffer.len() {
            done += self.read_run(offset_bytes + done as u64, &mut buffer[done..])?;
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.access.size(), sector_bytes: 512 }
    }
}

/// Where the tables lie. The first level is looked at once, the second where a compressed cluster is read.
#[derive(Debug)]
struct Tables {
    cluster_bytes: u64,
    l1_offset_bytes: u64,
}

impl Tables {
    /// Reads the header, and checks that every table lies inside the file.
    fn read(file: &FileDisk) -> Result<Self, Error> {
        let bad = |what| Error::Damaged { format: ImageFormat::Qcow2, what, offset_bytes: 0 };
        let file_bytes = file.geometry().length_bytes;
        let cut = |needed_bytes| Error::CutOff { format: ImageFormat::Qcow2, needed_bytes, file_bytes };
        let mut header = [0; 104];
        if file_bytes < header.len() as u64 {
            return Err(cut(header.len() as u64));
        }
        file.read_exact_at(0, &mut header)?;
        let cluster_bits = u32_be(&header, 20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(bad("the size of its clusters is impossible"));
        }
        if u32_be(&header, 32) != 0 {
            return Err(Error::Unsupported { what: "an encrypted qcow2 image" });
        }
        let (l1_bytes, l1_offset_bytes) = (8 * u64::from(u32_be(&header, 36)), u64_be(&header, 40));
        if l1_bytes > MAX_L1_BYTES || l1_offset_bytes > 1 << 62 {
            return Err(bad("its first table has an impossible size or place"));
        }
        if l1_offset_bytes + l1_bytes > file_bytes {
            return Err(cut(l1_offset_bytes + l1_bytes));
        }
        let mut l1 = vec![0; usize::try_from(l1_bytes).unwrap_or(0)];
        file.read_exact_at(l1_offset_bytes, &mut l1)?;
        let cluster_bytes = 1 << cluster_bits;
        let last = l1.chunks_exact(8).map(|entry| u64_be(entry, 0) & OFFSET_MASK).max().unwrap_or(0);
        if last != 0 && last + cluster_bytes > file_bytes {
            return Err(cut(last + cluster_bytes));
        }
        Ok(Self { cluster_bytes, l1_offset_bytes })
    }

    /// Whether all the data of the compressed cluster at byte `start` of the disk is in the file.
    fn compressed_is_there(&self, file: &FileDisk, start: u64) -> Result<bool, IoError> {
        let number = start / self.cluster_bytes;
        let per_table = self.cluster_bytes / 8;
        let l2 = read_u64(file, self.l1_offset_bytes + 8 * (number / per_table), start)? & OFFSET_MASK;
        let entry = read_u64(file, l2 + 8 * (number % per_table), start)?;
        // The lower bits of the entry hold the place, the upper ones the number of sectors behind the first.
        let offset_bits = 62 - (self.cluster_bytes.ilog2() - 8);
        let offset = entry & ((1 << offset_bits) - 1);
        let more_sectors = (entry & ((1 << 62) - 1)) >> offset_bits;
        let end = offset / 512 * 512 + 512 * (more_sectors + 1);
        // The last sector of the file need not be whole.
        Ok(end <= file.geometry().length_bytes.next_multiple_of(512))
    }
}

fn read_u64(file: &FileDisk, offset_bytes: u64, at: u64) -> Result<u64, IoError> {
    let mut bytes = [0; 8];
    read_block(file, offset_bytes, &mut bytes, at)?;
    Ok(u64::from_be_bytes(bytes))
}
