//! Volumes of a few hundred KiB that can be converted in place, and how they are judged.

use block_io::{BlockRead, BlockWrite};
use fve::convert::{Converter, DecryptOptions, Direction, EncryptOptions, FsWrite, Outcome, Places};
use fve::{
    CreateOptions, EncryptionMethod, Filetime, KeyMaterial, KeyProtector, Placement, ProtectorKind, UnlockOptions,
    UnwrapError, Vmk, Volume,
};
use secret::RecoveryPassword;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use testkit::simulation::Random;

pub(crate) const METADATA: [u64; 3] = [0x1_0000, 0x3_0000, 0x5_0000];
pub(crate) const HEADER: u64 = 0x2_0000;
pub(crate) const JOURNAL: Range<u64> = 0x4_0000..0x5_0000;
const HEADER_BYTES: u64 = 0x2000;
const REGION_BYTES: u64 = 0x1_0000;

/// What kind of volume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) method: EncryptionMethod,
    pub(crate) sector_bytes: u32,
    pub(crate) batch_bytes: u32,
    pub(crate) volume_bytes: u64,
}

pub(crate) const SMALL: Kind =
    Kind { method: EncryptionMethod::AesXts128, sector_bytes: 512, batch_bytes: 8192, volume_bytes: 0x7_0200 };

/// Opens any protector: the VMK is known, and nothing has to be stretched.
pub(crate) struct Known(pub(crate) Vmk);

impl KeyMaterial for Known {
    fn unwrap_vmk(&self, _: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        Some(Ok(self.0.clone()))
    }

    fn kind(&self) -> ProtectorKind {
        ProtectorKind::RecoveryPassword
    }
}

pub(crate) fn recovery() -> RecoveryPassword {
    RecoveryPassword::from_key(&[7; 16])
}

impl Kind {
    /// A volume that differs from piece to piece, with a file system's mark in the first sector and its backup in the last.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut random = Random::new(self.volume_bytes);
        let mut bytes: Vec<u8> = Vec::new();
        while (bytes.len() as u64) < self.volume_bytes {
            bytes.extend_from_slice(&random.next().to_le_bytes());
        }
        bytes.truncate(usize::try_from(self.volume_bytes).unwrap());
        // Free space: long runs of zeros, which are alike before and differ afterwards.
        bytes[0x2_8000..0x3_0000].fill(0);
        let last = bytes.len() - usize::try_from(self.sector_bytes).unwrap();
        for at in [0, last] {
            let mut boot = [0; 512];
            boot[3..11].copy_from_slice(b"NTFS    ");
            boot[0x0B..0x0D].copy_from_slice(&u16::try_from(self.sector_bytes).unwrap().to_le_bytes());
            boot[0x0D] = 8;
            boot[510..].copy_from_slice(&[0x55, 0xAA]);
            bytes[at..at + 512].copy_from_slice(&boot);
        }
        bytes
    }

    /// Writes that a file system might need: in the first sectors, over their end, in the midst, in the last sector, and over
    /// one another.
    pub(crate) fn writes(&self) -> Vec<FsWrite> {
        let last = self.volume_bytes - 20;
        [(0x1100, 300, 1), (0x1FF0, 40, 2), (0x913, 1000, 3), (0x6_0100, 700, 4), (last, 15, 5), (0x6_0080, 400, 6)]
            .map(|(offset_bytes, length, byte)| FsWrite { offset_bytes, bytes: vec![byte; length] })
            .into()
    }

    pub(crate) fn options(&self) -> EncryptOptions {
        let placement =
            Placement { volume_bytes: self.volume_bytes, metadata_offsets: METADATA, header_offset_bytes: HEADER };
        let volume = CreateOptions {
            method: self.method,
            description: "CUT E: 2026-11-25".to_owned(),
            now: Filetime(134_000_000_000_000_000),
            recovery_password: recovery(),
            password: None,
            placement,
        };
        let places = Places { metadata_offsets: METADATA, header_offset_bytes: HEADER, journal: JOURNAL };
        let mut options = EncryptOptions::new(volume, self.sector_bytes, &places, self.writes());
        options.batch_bytes = self.batch_bytes;
        options
    }

    pub(crate) fn decrypt_options(&self, writes: Vec<FsWrite>) -> DecryptOptions {
        DecryptOptions { journal: JOURNAL, writes, batch_bytes: self.batch_bytes }
    }

    /// The plain content once the places are reserved.
    pub(crate) fn reserved(&self) -> Vec<u8> {
        let mut bytes = self.plain();
        for write in self.writes() {
            let at = usize::try_from(write.offset_bytes).unwrap();
            bytes[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
        }
        bytes
    }

    /// Writes that bring the reserved places back.
    pub(crate) fn release(&self) -> Vec<FsWrite> {
        let plain = self.plain();
        let before = |write: FsWrite| {
            let at = usize::try_from(write.offset_bytes).unwrap();
            FsWrite { bytes: plain[at..at + write.bytes.len()].to_vec(), ..write }
        };
        self.writes().into_iter().map(before).collect()
    }
}

/// Places that a conversion may overwrite.
pub(crate) fn own() -> [Range<u64>; 5] {
    let region = |at: u64| at..at + REGION_BYTES;
    [region(METADATA[0]), region(METADATA[1]), region(METADATA[2]), HEADER..HEADER + HEADER_BYTES, JOURNAL]
}

/// Whether two volumes are the same outside the places of the conversion.
pub(crate) fn same_outside(found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} bytes, not {}", found.len(), expected.len()));
    }
    let mut start = 0;
    let mut own = own().map(|range| usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
    own.sort_by_key(|range| range.start);
    for range in own.into_iter().chain(std::iter::once(found.len()..found.len())) {
        if found[start..range.start] != expected[start..range.start] {
            let at = (start..range.start).find(|at| found[*at] != expected[*at]).unwrap_or(start);
            return Err(format!("byte {at:#x} differs"));
        }
        start = range.end;
    }
    Ok(())
}

pub(crate) fn read_all(disk: &impl BlockRead) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; usize::try_from(disk.geometry().length_bytes).unwrap()];
    disk.read_exact_at(0, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The plain content of a volume in any state but plain.
pub(crate) fn content(disk: &impl BlockRead, key: &dyn KeyMaterial) -> Result<Vec<u8>, String> {
    let volume = Volume::open(disk).map_err(|error| error.to_string())?;
    let unlocked = if volume.is_decrypted() {
        volume.open_decrypted(UnlockOptions::default())
    } else {
        volume.unlock(key, UnlockOptions::default()).map(|(unlocked, _)| unlocked)
    };
    read_all(&unlocked.map_err(|error| error.to_string())?)
}

/// Takes up a conversion and runs it.
pub(crate) fn resume(
    disk: &impl BlockWrite,
    key: &dyn KeyMaterial,
    direction: Direction,
    batches: usize,
) -> Result<Outcome, fve::Error> {
    let converter = Converter::resume(Volume::open(disk)?, Some(key))?;
    run(converter, direction, batches)
}

/// Runs a conversion on one thread, and pauses it after so many batches.
pub(crate) fn run<D: BlockWrite>(
    converter: Converter<D>,
    direction: Direction,
    batches: usize,
) -> Result<Outcome, fve::Error> {
    let stop = AtomicBool::new(batches == 0);
    let mut seen = 0;
    converter.with_workers(1).run(
        direction,
        &mut |_| {
            seen += 1;
            // The first report comes before any batch.
            if seen > batches {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        },
        &stop,
    )
}

/// Never pauses.
pub(crate) const ALL: usize = usize::MAX;
