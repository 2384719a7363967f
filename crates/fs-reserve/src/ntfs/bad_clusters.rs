//! The list of bad clusters, and the file record that holds it.

use std::ops::Range;

use fs_view::layout::Stream;
use fs_view::layout::bytes::{index, u16_at, u32_at, u64_at};

use super::{attributes, runs};
use crate::Error;
use crate::clusters::{Grid, join, total};

/// Name of the stream.
pub(super) const STREAM: &str = "$Bad";
/// A list with more parts never fitted into a record.
const MAX_RUNS: usize = 65_536;
const CUT: Error = Error::Damaged("the file record of $BadClus is cut off");

/// The bad clusters as they are, sorted.
pub(super) fn listed(stream: &Stream, cluster_bytes: u64, clusters: u64) -> Result<Vec<Range<u64>>, Error> {
    let (mut listed, mut offset) = (Vec::new(), 0);
    while let Some(piece) = stream.piece_at(offset) {
        let end = offset + piece.length_bytes;
        match piece.place_bytes {
            Some(place) if place == offset && end <= clusters * cluster_bytes => {
                listed.push(offset / cluster_bytes..end / cluster_bytes);
            }
            Some(_) => return Err(Error::Damaged("$BadClus lists clusters at other places than their own")),
            None => {}
        }
        if listed.len() > MAX_RUNS {
            return Err(Error::Damaged("$BadClus lists more clusters than its record can"));
        }
        offset = end;
    }
    Ok(listed)
}

/// The list with more clusters, none of which is in it yet.
pub(super) fn with(old: &[Range<u64>], more: &[Range<u64>], grid: &Grid) -> Result<Vec<Range<u64>>, Error> {
    for range in more {
        if let Some(known) = old.iter().find(|known| known.start < range.end && range.start < known.end) {
            return Err(Error::NotFree { offset_bytes: grid.place(known.start.max(range.start)) });
        }
    }
    Ok(join([old, more].concat()))
}

/// The list without some clusters, all of which must be in it.
pub(super) fn without(old: &[Range<u64>], fewer: &[Range<u64>], grid: &Grid) -> Result<Vec<Range<u64>>, Error> {
    let mut left = old.to_vec();
    for range in fewer {
        let holder = left.iter().position(|known| known.start <= range.start && range.end <= known.end);
        let missing = Error::NotReserved { offset_bytes: grid.place(range.start) };
        let holder = left.get(holder.ok_or(missing)?).cloned().unwrap_or_default();
        left.retain(|known| *known != holder);
        left.extend([holder.start..range.start, range.end..holder.end].into_iter().filter(|part| !part.is_empty()));
    }
    Ok(join(left))
}

/// The record with another list, ready to be written: torn-write marks included.
pub(super) fn rebuild(record: &[u8], bad: &[Range<u64>], cluster_bytes: u64) -> Result<Vec<u8>, Error> {
    if attributes::find(record, attributes::ATTRIBUTE_LIST, "")?.is_some() {
        return Err(Error::Unsupported("its list of bad clusters is spread over several file records"));
    }
    let found = attributes::find(record, attributes::DATA, STREAM)?.filter(|attribute| attribute.non_resident);
    let attribute = found.ok_or(Error::Damaged("$BadClus has no list of bad clusters"))?;
    let in_use = index(u32_at(record, 24).ok_or(CUT)?.into());
    let available = index(u32_at(record, 28).ok_or(CUT)?.into()).min(record.len());
    let before = record.get(..attribute.start).ok_or(CUT)?;
    let behind = record.get(attribute.start + attribute.length..in_use).ok_or(CUT)?;
    let old = record.get(attribute.start..attribute.start + attribute.length).ok_or(CUT)?;
    let attribute = with_list(old, bad, cluster_bytes)?;
    let mut new = [before, &attribute, behind].concat();
    if new.len() > available {
        return Err(Error::NoRoom { needed_bytes: new.len() as u64, available_bytes: available as u64 });
    }
    let in_use = u32::try_from(new.len()).unwrap_or(u32::MAX);
    new.resize(record.len(), 0);
    new.get_mut(24..28).ok_or(CUT)?.copy_from_slice(&in_use.to_le_bytes());
    protect(&mut new)?;
    Ok(new)
}

/// The attribute with another list.
fn with_list(old: &[u8], bad: &[Range<u64>], cluster_bytes: u64) -> Result<Vec<u8>, Error> {
    const SPARSE: u16 = 0x8000;
    const STORED_BYTES: usize = 64;
    let (first, last) = (u64_at(old, 16).ok_or(CUT)?, u64_at(old, 24).ok_or(CUT)?);
    let clusters = last.checked_add(1).filter(|_| first == 0).ok_or(Error::Damaged("$BadClus begins elsewhere"))?;
    if bad.last().is_some_and(|run| run.end > clusters) {
        return Err(Error::Damaged("the list of bad clusters is shorter than the volume"));
    }
    let list_start = usize::from(u16_at(old, 32).ok_or(CUT)?);
    let mut new = old.get(..list_start).filter(|header| header.len() >= STORED_BYTES).ok_or(CUT)?.to_vec();
    // Sparse streams tell what they store; this one is rarely marked as one.
    if u16_at(old, 12).unwrap_or(0) & SPARSE != 0 && list_start >= STORED_BYTES + 8 {
        let stored = total(bad).saturating_mul(cluster_bytes).to_le_bytes();
        new.get_mut(STORED_BYTES..STORED_BYTES + 8).ok_or(CUT)?.copy_from_slice(&stored);
    }
    new.extend_from_slice(&runs::encode(bad, clusters));
    new.resize(new.len().next_multiple_of(8), 0);
    let length = u32::try_from(new.len()).unwrap_or(u32::MAX);
    new.get_mut(4..8).ok_or(CUT)?.copy_from_slice(&length.to_le_bytes());
    Ok(new)
}

/// Puts the torn-write marks in: the last two bytes of every block are kept aside, a number takes their place.
fn protect(record: &mut [u8]) -> Result<(), Error> {
    let start = usize::from(u16_at(record, 4).ok_or(CUT)?);
    let blocks = usize::from(u16_at(record, 6).ok_or(CUT)?).checked_sub(1).filter(|count| *count > 0).ok_or(CUT)?;
    let attributes = usize::from(u16_at(record, 20).ok_or(CUT)?);
    if start < 42 || start + 2 * (blocks + 1) > attributes {
        return Err(Error::Damaged("the torn-write marks of $BadClus lie in its attributes"));
    }
    let block = record.len() / blocks;
    let number = match u16_at(record, start).ok_or(CUT)?.wrapping_add(1) {
        0 | 0xFFFF => 1,
        number => number,
    };
    record.get_mut(start..start + 2).ok_or(CUT)?.copy_from_slice(&number.to_le_bytes());
    for tail in 1..=blocks {
        let place = record.get_mut(tail * block - 2..tail * block).ok_or(CUT)?;
        let original = [place[0], place[1]];
        place.copy_from_slice(&number.to_le_bytes());
        record.get_mut(start + 2 * tail..start + 2 * tail + 2).ok_or(CUT)?.copy_from_slice(&original);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_clusters() {
        let grid = Grid { start_bytes: 0, cluster_bytes: 10, clusters: 1000 };
        let old = [5..10, 20..30];
        let more = with(&old, &[10..12, 100..101], &grid).unwrap();
        assert_eq!(more, [5..12, 20..30, 100..101]);
        assert!(matches!(
            with(&old, std::slice::from_ref(&(29..31)), &grid),
            Err(Error::NotFree { offset_bytes: 290 })
        ));
        assert_eq!(without(&more, &[10..12, 22..25, 100..101], &grid).unwrap(), [5..10, 20..22, 25..30]);
        let elsewhere = without(&old, std::slice::from_ref(&(9..11)), &grid);
        assert!(matches!(elsewhere, Err(Error::NotReserved { offset_bytes: 90 })));
    }
}
