//! What the formats share: a disk whose blocks lie somewhere in a file, in any order, or nowhere.

use block_io::{BlockRead, Error, Geometry, check_range};

/// Where a run of the disk lies.
pub(crate) enum Place {
    /// At this byte of the file.
    File {
        /// Where it starts, in bytes from the start of the file.
        offset_bytes: u64,
        /// How long the run is; 1 at least.
        length_bytes: u64,
    },
    /// Nowhere: it reads as zeros.
    Zeros {
        /// How long the run is; 1 at least.
        length_bytes: u64,
    },
}

/// The table of blocks of a format.
pub(crate) trait BlockTable: Send + Sync {
    /// The file the blocks lie in.
    fn file(&self) -> &dyn BlockRead;

    /// Size of the disk and of its sectors.
    fn geometry(&self) -> Geometry;

    /// Where the run lies that starts at byte `at` of the disk.
    fn find(&self, at: u64) -> Result<Place, Error>;
}

/// A disk seen through its table of blocks.
#[derive(Debug)]
pub(crate) struct Mapped<T>(pub(crate) T);

impl<T: BlockTable> BlockRead for Mapped<T> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        check_range(offset_bytes, buffer.len(), self.0.geometry().length_bytes)?;
        let (mut at, mut rest) = (offset_bytes, buffer);
        while !rest.is_empty() {
            let place = self.0.find(at)?;
            let (Place::File { length_bytes, .. } | Place::Zeros { length_bytes }) = place;
            let count = usize::try_from(length_bytes).unwrap_or(usize::MAX).clamp(1, rest.len());
            let (run, behind) = rest.split_at_mut(count);
            match place {
                Place::File { offset_bytes, .. } => read_block(self.0.file(), offset_bytes, run, at)?,
                Place::Zeros { .. } => run.fill(0),
            }
            rest = behind;
            at += count as u64;
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }
}

/// Reads from the file what lies at byte `disk_offset_bytes` of the disk; a file that ends too early is told as such.
pub(crate) fn read_block(
    file: &(impl BlockRead + ?Sized),
    file_offset_bytes: u64,
    buffer: &mut [u8],
    disk_offset_bytes: u64,
) -> Result<(), Error> {
    file.read_exact_at(file_offset_bytes, buffer).map_err(|error| match error {
        Error::OutOfRange { .. } => cut_off(disk_offset_bytes),
        other => other,
    })
}

/// The file ends before the block that belongs there.
pub(crate) fn cut_off(disk_offset_bytes: u64) -> Error {
    refused(disk_offset_bytes, "the image file is cut off before the data that belongs there")
}

/// There is no right answer at this place of the disk.
pub(crate) fn refused(disk_offset_bytes: u64, reason: &'static str) -> Error {
    Error::Refused { offset_bytes: disk_offset_bytes, reason }
}
