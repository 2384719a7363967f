//! Looking for metadata blocks by their signature.
//!
//! The storage is read from its start, a few MiB at a time. A block that is found names the places of all three, so the others
//! are looked at before the search goes on; so are those that a volume header or the remains of a damaged block name. Where a
//! block was found, less the place it names for itself, is where its volume starts: three answers are possible, and the copies
//! at the other places tell which is right.
//!
//! What is found is given out at once, because the caller has the secret and may be content; searching on is cheap to resume.

use std::collections::{HashSet, VecDeque};

use block_io::BlockRead;
use fve_format::in_place::MASKED_SIGNATURE;
use fve_format::{BLOCK_HEADER_BYTES, BlockHeader, METADATA_REGION_BYTES, MetadataBlock, VolumeHeader};

use crate::convert::SIGNATURE;
use crate::salvage::FoundVolume;
use crate::volume::sealed_sector_bytes;

/// Signatures that are looked at behind: a disk may be full of forged ones.
pub const MAX_SIGNATURES: usize = 16_384;
/// Volumes that are given out: trying a secret on each may take seconds.
pub const MAX_FOUND: usize = 64;

const SECTOR: usize = 512;
/// Read at a time.
const STEP_BYTES: usize = 4 << 20;
/// What cannot be read in one go is read in such parts; a metadata block that cannot be read whole is of no use anyway.
const PART_BYTES: usize = 64 * 1024;
const VISTA_REGION_BYTES: usize = 0x4000;
/// Places of damaged blocks that are remembered.
const MAX_REMAINS: usize = 256;
/// Volumes start at such places where partitions were made by today's programs.
const USUAL_ALIGNMENT: u64 = 1 << 20;

/// A search through one storage.
pub struct Search<D> {
    storage: D,
    /// Read so far.
    next: u64,
    buffer: Vec<u8>,
    /// Where blocks were judged already.
    judged: HashSet<u64>,
    waiting: VecDeque<FoundVolume>,
    remains: Vec<BlockHeader>,
    given: usize,
    cut_short: bool,
    unreadable_bytes: u64,
}

impl<D: BlockRead> Search<D> {
    /// Begins at the start.
    pub fn new(storage: D) -> Self {
        Self {
            storage,
            next: 0,
            buffer: Vec::new(),
            judged: HashSet::new(),
            waiting: VecDeque::new(),
            remains: Vec::new(),
            given: 0,
            cut_short: false,
            unreadable_bytes: 0,
        }
    }

    /// The next volume, with how far the search is told to `progress` meanwhile; `None` at the end. The likelier of several
    /// answers come first. What cannot be read is passed over.
    pub fn next_volume(&mut self, progress: &mut dyn FnMut(u64)) -> Option<FoundVolume> {
        let length = self.storage.geometry().length_bytes;
        loop {
            if self.given >= MAX_FOUND {
                self.cut_short = true;
                return None;
            }
            if let Some(found) = self.waiting.pop_front() {
                self.given += 1;
                return Some(found);
            }
            if self.next >= length {
                return None;
            }
            self.read_step(length);
            progress(self.next);
        }
    }

    /// Bytes searched so far.
    pub fn searched_bytes(&self) -> u64 {
        self.next
    }

    /// Bytes that could not be read.
    pub fn unreadable_bytes(&self) -> u64 {
        self.unreadable_bytes
    }

    /// Whether a limit ended it: [`MAX_SIGNATURES`], [`MAX_FOUND`]. Then there may be more.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Headers of blocks that are damaged behind: they may still tell where things were.
    pub fn remains(&self) -> &[BlockHeader] {
        &self.remains
    }

    fn read_step(&mut self, length: u64) {
        let at = self.next;
        let count = usize::try_from(length - at).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(count, 0);
        if self.storage.read_exact_at(at, &mut buffer).is_err() {
            for (index, part) in buffer.chunks_mut(PART_BYTES).enumerate() {
                let here = at + (index * PART_BYTES) as u64;
                if self.storage.read_exact_at(here, part).is_err() {
                    part.fill(0);
                    self.unreadable_bytes += part.len() as u64;
                }
            }
        }
        for (index, sector) in buffer.chunks_exact(SECTOR).enumerate() {
            self.look_at(at + (index * SECTOR) as u64, sector);
        }
        self.buffer = buffer;
        self.next = at + count as u64;
    }

    fn look_at(&mut self, at: u64, sector: &[u8]) {
        if sector.starts_with(&SIGNATURE) || sector.starts_with(&MASKED_SIGNATURE) {
            return self.consider(at);
        }
        if !matches!(&sector[3..11], b"-FVE-FS-" | b"MSWIN4.1") {
            return;
        }
        if let Ok(header) = VolumeHeader::parse(sector) {
            for place in header.metadata_offsets.into_iter().flatten() {
                self.consider_if_signed(at.saturating_add(place));
            }
        }
    }

    /// A place that something names.
    fn consider_if_signed(&mut self, at: u64) {
        let mut start = [0; 8];
        let read = self.storage.read_exact_at(at, &mut start);
        if read.is_ok() && (start == SIGNATURE || start == MASKED_SIGNATURE) {
            self.consider(at);
        }
    }

    /// A place with a signature.
    fn consider(&mut self, at: u64) {
        if self.judged.len() >= MAX_SIGNATURES || self.given + self.waiting.len() >= MAX_FOUND {
            self.cut_short = true;
            return;
        }
        if !self.judged.insert(at) {
            return;
        }
        match read_block(&self.storage, at) {
            Ok((block, masked)) => self.judge(at, block, masked),
            Err(Some(header)) => self.follow_remains(at, header),
            Err(None) => {}
        }
    }

    /// A block that is damaged may still tell where the others are.
    fn follow_remains(&mut self, at: u64, header: BlockHeader) {
        if self.remains.len() >= MAX_REMAINS {
            return;
        }
        self.remains.push(header);
        for start in header.metadata_offsets.iter().filter_map(|own| at.checked_sub(*own)) {
            for place in header.metadata_offsets {
                self.consider_if_signed(start.saturating_add(place));
            }
        }
    }

    /// A block whose checksum fits: where does its volume start?
    fn judge(&mut self, at: u64, block: MetadataBlock, is_masked: bool) {
        let mut answers: Vec<FoundVolume> = Vec::new();
        for own in block.header.metadata_offsets {
            let start = at.checked_sub(own).filter(|start| start.is_multiple_of(SECTOR as u64));
            let Some(start_bytes) = start.filter(|start| answers.iter().all(|other| other.start_bytes != *start))
            else {
                continue;
            };
            let places = block.header.metadata_offsets.map(|place| start_bytes.saturating_add(place));
            let others = places.iter().filter(|place| **place != at);
            let confirmed = others.filter(|place| self.is_copy_of(**place, &block)).count();
            answers.push(FoundVolume {
                start_bytes,
                copies: 1 + confirmed,
                is_masked,
                block: block.clone(),
                header: self.header_at(start_bytes, &block),
            });
        }
        let most = answers.iter().map(|answer| answer.copies).max().unwrap_or(0);
        answers.retain(|answer| answer.copies == most);
        let length = self.storage.geometry().length_bytes;
        answers.sort_by_key(|answer| {
            let fits = answer.end_bytes().is_none_or(|end| end <= length);
            let usual = answer.start_bytes.is_multiple_of(USUAL_ALIGNMENT);
            (answer.header.is_none(), !fits, answer.start_bytes != 0, !usual, answer.start_bytes)
        });
        if let [only] = answers.as_slice() {
            // Its copies are read together, whatever becomes of it.
            let same = only.places().into_iter().filter(|place| self.is_same(*place, &only.block));
            let same: Vec<u64> = same.collect();
            self.judged.extend(same);
        }
        self.waiting.extend(answers);
    }

    /// Whether there is a block of the same volume, of whatever generation.
    fn is_copy_of(&self, at: u64, block: &MetadataBlock) -> bool {
        read_block(&self.storage, at).is_ok_and(|(found, _)| {
            found.header.metadata_offsets == block.header.metadata_offsets
                && found.metadata.identifier == block.metadata.identifier
        })
    }

    fn is_same(&self, at: u64, block: &MetadataBlock) -> bool {
        read_block(&self.storage, at).is_ok_and(|(found, _)| found == *block)
    }

    /// The volume header there, if it names the same places as the block.
    fn header_at(&self, start: u64, block: &MetadataBlock) -> Option<VolumeHeader> {
        let mut sector = [0; SECTOR];
        self.storage.read_exact_at(start, &mut sector).ok()?;
        let header = VolumeHeader::parse(&sector).ok()?;
        let places = block.header.metadata_offsets.map(Some);
        let same = header.metadata_offsets == places || header.metadata_offsets == [places[0], None, None];
        let sector_bytes = u32::from(header.bytes_per_sector);
        let fits = sector_bytes == 0 || sealed_sector_bytes(block).is_none_or(|sealed| sealed == sector_bytes);
        (same && fits).then_some(header)
    }
}

/// Reads a block, whatever its signature: whether that is the masked one of a conversion in place. For one that is damaged its
/// header, if that can be read.
fn read_block(storage: &impl BlockRead, at: u64) -> Result<(MetadataBlock, bool), Option<BlockHeader>> {
    let mut region = vec![0; METADATA_REGION_BYTES];
    let left = storage.geometry().length_bytes.saturating_sub(at);
    region.truncate(usize::try_from(left).unwrap_or(usize::MAX).min(METADATA_REGION_BYTES));
    if storage.read_exact_at(at, &mut region).is_err() {
        // A part of it cannot be read; its beginning tells something.
        region.truncate(SECTOR);
        storage.read_exact_at(at, &mut region).map_err(|_| None)?;
    }
    let is_masked = region.starts_with(&MASKED_SIGNATURE);
    if is_masked {
        region[..SIGNATURE.len()].copy_from_slice(&SIGNATURE);
    }
    let header = region.get(..BLOCK_HEADER_BYTES).and_then(BlockHeader::in_damaged).ok_or(None)?;
    if header.version == 1 {
        region.truncate(VISTA_REGION_BYTES);
    }
    MetadataBlock::parse(&region).map(|block| (block, is_masked)).map_err(|_| Some(header))
}
