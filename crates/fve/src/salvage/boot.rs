//! The first sector of a file system: the proof that a volume was put together rightly. A wrong key or a wrong place gives noise,
//! which passes for one of these once in more than 2^60 times.

use block_io::BlockRead;

use crate::UnlockedVolume;

/// What a first sector tells about its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystemStart {
    /// Its name, for people.
    pub name: &'static str,
    /// Bytes that it takes, by its own account.
    pub length_bytes: u64,
    /// Its sector size in bytes.
    pub sector_bytes: u32,
}

impl FileSystemStart {
    /// Looks at a first sector; `None` when it is none of those that Windows encrypts.
    #[must_use]
    pub fn recognise(sector: &[u8]) -> Option<Self> {
        let sector: &[u8; 512] = sector.first_chunk()?;
        match &sector[3..11] {
            b"NTFS    " => ntfs(sector),
            b"EXFAT   " => exfat(sector),
            b"ReFS\0\0\0\0" => refs(sector),
            _ => fat(sector),
        }
    }
}

impl<D: BlockRead> UnlockedVolume<D> {
    /// The file system inside, by its first sector; `None` where it is none that is known, or the sector cannot be read.
    pub fn file_system_start(&self) -> Option<FileSystemStart> {
        let mut sector = [0; 512];
        self.read_exact_at(0, &mut sector).ok()?;
        FileSystemStart::recognise(&sector)
    }
}

fn word(sector: &[u8; 512], at: usize) -> u32 {
    u32::from(sector[at]) | u32::from(sector[at + 1]) << 8
}

fn long(sector: &[u8; 512], at: usize) -> u64 {
    u64::from(word(sector, at)) | u64::from(word(sector, at + 2)) << 16
}

fn huge(sector: &[u8; 512], at: usize) -> u64 {
    long(sector, at) | long(sector, at + 4) << 32
}

fn start(name: &'static str, sectors: u64, sector_bytes: u32) -> Option<FileSystemStart> {
    let known = matches!(sector_bytes, 512 | 1024 | 2048 | 4096);
    let length_bytes = sectors.checked_mul(u64::from(sector_bytes)).filter(|length| known && *length > 0)?;
    Some(FileSystemStart { name, length_bytes, sector_bytes })
}

fn is_marked(sector: &[u8; 512]) -> bool {
    sector[510..] == [0x55, 0xAA]
}

fn ntfs(sector: &[u8; 512]) -> Option<FileSystemStart> {
    // Behind the file system lies the backup of its boot sector.
    let sectors = huge(sector, 0x28).checked_add(1)?;
    start("NTFS", sectors, word(sector, 0x0B)).filter(|_| is_marked(sector) && sector[0x0D] != 0)
}

fn exfat(sector: &[u8; 512]) -> Option<FileSystemStart> {
    let sector_bytes = 1_u32.checked_shl(u32::from(sector[0x6C]))?;
    start("exFAT", huge(sector, 0x48), sector_bytes).filter(|_| is_marked(sector))
}

fn refs(sector: &[u8; 512]) -> Option<FileSystemStart> {
    let sector_bytes = u32::try_from(long(sector, 0x20)).ok()?;
    start("ReFS", huge(sector, 0x18), sector_bytes).filter(|_| &sector[0x10..0x14] == b"FSRS")
}

fn fat(sector: &[u8; 512]) -> Option<FileSystemStart> {
    let jumps = matches!((sector[0], sector[2]), (0xEB, 0x90) | (0xE9, _));
    let few = u64::from(word(sector, 0x13));
    let sectors = if few > 0 { few } else { long(sector, 0x20) };
    let sane = jumps
        && is_marked(sector)
        && sector[0x0D].is_power_of_two()
        && word(sector, 0x0E) > 0
        && matches!(sector[0x10], 1 | 2)
        && sector[0x15] >= 0xF0;
    start("FAT", sectors, word(sector, 0x0B)).filter(|_| sane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_and_bitlocker_are_no_file_system() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut sector = [0; 512];
            for byte in &mut sector {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
            sector[510..].copy_from_slice(&[0x55, 0xAA]);
            assert_eq!(FileSystemStart::recognise(&sector), None);
        }
        assert_eq!(FileSystemStart::recognise(&[0; 512]), None);
        assert_eq!(FileSystemStart::recognise(&[0; 100]), None);
        let header = fve_format::VolumeHeader::encode_fixed(&[0; 512], 1 << 30, [1, 2, 3]);
        assert_eq!(FileSystemStart::recognise(&header), None);
    }

    #[test]
    fn an_ntfs_counts_its_backup_sector() {
        let mut sector = [0; 512];
        sector[3..11].copy_from_slice(b"NTFS    ");
        sector[0x0B..0x0E].copy_from_slice(&[0, 16, 1]);
        sector[0x28] = 99;
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        let found = FileSystemStart::recognise(&sector);
        assert_eq!(found, Some(FileSystemStart { name: "NTFS", length_bytes: 100 * 4096, sector_bytes: 4096 }));
    }
}
