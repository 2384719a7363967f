//! Encoding the list of clusters of a stream that is all hole but for some clusters at their own number.
//!
//! Each run begins with a byte of two lengths: in its lower half the bytes of the cluster count, in the upper one those of
//! the distance from the start of the run before, which is signed; none means a hole. A zero byte ends the list.

use std::ops::Range;

/// The list for clusters `0..clusters`, of which only `stored` (sorted, disjoint) are there.
pub(super) fn encode(stored: &[Range<u64>], clusters: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    let (mut next, mut last_start) = (0, 0);
    for run in stored {
        if run.start > next {
            push(&mut encoded, run.start - next, None);
        }
        push(&mut encoded, run.end - run.start, Some(run.start.wrapping_sub(last_start)));
        (next, last_start) = (run.end, run.start);
    }
    if clusters > next {
        push(&mut encoded, clusters - next, None);
    }
    encoded.push(0);
    encoded
}

fn push(encoded: &mut Vec<u8>, count: u64, distance: Option<u64>) {
    let counted = signed_bytes(count);
    let moved = distance.map(signed_bytes).unwrap_or_default();
    let lengths = counted.len() | moved.len() << 4;
    encoded.push(u8::try_from(lengths).unwrap_or(0));
    encoded.extend_from_slice(&counted);
    encoded.extend_from_slice(&moved);
}

/// The shortest little-endian form whose top bit is the sign; numbers here are never negative.
fn signed_bytes(value: u64) -> Vec<u8> {
    let bytes = value.to_le_bytes();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let needs_sign = bytes.get(used).is_some_and(|top| top & 0x80 != 0);
    bytes.iter().copied().take(used + 1 + usize::from(needs_sign)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(encode(&[], 25_599), [0x02, 0xFF, 0x63, 0]);
        assert_eq!(
            encode(&[0x10..0x90, 0x200..0x201], 0x300),
            [0x01, 0x10, 0x12, 0x80, 0x00, 0x10, 0x02, 0x70, 0x01, 0x21, 0x01, 0xF0, 0x01, 0x02, 0xFF, 0x00, 0]
        );
        // From the first cluster on, and to the last.
        assert_eq!(encode(std::slice::from_ref(&(0..5)), 5), [0x11, 0x05, 0x00, 0]);
    }
}
