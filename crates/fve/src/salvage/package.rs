//! A volume whose three metadata copies are lost, opened with a key package.
//!
//! The package gives the key of the sectors and the method, nothing about places. Where the first sectors were moved to is found by
//! decrypting: at the places that remains of the metadata name, at those where Windows puts them, and then everywhere, until what
//! comes out is the first sector of a file system. A finished volume is taken for granted, encrypted from end to end.

use std::ops::Range;
use std::sync::Mutex;

use block_io::BlockRead;
use fve_crypto::SectorCipher;
use fve_format::{BlockHeader, Guid, METADATA_REGION_BYTES, VOLUME_HEADER_BYTES, VolumeHeader};

use crate::create::HEADER_BYTES;
use crate::keys::sector_method;
use crate::map::AddressMap;
use crate::salvage::FileSystemStart;
use crate::stream::in_parallel;
use crate::unlocked::Parts;
use crate::{Error, Fvek, KeyMaterial, KeyPackage, UnlockedVolume, open_key_package};

const REGION: u64 = METADATA_REGION_BYTES as u64;
/// Where Windows put the moved sectors of volumes that were seen.
const USUAL_PLACES: [u64; 4] = [0x211_0000, 0x21A_5000, 0x220_0000, 0x21F_A000];
/// Decrypted at a time.
const STEP_BYTES: u64 = 1 << 20;
/// Longer than on any volume of Windows: To Go drives have 5 MiB.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// What is left of a volume's metadata: places to try. None of them is believed.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    /// Headers of blocks that are damaged behind.
    pub blocks: Vec<BlockHeader>,
    /// Where the volume header says that the copies are.
    pub metadata_offsets: Option<[u64; 3]>,
}

impl Remains {
    /// Looks at the volume header, if it is sound, and at what lies where it points.
    pub fn look(storage: &impl BlockRead) -> Self {
        let mut sector = [0; VOLUME_HEADER_BYTES];
        let header = storage.read_exact_at(0, &mut sector).ok().and_then(|()| VolumeHeader::parse(&sector).ok());
        let Some([Some(first), Some(second), Some(third)]) = header.map(|header| header.metadata_offsets) else {
            return Self::default();
        };
        let metadata_offsets = [first, second, third];
        let read = |at: &u64| {
            let mut start = [0; VOLUME_HEADER_BYTES];
            storage.read_exact_at(*at, &mut start).ok()?;
            BlockHeader::in_damaged(&start)
        };
        Self { blocks: metadata_offsets.iter().filter_map(read).collect(), metadata_offsets: Some(metadata_offsets) }
    }

    /// The metadata regions, where they are known and lie inside.
    fn regions(&self, volume_bytes: u64) -> Vec<Range<u64>> {
        let offsets = self.metadata_offsets.or_else(|| self.blocks.first().map(|block| block.metadata_offsets));
        let regions = offsets.into_iter().flatten().map(|at| at..at.saturating_add(REGION));
        regions.filter(|region| region.end <= volume_bytes).collect()
    }

    /// Places of the moved sectors with their lengths, the likeliest first.
    fn places(&self, sector_bytes: u32) -> Vec<(u64, u64)> {
        let stated = self.blocks.iter().map(|block| {
            let length = u64::from(block.header_sectors) * u64::from(sector_bytes);
            (block.header_offset_bytes, length.clamp(HEADER_BYTES, MAX_HEADER_BYTES))
        });
        let blocks = self.blocks.iter().flat_map(|block| block.metadata_offsets);
        let behind_first =
            self.metadata_offsets.into_iter().flatten().chain(blocks).map(|at| at.saturating_add(REGION));
        stated.chain(behind_first.chain(USUAL_PLACES).map(|at| (at, HEADER_BYTES))).collect()
    }
}

/// What was found out about a volume without metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutMetadata {
    /// The protector that the secret opened.
    pub opened_with: Guid,
    /// Size of the sectors in bytes.
    pub sector_bytes: u32,
    /// Where the first sectors were moved to, in bytes from the start of the volume; `None` when that was not found: then the
    /// first 8 KiB come as they lie.
    pub first_sectors_at: Option<u64>,
    /// The file system inside, where the first sectors were found.
    pub file_system: Option<FileSystemStart>,
    /// Whether the places of the metadata are known; else they come as noise.
    pub metadata_places_known: bool,
}

/// Opens a volume with nothing but a key package and the secret it was made for. `storage` is the volume, from its first
/// sector. Looking for the first sectors may take as long as reading all of it; `progress` is told how many bytes were looked at.
///
/// # Errors
/// As [`open_key_package`].
pub fn open_with_key_package<D: BlockRead>(
    storage: D,
    package: &KeyPackage,
    material: &dyn KeyMaterial,
    remains: &Remains,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(UnlockedVolume<D>, WithoutMetadata), Error> {
    let (_, fvek, opened_with) = open_key_package(package, material)?;
    let keys = [cipher(&fvek, 512)?, cipher(&fvek, 4096)?];
    let quick = keys.iter().find_map(|key| {
        remains.places(key.sector_bytes).into_iter().find_map(|(at, length)| {
            let start = key.start_at(&storage, at)?;
            // Only drives with a discovery file system moved more, and NTFS has none in front. What is damaged may say anything.
            let length = if matches!(start.name, "FAT" | "exFAT") { length } else { HEADER_BYTES };
            Some((key.sector_bytes, at, length, start))
        })
    });
    let found = quick.or_else(|| search(&storage, &keys, workers, progress));
    let native = if storage.geometry().sector_bytes == 4096 { 4096 } else { 512 };
    let sector_bytes = found.map_or(native, |(sector_bytes, ..)| sector_bytes);
    let length_bytes = storage.geometry().length_bytes;
    let volume_bytes = length_bytes - length_bytes % u64::from(sector_bytes);
    let mut zeros = remains.regions(volume_bytes);
    let metadata_places_known = zeros.len() == 3;
    let relocated = found.map(|(_, at, length, _)| (length.min(volume_bytes - at), at));
    zeros.extend(relocated.map(|(length, at)| at..at + length));
    let map = AddressMap::without_metadata(volume_bytes, sector_bytes, relocated, HEADER_BYTES, zeros);
    let [small, large] = keys;
    let parts = Parts {
        cipher: Some(if sector_bytes == 512 { small.cipher } else { large.cipher }),
        sector_bytes,
        map,
        length_bytes: volume_bytes,
        read_only: Some("its metadata is lost"),
        boot_sector: None,
    };
    let told = WithoutMetadata {
        opened_with,
        sector_bytes,
        first_sectors_at: found.map(|(_, at, ..)| at),
        file_system: found.map(|(.., start)| start),
        metadata_places_known,
    };
    Ok((UnlockedVolume::new(storage, parts), told))
}

/// Sector size, place, length, what is there.
type Found = (u32, u64, u64, FileSystemStart);

struct Key {
    cipher: SectorCipher,
    sector_bytes: u32,
}

fn cipher(fvek: &Fvek, sector_bytes: u32) -> Result<Key, Error> {
    let cipher = SectorCipher::new(sector_method(fvek.method)?, fvek.key.expose(), sector_bytes)
        .map_err(|_| Error::BadFvek { reason: "its length does not fit the encryption method" })?;
    Ok(Key { cipher, sector_bytes })
}

impl Key {
    fn sector(&self) -> usize {
        if self.sector_bytes == 512 { 512 } else { 4096 }
    }

    /// What the sector at this place decrypts to, if that is the first of a file system that fits into the storage.
    fn start_at(&self, storage: &impl BlockRead, at: u64) -> Option<FileSystemStart> {
        let mut sector = vec![0; self.sector()];
        if at < HEADER_BYTES || !at.is_multiple_of(u64::from(self.sector_bytes)) {
            return None;
        }
        storage.read_exact_at(at, &mut sector).ok()?;
        self.cipher.decrypt(at, &mut sector);
        self.recognise(&sector, at, storage.geometry().length_bytes)
    }

    fn recognise(&self, plain: &[u8], at: u64, storage_bytes: u64) -> Option<FileSystemStart> {
        let start = FileSystemStart::recognise(plain)?;
        // NTFS keeps a backup of this sector in its last one.
        let is_backup = start.length_bytes == at.saturating_add(u64::from(self.sector_bytes));
        let fits = start.length_bytes <= storage_bytes && at < start.length_bytes;
        (start.sector_bytes == self.sector_bytes && fits && !is_backup).then_some(start)
    }
}

/// Decrypts everything until a first sector comes out. Of several the one whose file system takes most of the storage is right:
/// images of small disks may lie in the files.
fn search(storage: &impl BlockRead, keys: &[Key; 2], workers: usize, progress: &(dyn Fn(u64) + Sync)) -> Option<Found> {
    let length = storage.geometry().length_bytes;
    let best: Mutex<Option<Found>> = Mutex::new(None);
    let looked = |index: u64, buffer: &mut Vec<u8>| -> Result<(), ()> {
        let at = index * STEP_BYTES;
        let count = usize::try_from((length - at).min(STEP_BYTES)).unwrap_or(0);
        let mut stored = vec![0; count];
        if storage.read_exact_at(at, &mut stored).is_ok() {
            for key in keys {
                buffer.clear();
                buffer.extend_from_slice(&stored[..count - count % key.sector()]);
                key.cipher.decrypt(at, buffer);
                for (number, sector) in buffer.chunks_exact(key.sector()).enumerate() {
                    let here = at + (number * key.sector()) as u64;
                    if here < HEADER_BYTES {
                        continue;
                    }
                    let Some(start) = key.recognise(sector, here, length) else { continue };
                    let mut best = best.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    // Ties go to the first place, whatever the order in which the workers come.
                    let rank = |found: &Found| (found.3.length_bytes, u64::MAX - found.1);
                    let found = (key.sector_bytes, here, HEADER_BYTES, start);
                    if best.as_ref().is_none_or(|best| rank(best) < rank(&found)) {
                        *best = Some(found);
                    }
                }
            }
        }
        progress(count as u64);
        // The right one fills the storage but for less than a cluster; nothing further on can be better.
        let done = best.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fills = done.as_ref().is_some_and(|found| length - found.3.length_bytes < STEP_BYTES);
        if fills { Err(()) } else { Ok(()) }
    };
    // An error only says that the search is over.
    let _ = in_parallel(workers, length.div_ceil(STEP_BYTES), looked);
    best.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}
