//! Conversions in place: their structures one at a time, and a volume in conversion.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Once};

use fve::convert::{Converter, DecryptOptions, Direction};
use fve::{ClearKey, UnlockOptions, Volume};
use fve_format::in_place::{
    CONVERSION_HEADER_BYTES, ConversionHeader, FsWrite, JOURNAL_HEADER_BYTES, JournalHeader, LOG_RECORD_BYTES,
    LogRecord, encode_writes, parse_writes,
};
use testkit::volumes::{HEADER_BYTES, HEADER_OFFSET, SmallVolume, SparseDisk, State, seal};

use crate::structures::told;
use crate::volume::exercise;

const JOURNAL: u64 = HEADER_OFFSET + HEADER_BYTES;
const JOURNAL_BYTES: u64 = 0x1_0000;
const BATCH_BYTES: u32 = 0x1_0000;
/// Bytes of a body that an input has room for.
const BODY_BYTES: usize = 0x800;

/// Each of the structures, as the input has it and with its checksum made to fit.
pub fn structures(data: &[u8]) {
    let mut sealed = data.to_vec();
    for bytes in [data, {
        seal::in_place_header(&mut sealed);
        &sealed
    }] {
        match ConversionHeader::parse(bytes) {
            Ok(header) => {
                let again = ConversionHeader::parse(&header.encode());
                assert!(again.is_ok_and(|again| again == header), "a header reads back as it was written");
                let _ = (header.journal(), header.slot_at(1), header.body_at(0), header.payload_at(1));
            }
            Err(error) => told(&error),
        }
    }
    let mut sealed = data.to_vec();
    seal::in_place_journal(&mut sealed, &[]);
    for bytes in [data, &sealed] {
        match JournalHeader::parse(bytes) {
            Ok(journal) => assert!(JournalHeader::parse(&journal.encode()).is_ok_and(|again| again == journal)),
            Err(error) => told(&error),
        }
    }
    let mut sealed = data.to_vec();
    seal::in_place_record(&mut sealed, &[]);
    for bytes in [data, &sealed] {
        match LogRecord::parse(bytes) {
            Ok(record) => assert!(LogRecord::parse(&record.encode()).is_ok_and(|again| again == record)),
            Err(error) => told(&error),
        }
    }
    match parse_writes(data) {
        Ok(places) => {
            let writes: Vec<FsWrite> = places
                .into_iter()
                .map(|(offset_bytes, range)| FsWrite { offset_bytes, bytes: data[range].to_vec() })
                .collect();
            assert!(encode_writes(&writes).is_ok_and(|bytes| bytes == data), "writes are written back as they were");
        }
        Err(error) => told(&error),
    }
}

/// A volume that is half decrypted.
#[must_use]
pub fn half_converted() -> SparseDisk {
    let disk = SmallVolume::new(State::Encrypted).disk;
    let options =
        DecryptOptions { journal: JOURNAL..JOURNAL + JOURNAL_BYTES, writes: Vec::new(), batch_bytes: BATCH_BYTES };
    let begun = Volume::open(&disk).and_then(|volume| Converter::decrypt(volume, &ClearKey, &options));
    let (stop, mut seen) = (AtomicBool::new(false), 0);
    let mut report = |_| {
        seen += 1;
        stop.store(seen > 2, Ordering::Relaxed);
    };
    let paused = begun.and_then(|converter| converter.with_workers(1).run(Direction::Decrypt, &mut report, &stop));
    assert!(paused.is_ok(), "a sound volume is converted");
    disk
}

/// What a disk in conversion has in the places that an input replaces. Its identifier is the same each time, as the rest is.
#[must_use]
pub fn parts(disk: &SparseDisk) -> Vec<u8> {
    let mut first = disk.bytes(0, CONVERSION_HEADER_BYTES);
    let Ok(header) = ConversionHeader::parse(&first) else { return first };
    let identify = |bytes: &mut [u8], at: usize| bytes[at..at + 16].fill(7);
    identify(&mut first, 0x18);
    seal::in_place_header(&mut first);
    let mut out = first;
    let mut journal = disk.bytes(header.journal_header_at(0), JOURNAL_HEADER_BYTES);
    identify(&mut journal, 0x10);
    seal::in_place_journal(&mut journal, &disk.bytes(header.payload_at(0), header.payload_bytes as usize));
    out.extend(journal);
    for slot in [0, 1] {
        let mut record = disk.bytes(header.slot_at(slot), LOG_RECORD_BYTES);
        identify(&mut record, 0x10);
        let body = disk.bytes(header.body_at(slot), BODY_BYTES);
        seal::in_place_record(&mut record, &body);
        out.extend(record);
        out.extend(body);
    }
    out
}

/// A volume in conversion whose header and journal the input replaces, with checksums and hashes made to fit.
pub fn open(data: &[u8]) {
    static CHECKED: Once = Once::new();
    CHECKED.call_once(|| {
        let sound = Volume::open(replaced(&parts(&BASE)));
        let unlocked = sound.and_then(|volume| volume.unlock(&ClearKey, UnlockOptions::default()));
        assert!(unlocked.is_ok(), "a sound conversion opens: were it not so, only refusals would be tested");
    });
    exercise(&replaced(data), false);
}

static BASE: LazyLock<SparseDisk> = LazyLock::new(half_converted);

fn replaced(data: &[u8]) -> SparseDisk {
    let disk = BASE.clone();
    let mut rest = data;
    let mut next = |length: usize| {
        let (part, behind) = rest.split_at(rest.len().min(length));
        rest = behind;
        part.to_vec()
    };
    let mut first = next(CONVERSION_HEADER_BYTES);
    seal::in_place_header(&mut first);
    disk.put(0, &first);
    let Ok(header) = ConversionHeader::parse(&disk.bytes(0, CONVERSION_HEADER_BYTES)) else {
        return disk;
    };
    let mut journal = next(JOURNAL_HEADER_BYTES);
    seal::in_place_journal(&mut journal, &disk.bytes(header.payload_at(0), header.payload_bytes as usize));
    // A place of the input's choice may be anywhere, but not beyond what a disk can have.
    let put = |at: u64, bytes: &[u8]| {
        if at < 1 << 44 {
            disk.put(at, bytes);
        }
    };
    put(header.journal_header_at(0), &journal);
    for slot in [0, 1] {
        let (mut record, body) = (next(LOG_RECORD_BYTES), next(BODY_BYTES));
        seal::in_place_record(&mut record, &body);
        put(header.slot_at(slot), &record);
        put(header.body_at(slot), &body);
    }
    disk
}
