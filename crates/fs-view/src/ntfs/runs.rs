//! The encoded list of the clusters of an attribute.
//!
//! Each run begins with a byte of two lengths: in its lower half the bytes of the cluster count, in the upper one those of
//! the distance from the start of the run before, which is signed; none means a hole. A zero byte ends the list.

use crate::Error;
use crate::extents::Extents;

fn damaged() -> Error {
    Error::damaged("a list of clusters is not possible")
}

/// Appends the runs to `extents`.
pub(super) fn decode(runs: &[u8], cluster_bytes: u64, extents: &mut Extents) -> Result<(), Error> {
    let (mut rest, mut cluster) = (runs, 0_i64);
    while let Some((&header, behind)) = rest.split_first() {
        if header == 0 {
            break;
        }
        let (count_bytes, distance_bytes) = (usize::from(header & 0x0F), usize::from(header >> 4));
        let (count, behind) = behind.split_at_checked(count_bytes).ok_or_else(damaged)?;
        let (distance, behind) = behind.split_at_checked(distance_bytes).ok_or_else(damaged)?;
        let count = u64::try_from(signed(count)?).ok().filter(|count| *count > 0).ok_or_else(damaged)?;
        let length = count.checked_mul(cluster_bytes).ok_or_else(damaged)?;
        let place = if distance.is_empty() {
            None
        } else {
            cluster = cluster.checked_add(signed(distance)?).ok_or_else(damaged)?;
            let place = u64::try_from(cluster).ok().and_then(|cluster| cluster.checked_mul(cluster_bytes));
            Some(place.ok_or_else(damaged)?)
        };
        extents.push(length, place)?;
        rest = behind;
    }
    Ok(())
}

/// A little-endian number of up to eight bytes with a sign.
fn signed(bytes: &[u8]) -> Result<i64, Error> {
    let fill = if bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xFF } else { 0 };
    let mut whole = [fill; 8];
    whole.get_mut(..bytes.len()).ok_or_else(damaged)?.copy_from_slice(bytes);
    Ok(i64::from_le_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runs: &[u8], expected: &[(u64, Option<u64>)]) {
        let mut extents = Extents::default();
        decode(runs, 1, &mut extents).unwrap();
        let mut offset = 0;
        for (length, place) in expected {
            let part = extents.part_at(offset).unwrap();
            assert_eq!((part.length, part.place), (*length, *place));
            offset += length;
        }
        assert!(extents.part_at(offset).is_none());
    }

    #[test]
    fn lists() {
        check(
            &[0x11, 0x18, 0x34, 0x01, 0x05, 0x31, 0x28, 0x99, 0x01, 0x00, 0],
            &[(0x18, Some(0x34)), (5, None), (0x28, Some(0x34 + 0x199))],
        );
        // Backwards, and a count that needs a second byte for its sign.
        check(&[0x12, 0x80, 0x00, 0x7F, 0x11, 0x01, 0xF0], &[(0x80, Some(0x7F)), (1, Some(0x6F))]);
    }

    #[test]
    fn impossible_lists_are_refused() {
        for runs in [&[0x11, 0x01][..], &[0x91; 20], &[0x11, 0x00, 0x01], &[0x11, 0x81, 0x01], &[0x11, 0x01, 0x81]] {
            assert!(decode(runs, 4096, &mut Extents::default()).is_err(), "{runs:?}");
        }
    }
}
