//! The records of an encrypt-on-write conversion on a small volume.
//!
//! Three maps: one for what lies before the first metadata block, one for the relocated header, one for the rest. In each,
//! every third chunk is encrypted.

use fve_format::VolumeHeader;
use fve_format::encrypt_on_write::{BitmapRecord, BlockMap, ConversionLog, ConversionLogRecord, Descriptor};

use super::{HEADER_BYTES, HEADER_OFFSET, METADATA_OFFSETS, SmallVolume, State, VOLUME_BYTES, pattern};

/// Bytes that one bit stands for.
pub const CHUNK_BYTES: u64 = 0x4000;
/// The chunk of the first map that was being decrypted when the power failed: its first sector is done.
pub const CONVERTING_CHUNK: u64 = 3;

const DESCRIPTORS: [u64; 2] = [0x80_0000, 0x80_1000];
const MAPS: [u64; 3] = [0x81_0000, 0x82_0000, 0x83_0000];
const LOGS: [u64; 3] = [0x81_1000, 0x82_1000, 0x83_1000];
const REGIONS: [(u64, u64); 3] = [
    (HEADER_BYTES, METADATA_OFFSETS[0]),
    (HEADER_OFFSET, HEADER_OFFSET + HEADER_BYTES),
    (HEADER_OFFSET + HEADER_BYTES, VOLUME_BYTES),
];
const SECTOR: u64 = 512;
const MAP_BYTES: u32 = 0x600;
const RECORD_BYTES: u32 = 0x200;
const BITMAP_BYTES: usize = 0x200 - 0x24;
/// Two header sectors, and 16 bytes for each sector of a chunk.
const LOG_RECORD_BYTES: u32 = 2 * 512 + 0x4000 / 32;
const LOG_BYTES: u32 = 2 * 512 + 2 * LOG_RECORD_BYTES;
/// Sequence of the bitmap that counts.
const SEQUENCE: u64 = 10;

/// The volume header with the places of the descriptors.
#[allow(clippy::expect_used, reason = "the sector was encoded as a volume header")]
pub(super) fn header(sector: &[u8; 512]) -> [u8; 512] {
    let mut header = VolumeHeader::parse(sector).expect("a volume header");
    header.encrypt_on_write = Some(DESCRIPTORS);
    header.encode()
}

fn first_sector_of_converting_chunk() -> u64 {
    REGIONS[0].0 + CONVERTING_CHUNK * CHUNK_BYTES
}

/// Whether the sector at this address is stored encrypted.
pub(super) fn is_encrypted(state: State, at: u64) -> bool {
    if state == State::EncryptOnWriteInterrupted && at == first_sector_of_converting_chunk() {
        return false;
    }
    REGIONS
        .iter()
        .find(|(start, end)| (*start..*end).contains(&at))
        .is_some_and(|(start, _)| ((at - start) / CHUNK_BYTES).is_multiple_of(3))
}

fn length(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl SmallVolume {
    #[allow(clippy::expect_used, reason = "everything has a fixed size that fits")]
    pub(super) fn put_conversion(&mut self) {
        let descriptor = Descriptor {
            sector_bytes: 512,
            physical_sector_bytes: 512,
            chunk_bytes: length(CHUNK_BYTES),
            log_bytes: LOG_BYTES,
            log_record_bytes: LOG_RECORD_BYTES,
            copies: DESCRIPTORS,
            maps: MAPS.to_vec(),
        };
        let bytes = descriptor.encode().expect("three maps fit");
        for (index, at) in DESCRIPTORS.into_iter().enumerate() {
            self.disk.put(at, &bytes);
            self.note(&format!("descriptor{}", index + 1), at);
            self.note("descriptors", at);
        }
        for (index, (start, end)) in REGIONS.into_iter().enumerate() {
            self.disk.put(MAPS[index], &map(self.state, index, start, end).encode().expect("the records fit"));
            for (name, inside) in [("", 0), (".record0", 0x200), (".record1", 0x400)] {
                self.note(&format!("map{index}{name}"), MAPS[index] + inside);
            }
            self.put_log(index, start);
        }
    }

    /// The log of a map: its newest record is that of the bitmap, or one newer where a chunk is in between.
    fn put_log(&mut self, index: usize, start: u64) {
        let log = ConversionLog {
            state: 2,
            sector_bytes: 512,
            volume_bytes: VOLUME_BYTES,
            chunk_bytes: length(CHUNK_BYTES),
            record_bytes: LOG_RECORD_BYTES,
            factor: 32,
            records: 2,
            watermark_bytes: start,
        };
        let at = LOGS[index];
        // The header stands in the last sector, too.
        let end = at + u64::from(LOG_BYTES) - SECTOR;
        for at in [at, end] {
            self.disk.put(at, &log.encode());
        }
        let interrupted = self.state == State::EncryptOnWriteInterrupted && index == 0;
        let finished = finished_chunk(self.state, index);
        if interrupted {
            self.put_log_record(at + SECTOR, SEQUENCE + 1, start + CONVERTING_CHUNK * CHUNK_BYTES, CHUNK_BYTES, true);
        }
        let slot = at + SECTOR + if interrupted { u64::from(LOG_RECORD_BYTES) } else { 0 };
        let bytes = if index == 1 { HEADER_BYTES } else { CHUNK_BYTES };
        self.put_log_record(slot, SEQUENCE, start + finished * CHUNK_BYTES, bytes, false);
        self.note(&format!("log{index}"), at);
        self.note(&format!("log{index}.end"), end);
        self.note(&format!("log{index}.record"), at + SECTOR);
        self.note(&format!("log{index}.body"), at + 2 * SECTOR);
    }

    /// A record of a chunk that was encrypted before, or plain.
    fn put_log_record(&mut self, at: u64, sequence: u64, chunk: u64, bytes: u64, encrypted_before: bool) {
        let mut body = Vec::new();
        for sector_at in (chunk..chunk + bytes).step_by(512) {
            // The relocated header is the start of the plain volume.
            let plain_at = if chunk == HEADER_OFFSET { sector_at - HEADER_OFFSET } else { sector_at };
            let mut sector = pattern(plain_at, 512);
            if encrypted_before && is_encrypted(self.state, sector_at) {
                sector = self.disk.bytes(sector_at, 512);
            } else if encrypted_before {
                Self::cipher().encrypt(sector_at, &mut sector);
            }
            body.extend_from_slice(&sector[..16]);
        }
        let header = ConversionLogRecord::new(sequence, chunk, &body).encode();
        self.disk.put(at, &header);
        self.disk.put(at + SECTOR, &body);
        self.disk.put(at + u64::from(LOG_RECORD_BYTES) - SECTOR, &header);
    }
}

/// The chunk whose bit is the difference between the two records of a map.
fn finished_chunk(state: State, index: usize) -> u64 {
    match (state, index) {
        (_, 1) => 0,
        (State::EncryptOnWriteInterrupted, _) => 2 * CONVERTING_CHUNK,
        _ => CONVERTING_CHUNK,
    }
}

fn map(state: State, index: usize, start: u64, end: u64) -> BlockMap {
    let chunks = length((end - start).div_ceil(CHUNK_BYTES));
    let mut bitmap = vec![0; BITMAP_BYTES];
    for chunk in (0..chunks as usize).step_by(3) {
        bitmap[chunk / 8] |= 1 << (chunk % 8);
    }
    let mut older = bitmap.clone();
    let finished = usize::try_from(finished_chunk(state, index)).unwrap_or(0);
    older[finished / 8] ^= 1 << (finished % 8);
    let record = |sequence, bitmap| Some(BitmapRecord { sequence, flags: 0, chunks, bitmap });
    BlockMap {
        index: u32::try_from(index).unwrap_or(0),
        region_offset_bytes: start,
        region_bytes: end - start,
        log_offset_bytes: LOGS[index],
        map_bytes: MAP_BYTES,
        record_offsets: [0x200, 0x400],
        record_bytes: RECORD_BYTES,
        records: [record(SEQUENCE, bitmap), record(SEQUENCE - 1, older)],
    }
}
