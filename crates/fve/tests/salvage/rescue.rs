//! Reading around what cannot be read.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use block_io::{BlockRead, BlockWrite, Error as IoError, Geometry};
use fve::salvage::{Ended, Pass, RescueMap, RescueOptions, Status, rescue};
use fve::{UnlockedVolume, Volume};

use crate::common::{Layered, VOLUME_BYTES};
use crate::drive::*;

/// A disk that cannot be read in some places, always or for the first few times.
struct Failing<'a> {
    below: &'a Layered,
    bad: Vec<Range<u64>>,
    /// Requests that touch a bad place and fail before it heals.
    heals_after: AtomicU32,
    reads: Mutex<Vec<Range<u64>>>,
    gone_after: Option<u64>,
    requests: AtomicU64,
}

impl<'a> Failing<'a> {
    fn new(below: &'a Layered, bad: Vec<Range<u64>>) -> Self {
        let (heals_after, reads, requests) = (AtomicU32::new(u32::MAX), Mutex::default(), AtomicU64::new(0));
        Self { below, bad, heals_after, reads, gone_after: None, requests }
    }
}

impl BlockRead for Failing<'_> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        let failed = |number| {
            let source = std::io::Error::from_raw_os_error(number);
            Err(IoError::Io { operation: "read", offset_bytes, source })
        };
        let range = offset_bytes..offset_bytes + buffer.len() as u64;
        if self.gone_after.is_some_and(|last| self.requests.fetch_add(1, Ordering::Relaxed) >= last) {
            return failed(19);
        }
        self.reads.lock().unwrap().push(range.clone());
        let touches = self.bad.iter().any(|bad| bad.start < range.end && range.start < bad.end);
        let left = self.heals_after.load(Ordering::Relaxed);
        if touches && left > 0 {
            self.heals_after.store(left - 1, Ordering::Relaxed);
            // As real disks do: what is in the buffer then is anything.
            buffer.fill(0xEE);
            return failed(5);
        }
        self.below.read_exact_at(offset_bytes, buffer)
    }

    fn geometry(&self) -> Geometry {
        self.below.geometry()
    }
}

fn unlocked<'a>(disk: &'a Failing<'a>) -> UnlockedVolume<&'a Failing<'a>> {
    disk.reads.lock().unwrap().clear();
    Volume::open(disk).unwrap().unlock(&password(), SHORT).unwrap().0
}

/// Rescues into memory, and checks that all that was handed over is right.
fn rescued(volume: &UnlockedVolume<&Failing<'_>>, map: &mut RescueMap, retries: u32, workers: usize) -> Layered {
    let target = Layered::empty(VOLUME_BYTES);
    let options = RescueOptions { workers, retries };
    let ended = rescue::<_, IoError>(
        volume,
        map,
        options,
        &|at, bytes| {
            if bytes.iter().any(|byte| *byte != 0) { target.write_all_at(at, bytes) } else { Ok(()) }
        },
        &|_, _| Ok(true),
    );
    assert_eq!(ended.unwrap(), Ended::Finished);
    target
}

/// Bad places in the midst of content, at its sectors' borders and inside them, a whole chunk, the last sector, and one in the
/// moved first sectors; and what of the plain volume is lost with them.
fn bad_places() -> (Vec<Range<u64>>, Vec<Range<u64>>) {
    let moved = placement().header_offset_bytes;
    let bad = vec![
        0x10_0000..0x10_0200,
        0x10_0A01..0x10_0A02,
        0x10_0FFF..0x10_1001,
        0x18_0000..0x20_0000,
        moved + 0x1200..moved + 0x1400,
        VOLUME_BYTES - 512..VOLUME_BYTES,
    ];
    let lost = vec![
        0x1200..0x1400,
        0x10_0000..0x10_0200,
        0x10_0A00..0x10_0C00,
        0x10_0E00..0x10_1200,
        0x18_0000..0x20_0000,
        VOLUME_BYTES - 512..VOLUME_BYTES,
    ];
    (bad, lost)
}

#[test]
fn exactly_the_sectors_that_cannot_be_read_are_lost() {
    let sound = drive();
    let (bad, lost) = bad_places();
    for workers in [1, 4] {
        let disk = Failing::new(&sound, bad.clone());
        let volume = unlocked(&disk);
        let mut map = RescueMap::new(VOLUME_BYTES);
        let target = rescued(&volume, &mut map, 0, workers);
        assert_eq!(map.lost(), lost);
        let lost_bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
        assert_eq!((map.bytes(Status::Bad), map.bytes(Status::Read)), (lost_bytes, VOLUME_BYTES - lost_bytes));
        let lost_at = |at: u64| lost.iter().any(|range| range.contains(&at));
        let expected: Vec<u8> = content(0x10_0000, 0x20_0000)
            .into_iter()
            .zip(0x10_0000..)
            .map(|(byte, at)| if lost_at(at) { 0 } else { byte })
            .collect();
        assert!(target.bytes(0x10_0000, 0x20_0000) == expected, "all around is right, and zeros are there");
        assert_eq!(target.bytes(0, 512), boot_sector(VOLUME_BYTES, 512));
    }
}

#[test]
fn a_rescue_goes_on_with_its_map_and_reads_only_what_is_missing() {
    let sound = drive();
    let (bad, lost) = bad_places();
    let disk = Failing::new(&sound, bad);
    let volume = unlocked(&disk);
    let mut map = RescueMap::new(VOLUME_BYTES);
    rescued(&volume, &mut map, 0, 1);
    // Through its file; the disk was cooled, and one place reads again.
    let mut map = RescueMap::parse(&map.to_text("x"), VOLUME_BYTES).unwrap();
    let disk = Failing::new(&sound, vec![lost[0].clone(), 0x10_0A00..0x10_0C00]);
    let volume = unlocked(&disk);
    disk.reads.lock().unwrap().clear();
    let target = rescued(&volume, &mut map, 1, 1);
    assert_eq!(map.lost(), lost[2..3]);
    let missing: BTreeSet<u64> = lost.iter().flat_map(|range| (range.start..range.end).step_by(512)).collect();
    let moved = placement().header_offset_bytes;
    for read in disk.reads.lock().unwrap().iter() {
        let inside = |at: u64| missing.contains(&at) || at.checked_sub(moved).is_some_and(|at| missing.contains(&at));
        assert!((read.start..read.end).step_by(512).all(inside), "{read:?} was read again");
    }
    assert_eq!(target.bytes(0x18_0000, 0x8_0000), content(0x18_0000, 0x8_0000));
}

#[test]
fn bad_sectors_are_tried_again_as_often_as_asked() {
    let sound = drive();
    let bad = 0x10_0000..0x10_0200;
    for (retries, heals) in [(0, false), (1, false), (3, true)] {
        let disk = Failing::new(&sound, vec![bad.clone()]);
        let volume = unlocked(&disk);
        // The chunk, ten halves of it down to the sector, and two retries.
        disk.heals_after.store(13, Ordering::Relaxed);
        let mut map = RescueMap::new(VOLUME_BYTES);
        rescued(&volume, &mut map, retries, 1);
        assert_eq!(map.lost().is_empty(), heals, "{retries}");
    }
}

#[test]
fn a_device_that_is_gone_or_a_stop_ends_the_work_and_marks_nothing_bad() {
    let sound = drive();
    let mut disk = Failing::new(&sound, Vec::new());
    disk.gone_after = Some(60);
    let volume = unlocked(&disk);
    let mut map = RescueMap::new(VOLUME_BYTES);
    let options = RescueOptions { workers: 1, retries: 5 };
    let ended = rescue::<_, IoError>(&volume, &mut map, options, &|_, _| Ok(()), &|_, _| Ok(true));
    assert!(matches!(ended, Err(IoError::Io { .. })));
    assert!(map.bytes(Status::Read) > 0 && map.bytes(Status::Bad) + map.bytes(Status::Failed) == 0);
    let disk = Failing::new(&sound, Vec::new());
    let volume = unlocked(&disk);
    let mut map = RescueMap::new(VOLUME_BYTES);
    let enough = 2 << 20;
    let watch = |map: &RescueMap, pass: Pass| Ok(pass != Pass::Copying || map.bytes(Status::Read) < enough);
    let ended = rescue::<_, IoError>(&volume, &mut map, options, &|_, _| Ok(()), &watch);
    assert_eq!(ended.unwrap(), Ended::Stopped);
    assert_eq!(map.bytes(Status::Read), enough);
}
