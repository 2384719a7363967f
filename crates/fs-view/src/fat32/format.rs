//! Writing an empty FAT32 file system.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;

use block_io::BlockWrite;
use fatfs::{FatType, FormatVolumeOptions};

use super::plan::{FATS, Geometry, RESERVED_SECTORS, choose_with_sectors};
use crate::Error;
use crate::boot::{self, Boot};
use crate::fence::fenced;
use crate::stream::WriteStream;

/// Marks a cluster that no driver may use.
const BAD_CLUSTER: u32 = 0x0FFF_FFF7;
/// Cluster numbers start here.
const FIRST_CLUSTER: u64 = 2;
/// Sector of the free-space hints, and that of their copy.
const INFO_SECTORS: [u64; 2] = [1, 7];
/// The boot sector and its copy.
const BOOT_SECTORS: [u64; 2] = [0, 6];
/// Table bytes written at once.
const BATCH_BYTES: u64 = 64 * 1024;

/// Writes an empty file system over the whole device; clusters that touch a reserved range are marked bad.
///
/// Nothing is assumed about the old content, and only the part before [`super::Plan::data_start_bytes`] is written.
/// Returns after a flush.
///
/// # Errors
/// [`Error::TooSmall`], [`Error::TooLarge`], [`Error::BadLabel`]; [`Error::ReservedInUse`] when a reserved range lies
/// where the tables or the root directory must go, before anything is written; [`Error::Storage`], [`Error::Io`].
pub fn format<D: BlockWrite>(device: &D, label: &str, reserved: &[Range<u64>]) -> Result<(), Error> {
    format_with(device, &Format { label, reserved, sector_bytes: 512, hidden_sectors: 0 })
}

/// What [`format_with`] makes.
#[derive(Debug, Clone, Copy)]
pub struct Format<'f> {
    /// Name of the volume.
    pub label: &'f str,
    /// Ranges of bytes whose clusters are marked bad.
    pub reserved: &'f [Range<u64>],
    /// 512 or 4096.
    pub sector_bytes: u32,
    /// Sectors before the volume on its disk.
    pub hidden_sectors: u32,
}

/// As [`format()`], with everything that can be chosen.
///
/// # Errors
/// As [`format()`].
pub fn format_with<D: BlockWrite>(device: &D, wanted: &Format<'_>) -> Result<(), Error> {
    let length = device.geometry().length_bytes;
    let geometry = choose_with_sectors(length, wanted.sector_bytes)?;
    let label = label_bytes(wanted.label)?;
    let reserved = wanted.reserved;
    let needed = geometry.data_start() + geometry.cluster_bytes();
    if let Some(range) = reserved.iter().find(|range| !range.is_empty() && range.start < needed) {
        return Err(Error::ReservedInUse { start: range.start, end: range.end, needed });
    }
    // `fatfs` writes three of these sectors; old content in the others could pass for a boot sector.
    device.write_all_at(0, &vec![0; sized(RESERVED_SECTORS * geometry.sector_bytes)])?;
    fenced(|| format_volume(device, &geometry, label))?;
    check(device, &geometry)?;
    for sector in BOOT_SECTORS {
        device.write_all_at(sector * geometry.sector_bytes + 0x1C, &wanted.hidden_sectors.to_le_bytes())?;
    }
    let bad = bad_clusters(&geometry, reserved);
    for range in &bad {
        mark_bad(device, &geometry, range)?;
    }
    let bad: u64 = bad.iter().map(|range| range.end - range.start).sum();
    write_info(device, geometry.sector_bytes, geometry.clusters - 1 - bad)?;
    device.flush()?;
    Ok(())
}

fn format_volume<D: BlockWrite>(device: &D, geometry: &Geometry, label: Option<[u8; 11]>) -> Result<(), Error> {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    // The serial number only has to differ between volumes.
    let serial = RandomState::new().hash_one(std::time::SystemTime::now()) & u64::from(u32::MAX);
    let mut options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_sector(u16::try_from(geometry.sector_bytes).unwrap_or(512))
        .bytes_per_cluster(narrow(geometry.cluster_bytes()))
        .total_sectors(narrow(geometry.total_sectors))
        .volume_id(narrow(serial));
    if let Some(label) = label {
        options = options.volume_label(label);
    }
    let mut stream = WriteStream::new(device);
    fatfs::format_volume(&mut stream, options).map_err(Error::Io)
}

/// Fails if the library laid the volume out otherwise than planned: the bad clusters would be marked in wrong places.
fn check<D: BlockWrite>(device: &D, geometry: &Geometry) -> Result<(), Error> {
    let mut sector = [0; boot::BOOT_BYTES];
    device.read_exact_at(0, &mut sector)?;
    match boot::recognise(&sector, device.geometry().length_bytes)? {
        Boot::Fat(layout)
            if layout.fat_start == geometry.fat_start(0)
                && layout.data_start == geometry.data_start()
                && layout.clusters == geometry.clusters
                && layout.cluster_bytes == geometry.cluster_bytes() =>
        {
            Ok(())
        }
        _ => Err(Error::damaged("the new file system is not laid out as planned")),
    }
}

/// The label as FAT stores it: upper case, padded with spaces; `None` for the empty one.
fn label_bytes(label: &str) -> Result<Option<[u8; 11]>, Error> {
    let good = |letter: char| (letter.is_ascii_graphic() || letter == ' ') && !"\"*+,./:;<=>?[\\]|".contains(letter);
    if label.len() > 11 || !label.chars().all(good) || label.starts_with(' ') {
        return Err(Error::BadLabel);
    }
    let mut bytes = [b' '; 11];
    bytes[..label.len()].copy_from_slice(label.to_ascii_uppercase().as_bytes());
    Ok(Some(bytes).filter(|_| !label.is_empty()))
}

/// Numbers of the clusters that touch a reserved range: sorted, joined, inside the volume.
fn bad_clusters(geometry: &Geometry, reserved: &[Range<u64>]) -> Vec<Range<u64>> {
    let end_of_clusters = FIRST_CLUSTER + geometry.clusters;
    let number = |byte: u64| FIRST_CLUSTER + (byte - geometry.data_start()) / geometry.cluster_bytes();
    let mut ranges: Vec<Range<u64>> = reserved
        .iter()
        .filter(|range| !range.is_empty())
        .map(|range| number(range.start).min(end_of_clusters)..(number(range.end - 1) + 1).min(end_of_clusters))
        .filter(|range| !range.is_empty())
        .collect();
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Writes the mark into every table.
fn mark_bad<D: BlockWrite>(device: &D, geometry: &Geometry, clusters: &Range<u64>) -> Result<(), Error> {
    let marks = BAD_CLUSTER.to_le_bytes().repeat(sized(BATCH_BYTES / 4));
    for fat in 0..FATS {
        let end = geometry.fat_start(fat) + clusters.end * 4;
        let mut place = geometry.fat_start(fat) + clusters.start * 4;
        while place < end {
            let count = (end - place).min(BATCH_BYTES);
            device.write_all_at(place, &marks[..sized(count)])?;
            place += count;
        }
    }
    Ok(())
}

/// Writes the number of free clusters, which `fatfs` leaves unknown, and the copy of the sector, which it leaves out.
fn write_info<D: BlockWrite>(device: &D, sector_bytes: u64, free_clusters: u64) -> Result<(), Error> {
    let mut sector = [0; 512];
    sector[..4].copy_from_slice(b"RRaA");
    sector[484..488].copy_from_slice(b"rrAa");
    sector[488..492].copy_from_slice(&u32::try_from(free_clusters).unwrap_or(u32::MAX).to_le_bytes());
    // The root directory has the first cluster.
    sector[492..496].copy_from_slice(&3_u32.to_le_bytes());
    sector[508..].copy_from_slice(&[0, 0, 0x55, 0xAA]);
    for number in INFO_SECTORS {
        device.write_all_at(number * sector_bytes, &sector)?;
    }
    Ok(())
}

/// For lengths that are small by construction.
fn sized(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touched_clusters_are_bad() {
        let geometry = choose_with_sectors(64 << 20, 512).unwrap();
        let start = geometry.data_start();
        let bad = bad_clusters(&geometry, &[start + 5120..start + 6145, start + 6144..start + 7000, 1 << 40..1 << 41]);
        assert_eq!((bad.len(), bad[0].clone()), (1, 12..16));
    }

    #[test]
    fn labels() {
        assert_eq!(label_bytes("Keys").unwrap().unwrap(), *b"KEYS       ");
        assert_eq!(label_bytes("").unwrap(), None);
        assert!(label_bytes("a.b").is_err() && label_bytes("twelve chars").is_err() && label_bytes("ä").is_err());
    }
}
