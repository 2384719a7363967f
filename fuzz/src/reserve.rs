//! File systems whose free space is looked for: short inputs that become whole volumes.
//!
//! The first four bytes are the length, the rest is a row of parts: the number of a sector (`u32`), a length (`u16`), and so
//! many bytes; or, with the highest bit of the length, so many sectors of 0xFF.

use block_io::BlockWrite;
use fs_reserve::{FileSystem, Want};
use testkit::volumes::SparseDisk;

/// Longest volume: everything that is looked at is in proportion to it.
const MAX_BYTES: u64 = 64 << 20;
const SECTOR_BYTES: u64 = 512;
const FILL: u16 = 0x8000;
/// Longest part of plain bytes.
const MAX_PART_BYTES: usize = 0x7E00;
/// All changes of one call.
const MAX_CHANGE_BYTES: usize = 8 << 20;

/// Which file system the input is made to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// exFAT.
    ExFat,
    /// NTFS.
    Ntfs,
}

fn unpack(data: &[u8]) -> SparseDisk {
    let (length, mut rest) = data.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    let disk = SparseDisk::new(u64::from(u32::from_le_bytes(*length)) % (MAX_BYTES + 1));
    while let Some((head, behind)) = rest.split_first_chunk::<6>() {
        let place = u64::from(u32::from_le_bytes([head[0], head[1], head[2], head[3]])) * SECTOR_BYTES;
        let length = u16::from_le_bytes([head[4], head[5]]);
        rest = behind;
        if length & FILL != 0 {
            // The fuzzer must not spend its time on filling.
            let sectors = usize::from(length & !FILL).min(512);
            disk.put(place, &vec![0xFF; sectors * 512]);
            continue;
        }
        let count = usize::from(length).min(rest.len());
        disk.put(place, &rest[..count]);
        rest = &rest[count..];
    }
    disk
}

/// An image as an input; zeros are left out, and what `skip` names.
#[must_use]
pub fn pack(image: &[u8], skip: &[std::ops::Range<usize>]) -> Vec<u8> {
    let mut out = u32::try_from(image.len()).unwrap_or(0).to_le_bytes().to_vec();
    let kind = |at: usize| {
        let sector = &image[at..(at + 512).min(image.len())];
        if skip.iter().any(|range| range.contains(&at)) || sector.iter().all(|byte| *byte == 0) {
            0
        } else if sector.iter().all(|byte| *byte == 0xFF) {
            1
        } else {
            2
        }
    };
    let mut at = 0;
    while at < image.len() {
        let what = kind(at);
        let start = at;
        while at < image.len() && kind(at) == what && at - start < MAX_PART_BYTES {
            at += 512;
        }
        if what == 0 {
            continue;
        }
        out.extend_from_slice(&u32::try_from(start / 512).unwrap_or(u32::MAX).to_le_bytes());
        let sectors = u16::try_from((at - start) / 512).unwrap_or(0);
        if what == 1 {
            out.extend_from_slice(&(sectors | FILL).to_le_bytes());
            continue;
        }
        out.extend_from_slice(&(sectors * 512).to_le_bytes());
        out.extend_from_slice(&image[start..at.min(image.len())]);
    }
    out
}

/// Looks for space, reserves it, gives it back. On a volume that contradicts itself any answer is right, but there is one,
/// and every change lies on the volume. Gives whether everything could be done.
///
/// # Panics
/// When a place or a change is not what the contract says.
pub fn reserve(data: &[u8], kind: Kind) -> bool {
    let disk = unpack(data);
    match kind {
        Kind::Fat => {}
        Kind::ExFat => disk.put(3, b"EXFAT   "),
        Kind::Ntfs => disk.put(3, b"NTFS    "),
    }
    disk.put(510, &[0x55, 0xAA]);
    let length = block_io::BlockRead::geometry(&disk).length_bytes;
    let Ok(volume) = FileSystem::open(&disk) else { return false };
    let area = volume.cluster_area();
    assert!(area.end <= length, "clusters behind the end");
    let _ = volume.check_clean();
    if let Ok(runs) = volume.free_runs(3) {
        assert!(runs.iter().all(|run| run.start >= 8192 && run.end <= area.end), "{runs:?}");
    }
    let wants = [
        Want { bytes: 65_536, align_bytes: 4096, at_least_offset: length / 2 },
        Want { bytes: 3000, align_bytes: 512, at_least_offset: 0 },
    ];
    let Ok(places) = volume.find(&wants) else { return false };
    for (place, want) in places.iter().zip(wants) {
        assert!(place.start >= want.at_least_offset.max(8192) && place.end <= area.end, "{place:?}");
        assert_eq!((place.end - place.start, place.start % want.align_bytes), (want.bytes, 0));
    }
    assert!(places[0].end <= places[1].start || places[1].end <= places[0].start, "{places:?}");
    for change in [FileSystem::reserve, FileSystem::release] {
        let Ok(writes) = change(&volume, &places) else { return false };
        assert!(writes.iter().map(|write| write.bytes.len()).sum::<usize>() <= MAX_CHANGE_BYTES);
        for write in writes {
            assert_eq!(write.offset_bytes % SECTOR_BYTES, 0);
            assert!(disk.write_all_at(write.offset_bytes, &write.bytes).is_ok(), "a change behind the end");
        }
    }
    true
}
