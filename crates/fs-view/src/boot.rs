//! Which file system a volume holds, judged and checked by its first sector.

use crate::Error;

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
}

/// Where the parts of a FAT volume are. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FatLayout {
    pub(crate) kind: FileSystemKind,
    pub(crate) sector_bytes: u64,
    pub(crate) cluster_bytes: u64,
    pub(crate) fat_start: u64,
    pub(crate) fat_bytes: u64,
    pub(crate) fats: u64,
    pub(crate) data_start: u64,
    pub(crate) clusters: u64,
    /// Offset of the FSInfo sector (FAT32).
    pub(crate) info_start: Option<u64>,
}

/// What the first sector says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boot {
    Ntfs,
    Fat(FatLayout),
}

/// Bytes looked at.
pub(crate) const BOOT_BYTES: usize = 512;

/// Recognises a file system and checks every field that a library would calculate with unchecked.
pub(crate) fn recognise(sector: &[u8; BOOT_BYTES], device_bytes: u64) -> Result<Boot, Error> {
    if let Some(found) = foreign(sector) {
        return Err(Error::Unknown { found: Some(found) });
    }
    if sector[510..] != [0x55, 0xAA] {
        return Err(Error::Unknown { found: None });
    }
    if &sector[3..11] == b"NTFS    " {
        check_ntfs(sector, device_bytes)?;
        return Ok(Boot::Ntfs);
    }
    fat_layout(sector, device_bytes).map(Boot::Fat)
}

/// File systems and containers that are known by their signature but not read here.
fn foreign(sector: &[u8; BOOT_BYTES]) -> Option<&'static str> {
    match &sector[3..11] {
        b"EXFAT   " => Some("exFAT, which is not supported yet"),
        b"-FVE-FS-" | b"MSWIN4.1" if is_bitlocker(sector) => Some("an encrypted BitLocker volume"),
        _ if &sector[3..7] == b"ReFS" => Some("ReFS, which is not supported"),
        _ => None,
    }
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

fn check_ntfs(sector: &[u8; BOOT_BYTES], device_bytes: u64) -> Result<(), Error> {
    let damaged = |field: &str| Err(Error::damaged(format!("NTFS boot sector: {field} is not possible")));
    let sector_bytes = u16_at(sector, 11);
    if !sector_bytes.is_power_of_two() || !(512..=4096).contains(&sector_bytes) {
        return damaged("the sector size");
    }
    let raw = sector[13];
    // Above 128 the byte is a negative exponent: clusters of 128 KiB to 2 MiB.
    let per_cluster =
        if raw > 128 { 1_u64.checked_shl(u32::from(raw.wrapping_neg())).unwrap_or(0) } else { raw.into() };
    let cluster_bytes = per_cluster * sector_bytes;
    if !per_cluster.is_power_of_two() || cluster_bytes > 2 << 20 {
        return damaged("the cluster size");
    }
    // A positive value counts clusters, a negative one is an exponent. Windows uses 1 KiB and 4 KiB; a library would
    // allocate whatever is claimed.
    let record = sector[64].cast_signed();
    let record_bytes = match u64::try_from(record) {
        Ok(clusters) => clusters * cluster_bytes,
        Err(_) => 1_u64.checked_shl(u32::from(record.unsigned_abs())).unwrap_or(0),
    };
    if !(1024..=65536).contains(&record_bytes) || !record_bytes.is_power_of_two() {
        return damaged("the file record size");
    }
    match u64_at(sector, 48).checked_mul(cluster_bytes) {
        Some(start) if start > 0 && start < device_bytes => Ok(()),
        _ => damaged("the position of the file table"),
    }
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
        info_start: wide.then(|| u16_at(sector, 48) * sector_bytes),
    };
    check_fat(sector, &layout, device_bytes).map(|()| layout)
}

fn check_fat(sector: &[u8; BOOT_BYTES], layout: &FatLayout, device_bytes: u64) -> Result<(), Error> {
    let damaged = |what: &str| Err(Error::damaged(format!("FAT boot sector: {what}")));
    let wide = layout.info_start.is_some();
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
    let root = u32_at(sector, 44);
    if wide && !(2..layout.clusters + 2).contains(&root) {
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
        sector[3..11].copy_from_slice(b"EXFAT   ");
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        assert!(
            matches!(recognise(&sector, 1 << 20), Err(Error::Unknown { found: Some(name) }) if name.contains("exFAT"))
        );
    }
}
