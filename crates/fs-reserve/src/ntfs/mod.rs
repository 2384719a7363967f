//! NTFS: a bad cluster is set in `$Bitmap` and belongs to the stream `$Bad` of the file `$BadClus`.
//!
//! That stream is as long as the volume and all hole, but for the bad clusters, each at its own number. What else the file
//! system knows is not touched: no file is made and no directory changed.
//!
//! Sources: the documentation of NTFS by the Linux-NTFS project; observed: what `mkntfs` and `ntfsresize` write.

mod attributes;
mod bad_clusters;
mod log;
mod runs;

use std::ops::Range;

use block_io::BlockRead;
use fs_view::FileSystem as View;
use fs_view::layout::bytes::{slice_at, u16_at};
use fs_view::layout::{NtfsLayout, Stream};

use self::attributes::Attribute;
use crate::changes::Changes;
use crate::clusters::{Grid, Visit};
use crate::file_system::{Allocation, Change};
use crate::{Error, Unclean, bitmap};

const MIRROR_RECORD: u64 = 1;
const LOG_RECORD: u64 = 2;
const VOLUME_RECORD: u64 = 3;
const BITMAP_RECORD: u64 = 6;
const BAD_CLUSTERS_RECORD: u64 = 8;
/// The file that holds the memory of a hibernated Windows is longer than this.
const MIN_HIBERNATION_BYTES: u64 = 4096;

/// One volume.
pub(crate) struct Ntfs<'v, D> {
    layout: NtfsLayout,
    view: &'v View<&'v D>,
    bitmap: Stream,
}

impl<'v, D: BlockRead> Ntfs<'v, D> {
    pub(crate) fn new(layout: NtfsLayout, view: &'v View<&'v D>) -> Result<Self, Error> {
        let bitmap = view.ntfs_stream(BITMAP_RECORD, "")?;
        let bitmap = bitmap.ok_or(Error::Unsupported("its bitmap has no clusters of its own"))?;
        if layout.clusters == 0 || bitmap.size_bytes() < layout.clusters.div_ceil(8) {
            return Err(Error::Damaged("the bitmap of used clusters is too short"));
        }
        Ok(Self { layout, view, bitmap })
    }

    fn check_flags(&self) -> Result<(), Error> {
        /// In use; the log is to be resized; a check has begun.
        const NOT_CLEAN: u16 = 0x0001 | 0x0002 | 0x4000;
        let record = self.view.ntfs_record(VOLUME_RECORD)?;
        let found = attributes::find(&record.bytes, attributes::VOLUME_INFORMATION, "")?;
        let flags = found.and_then(|attribute| attribute.resident(&record.bytes)).and_then(|value| u16_at(value, 10));
        let flags = flags.ok_or(Error::Damaged("$Volume has no flags"))?;
        if flags & NOT_CLEAN == 0 {
            return Ok(());
        }
        Err(Error::NotClean(Unclean::Dirty { place: "$Volume", flags: flags.into() }))
    }

    fn check_hibernation(&self) -> Result<(), Error> {
        let file = match self.view.open_file("hiberfil.sys") {
            Ok(file) => file,
            Err(fs_view::Error::NotFound { .. } | fs_view::Error::NotAFile { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut signature = [0_u8; 4];
        if file.size_bytes() < MIN_HIBERNATION_BYTES || self.view.read_at(&file, 0, &mut signature)? < 4 {
            return Ok(());
        }
        // `wake` and zeros stand for a memory that was taken back.
        if [*b"hibr", *b"rstr"].contains(&signature.map(|byte| byte.to_ascii_lowercase())) {
            return Err(Error::NotClean(Unclean::Hibernated { signature: signature.map(char::from) }));
        }
        Ok(())
    }

    /// Writes the record of the bad clusters with this list, and its copy where the mirror reaches so far.
    fn change_record(&self, ranges: &[Range<u64>], change: Change, changes: &mut Changes<'_>) -> Result<(), Error> {
        let record = self.view.ntfs_record(BAD_CLUSTERS_RECORD)?;
        let stream = self.view.ntfs_stream(BAD_CLUSTERS_RECORD, bad_clusters::STREAM)?;
        let stream = stream.ok_or(Error::Damaged("$BadClus has no list of bad clusters"))?;
        let old = bad_clusters::listed(&stream, self.layout.cluster_bytes, self.layout.clusters)?;
        let new = match change {
            Change::Reserve => bad_clusters::with(&old, ranges, &self.grid())?,
            Change::Release => bad_clusters::without(&old, ranges, &self.grid())?,
        };
        let bytes = bad_clusters::rebuild(&record.bytes, &new, self.layout.cluster_bytes)?;
        let mut rest = &bytes[..];
        for (place, length) in record.places {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(length);
            changes.write(place, now)?;
            rest = later;
        }
        self.change_mirror(&bytes, changes)?;
        changes.end_step()
    }

    /// The mirror holds the first four records, or a cluster of them where that is more.
    fn change_mirror(&self, bytes: &[u8], changes: &mut Changes<'_>) -> Result<(), Error> {
        let Some(mirror) = self.view.ntfs_stream(MIRROR_RECORD, "")? else { return Ok(()) };
        let start = BAD_CLUSTERS_RECORD * self.layout.record_bytes;
        for (distance, part) in bytes.chunks(512).enumerate() {
            let offset = start + distance as u64 * 512;
            if offset + part.len() as u64 > mirror.size_bytes() {
                break;
            }
            // Clusters are multiples of 512 bytes.
            if let Some(place) = mirror.piece_at(offset).and_then(|piece| piece.place_bytes) {
                changes.write(place, part)?;
            }
        }
        Ok(())
    }
}

impl<D: BlockRead> Allocation for Ntfs<'_, D> {
    fn grid(&self) -> Grid {
        Grid { start_bytes: 0, cluster_bytes: self.layout.cluster_bytes, clusters: self.layout.clusters }
    }

    fn free_runs(&self, device: &dyn BlockRead, first: u64, visit: Visit<'_>) -> Result<(), Error> {
        bitmap::free_runs(&self.bitmap, self.layout.clusters, device, first, visit)
    }

    fn check_clean(&self, device: &dyn BlockRead) -> Result<(), Error> {
        self.check_flags()?;
        self.check_hibernation()?;
        let log = self.view.ntfs_stream(LOG_RECORD, "")?;
        log::check(log.as_ref(), device)
    }

    fn change(&self, ranges: &[Range<u64>], change: Change, changes: &mut Changes<'_>) -> Result<(), Error> {
        // Between both steps the clusters are in use by nothing: lost, never given to a file.
        match change {
            Change::Reserve => {
                bitmap::change(&self.bitmap, &self.grid(), ranges, change, changes)?;
                self.change_record(ranges, change, changes)
            }
            Change::Release => {
                self.change_record(ranges, change, changes)?;
                bitmap::change(&self.bitmap, &self.grid(), ranges, change, changes)
            }
        }
    }
}

impl Attribute {
    /// The value, where it is in the record.
    fn resident<'r>(&self, record: &'r [u8]) -> Option<&'r [u8]> {
        let bytes = slice_at(record, self.start, self.length)?;
        if self.non_resident {
            return None;
        }
        slice_at(bytes, u16_at(bytes, 20)?.into(), usize::from(u16_at(bytes, 16)?))
    }
}
