//! The log of a conversion: chunks that were being rewritten when the power failed, told apart sector by sector.

use std::ops::Range;

use block_io::BlockRead;
use fve_format::Error as FormatError;
use fve_format::encrypt_on_write::{ConversionLog, ConversionLogRecord, Descriptor};

use crate::Error;
use crate::conversion::unknown;

/// Read in one piece while a chunk is compared with its log.
const COMPARE_BYTES: usize = 1024 * 1024;
/// Bytes of each sector that a log keeps.
const KEPT_BYTES: usize = 16;
/// Largest body of a log record that is accepted: that of a chunk of 64 MiB with sectors of 512 bytes.
const MAX_BODY_BYTES: u32 = 0x20_0000;

/// Where the log of one region lies, and what the descriptor says about it.
pub(crate) struct LogPlace<'a> {
    descriptor: &'a Descriptor,
    place: Range<u64>,
    /// Of the volume.
    sector_bytes: u64,
}

/// A record that is whole. Its body is read when it is needed: there may be many.
pub(crate) struct LogRecord {
    pub(crate) header: ConversionLogRecord,
    body_at: u64,
    /// How far apart the sectors lie whose first bytes are kept.
    step: u64,
}

/// A chunk that was being converted when the conversion stopped.
#[derive(Debug)]
pub(crate) struct MixedChunk {
    range: Range<u64>,
    sector_bytes: u64,
    /// A bit for each sector, least significant first: 1 encrypted.
    encrypted: Vec<u8>,
}

impl<'a> LogPlace<'a> {
    pub(crate) fn new(descriptor: &'a Descriptor, place: Range<u64>, sector_bytes: u64) -> Self {
        Self { descriptor, place, sector_bytes }
    }

    pub(crate) fn chunk_bytes(&self) -> u64 {
        u64::from(self.descriptor.chunk_bytes)
    }

    /// The records of chunks that the bitmap with this sequence does not know of, oldest first. A record that was being
    /// written when the power failed is left out: the header behind its body is another, and its chunk had not been
    /// touched.
    ///
    /// # Errors
    /// [`Error::NoConversionMap`] where one is missing or damaged: its chunk is not known.
    pub(crate) fn newer_records(&self, storage: &impl BlockRead, sequence: u64) -> Result<Vec<LogRecord>, Error> {
        let Some(log) = self.header(storage)? else { return Ok(Vec::new()) };
        let (step, record_bytes) = (u64::from(log.sector_bytes), u64::from(log.record_bytes));
        let mut newer = Vec::new();
        for index in 0..u64::from(log.records) {
            let at = self.place.start + step + index * record_bytes;
            let mut headers = Vec::new();
            // The header stands before the body and behind it.
            for at in [at, (at + record_bytes).saturating_sub(step)] {
                let mut sector = vec![0; 512];
                storage.read_exact_at(at, &mut sector)?;
                headers.extend(ConversionLogRecord::parse(&sector));
            }
            let unfinished = headers.len() < 2 || headers[0] != headers[1];
            headers.retain(|header| header.sequence > sequence && header.chunk_offset_bytes != 0);
            // Its checksum fits, so this is no torn record: it must not be passed over.
            let space = record_bytes.saturating_sub(2 * step).min(u64::from(MAX_BODY_BYTES));
            if headers.iter().any(|header| u64::from(header.body_bytes) > space) {
                return Err(unknown("a record of one of its logs is longer than the space it has"));
            }
            let mut whole = None;
            for header in &headers {
                let record = LogRecord { header: *header, body_at: at + step, step };
                if record.body(storage)?.is_some() {
                    whole = Some(record);
                    break;
                }
            }
            if whole.is_none() && !headers.is_empty() && !unfinished {
                return Err(unknown("a record of one of its logs is damaged"));
            }
            newer.extend(whole);
        }
        newer.sort_unstable_by_key(|record| record.header.sequence);
        let mut expected = sequence;
        for record in &newer {
            expected = expected.wrapping_add(1);
            if record.header.sequence != expected {
                return Err(unknown("a record of one of its logs is missing"));
            }
        }
        if newer.iter().any(|record| !record.step.is_multiple_of(self.sector_bytes)) {
            return Err(unknown("a record of its log does not fit the chunk it names"));
        }
        Ok(newer)
    }

    /// The header, from the first sector of the log or, where that is damaged, from the last. `None` where there is none at
    /// all: a conversion that has not begun yet may have no log.
    fn header(&self, storage: &impl BlockRead) -> Result<Option<ConversionLog>, Error> {
        let mut sector = vec![0; 512];
        let mut absent = true;
        let last = self.place.end.saturating_sub(self.sector_bytes).max(self.place.start);
        for at in [self.place.start, last] {
            storage.read_exact_at(at, &mut sector)?;
            match ConversionLog::parse(&sector) {
                Ok(log) if self.fits(&log) => return Ok(Some(log)),
                Ok(_) => absent = false,
                Err(error) => absent &= matches!(error, FormatError::NoSignature { .. }),
            }
        }
        if absent { Ok(None) } else { Err(unknown("one of its logs is damaged")) }
    }

    /// The header has no checksum of its own, the descriptor has one: sizes must be the same, and as many records as
    /// there is space for.
    fn fits(&self, log: &ConversionLog) -> bool {
        let Descriptor { sector_bytes, physical_sector_bytes, chunk_bytes, log_record_bytes, .. } = *self.descriptor;
        let space = (self.place.end - self.place.start).checked_sub(2 * u64::from(log.sector_bytes));
        let records = space.and_then(|space| space.checked_div(u64::from(log_record_bytes)));
        [sector_bytes, physical_sector_bytes].contains(&log.sector_bytes)
            && (log.chunk_bytes, log.record_bytes) == (chunk_bytes, log_record_bytes)
            && records == Some(u64::from(log.records))
    }
}

impl LogRecord {
    /// `None` where it was not written whole.
    fn body(&self, storage: &impl BlockRead) -> Result<Option<Vec<u8>>, Error> {
        let mut body = vec![0; usize::try_from(self.header.body_bytes).unwrap_or(0)];
        storage.read_exact_at(self.body_at, &mut body)?;
        Ok(Some(body).filter(|body| self.header.fits(body)))
    }

    /// Reads the chunk and tells which of its sectors are encrypted: those whose first 16 bytes equal the log are as they
    /// were `before`, the others have been converted.
    ///
    /// # Errors
    /// [`Error::NoConversionMap`] where the record is not of this chunk, [`Error::Storage`].
    pub(crate) fn settle(
        &self,
        storage: &impl BlockRead,
        range: Range<u64>,
        before: bool,
    ) -> Result<MixedChunk, Error> {
        let (length, body) = (range.end - range.start, self.body(storage)?.unwrap_or_default());
        if !length.is_multiple_of(self.step) || length / self.step * KEPT_BYTES as u64 != body.len() as u64 {
            return Err(unknown("a record of its log does not fit the chunk it names"));
        }
        let (kept, _) = body.as_chunks::<KEPT_BYTES>();
        let mut encrypted = vec![0; kept.len().div_ceil(8)];
        let step = usize::try_from(self.step).unwrap_or(COMPARE_BYTES);
        let mut buffer = vec![0; COMPARE_BYTES];
        let (mut at, mut index) = (range.start, 0);
        while at < range.end {
            let count = COMPARE_BYTES.min(usize::try_from(range.end - at).unwrap_or(COMPARE_BYTES));
            storage.read_exact_at(at, &mut buffer[..count])?;
            for sector in buffer[..count].chunks_exact(step) {
                let same = kept.get(index).is_some_and(|kept| sector.starts_with(kept));
                if same == before {
                    encrypted[index / 8] |= 1 << (index % 8);
                }
                index += 1;
            }
            at += count as u64;
        }
        Ok(MixedChunk { range, sector_bytes: self.step, encrypted })
    }
}

impl MixedChunk {
    pub(crate) fn start(&self) -> u64 {
        self.range.start
    }

    pub(crate) fn contains(&self, at: u64) -> bool {
        self.range.contains(&at)
    }

    /// Whether the sector at `at`, which lies inside, is encrypted, and up to where that holds.
    pub(crate) fn state_at(&self, at: u64) -> (u64, bool) {
        let index = (at - self.range.start) / self.sector_bytes;
        let byte = usize::try_from(index / 8).ok().and_then(|index| self.encrypted.get(index)).copied().unwrap_or(0);
        let end = self.range.start + (index + 1) * self.sector_bytes;
        (self.range.end.min(end), byte & (1 << (index % 8)) != 0)
    }
}
