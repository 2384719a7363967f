//! How much memory a volume can make us take: the bound that the documentation of `fve` states, measured on the largest
//! volume that the format allows.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use block_io::{BlockRead, BlockWrite, Error, Geometry};
use fve::{ClearKey, UnlockOptions, Volume};
use fve_format::encrypt_on_write::{BitmapRecord, BlockMap, Descriptor};
use fve_format::{MetadataEntry, VolumeHeader};
use testkit::volumes::{SmallVolume, SparseDisk, State, seal};

/// What `fve` states.
const BOUND_KIB: u64 = 48 * 1024;
const DESCRIPTORS: [u64; 2] = [0x400_0000, 0x400_1000];
const MAPS_AT: u64 = 0x500_0000;
const MAP_SPACE: u64 = 0x10_0000;
/// As many as a descriptor holds.
const MAPS: u64 = 505;
const RECORD_BYTES: u32 = 0x1_0000;
const MAP_BYTES: u32 = 0x200 + 2 * RECORD_BYTES;
/// A bit for every sector.
const CHUNKS: u32 = 8 * (RECORD_BYTES - 0x24);
/// Behind the place of the relocated header: the maps cover everything else.
const FIRST_REGION: u64 = 0x2000;
const REGION_BYTES: u64 = CHUNKS as u64 * 512;
const VOLUME_BYTES: u64 = FIRST_REGION + MAPS * REGION_BYTES;

/// The largest volume. Its maps are made when they are read, so that they count only once they are kept.
struct Largest {
    disk: SparseDisk,
}

impl Largest {
    fn new() -> Self {
        // Entries without data: they take more room in memory than on the disk.
        let volume = SmallVolume::with_entries(State::Encrypted, |entries| {
            entries.extend(std::iter::repeat_n(MetadataEntry::stored(0x7F, 0x14, Vec::new()), 7900));
        });
        let disk = volume.disk.resized(VOLUME_BYTES);
        for at in &volume.places["copies"] {
            let mut region = disk.bytes(*at, 0x1_0000);
            region[0x10..0x18].copy_from_slice(&VOLUME_BYTES.to_le_bytes());
            seal::hash(&mut region);
            disk.put(*at, &region);
        }
        let mut header = VolumeHeader::parse(&disk.bytes(0, 512)).unwrap();
        header.encrypt_on_write = Some(DESCRIPTORS);
        disk.write_all_at(0, &header.encode()).unwrap();
        let descriptor = Descriptor {
            sector_bytes: 512,
            physical_sector_bytes: 512,
            chunk_bytes: 512,
            log_bytes: 0x1000,
            log_record_bytes: 0x410,
            copies: DESCRIPTORS,
            maps: (0..MAPS).map(|index| MAPS_AT + index * MAP_SPACE).collect(),
        };
        for at in DESCRIPTORS {
            disk.put(at, &descriptor.encode().unwrap());
        }
        Self { disk }
    }

    fn map(index: u64) -> Vec<u8> {
        let record = |sequence| {
            let bitmap = vec![0x5A; RECORD_BYTES as usize - 0x24];
            Some(BitmapRecord { sequence, flags: 0, chunks: CHUNKS, bitmap })
        };
        let map = BlockMap {
            index: u32::try_from(index).unwrap(),
            region_offset_bytes: FIRST_REGION + index * REGION_BYTES,
            region_bytes: REGION_BYTES,
            log_offset_bytes: MAPS_AT + index * MAP_SPACE + 0x8_0000,
            map_bytes: MAP_BYTES,
            record_offsets: [0x200, 0x200 + RECORD_BYTES],
            record_bytes: RECORD_BYTES,
            records: [record(1), record(2)],
        };
        map.encode().unwrap()
    }
}

impl BlockRead for Largest {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.disk.read_exact_at(offset_bytes, buffer)?;
        let inside = offset_bytes.wrapping_sub(MAPS_AT);
        if inside < MAPS * MAP_SPACE && inside.is_multiple_of(MAP_SPACE) {
            let length = buffer.len().min(MAP_BYTES as usize);
            buffer[..length].copy_from_slice(&Self::map(inside / MAP_SPACE)[..length]);
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }
}

/// A figure of this process, in KiB.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// The test starts itself once more, so that nothing else is in the process that is measured.
#[test]
fn the_largest_volume_stays_within_the_bound() {
    const INNER: &str = "KEYHAVEN_MEASURED";
    if std::env::var_os(INNER).is_some() {
        let disk = Largest::new();
        let before = status("VmRSS");
        // The peak so far is that of building the disk.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let volume = Volume::open(&disk).unwrap();
        let (unlocked, _) = volume.unlock(&ClearKey, UnlockOptions::default()).unwrap();
        unlocked.read_exact_at(FIRST_REGION, &mut [0; 4096]).unwrap();
        let taken = status("VmHWM").saturating_sub(before);
        assert!(taken > u64::from(RECORD_BYTES) * MAPS / 1024 - 1024, "only {taken} KiB: the maps were not kept");
        assert!(taken <= BOUND_KIB, "opening and unlocking took {taken} KiB");
        return;
    }
    if !std::path::Path::new("/proc/self/clear_refs").exists() {
        testkit::skip("no /proc/self/clear_refs to measure memory with");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args(["--exact", "the_largest_volume_stays_within_the_bound", "--nocapture"])
        .env(INNER, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
