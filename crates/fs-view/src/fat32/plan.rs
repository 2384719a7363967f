//! The geometry that a new FAT32 volume will have.

use crate::Error;

/// Geometry of a new volume, known before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Allocation unit.
    pub cluster_bytes: u32,
    /// First byte behind the tables and the root directory. Everything before it belongs to the file system.
    pub data_start_bytes: u64,
}

/// Everything that follows from a volume size and a cluster size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) sector_bytes: u64,
    pub(super) total_sectors: u64,
    pub(super) cluster_sectors: u64,
    pub(super) fat_sectors: u64,
    pub(super) clusters: u64,
}

/// Sector size of a volume that nobody asked another one for.
const SECTOR_BYTES: u32 = 512;
/// Sectors before the first table, as `fatfs` lays out FAT32.
pub(super) const RESERVED_SECTORS: u64 = 8;
pub(super) const FATS: u64 = 2;
/// Drivers tell FAT16 from FAT32 by 65525 clusters. Some count by one or two wrongly, so that Microsoft advises to stay
/// 16 away.
const MIN_CLUSTERS: u64 = 65_525 + 16;
/// Sectors are counted in 32 bits.
const MAX_SECTORS: u64 = u32::MAX as u64;

impl Geometry {
    /// As `fatfs` calculates it; [`super::format()`] checks that it still does.
    pub(super) fn new(volume_bytes: u64, cluster_bytes: u64, sector_bytes: u64) -> Self {
        let total_sectors = volume_bytes / sector_bytes;
        let cluster_sectors = cluster_bytes / sector_bytes;
        let space = total_sectors.saturating_sub(RESERVED_SECTORS);
        let entries_per_sector = cluster_bytes * 8 / 32;
        let fat_sectors = (space + 2 * cluster_sectors).div_ceil(entries_per_sector + FATS);
        let clusters = space.saturating_sub(FATS * fat_sectors) / cluster_sectors;
        Self { sector_bytes, total_sectors, cluster_sectors, fat_sectors, clusters }
    }

    /// Offset of a table.
    pub(super) fn fat_start(&self, index: u64) -> u64 {
        (RESERVED_SECTORS + index * self.fat_sectors) * self.sector_bytes
    }

    /// Offset of cluster 2, which the root directory has.
    pub(super) fn data_start(&self) -> u64 {
        self.fat_start(FATS)
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.cluster_sectors * self.sector_bytes
    }
}

/// Chooses the cluster size for a volume with sectors of 512 bytes: what Windows would take, smaller where the volume
/// would not be FAT32 else.
///
/// # Errors
/// [`Error::TooSmall`] with the smallest size that would do, [`Error::TooLarge`] beyond 2 TiB.
pub fn plan(volume_bytes: u64) -> Result<Plan, Error> {
    plan_with_sectors(volume_bytes, SECTOR_BYTES)
}

/// As [`plan`], for sectors of 512 or 4096 bytes.
///
/// # Errors
/// As [`plan`]; the largest volume has 2^32 sectors. [`Error::Damaged`] for any other sector size.
pub fn plan_with_sectors(volume_bytes: u64, sector_bytes: u32) -> Result<Plan, Error> {
    let geometry = choose_with_sectors(volume_bytes, sector_bytes)?;
    let cluster_bytes = u32::try_from(geometry.cluster_bytes()).unwrap_or(u32::MAX);
    Ok(Plan { cluster_bytes, data_start_bytes: geometry.data_start() + geometry.cluster_bytes() })
}

pub(super) fn choose_with_sectors(volume_bytes: u64, sector_bytes: u32) -> Result<Geometry, Error> {
    if !matches!(sector_bytes, 512 | 4096) {
        return Err(Error::damaged("a new FAT32 volume has sectors of 512 or 4096 bytes"));
    }
    let sector_bytes = u64::from(sector_bytes);
    if volume_bytes / sector_bytes > MAX_SECTORS {
        return Err(Error::TooLarge { bytes: volume_bytes, maximum_bytes: MAX_SECTORS * sector_bytes });
    }
    let mut cluster_bytes = preferred(volume_bytes).max(sector_bytes);
    loop {
        let geometry = Geometry::new(volume_bytes, cluster_bytes, sector_bytes);
        if geometry.clusters >= MIN_CLUSTERS {
            return Ok(geometry);
        }
        if cluster_bytes == sector_bytes {
            return Err(Error::TooSmall { volume_bytes, minimum_bytes: minimum(sector_bytes) });
        }
        cluster_bytes /= 2;
    }
}

/// The sizes that Windows takes by default.
fn preferred(volume_bytes: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    match volume_bytes.div_ceil(MIB) {
        0..=260 => 512,
        261..=8192 => 4096,
        8193..=16384 => 8192,
        16385..=32768 => 16384,
        _ => 32768,
    }
}

/// The smallest volume with enough clusters.
fn minimum(sector_bytes: u64) -> u64 {
    let mut sectors = RESERVED_SECTORS + MIN_CLUSTERS;
    // Ends: every step adds space, and the tables take less than 2 % of it.
    while Geometry::new(sectors * sector_bytes, sector_bytes, sector_bytes).clusters < MIN_CLUSTERS {
        sectors += 1;
    }
    sectors * sector_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_volumes_have_small_clusters() {
        let plan_64 = plan(64 << 20).unwrap();
        assert_eq!(plan_64.cluster_bytes, 512);
        assert!(plan_64.data_start_bytes < 2 << 20);
        assert_eq!(plan(1 << 30).unwrap().cluster_bytes, 4096);
        assert_eq!(plan(64 << 30).unwrap().cluster_bytes, 32768);
    }

    #[test]
    fn the_minimum_is_exact() {
        let Err(Error::TooSmall { minimum_bytes, .. }) = plan(16 << 20) else { panic!("16 MiB is too small") };
        assert!(plan(minimum_bytes).is_ok());
        assert!(plan(minimum_bytes - 512).is_err());
        assert!(plan(3 << 40).is_err());
    }

    #[test]
    fn every_plan_is_fat32() {
        for sector_bytes in [512, 4096] {
            for mib in (263..2000).chain((2000..2_000_000).step_by(997)) {
                let geometry = choose_with_sectors(mib << 20, sector_bytes).unwrap();
                assert!(geometry.clusters >= MIN_CLUSTERS && geometry.clusters < 0x0FFF_FFF5, "{mib} MiB");
                let entries = geometry.fat_sectors * u64::from(sector_bytes) / 4;
                assert!(entries >= geometry.clusters + 2, "{mib} MiB");
            }
        }
        assert!((33..263).all(|mib| choose_with_sectors(mib << 20, 512).is_ok()));
    }
}
