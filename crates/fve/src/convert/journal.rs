//! The journal on the volume: written so that what it says is durable before it is needed, read so that a part that was
//! being written when the power failed does not count.

use block_io::{BlockRead, BlockWrite};
use fve_crypto::{SectorCipher, sha256};
use fve_format::in_place::{
    ConversionHeader, Direction, FsWrite, JOURNAL_HEADER_BYTES, JournalHeader, LOG_RECORD_BYTES, LogRecord,
    PAYLOAD_MARK, Phase, parse_writes,
};

use crate::Error;
use crate::convert::space::Space;

pub(crate) fn unknown(reason: &'static str) -> Error {
    Error::BadConversion { reason }
}

/// The journal header, from the first copy that is whole, payload included.
pub(crate) fn read_header(storage: &impl BlockRead, header: &ConversionHeader) -> Result<(JournalHeader, u64), Error> {
    let mut payload = vec![0; header.payload_bytes as usize];
    for copy in 0..2 {
        let mut bytes = [0; JOURNAL_HEADER_BYTES];
        if storage.read_exact_at(header.journal_header_at(copy), &mut bytes).is_err() {
            continue;
        }
        let Ok(journal) = JournalHeader::parse(&bytes) else { continue };
        let used = PAYLOAD_MARK.len() as u64 + u64::from(journal.reserve_bytes) + u64::from(journal.release_bytes);
        if journal.identifier == header.identifier
            && used <= u64::from(header.payload_bytes)
            && storage.read_exact_at(header.payload_at(copy), &mut payload).is_ok()
            && sha256(&payload) == journal.payload_hash
        {
            return Ok((journal, copy));
        }
    }
    Err(unknown("both copies of its journal header are missing or damaged"))
}

/// The newest record, and the one before it where its batch may be half converted, too: oldest first.
pub(crate) fn read_records(
    storage: &impl BlockRead,
    header: &ConversionHeader,
    space: &Space,
) -> Result<Vec<LogRecord>, Error> {
    let mut records: Vec<LogRecord> = Vec::new();
    for slot in 0..2 {
        let mut bytes = [0; LOG_RECORD_BYTES];
        // A slot that cannot be read is no slot that was never written: which batch is half converted is not known then.
        storage.read_exact_at(header.slot_at(slot), &mut bytes)?;
        let Ok(record) = LogRecord::parse(&bytes) else { continue };
        if record.identifier == header.identifier
            && record.sequence % 2 == slot
            && record.body_bytes <= header.body_bytes
            && read_body(storage, header, &record)?.is_some()
        {
            records.push(record);
        }
    }
    records.sort_unstable_by_key(|record| record.sequence);
    let Some(newest) = records.last().copied() else { return Err(unknown("both records of its log are damaged")) };
    for record in &records {
        check(record, header, space)?;
    }
    records.retain(|record| record.sequence == newest.sequence || is_before(record, &newest));
    Ok(records)
}

/// Whether the batch of `older` may be half converted although there is a newer record.
fn is_before(older: &LogRecord, newest: &LogRecord) -> bool {
    let adjacent = match newest.direction {
        Direction::Encrypt => older.start.checked_add(older.length) == Some(newest.start),
        Direction::Decrypt => newest.start.checked_add(newest.length) == Some(older.start),
    };
    !newest.is_settled
        && older.sequence.checked_add(1) == Some(newest.sequence)
        && (older.phase, older.direction) == (newest.phase, newest.direction)
        && adjacent
}

fn check(record: &LogRecord, header: &ConversionHeader, space: &Space) -> Result<(), Error> {
    let sector = u64::from(header.sector_bytes);
    let end = record.start.checked_add(record.length);
    let whole = record.start.is_multiple_of(sector) && record.length.is_multiple_of(sector);
    let fits = match record.phase {
        Phase::Preparing => (record.start, record.length) == (0, 0),
        Phase::Converting => record.length <= u64::from(header.batch_bytes),
        Phase::Finishing => (record.start, record.length) == (space.total(), 0),
        Phase::Restoring => (record.start, record.length) == (0, 0),
    };
    if whole && fits && end.is_some_and(|end| end <= space.total()) {
        Ok(())
    } else {
        Err(unknown("a record of its log names a batch that is not possible"))
    }
}

/// The body of a record; `None` where it was not written whole.
pub(crate) fn read_body(
    storage: &impl BlockRead,
    header: &ConversionHeader,
    record: &LogRecord,
) -> Result<Option<Vec<u8>>, Error> {
    let mut body = vec![0; record.body_bytes as usize];
    storage.read_exact_at(header.body_at(record.sequence), &mut body)?;
    Ok(Some(body).filter(|body| sha256(body) == record.body_hash))
}

/// Writes a record with its body. The caller flushes.
pub(crate) fn write_record(
    storage: &impl BlockWrite,
    header: &ConversionHeader,
    record: &LogRecord,
    body: &[u8],
) -> Result<(), Error> {
    storage.write_all_at(header.body_at(record.sequence), body)?;
    storage.write_all_at(header.slot_at(record.sequence), &record.encode())?;
    Ok(())
}

/// The payload of the journal: two lists of writes behind a mark.
pub(crate) struct Payload {
    plain: Vec<u8>,
    /// Where the second list begins.
    release_at: usize,
    end: usize,
}

impl Payload {
    /// Reads and decrypts it.
    ///
    /// # Errors
    /// [`Error::BadConversion`] when it was not written with this key: somebody who does not have it made up the conversion.
    pub(crate) fn read(
        storage: &impl BlockRead,
        header: &ConversionHeader,
        journal: &JournalHeader,
        copy: u64,
        cipher: &SectorCipher,
    ) -> Result<Self, Error> {
        let mut plain = vec![0; header.payload_bytes as usize];
        storage.read_exact_at(header.payload_at(copy), &mut plain)?;
        cipher.decrypt(header.payload_at(copy), &mut plain);
        if !plain.starts_with(&PAYLOAD_MARK) {
            return Err(unknown("its journal was not written with the key of the volume"));
        }
        let release_at = PAYLOAD_MARK.len() + journal.reserve_bytes as usize;
        Ok(Self { plain, release_at, end: release_at + journal.release_bytes as usize })
    }

    /// Writes that reserve places: volume offset, and where in the payload the bytes stand.
    pub(crate) fn reserve_places(&self) -> Result<Vec<(u64, std::ops::Range<usize>)>, Error> {
        let mark = PAYLOAD_MARK.len();
        let places = parse_writes(self.reserve()).map_err(|_| damaged())?;
        Ok(places.into_iter().map(|(offset, range)| (offset, range.start + mark..range.end + mark)).collect())
    }

    /// Both lists, with their bytes.
    pub(crate) fn writes(&self) -> Result<(Vec<FsWrite>, Vec<FsWrite>), Error> {
        let release = self.plain.get(self.release_at..self.end).unwrap_or_default();
        Ok((owned(self.reserve())?, owned(release)?))
    }

    fn reserve(&self) -> &[u8] {
        self.plain.get(PAYLOAD_MARK.len()..self.release_at).unwrap_or_default()
    }
}

/// A list of writes with their bytes.
pub(crate) fn owned(bytes: &[u8]) -> Result<Vec<FsWrite>, Error> {
    let places = parse_writes(bytes).map_err(|_| damaged())?;
    let write = |(offset_bytes, range): (u64, std::ops::Range<usize>)| FsWrite {
        offset_bytes,
        bytes: bytes.get(range).unwrap_or_default().to_vec(),
    };
    Ok(places.into_iter().map(write).collect())
}

fn damaged() -> Error {
    unknown("the writes to the file system in its journal are damaged")
}
