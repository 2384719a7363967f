//! exFAT for sectors of 4096 bytes, out of one for sectors of 512.
//!
//! `mkfs.exfat` asks the device for its sector size and takes 512 for a file. All that depends on it are the boot sectors,
//! their copy and their checksum: everything else is at the same bytes.
//!
//! Source: Microsoft's exFAT file system specification, section 3.

use block_io::BlockRead;
use fs_view::layout::Boot;
use fs_view::layout::bytes::{u32_at, u64_at};

use crate::{Error, Write};

const OLD_SHIFT: u32 = 9;
const NEW_SHIFT: u32 = 12;
const NEW_BYTES: usize = 1 << NEW_SHIFT;
/// The sectors of a boot region, the last of which holds the checksum of the others.
const REGION_SECTORS: usize = 12;

/// The changes that turn a new exFAT with sectors of 512 bytes into one with sectors of 4096.
///
/// # Errors
/// [`Error::Unsupported`] where its parts do not lie at multiples of 4096; [`Error::FileSystem`], [`Error::Storage`].
pub fn exfat_with_sectors_of_4096(device: &dyn BlockRead) -> Result<Vec<Write>, Error> {
    const FIELDS: Error = Error::Damaged("the boot sector is cut off");
    let view = fs_view::FileSystem::open(&device)?;
    let Boot::ExFat(layout) = view.layout() else { return Err(Error::Unsupported("it is no exFAT")) };
    let mut sector = [0; 512];
    device.read_exact_at(0, &mut sector)?;
    let region_bytes = (REGION_SECTORS * NEW_BYTES) as u64;
    if layout.sector_bytes != 1 << OLD_SHIFT || layout.cluster_bytes < NEW_BYTES as u64 {
        return Err(Error::Unsupported("its sectors or clusters cannot be made larger"));
    }
    if layout.fat_start < 2 * region_bytes {
        return Err(Error::Unsupported("there is no room for larger boot sectors"));
    }
    // Position of the partition and length of the volume; the table, its length, the clusters.
    let (position, length) = (u64_at(&sector, 64).ok_or(FIELDS)?, u64_at(&sector, 72).ok_or(FIELDS)?);
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    put(64, &(position >> (NEW_SHIFT - OLD_SHIFT)).to_le_bytes());
    put(72, &(length >> (NEW_SHIFT - OLD_SHIFT)).to_le_bytes());
    for at in [80, 88] {
        let place = u32_at(&sector, at).ok_or(FIELDS)?;
        let wide = place >> (NEW_SHIFT - OLD_SHIFT);
        if wide << (NEW_SHIFT - OLD_SHIFT) != place {
            return Err(Error::Unsupported("its parts do not begin at multiples of 4096 bytes"));
        }
        sector[at..at + 4].copy_from_slice(&wide.to_le_bytes());
    }
    let fat_sectors = u32_at(&sector, 84).ok_or(FIELDS)? >> (NEW_SHIFT - OLD_SHIFT);
    if u64::from(fat_sectors) * (NEW_BYTES as u64) / 4 < layout.clusters + 2 {
        return Err(Error::Unsupported("its table does not end at a multiple of 4096 bytes"));
    }
    sector[84..88].copy_from_slice(&fat_sectors.to_le_bytes());
    let per_cluster = layout.cluster_bytes.trailing_zeros() - NEW_SHIFT;
    sector[108..110].copy_from_slice(&[12, u8::try_from(per_cluster).unwrap_or(0)]);
    let region = region(&sector);
    let copy = Write { offset_bytes: region_bytes, bytes: region.clone() };
    // The copy first: what reads the volume in between finds the old one, whole.
    Ok(vec![copy, Write { offset_bytes: 0, bytes: region }])
}

/// Boot sector, extended boot sectors, parameters, reserved sector, checksum.
fn region(boot: &[u8; 512]) -> Vec<u8> {
    let mut region = vec![0; REGION_SECTORS * NEW_BYTES];
    region[..boot.len()].copy_from_slice(boot);
    for extended in 1..=8 {
        let end = (extended + 1) * NEW_BYTES;
        region[end - 4..end].copy_from_slice(&[0, 0, 0x55, 0xAA]);
    }
    let covered = (REGION_SECTORS - 1) * NEW_BYTES;
    // The flags and the share of used space change while the volume is in use.
    let counted = region[..covered].iter().enumerate().filter(|(place, _)| !matches!(place, 106 | 107 | 112));
    let sum = counted.fold(0, |sum: u32, (_, byte)| sum.rotate_right(1).wrapping_add((*byte).into()));
    for place in region[covered..].as_chunks_mut::<4>().0 {
        *place = sum.to_le_bytes();
    }
    region
}
