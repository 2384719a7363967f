//! Where BitLocker's structures go inside a file system.

use std::ops::Range;

use block_io::BlockRead;
use fs_reserve::{Error, FileSystem, Want};
use fve::Placement;

const METADATA_BYTES: u64 = 65_536;
/// The relocated volume header, and the region behind it that Windows reserves.
const HEADER_BYTES: u64 = 8192 + 65_536;

/// Three free places: for each copy of the metadata, and behind the first for the volume header.
pub struct Places([Range<u64>; 3]);

impl Places {
    /// What the file system must never use again.
    #[must_use]
    pub fn ranges(&self) -> [Range<u64>; 3] {
        self.0.clone()
    }

    /// The same as the engine takes it.
    #[must_use]
    pub fn placement(&self, volume_bytes: u64) -> Placement {
        let metadata_offsets = self.0.clone().map(|place| place.start);
        Placement { volume_bytes, metadata_offsets, header_offset_bytes: metadata_offsets[0] + METADATA_BYTES }
    }
}

/// The places that Windows takes, or the next free ones above them; where there are none, any.
///
/// # Errors
/// [`Error::NotEnoughSpace`]; [`Error::FileSystem`], [`Error::Storage`], [`Error::Damaged`].
pub fn find<D: BlockRead>(volume: &FileSystem<D>, usual: &Placement) -> Result<Places, Error> {
    let align_bytes = volume.cluster_bytes().clamp(4096, METADATA_BYTES);
    let lengths = [METADATA_BYTES + HEADER_BYTES, METADATA_BYTES, METADATA_BYTES];
    let wants = |at_least: [u64; 3]| -> Vec<Want> {
        let want = |(bytes, at_least_offset)| Want { bytes, align_bytes, at_least_offset };
        lengths.into_iter().zip(at_least).map(want).collect()
    };
    let found = match volume.find(&wants(usual.metadata_offsets)) {
        Err(Error::NotEnoughSpace { .. }) => volume.find(&wants([0; 3]))?,
        found => found?,
    };
    match <[Range<u64>; 3]>::try_from(found) {
        Ok(places) => Ok(Places(places)),
        Err(_) => Err(Error::BadRequest("another number of places was found than was asked for")),
    }
}

/// Ranges without the parts that lie in others.
#[must_use]
pub fn without(ranges: &[Range<u64>], others: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut left = ranges.to_vec();
    for other in others {
        left = left
            .into_iter()
            .flat_map(|part| [part.start..part.end.min(other.start), part.start.max(other.end)..part.end])
            .filter(|part| !part.is_empty())
            .collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_around_others() {
        assert_eq!(without(&[0..10, 20..30], &[5..7, 9..22, 25..26]), [0..5, 7..9, 22..25, 26..30]);
        assert_eq!(without(&[0..10, 20..30], &[0..10, 30..40]), [20..30, 20..20][..1]);
        assert_eq!(without(&[10..20, 50..60], &[0..5, 30..40]), [10..20, 50..60]);
    }
}
