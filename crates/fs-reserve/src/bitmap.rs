//! The bitmap of used clusters that NTFS and exFAT keep: one bit for each cluster, lowest first.

use std::ops::Range;

use block_io::BlockRead;
use fs_view::layout::Stream;
use fs_view::layout::bytes::index;

use crate::Error;
use crate::changes::Changes;
use crate::clusters::{Grid, Runs, Visit, push_bits};
use crate::file_system::Change;

/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 256 * 1024;
const SHORT: Error = Error::Damaged("the bitmap of used clusters ends early");

/// Place of a byte, and how many follow it there.
fn place(bitmap: &Stream, offset: u64) -> Result<(u64, u64), Error> {
    let piece = bitmap.piece_at(offset).filter(|_| offset < bitmap.size_bytes()).ok_or(SHORT)?;
    let place = piece.place_bytes.ok_or(Error::Damaged("the bitmap of used clusters has a hole"))?;
    Ok((place, piece.length_bytes))
}

/// Tells the runs of free clusters from `first` on, a multiple of eight.
pub(crate) fn free_runs(
    bitmap: &Stream,
    clusters: u64,
    device: &dyn BlockRead,
    first: u64,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let mut runs = Runs::new(first, visit);
    let end = clusters.div_ceil(8);
    let mut offset = first / 8;
    let mut buffer = Vec::new();
    while offset < end {
        let (place, length) = place(bitmap, offset)?;
        let count = length.min(end - offset).min(CHUNK_BYTES);
        buffer.resize(index(count), 0);
        device.read_exact_at(place, &mut buffer)?;
        if push_bits(&mut runs, &buffer, clusters - offset * 8).is_break() {
            return Ok(());
        }
        offset += count;
    }
    runs.finish();
    Ok(())
}

/// Sets or clears the bits of clusters, all of which must be the other way before; a step of its own.
pub(crate) fn change(
    bitmap: &Stream,
    grid: &Grid,
    ranges: &[Range<u64>],
    change: Change,
    changes: &mut Changes<'_>,
) -> Result<(), Error> {
    for cluster in ranges.iter().cloned().flatten() {
        let (place, _) = place(bitmap, cluster / 8)?;
        let [byte] = changes.read(place)?;
        let bit = 1 << (cluster % 8);
        let offset_bytes = grid.place(cluster);
        match change {
            Change::Reserve if byte & bit != 0 => return Err(Error::NotFree { offset_bytes }),
            Change::Release if byte & bit == 0 => return Err(Error::NotReserved { offset_bytes }),
            _ => changes.write(place, &[byte ^ bit])?,
        }
    }
    changes.end_step()
}
