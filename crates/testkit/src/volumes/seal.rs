//! Making checksums and seals fit what was changed, on raw bytes: the changed structure may be one that nothing parses.

use fve_crypto::sha256;
use fve_format::{METADATA_REGION_BYTES, MetadataEntry, entry_type, key_type};

use super::entries::{vmk, wrapped};

/// Bytes of a wrapped hash.
const HASH_ENTRY_BYTES: usize = 80;
/// Bytes of a hash in the clear.
const CLEAR_HASH_BYTES: usize = 44;

/// The hash of a block: wrapped under the volume master key, or in the clear on a decrypted volume.
#[must_use]
pub fn hash_entry(block: &[u8], clear: bool) -> MetadataEntry {
    let hash = sha256(block);
    if clear {
        MetadataEntry::key(entry_type::PROPERTY, key_type::METADATA_HASH, &hash)
    } else {
        wrapped(&vmk(), 12, entry_type::PROPERTY, key_type::METADATA_HASH, &hash)
    }
}

/// Where the block ends, by what its header says; `None` where no validation record would fit behind it.
#[must_use]
pub fn block_bytes(region: &[u8]) -> Option<usize> {
    let field = |at: usize| region.get(at..at + 2).map(|bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    let bytes = if field(10)? == 1 { field(8)? } else { field(8)? * 16 };
    (bytes >= 16 && bytes + 8 + HASH_ENTRY_BYTES <= region.len().min(METADATA_REGION_BYTES)).then_some(bytes)
}

/// Makes the CRC-32 of a metadata block fit.
pub fn checksum(region: &mut [u8]) {
    if let Some(end) = block_bytes(region) {
        let crc = crc32fast::hash(&region[..end]);
        region[end + 4..end + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Makes hash and CRC-32 of a metadata block fit. A hash in the clear stays one.
pub fn hash(region: &mut [u8]) {
    if let Some(end) = block_bytes(region) {
        let clear = usize::from(u16::from_le_bytes([region[end + 8], region[end + 9]])) == CLEAR_HASH_BYTES;
        let mut bytes = Vec::new();
        if hash_entry(&region[..end], clear).encode(&mut bytes).is_ok() {
            region[end + 8..end + 8 + bytes.len()].copy_from_slice(&bytes);
        }
    }
    checksum(region);
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at + 4)?;
    usize::try_from(u32::from_le_bytes([field[0], field[1], field[2], field[3]])).ok()
}

/// Puts the CRC-32 of the first `length` bytes, the field itself taken as zeros, into the field.
fn checksum_inside(bytes: &mut [u8], length: usize, field: usize) {
    if length < field + 4 || length > bytes.len() {
        return;
    }
    bytes[field..field + 4].fill(0);
    let crc = crc32fast::hash(&bytes[..length]);
    bytes[field..field + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the CRC-32 of a conversion descriptor fit.
pub fn descriptor(bytes: &mut [u8]) {
    if let Some(size) = bytes.get(10..12) {
        let size = usize::from(u16::from_le_bytes([size[0], size[1]]));
        checksum_inside(bytes, size, 36);
    }
}

/// Makes the checksums of a block map and of its records fit.
pub fn block_map(bytes: &mut [u8]) {
    let (first, second, length) = (number(bytes, 44), number(bytes, 48), number(bytes, 52));
    for at in [first, second].into_iter().flatten() {
        if let Some(record) = length.and_then(|length| bytes.get_mut(at..at.checked_add(length)?)) {
            bitmap_record(record);
        }
    }
    if let Some(first) = first {
        checksum_inside(bytes, first, 56);
    }
}

/// Makes the CRC-32 of one bitmap record, which is all of `bytes`, fit.
pub fn bitmap_record(bytes: &mut [u8]) {
    checksum_inside(bytes, bytes.len(), 32);
}

/// Makes the CRC-32 of a log record's header fit, and that of its body, which starts `step` bytes behind it.
pub fn log_record(bytes: &mut [u8], step: usize) {
    if let Some(length) = number(bytes, 20)
        && let Some(body) = step.checked_add(length).and_then(|end| bytes.get(step..end))
    {
        let crc = crc32fast::hash(body);
        bytes[24..28].copy_from_slice(&crc.to_le_bytes());
    }
    if bytes.len() >= 32 {
        let crc = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The header of a conversion in place, in sector 0.
pub fn in_place_header(bytes: &mut [u8]) {
    checksum_inside(bytes, 512, 0x14);
}

/// The header of the journal of a conversion in place: the hash of its payload, then its checksum.
pub fn in_place_journal(bytes: &mut [u8], payload: &[u8]) {
    if let Some(field) = bytes.get_mut(0x28..0x48) {
        field.copy_from_slice(&fve_crypto::sha256(payload));
    }
    checksum_inside(bytes, 1024, 0x0C);
}

/// A record in the log of a conversion in place: the hash of its body, as much as it says that it has, then its checksum.
pub fn in_place_record(bytes: &mut [u8], body: &[u8]) {
    let length = number(bytes, 0x38).unwrap_or(0).min(body.len());
    if let Some(field) = bytes.get_mut(0x40..0x60) {
        field.copy_from_slice(&fve_crypto::sha256(&body[..length]));
    }
    checksum_inside(bytes, 512, 0x0C);
}
