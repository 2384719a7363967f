//! An encrypt-on-write conversion: which chunks of the volume are encrypted now.
//!
//! Windows converts chunk by chunk. Before it rewrites a chunk it logs the first 16 bytes of each of its sectors under a new
//! sequence number; afterwards it writes a new bitmap record with the chunk's bit changed. A log record whose sequence is
//! above that of the bitmap therefore belongs to a chunk that was being rewritten when the power failed, or whose bitmap
//! was damaged: each of its sectors is compared with the log, and equal ones are not converted yet.
//!
//! Source: documented by dissect.fve and libbde; the meaning of the log inferred from `eow_partial`, where its newest record
//! has the sequence of the bitmap and its chunk is converted.

use std::ops::Range;

use block_io::BlockRead;
use fve_format::encrypt_on_write::{BitmapRecord, BlockMap, DESCRIPTOR_BYTES, Descriptor};

use crate::Error;
use crate::conversion_log::{LogPlace, MixedChunk};

/// Most that may be in between, in all maps together: it is read while the volume is unlocked. One chunk is what a power
/// cut leaves.
const MAX_IN_BETWEEN_BYTES: u64 = 1 << 30;

/// The maps of a conversion, checked.
#[derive(Debug)]
pub(crate) struct Conversion {
    chunk_bytes: u64,
    /// Sorted by their start, disjoint.
    regions: Vec<Region>,
    own: Vec<Range<u64>>,
}

#[derive(Debug)]
struct Region {
    start: u64,
    end: u64,
    record: BitmapRecord,
    in_between: Vec<MixedChunk>,
}

impl Conversion {
    /// Reads descriptor, maps and logs, and settles a chunk that is in between.
    ///
    /// # Errors
    /// [`Error::NoConversionMap`] when what is encrypted cannot be known, [`Error::Storage`].
    pub(crate) fn read(
        storage: &impl BlockRead,
        descriptors: [u64; 2],
        volume_bytes: u64,
        sector_bytes: u32,
    ) -> Result<Self, Error> {
        let descriptor = read_descriptor(storage, descriptors)?;
        let sector = u64::from(sector_bytes);
        let chunk_bytes = u64::from(descriptor.chunk_bytes);
        if chunk_bytes == 0 || !chunk_bytes.is_multiple_of(sector) {
            return Err(unknown("its chunks are not whole sectors"));
        }
        if descriptor.maps.is_empty() {
            return Err(unknown("it has no maps"));
        }
        let mut own = Vec::new();
        let round = |bytes: u64| bytes.next_multiple_of(sector);
        for offset in descriptors {
            own.push(range(offset, round(descriptor.encoded_bytes() as u64))?);
        }
        let mut regions = Vec::with_capacity(descriptor.maps.len());
        let mut logs = Vec::with_capacity(descriptor.maps.len());
        for offset in &descriptor.maps {
            let map = read_map(storage, *offset)?;
            own.push(range(*offset, round(u64::from(map.map_bytes)))?);
            let log = range(map.log_offset_bytes, u64::from(descriptor.log_bytes))?;
            own.push(range(log.start, round(u64::from(descriptor.log_bytes)))?);
            logs.push(log);
            regions.push(Region::new(map, chunk_bytes, volume_bytes, sector)?);
        }
        // Before the logs are read: apart from each other they are shorter than the storage, and so is what is read.
        if !are_disjoint(own.clone()) {
            return Err(unknown("its records overlap"));
        }
        let mut in_between = 0;
        for (region, place) in regions.iter_mut().zip(logs) {
            region.in_between = region.settle(storage, &LogPlace::new(&descriptor, place, sector))?;
            in_between += region.in_between.len() as u64 * chunk_bytes;
            if in_between > MAX_IN_BETWEEN_BYTES {
                return Err(unknown("its logs name more chunks than a power cut leaves in between"));
            }
        }
        regions.sort_unstable_by_key(|region| region.start);
        if regions.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return Err(unknown("two of its maps are for the same place"));
        }
        Ok(Self { chunk_bytes, regions, own })
    }

    /// Where the records themselves lie.
    pub(crate) fn own_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.own.iter().cloned()
    }

    /// What the maps cover.
    pub(crate) fn mapped_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.regions.iter().map(|region| region.start..region.end)
    }

    /// Whether a chunk was being converted when the conversion stopped.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.regions.iter().any(|region| !region.in_between.is_empty())
    }

    /// Whether the sector stored at `at` is encrypted, and up to where at least that holds. What no map covers is stored
    /// plain; the address map has made sure that only BitLocker's own structures are left out.
    pub(crate) fn state_at(&self, at: u64) -> (u64, bool) {
        let index = self.regions.partition_point(|region| region.end <= at);
        let Some(region) = self.regions.get(index) else { return (u64::MAX, false) };
        if at < region.start {
            return (region.start, false);
        }
        let chunk = (at - region.start) / self.chunk_bytes;
        let chunk_end = region.end.min(region.start.saturating_add((chunk + 1).saturating_mul(self.chunk_bytes)));
        if let Some(mixed) = region.in_between.iter().find(|mixed| mixed.contains(at)) {
            return mixed.state_at(at);
        }
        let encrypted = u32::try_from(chunk).ok().and_then(|chunk| region.record.is_encrypted(chunk));
        (chunk_end, encrypted.unwrap_or(false))
    }
}

impl Region {
    fn new(map: BlockMap, chunk_bytes: u64, volume_bytes: u64, sector_bytes: u64) -> Result<Self, Error> {
        let start = map.region_offset_bytes;
        let end = range(start, map.region_bytes)?.end;
        if end > volume_bytes || !start.is_multiple_of(sector_bytes) || !end.is_multiple_of(sector_bytes) {
            return Err(unknown("one of its maps is for a place outside the volume"));
        }
        let record = map.current().ok_or(unknown("both records of one of its maps are damaged"))?.clone();
        if u64::from(record.chunks) < map.region_bytes.div_ceil(chunk_bytes) {
            return Err(unknown("one of its maps has too few bits"));
        }
        Ok(Self { start, end, record, in_between: Vec::new() })
    }

    /// Finds the chunks in between and tells their sectors apart.
    fn settle(&self, storage: &impl BlockRead, log: &LogPlace<'_>) -> Result<Vec<MixedChunk>, Error> {
        let mut mixed: Vec<MixedChunk> = Vec::new();
        for record in log.newer_records(storage, self.record.sequence)? {
            let start = record.header.chunk_offset_bytes;
            if mixed.iter().any(|other| other.start() == start) {
                return Err(unknown("its log names a chunk twice"));
            }
            let before = self.chunk_at(start, log.chunk_bytes()).and_then(|chunk| self.record.is_encrypted(chunk));
            let before = before.ok_or(unknown("its log names a chunk that is not in the map"))?;
            // Already plain, and decrypting leaves plain chunks alone.
            if before || !self.record.is_decrypting() {
                let end = self.end.min(start.saturating_add(log.chunk_bytes()));
                mixed.push(record.settle(storage, start..end, before)?);
            }
        }
        Ok(mixed)
    }

    /// The number of the chunk that starts at `start`.
    fn chunk_at(&self, start: u64, chunk_bytes: u64) -> Option<u32> {
        let inside = start.checked_sub(self.start).filter(|_| start < self.end)?;
        if !inside.is_multiple_of(chunk_bytes) {
            return None;
        }
        u32::try_from(inside / chunk_bytes).ok()
    }
}

pub(crate) fn unknown(reason: &'static str) -> Error {
    Error::NoConversionMap { reason }
}

fn range(start: u64, length: u64) -> Result<Range<u64>, Error> {
    let end = start.checked_add(length).ok_or(unknown("one of its records is outside the volume"))?;
    Ok(start..end)
}

/// Whether no two of the ranges have a byte in common.
fn are_disjoint(mut ranges: Vec<Range<u64>>) -> bool {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.windows(2).all(|pair| pair[0].end <= pair[1].start)
}

/// The first of the two copies that is good.
fn read_descriptor(storage: &impl BlockRead, offsets: [u64; 2]) -> Result<Descriptor, Error> {
    for offset in offsets {
        let mut bytes = vec![0; DESCRIPTOR_BYTES];
        if storage.read_exact_at(offset, &mut bytes).is_err() {
            continue;
        }
        if let Ok(descriptor) = Descriptor::parse(&bytes)
            && descriptor.copies == offsets
        {
            return Ok(descriptor);
        }
    }
    Err(unknown("both copies of its descriptor are missing or damaged"))
}

fn read_map(storage: &impl BlockRead, offset: u64) -> Result<BlockMap, Error> {
    let mut prefix = [0; BlockMap::PREFIX_BYTES];
    storage.read_exact_at(offset, &mut prefix).map_err(|_| unknown("one of its maps cannot be read"))?;
    let size = BlockMap::size_in(&prefix).map_err(|_| unknown("one of its maps is missing or damaged"))?;
    let mut bytes = vec![0; size];
    storage.read_exact_at(offset, &mut bytes).map_err(|_| unknown("one of its maps cannot be read"))?;
    BlockMap::parse(&bytes).map_err(|_| unknown("one of its maps is missing or damaged"))
}
