//! The three metadata copies: reading, judging, choosing one.

use std::fmt;

use block_io::BlockRead;
use fve_format::MetadataBlock;

/// One of the three copies, as it was found.
#[derive(Debug)]
pub struct MetadataCopy {
    /// Where it starts, in bytes from the start of the volume; `None` where no place is known.
    pub offset_bytes: Option<u64>,
    /// Whether it can be used.
    pub health: CopyHealth,
}

/// What a metadata copy is worth.
#[derive(Debug)]
#[non_exhaustive]
pub enum CopyHealth {
    /// Its checksum fits.
    Good,
    /// Its checksum fits, and it differs from the copy that is used: a change was interrupted.
    Differs,
    /// The bytes are not a metadata block, or a damaged one.
    Damaged(fve_format::Error),
    /// It parses, but names another place for itself than the one where the volume header has it.
    Misplaced,
    /// It cannot be read, or lies outside the storage.
    Unreadable(block_io::Error),
    /// Nothing tells where it is.
    Unknown,
}

impl CopyHealth {
    /// Whether its checksum fits.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Good | Self::Differs)
    }
}

impl fmt::Display for CopyHealth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => formatter.write_str("good"),
            Self::Differs => formatter.write_str("good, but differs from the copy in use"),
            Self::Damaged(error) => write!(formatter, "damaged: {error}"),
            Self::Misplaced => formatter.write_str("damaged: it names another place for itself"),
            Self::Unreadable(error) => write!(formatter, "unreadable: {error}"),
            Self::Unknown => formatter.write_str("its place is not known"),
        }
    }
}

/// The copies and the blocks of those that can be used.
pub(crate) struct Copies {
    pub(crate) copies: [MetadataCopy; 3],
    pub(crate) blocks: [Option<MetadataBlock>; 3],
}

impl Copies {
    /// Reads the copies at the places that the volume header names. A place that is wrong there costs that copy only: the
    /// places in the blocks are sealed, those in the header are not.
    /// `region_bytes` is the length of each.
    pub(crate) fn read(storage: &impl BlockRead, offsets: [Option<u64>; 3], region_bytes: usize) -> Self {
        let mut blocks = [None, None, None];
        let copies = [0, 1, 2].map(|index| {
            let health = match offsets[index] {
                None => CopyHealth::Unknown,
                Some(offset_bytes) => match read_copy(storage, offset_bytes, region_bytes) {
                    Ok(block) if block.header.metadata_offsets[index] != offset_bytes => CopyHealth::Misplaced,
                    Ok(block) => {
                        blocks[index] = Some(block);
                        CopyHealth::Good
                    }
                    Err(health) => health,
                },
            };
            MetadataCopy { offset_bytes: offsets[index], health }
        });
        let mut copies = Self { copies, blocks };
        if let Some(chosen) = copies.choose() {
            copies.mark_differing(chosen);
        }
        copies
    }

    /// The copy to use: the first good one; where good ones differ, the one with the highest nonce counter, which is the
    /// newest.
    pub(crate) fn choose(&self) -> Option<usize> {
        let counter = |index: &usize| self.blocks[*index].as_ref().map_or(0, |block| block.metadata.next_nonce);
        // `max_by_key` gives the last of equals; reversed, that is the first copy.
        (0..3).rev().filter(|index| self.blocks[*index].is_some()).max_by_key(counter)
    }

    fn mark_differing(&mut self, chosen: usize) {
        for index in 0..3 {
            if self.blocks[index].is_some() && self.blocks[index] != self.blocks[chosen] {
                self.copies[index].health = CopyHealth::Differs;
            }
        }
    }
}

/// Reads and checks one copy.
pub(crate) fn read_copy(
    storage: &impl BlockRead,
    offset_bytes: u64,
    region_bytes: usize,
) -> Result<MetadataBlock, CopyHealth> {
    let mut region = vec![0; region_bytes];
    storage.read_exact_at(offset_bytes, &mut region).map_err(CopyHealth::Unreadable)?;
    MetadataBlock::parse(&region).map_err(CopyHealth::Damaged)
}
