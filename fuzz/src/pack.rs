//! A whole volume as a short input: the structures, each put where the others say that it is.
//!
//! The first byte holds switches, the rest is a row of parts: kind, length (`u16`, little-endian), bytes. An offset that the
//! fuzzer changes moves the structure, so what it finds is not only that nothing is there.

use fve_format::VolumeHeader;
use fve_format::encrypt_on_write::Descriptor;
use testkit::volumes::{SmallVolume, SparseDisk, State, VOLUME_BYTES, seal};

/// Checksum and hash of the metadata are made to fit.
pub const SEAL_METADATA: u8 = 1;
/// Only the checksum of the metadata is.
pub const SEAL_CHECKSUM: u8 = 2;
/// Checksums of the records of a conversion are made to fit.
pub const SEAL_RECORDS: u8 = 4;
/// Storage that ends too early is accepted.
pub const ALLOW_SHORT: u8 = 8;
const LENGTHS: [u64; 4] = [VOLUME_BYTES, VOLUME_BYTES + 300, 36 << 20, 1 << 44];

const HEADER: u8 = 0;
const COPIES: [u8; 3] = [1, 2, 3];
const DESCRIPTORS: [u8; 2] = [4, 5];
const MAPS: u8 = 0x10;
const LOGS: u8 = 0x40;
/// Bytes anywhere: the number of a sector (`u32`), then the bytes.
const ELSEWHERE: u8 = 0x80;
/// Most of the bytes that one part may have.
const MAX_PART_BYTES: usize = 0xFFFF;

/// The disk, and the switches.
#[must_use]
pub fn unpack(data: &[u8]) -> (SparseDisk, u8) {
    let (switches, mut rest) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let disk = SparseDisk::new(LENGTHS[usize::from(switches >> 4 & 3)]);
    let mut parts: Vec<(u8, Vec<u8>)> = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([head[1], head[2]])).min(behind.len());
        parts.push((head[0], behind[..length].to_vec()));
        rest = &behind[length..];
    }
    let part = |wanted: u8| parts.iter().find(|(kind, _)| *kind == wanted).map(|(_, bytes)| bytes.clone());
    for (_, bytes) in parts.iter().filter(|(kind, _)| *kind == ELSEWHERE) {
        if let Some((sector, bytes)) = bytes.split_first_chunk() {
            disk.put(u64::from(u32::from_le_bytes(*sector)) * 512, bytes);
        }
    }
    let Some(header) = part(HEADER) else { return (disk, switches) };
    if let Ok(header) = VolumeHeader::parse(&padded(&header, 512)) {
        put_conversion(&disk, &header, switches, &part);
        put_copies(&disk, &header, switches, &part);
    }
    disk.put(0, &header);
    (disk, switches)
}

fn padded(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(length), 0);
    bytes
}

/// The metadata copies: those that are not given are the same as the first.
fn put_copies(disk: &SparseDisk, header: &VolumeHeader, switches: u8, part: &impl Fn(u8) -> Option<Vec<u8>>) {
    let Some(first) = part(COPIES[0]) else { return };
    let named = |index: usize| {
        let at = 0x20 + 8 * index;
        first.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
    };
    for (index, kind) in COPIES.into_iter().enumerate() {
        let mut region = padded(&part(kind).unwrap_or_else(|| first.clone()), 0x1_0000);
        if switches & SEAL_METADATA != 0 {
            seal::hash(&mut region);
        } else if switches & SEAL_CHECKSUM != 0 {
            seal::checksum(&mut region);
        }
        // The zeros behind need not be stored: the disk is zeros.
        while region.last() == Some(&0) {
            region.pop();
        }
        if let Some(at) = header.metadata_offsets[index].or_else(|| named(index)) {
            disk.put(at, &region);
        }
    }
}

fn put_conversion(disk: &SparseDisk, header: &VolumeHeader, switches: u8, part: &impl Fn(u8) -> Option<Vec<u8>>) {
    let Some(places) = header.encrypt_on_write else { return };
    // Zeros at the end were left out.
    let sealed = |bytes: Option<Vec<u8>>, seal: fn(&mut [u8])| {
        let mut bytes = padded(&bytes?, 4096);
        if switches & SEAL_RECORDS != 0 {
            seal(&mut bytes);
        }
        Some(bytes)
    };
    let Some(first) = sealed(part(DESCRIPTORS[0]), seal::descriptor) else { return };
    let second = sealed(part(DESCRIPTORS[1]), seal::descriptor).unwrap_or_else(|| first.clone());
    disk.put(places[0], &first);
    if places[1] != places[0] {
        disk.put(places[1], &second);
    }
    let Ok(descriptor) = Descriptor::parse(&first) else { return };
    for (index, at) in (0..LOGS - MAPS).zip(&descriptor.maps) {
        let Some(map) = sealed(part(MAPS + index), seal::block_map) else { continue };
        disk.put(*at, &map);
        let log_at = map.get(36..44).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let log = sealed(part(LOGS + index), |log| {
            if let Some(record) = log.get_mut(512..) {
                seal::log_record(record, 512);
            }
        });
        if let (Some(at), Some(log)) = (log_at, log) {
            disk.put(at, &log);
        }
    }
}

/// A volume as an input; `switches` say what is made to fit when it is unpacked.
#[must_use]
pub fn pack(volume: &SmallVolume, switches: u8) -> Vec<u8> {
    let mut out = vec![switches];
    let mut put = |kind: u8, place: Option<u64>, length: usize| -> Vec<u8> {
        let mut bytes = place.map(|at| volume.disk.bytes(at, length.min(MAX_PART_BYTES))).unwrap_or_default();
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        if !bytes.is_empty() {
            out.push(kind);
            out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(&bytes);
        }
        bytes
    };
    let place = |name: &str| volume.places.get(name).and_then(|places| places.first().copied());
    put(HEADER, Some(0), 512);
    let first = put(COPIES[0], place("copy1"), 0x1_0000);
    for (index, name) in [(1, "copy2"), (2, "copy3")] {
        let at = place(name);
        if at.is_some_and(|at| !volume.disk.bytes(at, first.len()).eq(&first)) {
            put(COPIES[index], at, 0x1_0000);
        }
    }
    put(DESCRIPTORS[0], place("descriptor1"), 4096);
    for index in 0..3 {
        put(MAPS + index, place(&format!("map{index}")), 0x1000);
        // Without a chunk in between the logs tell nothing.
        if volume.state == State::EncryptOnWriteInterrupted && index == 0 {
            put(LOGS + index, place(&format!("log{index}")), 0x1000);
        }
    }
    out
}
