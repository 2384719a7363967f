//! Which file system a volume holds, judged and checked by its first sector.

use crate::Error;
use crate::bytes::index;
use crate::cache::Source;

/// Kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystemKind {
    /// NTFS, any version that Windows 2000 and later write.
    Ntfs,
    /// FAT with entries of 12 bits.
    Fat12,
    /// FAT with entries of 16 bits.
    Fat16,
    /// FAT with entries of 28 bits.
    Fat32,
    /// exFAT.
    ExFat,
}

/// Where the parts of a FAT volume are. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FatLayout {
    /// FAT12, FAT16 or FAT32.
    pub kind: FileSystemKind,
    /// Sector size.
    pub sector_bytes: u64,
    /// Allocation unit.
    pub cluster_bytes: u64,
    /// The first table.
    pub fat_start: u64,
    /// Length of one table.
    pub fat_bytes: u64,
    /// Number of tables.
    pub fats: u64,
    /// The first cluster.
    pub data_start: u64,
    /// Number of clusters.
    pub clusters: u64,
    /// Offset and length of the root directory (FAT12 and FAT16).
    pub root_area: Option<(u64, u64)>,
    /// First cluster of the root directory (FAT32).
    pub root_cluster: u32,
    /// Whether all tables are kept alike (FAT32 may use one alone).
    pub mirrored: bool,
    /// The sector with the free-space hints (FAT32); 0 where there is none.
    pub info_sector: u64,
    /// The copy of the boot sector (FAT32); 0 where there is none.
    pub backup_sector: u64,
}

/// Where the parts of an NTFS volume are. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtfsLayout {
    /// Allocation unit.
    pub cluster_bytes: u64,
    /// Whole clusters of the volume, as the boot sector counts.
    pub clusters: u64,
    /// Size of a record of the file table.
    pub record_bytes: u64,
    /// The file table.
    pub mft_start: u64,
    /// The copy of its first records; 0 where it cannot be.
    pub mirror_start: u64,
}

/// Where the parts of an exFAT volume are. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExFatLayout {
    /// Sector size.
    pub sector_bytes: u64,
    /// Allocation unit.
    pub cluster_bytes: u64,
    /// Number of tables.
    pub fats: u64,
    /// The table in use.
    pub fat_start: u64,
    /// The first cluster.
    pub data_start: u64,
    /// Number of clusters.
    pub clusters: u64,
    /// First cluster of the root directory.
    pub root_cluster: u32,
}

/// What the first sector says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// NTFS.
    Ntfs(NtfsLayout),
    /// FAT12, FAT16 or FAT32.
    Fat(FatLayout),
    /// exFAT.
    ExFat(ExFatLayout),
}

/// Bytes of a boot sector that are looked at.
pub(crate) const BOOT_BYTES: usize = 512;

/// Where copies of the boot sector can be, seen from the start of the volume: of FAT32, then of exFAT with sectors of 512
/// to 4096 bytes.
const COPIES_FROM_START: [u64; 6] = [6 * 512, 6 * 4096, 12 * 512, 12 * 1024, 12 * 2048, 12 * 4096];
/// And from its end, of NTFS with sectors of 512 to 4096 bytes.
const COPIES_FROM_END: [u64; 4] = [512, 1024, 2048, 4096];

/// Offsets of the copies that a volume of this length can have.
pub(crate) fn copies(device_bytes: u64) -> impl Iterator<Item = u64> {
    let from_end = COPIES_FROM_END.into_iter().filter_map(move |distance| device_bytes.checked_sub(distance));
    let inside = move |offset: &u64| *offset > 0 && offset + BOOT_BYTES as u64 <= device_bytes;
    from_end.chain(COPIES_FROM_START).filter(inside)
}

/// Recognises a file system and checks every field that a library would calculate with unchecked.
pub(crate) fn recognise(sector: &[u8; BOOT_BYTES], device_bytes: u64) -> Result<Boot, Error> {
    if let Some(found) = foreign(sector) {
        return Err(Error::Unknown { found: Some(found) });
    }
    if sector[510..] != [0x55, 0xAA] {
        return Err(Error::Unknown { found: None });
    }
    if &sector[3..11] == b"NTFS    " {
        return ntfs_layout(sector, device_bytes).map(Boot::Ntfs);
    }
    if &sector[3..11] == b"EXFAT   " {
        return exfat_layout(sector, device_bytes).map(Boot::ExFat);
    }
    fat_layout(sector, device_bytes).map(Boot::Fat)
}

/// File systems and containers that are known by their signature but not read here.
fn foreign(sector: &[u8; BOOT_BYTES]) -> Option<&'static str> {
    match &sector[3..11] {
        b"-FVE-FS-" | b"MSWIN4.1" if is_bitlocker(sector) => Some("an encrypted BitLocker volume"),
        _ if &sector[3..7] == b"ReFS" => Some("ReFS, which is not supported"),
        _ => None,
    }
}

/// Bytes that [`foreign_by_content`] wants to see.
pub(crate) const HEAD_BYTES: usize = 66 * 1024;

/// What [`crate::Error::Unknown`] finds where there is no file system of any kind, and nothing else.
pub const BLANK: &str = "nothing but zeros at its start";

/// File systems that are known by what stands behind the boot sector.
pub(crate) fn foreign_by_content(head: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(usize, &[u8], &str); 10] = [
        (1080, &[0x53, 0xEF], "ext2, ext3 or ext4"),
        (0, b"XFSB", "XFS"),
        (65_600, b"_BHRfS_M", "Btrfs"),
        (32, b"NXSB", "APFS"),
        (1024, b"H+", "HFS+"),
        (1024, b"HX", "HFS+"),
        (0, b"LUKS\xBA\xBE", "a LUKS volume"),
        (32_769, b"CD001", "ISO 9660"),
        (4086, b"SWAPSPACE2", "swap space of Linux"),
        (1024, &[0x10, 0x20, 0xF5, 0xF2], "F2FS"),
    ];
    if head.iter().all(|byte| *byte == 0) {
        return Some(BLANK);
    }
    let known =
        |(offset, bytes, _): &&(usize, &[u8], &str)| head.get(*offset..).is_some_and(|rest| rest.starts_with(bytes));
    SIGNATURES.iter().find(known).map(|(_, _, name)| *name)
}

/// BitLocker To Go keeps a FAT-like header; its identifier tells it from a FAT volume.
fn is_bitlocker(sector: &[u8; BOOT_BYTES]) -> bool {
    const IDENTIFIER: [u8; 16] =
        [0x3B, 0xD6, 0x67, 0x49, 0x29, 0x2E, 0xD8, 0x4A, 0x83, 0x99, 0xF6, 0xA3, 0x39, 0xE3, 0xD0, 0x01];
    &sector[3..11] == b"-FVE-FS-" || sector[424..440] == IDENTIFIER
}

fn u16_at(sector: &[u8; BOOT_BYTES], offset: usize) -> u64 {
    u64::from(u16::from_le_bytes([sector[offset], sector[offset + 1]]))
}

fn u32_at(sector: &[u8; BOOT_BYTES], offset: usize) -> u64 {
    u16_at(sector, offset) | u16_at(sector, offset + 2) << 16
}

fn u64_at(sector: &[u8; BOOT_BYTES], offset: usize) -> u64 {
    u32_at(sector, offset) | u32_at(sector, offset + 4) << 32
}

fn ntfs_layout(sector: &[u8; BOOT_BYTES], device_bytes: u64) -> Result<NtfsLayout, Error> {
    let damaged = |field: &str| Error::damaged(format!("NTFS boot sector: {field} is not possible"));
    let sector_bytes = u16_at(sector, 11);
    if !sector_bytes.is_power_of_two() || !(256..=4096).contains(&sector_bytes) {
        return Err(damaged("the sector size"));
    }
    let raw = sector[13];
    // Above 128 the byte is a negative exponent: clusters of 128 KiB to 2 MiB.
    let per_cluster =
        if raw > 128 { 1_u64.checked_shl(u32::from(raw.wrapping_neg())).unwrap_or(0) } else { raw.into() };
    let cluster_bytes = per_cluster.saturating_mul(sector_bytes);
    if !per_cluster.is_power_of_two() || !(512..=2 << 20).contains(&cluster_bytes) {
        return Err(damaged("the cluster size"));
    }
    // A positive value counts clusters, a negative one is an exponent. Windows uses 1 KiB and 4 KiB.
    let record = sector[64].cast_signed();
    let record_bytes = match u64::try_from(record) {
        Ok(clusters) => clusters * cluster_bytes,
        Err(_) => 1_u64.checked_shl(u32::from(record.unsigned_abs())).unwrap_or(0),
    };
    if !(1024..=65536).contains(&record_bytes) || !record_bytes.is_power_of_two() {
        return Err(damaged("the file record size"));
    }
    let place = |offset: usize| u64_at(sector, offset).checked_mul(cluster_bytes);
    let inside = |place: &u64| *place > 0 && *place < device_bytes;
    let mft_start = place(48).filter(inside).ok_or_else(|| damaged("the position of the file table"))?;
    // Only needed where the table is damaged.
    let mirror_start = place(56).filter(inside).unwrap_or(0);
    let clusters = u64_at(sector, 40) / per_cluster;
    Ok(NtfsLayout { cluster_bytes, clusters, record_bytes, mft_start, mirror_start })
}

fn exfat_layout(sector: &[u8; BOOT_BYTES], device_bytes: u64) -> Result<ExFatLayout, Error> {
    let damaged = |what: &str| Err(Error::damaged(format!("exFAT boot sector: {what}")));
    let (sector_shift, cluster_shift) = (u32::from(sector[108]), u32::from(sector[109]));
    if !(9..=12).contains(&sector_shift) || sector_shift + cluster_shift > 25 {
        return damaged("the sector or cluster size is not possible");
    }
    let sector_bytes = 1_u64 << sector_shift;
    let cluster_bytes = sector_bytes << cluster_shift;
    let (fat_sectors, clusters) = (u32_at(sector, 84), u32_at(sector, 92));
    let data_start = u32_at(sector, 88) * sector_bytes;
    let fats = u64::from(sector[110]);
    // The second of two tables is in use when a flag says so.
    let active = if fats == 2 { u16_at(sector, 106) & 1 } else { 0 };
    let fat_start = (u32_at(sector, 80) + active * fat_sectors) * sector_bytes;
    if !(1..=2).contains(&fats) || clusters == 0 || clusters > 0xFFFF_FFF5 {
        return damaged("the number of tables or clusters is not possible");
    }
    if fat_start < 24 * sector_bytes || fat_start + fat_sectors * sector_bytes > data_start {
        return damaged("the areas overlap");
    }
    if fat_sectors * sector_bytes / 4 < clusters + 2 {
        return damaged("the table is too small for the clusters");
    }
    if data_start >= device_bytes {
        return damaged("the volume is larger than its storage");
    }
    let root = u32_at(sector, 96);
    if !(2..clusters + 2).contains(&root) {
        return damaged("the root directory is outside of the volume");
    }
    let root_cluster = u32::try_from(root).unwrap_or(u32::MAX);
    Ok(ExFatLayout { sector_bytes, cluster_bytes, fats, fat_start, data_start, clusters, root_cluster })
}

/// Checks eleven sectors from the boot sector on against the twelfth, which repeats their checksum.
pub(crate) fn exfat_checksum_is_right(source: Source<'_>, offset: u64, layout: &ExFatLayout) -> Result<bool, Error> {
    let sector = index(layout.sector_bytes);
    let mut region = vec![0; 12 * sector];
    source.read_exact_at(offset, &mut region)?;
    let (covered, stored) = region.split_at(11 * sector);
    // The flags and the share of used space change while the volume is in use.
    let counted = covered.iter().enumerate().filter(|(place, _)| !matches!(place, 106 | 107 | 112));
    let sum = counted.fold(0, |sum: u32, (_, byte)| sum.rotate_right(1).wrapping_add((*byte).into()));
    Ok(stored.first_chunk() == Some(&sum.to_le_bytes()))
}

fn fat_layout(sector: &[u8; BOOT_BYTES], device_bytes: u64) -> Result<FatLayout, Error> {
    let unknown = Err(Error::Unknown { found: None });
    let (sector_bytes, per_cluster) = (u16_at(sector, 11), u64::from(sector[13]));
    let (reserved, fats) = (u16_at(sector, 14), u64::from(sector[16]));
    // Any other boot sector, such as that of a partitioned disk, ends with the same signature: fields that no FAT
    // volume can have mean that this is not one, instead of a damaged one.
    if !sector_bytes.is_power_of_two() || !(512..=4096).contains(&sector_bytes) || !per_cluster.is_power_of_two() {
        return unknown;
    }
    if per_cluster > 128 || reserved == 0 || !(1..=4).contains(&fats) {
        return unknown;
    }
    let root_entries = u16_at(sector, 17);
    let sectors = if u16_at(sector, 19) == 0 { u32_at(sector, 32) } else { u16_at(sector, 19) };
    let wide = u16_at(sector, 22) == 0;
    let fat_sectors = if wide { u32_at(sector, 36) } else { u16_at(sector, 22) };
    let root_sectors = (root_entries * 32).div_ceil(sector_bytes);
    let data_sector = reserved + fats * fat_sectors + root_sectors;
    if fat_sectors == 0 || wide != (root_entries == 0) || data_sector >= sectors {
        return Err(Error::damaged("FAT boot sector: the areas do not fit into the volume"));
    }
    let clusters = (sectors - data_sector) / per_cluster;
    let kind = match clusters {
        0..4085 => FileSystemKind::Fat12,
        4085..65525 => FileSystemKind::Fat16,
        _ => FileSystemKind::Fat32,
    };
    let layout = FatLayout {
        kind,
        sector_bytes,
        cluster_bytes: per_cluster * sector_bytes,
        fat_start: reserved * sector_bytes,
        fat_bytes: fat_sectors * sector_bytes,
        fats,
        data_start: data_sector * sector_bytes,
        clusters,
        root_area: (!wide).then_some(((reserved + fats * fat_sectors) * sector_bytes, root_entries * 32)),
        root_cluster: u32::try_from(u32_at(sector, 44)).unwrap_or(u32::MAX),
        mirrored: !wide || u16_at(sector, 40) & 0x80 == 0,
        info_sector: optional_sector(wide, u16_at(sector, 48)),
        backup_sector: optional_sector(wide, u16_at(sector, 50)),
    };
    check_fat(&layout, device_bytes).map(|()| layout)
}

/// A sector number of FAT32, which may be told as absent in two ways.
fn optional_sector(wide: bool, number: u64) -> u64 {
    if wide && number != 0xFFFF { number } else { 0 }
}

fn check_fat(layout: &FatLayout, device_bytes: u64) -> Result<(), Error> {
    let damaged = |what: &str| Err(Error::damaged(format!("FAT boot sector: {what}")));
    let wide = layout.root_area.is_none();
    if wide != (layout.kind == FileSystemKind::Fat32) {
        return damaged("the number of clusters contradicts the kind of table");
    }
    if layout.data_start > device_bytes || layout.clusters > 0x0FFF_FFF4 {
        return damaged("the volume is larger than its storage");
    }
    let entry_bits = match layout.kind {
        FileSystemKind::Fat12 => 12,
        FileSystemKind::Fat16 => 16,
        _ => 32,
    };
    if layout.fat_bytes * 8 / entry_bits < layout.clusters + 2 {
        return damaged("the table is too small for the clusters");
    }
    if wide && !(2..layout.clusters + 2).contains(&u64::from(layout.root_cluster)) {
        return damaged("the root directory is outside of the volume");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_volumes_are_named() {
        let mut sector = [0; BOOT_BYTES];
        assert!(matches!(recognise(&sector, 1 << 20), Err(Error::Unknown { found: None })));
        sector[3..11].copy_from_slice(b"-FVE-FS-");
        let found = recognise(&sector, 1 << 20);
        assert!(matches!(found, Err(Error::Unknown { found: Some(name) }) if name.contains("BitLocker")));
        let mut head = vec![0; HEAD_BYTES];
        assert_eq!(foreign_by_content(&head), Some(BLANK));
        head[0] = 1;
        assert_eq!(foreign_by_content(&head), None);
        head[65_600..65_608].copy_from_slice(b"_BHRfS_M");
        assert_eq!(foreign_by_content(&head), Some("Btrfs"));
    }
}
