//! An encrypt-on-write conversion: which chunks of the volume are encrypted now.
//!
//! Windows converts chunk by chunk. Before it rewrites a chunk it logs the first 16 bytes of each of its sectors under a new
//! sequence number; afterwards it writes a new bitmap record with the chunk's bit changed. A log record whose sequence is
//! above that of the bitmap therefore belongs to a chunk that was being rewritten when the power failed: each of its sectors
//! is compared with the log, and equal ones are not converted yet.
//!
//! Source: documented by dissect.fve and libbde; the meaning of the log inferred from `eow_partial`, where its newest record
//! has the sequence of the bitmap and its chunk is converted.

use std::ops::Range;

use block_io::BlockRead;
use fve_format::encrypt_on_write::{
    BitmapRecord, BlockMap, ConversionLog, ConversionLogRecord, DESCRIPTOR_BYTES, Descriptor,
};

use crate::Error;

/// Read in one piece while a chunk is compared with its log.
const COMPARE_BYTES: usize = 1024 * 1024;
/// Bytes of each sector that a log keeps.
const KEPT_BYTES: usize = 16;
/// Largest body of a log record that is accepted: that of a chunk of 64 MiB with sectors of 512 bytes.
const MAX_BODY_BYTES: u32 = 0x20_0000;

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
    in_between: Option<MixedChunk>,
}

/// A chunk that was being converted when the conversion stopped.
#[derive(Debug)]
struct MixedChunk {
    start: u64,
    end: u64,
    sector_bytes: u64,
    /// A bit for each sector, least significant first: 1 encrypted.
    encrypted: Vec<u8>,
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
        for (region, log) in regions.iter_mut().zip(logs) {
            region.in_between = region.settle(storage, log, chunk_bytes, sector)?;
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

    /// Whether a chunk was being converted when the conversion stopped.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.regions.iter().any(|region| region.in_between.is_some())
    }

    /// Whether the sector stored at `at` is encrypted, and up to where at least that holds. What no map covers is stored
    /// plain: Windows leaves out only its own structures.
    pub(crate) fn state_at(&self, at: u64) -> (u64, bool) {
        let index = self.regions.partition_point(|region| region.end <= at);
        let Some(region) = self.regions.get(index) else { return (u64::MAX, false) };
        if at < region.start {
            return (region.start, false);
        }
        let chunk = (at - region.start) / self.chunk_bytes;
        let chunk_end = region.end.min(region.start.saturating_add((chunk + 1).saturating_mul(self.chunk_bytes)));
        if let Some(mixed) = region.in_between.as_ref().filter(|mixed| (mixed.start..mixed.end).contains(&at)) {
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
        Ok(Self { start, end, record, in_between: None })
    }

    /// Finds a chunk in between and tells its sectors apart.
    fn settle(
        &self,
        storage: &impl BlockRead,
        log: Range<u64>,
        chunk_bytes: u64,
        sector_bytes: u64,
    ) -> Result<Option<MixedChunk>, Error> {
        let Some((log, record, body)) = newest_record(storage, log)? else { return Ok(None) };
        if record.chunk_offset_bytes == 0 || record.sequence <= self.record.sequence {
            return Ok(None);
        }
        let start = record.chunk_offset_bytes;
        let inside =
            start.checked_sub(self.start).filter(|inside| start < self.end && inside.is_multiple_of(chunk_bytes));
        let chunk = inside.and_then(|inside| u32::try_from(inside / chunk_bytes).ok());
        let before = chunk.and_then(|chunk| self.record.is_encrypted(chunk));
        let Some(before) = before else {
            return Err(unknown("its log names a chunk that is not in the map"));
        };
        if self.record.is_decrypting() && !before {
            // Already plain, and decrypting leaves plain chunks alone.
            return Ok(None);
        }
        let end = self.end.min(start.saturating_add(chunk_bytes));
        let step = u64::from(log.sector_bytes);
        if !step.is_multiple_of(sector_bytes)
            || !(end - start).is_multiple_of(step)
            || (end - start) / step * KEPT_BYTES as u64 != u64::from(record.body_bytes)
        {
            return Err(unknown("a record of its log does not fit the chunk it names"));
        }
        let mut mixed = MixedChunk { start, end, sector_bytes: step, encrypted: Vec::new() };
        mixed.compare(storage, &body, before)?;
        Ok(Some(mixed))
    }
}

impl MixedChunk {
    /// Sectors whose first 16 bytes equal the log are as they were `before`; the others have been converted.
    fn compare(&mut self, storage: &impl BlockRead, body: &[u8], before: bool) -> Result<(), Error> {
        let (kept, _) = body.as_chunks::<KEPT_BYTES>();
        self.encrypted = vec![0; kept.len().div_ceil(8)];
        let step = usize::try_from(self.sector_bytes).unwrap_or(COMPARE_BYTES);
        let mut buffer = vec![0; COMPARE_BYTES];
        let (mut at, mut index) = (self.start, 0);
        while at < self.end {
            let count = COMPARE_BYTES.min(usize::try_from(self.end - at).unwrap_or(COMPARE_BYTES));
            storage.read_exact_at(at, &mut buffer[..count])?;
            for sector in buffer[..count].chunks_exact(step) {
                let same = kept.get(index).is_some_and(|kept| sector.starts_with(kept));
                if same == before {
                    self.encrypted[index / 8] |= 1 << (index % 8);
                }
                index += 1;
            }
            at += count as u64;
        }
        Ok(())
    }

    fn state_at(&self, at: u64) -> (u64, bool) {
        let index = (at - self.start) / self.sector_bytes;
        let byte = usize::try_from(index / 8).ok().and_then(|index| self.encrypted.get(index)).copied().unwrap_or(0);
        (self.end.min(self.start + (index + 1) * self.sector_bytes), byte & (1 << (index % 8)) != 0)
    }
}

fn unknown(reason: &'static str) -> Error {
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

/// The newest record of a log whose checksums fit, with its body. A record that was being written when the power failed
/// does not fit; its chunk had not been touched.
fn newest_record(
    storage: &impl BlockRead,
    place: Range<u64>,
) -> Result<Option<(ConversionLog, ConversionLogRecord, Vec<u8>)>, Error> {
    let mut sector = vec![0; 512];
    storage.read_exact_at(place.start, &mut sector)?;
    // A conversion that has not begun yet may have no log.
    let Ok(log) = ConversionLog::parse(&sector) else { return Ok(None) };
    let (step, record_bytes) = (u64::from(log.sector_bytes), u64::from(log.record_bytes));
    // Below 2^37: 16 records at most.
    if 2 * step + u64::from(log.records) * record_bytes > place.end - place.start {
        return Err(unknown("one of its logs is longer than the space it has"));
    }
    let mut newest: Option<(ConversionLogRecord, Vec<u8>)> = None;
    for index in 0..u64::from(log.records) {
        let at = place.start + step + index * record_bytes;
        storage.read_exact_at(at, &mut sector)?;
        let Ok(record) = ConversionLogRecord::parse(&sector) else { continue };
        if newest.as_ref().is_some_and(|(newest, _)| newest.sequence >= record.sequence) {
            continue;
        }
        // Its checksum fits, so this is no torn record: it must not be passed over.
        if record.body_bytes > MAX_BODY_BYTES || u64::from(record.body_bytes) + 2 * step > record_bytes {
            return Err(unknown("a record of one of its logs is longer than the space it has"));
        }
        let mut body = vec![0; usize::try_from(record.body_bytes).unwrap_or(0)];
        storage.read_exact_at(at + step, &mut body)?;
        if record.fits(&body) {
            newest = Some((record, body));
        }
    }
    Ok(newest.map(|(record, body)| (log, record, body)))
}
