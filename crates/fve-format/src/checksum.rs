//! The checksum of structures that hold it among their own bytes.

/// CRC-32 of `bytes` with the four bytes at `field` taken as zeros.
pub(crate) fn checksum_without(bytes: &[u8], field: usize) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&bytes[..field]);
    hash.update(&[0; 4]);
    hash.update(&bytes[field + 4..]);
    hash.finalize()
}
