//! The records of an encrypt-on-write conversion, one at a time, as they are and with their checksums made to fit.

use fve_format::encrypt_on_write::{BlockMap, ConversionLog, ConversionLogRecord, Descriptor};
use testkit::volumes::seal;

use crate::structures::told;

const MAP_HEADER_BYTES: usize = BlockMap::PREFIX_BYTES;
const RECORD_HEADER_BYTES: usize = 0x24;

/// Calls `check` with the input and with what `seal` makes of it.
fn both(data: &[u8], seal: impl Fn(&mut [u8]), check: impl Fn(&[u8])) {
    check(data);
    let mut sealed = data.to_vec();
    seal(&mut sealed);
    check(&sealed);
}

/// A descriptor.
pub fn descriptor(data: &[u8]) {
    both(data, seal::descriptor, |data| match Descriptor::parse(data) {
        Ok(descriptor) => {
            let bytes = descriptor.encode();
            assert!(bytes.is_ok_and(|bytes| data.starts_with(&bytes)), "a descriptor is written back as it was");
            assert!(descriptor.maps.len() <= 505);
        }
        Err(error) => told(&error),
    });
}

/// A map with its records.
pub fn block_map(data: &[u8]) {
    both(data, seal::block_map, map);
}

fn map(data: &[u8]) {
    let map = match BlockMap::parse(data) {
        Ok(map) => map,
        Err(error) => return told(&error),
    };
    let bytes = map.encode().unwrap_or_default();
    assert!(BlockMap::parse(&bytes).is_ok_and(|again| again == map), "a map reads back as it was written");
    // What lies between header and records is not kept, nor is a damaged record.
    let mut known = vec![0; bytes.len()];
    let mut keep = |from: usize, length: usize| known[from..from + length].copy_from_slice(&data[from..from + length]);
    keep(0, MAP_HEADER_BYTES);
    for (at, record) in map.record_offsets.iter().zip(&map.records) {
        if record.is_some() {
            keep(*at as usize, map.record_bytes as usize);
        }
    }
    if known == data[..bytes.len()] {
        assert!(bytes == known, "a map without unknown bytes is written back as it was");
    }
    if let Some(record) = map.current() {
        assert!(record.bitmap.len() <= 0x1_0000);
        assert_eq!(record.is_encrypted(record.chunks), None);
        if let Some(last) = record.chunks.checked_sub(1) {
            assert!(record.is_encrypted(last).is_some());
        }
        let _ = record.is_decrypting();
    }
}

/// A bitmap record, in a map made around it.
pub fn bitmap_record(data: &[u8]) {
    let length = data.len().max(RECORD_HEADER_BYTES);
    let mut bytes = vec![0; MAP_HEADER_BYTES + 2 * length];
    bytes[..12].copy_from_slice(b"FVE-EOWBM\0\x3C\0");
    let size = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    bytes[12..16].copy_from_slice(&size(MAP_HEADER_BYTES + 2 * length));
    bytes[44..48].copy_from_slice(&size(MAP_HEADER_BYTES));
    bytes[48..52].copy_from_slice(&size(MAP_HEADER_BYTES + length));
    bytes[52..56].copy_from_slice(&size(length));
    for at in [MAP_HEADER_BYTES, MAP_HEADER_BYTES + length] {
        bytes[at..at + data.len()].copy_from_slice(data);
        // The size of a record is that which the map states.
        bytes[at + 12..at + 16].copy_from_slice(&size(length));
    }
    // The second record stays as it is, the first is sealed.
    let second = bytes[MAP_HEADER_BYTES + length..].to_vec();
    seal::block_map(&mut bytes);
    map(&bytes);
    bytes[MAP_HEADER_BYTES + length..].copy_from_slice(&second);
    map(&bytes);
}

/// The header of a log.
pub fn log(data: &[u8]) {
    match ConversionLog::parse(data) {
        Ok(log) => assert!(data.starts_with(&log.encode()), "the header of a log is written back as it was"),
        Err(error) => told(&error),
    }
}

/// A record of a log, and its body right behind the header.
pub fn log_record(data: &[u8]) {
    both(
        data,
        |data| seal::log_record(data, 32),
        |data| match ConversionLogRecord::parse(data) {
            Ok(record) => {
                assert!(data.starts_with(&record.encode()), "the header of a record is written back as it was");
                let body = &data[32..];
                let fits = record.fits(body);
                assert_eq!(fits, record == ConversionLogRecord::new(record.sequence, record.chunk_offset_bytes, body));
            }
            Err(error) => told(&error),
        },
    );
}
