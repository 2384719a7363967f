//! LZNT1, the compression of NTFS: chunks of 4096 bytes, each compressed by itself or stored.
//!
//! Source: \[MS-XCA\] 2.5. A chunk begins with 16 bits: its length less one in 12 of them, the top one tells whether it is
//! compressed. In a compressed chunk a byte of flags stands before every eight items; an item is a byte, or 16 bits of
//! distance and length, of which the longer the more of the chunk is known.

use crate::Error;
use crate::bytes::u16_at;

const CHUNK_BYTES: usize = 4096;

fn damaged() -> Error {
    Error::damaged("compressed content cannot be decompressed")
}

/// Decompresses into `target`, which must be full of zeros. At least `needed` bytes of it must come out.
pub(crate) fn decompress(packed: &[u8], target: &mut [u8], needed: usize) -> Result<(), Error> {
    let mut rest = packed;
    for (index, chunk) in target.chunks_mut(CHUNK_BYTES).enumerate() {
        let header = match u16_at(rest, 0) {
            None | Some(0) => return if index * CHUNK_BYTES >= needed { Ok(()) } else { Err(damaged()) },
            Some(header) => header,
        };
        let length = usize::from(header & 0x0FFF) + 1;
        let data = rest.get(2..2 + length).ok_or_else(damaged)?;
        if header & 0x8000 == 0 {
            chunk.get_mut(..length).ok_or_else(damaged)?.copy_from_slice(data);
        } else {
            decompress_chunk(data, chunk)?;
        }
        rest = &rest[2 + length..];
    }
    Ok(())
}

/// What the chunk does not say stays zero.
fn decompress_chunk(packed: &[u8], target: &mut [u8]) -> Result<(), Error> {
    let (mut from, mut to) = (0, 0);
    while let Some(flags) = packed.get(from) {
        from += 1;
        for bit in 0..8 {
            if from >= packed.len() {
                return Ok(());
            }
            if flags >> bit & 1 == 0 {
                *target.get_mut(to).ok_or_else(damaged)? = packed[from];
                (from, to) = (from + 1, to + 1);
                continue;
            }
            let item = usize::from(u16_at(packed, from).ok_or_else(damaged)?);
            // Distances reach back to the start of the chunk, so that their bits grow with what is known: 4 to 12.
            let distance_bits =
                to.checked_sub(1).map_or(4, |last| last.checked_ilog2().map_or(4, |log| (log + 1).max(4)));
            let distance = (item >> (16 - distance_bits)) + 1;
            let length = (item & ((1 << (16 - distance_bits)) - 1)) + 3;
            if distance > to || to + length > target.len() {
                return Err(damaged());
            }
            if distance >= length {
                target.copy_within(to - distance..to - distance + length, to);
            } else {
                // The copy reads what it wrote.
                (to..to + length).for_each(|place| target[place] = target[place - distance]);
            }
            (from, to) = (from + 2, to + length);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of \[MS-XCA\] 3.3.
    #[test]
    fn the_published_example() {
        let packed = [
            0x38, 0xB0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xA2, 0x47, 0x01, 0xA0, 0x45,
            0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xC0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xB4,
            0x02, 0x4A, 0x44, 0xEF, 0x03, 0x58, 0x02, 0x8C, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xBE, 0x00, 0x9E, 0x00,
            0x04, 0x01, 0x18, 0x90, 0x00,
        ];
        let mut target = [0; 142];
        decompress(&packed, &mut target, 142).unwrap();
        let expected = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# \
                        G F# E D E A F# F# G A A G F# E D D E F# E D D";
        assert_eq!(String::from_utf8_lossy(&target).trim_end_matches('\0'), expected);
    }

    #[test]
    fn damaged_input_is_refused() {
        let mut target = [0; 4096];
        // A distance before the start, a chunk behind the end, and too little.
        assert!(decompress(&[0x02, 0xB0, 0x01, 0x00, 0x10], &mut target, 1).is_err());
        assert!(decompress(&[0xFF, 0xB0, 0x00], &mut target, 1).is_err());
        assert!(decompress(&[0x00, 0x00], &mut target, 1).is_err());
        decompress(&[0x00, 0x00], &mut target, 0).unwrap();
    }
}
