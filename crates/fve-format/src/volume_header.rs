//! The volume header: the first 512 bytes of a BitLocker volume.
//!
//! | layout | first bytes | identifier at | metadata offsets at |
//! |---|---|---|---|
//! | fixed (Windows 7 and later) | `EB 58 90 -FVE-FS-` | 0xA0 | 0xB0 |
//! | To Go (FAT) | `EB 58 90 MSWIN4.1` | 0x1A8 | 0x1B8 |
//! | Vista | `EB 52 90 -FVE-FS-` | none | cluster number at 0x38, first block only |
//!
//! The identifier decides: Windows' driver is documented (dissect.fve) to look for it in the whole sector, so when it is not
//! at the place of its layout, it is taken from wherever it stands, and only a sector without one can be Vista's.

use crate::reader::Reader;
use crate::{Error, Guid, Structure};

/// Length of the volume header in bytes, whatever the sector size.
pub const VOLUME_HEADER_BYTES: usize = 512;

const BITLOCKER: Guid =
    Guid::from_bytes([0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01]);
const ENCRYPT_ON_WRITE: Guid =
    Guid::from_bytes([0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d, 0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8]);

/// Which of the three forms of volume header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeLayout {
    /// Windows 7 and later: the first sectors were moved away.
    Fixed,
    /// A removable drive with a small FAT32 file system in front that tells old systems what this is.
    ToGo,
    /// Windows Vista: the first sector is patched in place.
    Vista,
}

/// What the volume header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeHeader {
    /// Its form.
    pub layout: VolumeLayout,
    /// Bytes per sector; 0 on exFAT volumes, where other places tell.
    pub bytes_per_sector: u16,
    /// Sectors per cluster.
    pub sectors_per_cluster: u8,
    /// Where the metadata blocks start, in bytes; on Vista only the first is known here.
    pub metadata_offsets: [Option<u64>; 3],
    /// Sectors of the NTFS inside, without its backup boot sector; only on Vista, whose header is that of the NTFS.
    pub file_system_sectors: Option<u64>,
    /// Where the two descriptors of an encrypt-on-write conversion are, while one runs.
    pub encrypt_on_write: Option<[u64; 2]>,
    /// Where the identifier stands; `None` on Vista.
    record_at: Option<usize>,
    /// The sector as it was read: boot code, texts and geometry are kept.
    sector: [u8; VOLUME_HEADER_BYTES],
}

impl VolumeHeader {
    /// Reads the first sector.
    ///
    /// # Errors
    /// [`Error::NoSignature`] when this is not a BitLocker volume, [`Error::Truncated`] below 512 bytes.
    pub fn parse(sector: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(sector, 0, Structure::VolumeHeader);
        let header: [u8; VOLUME_HEADER_BYTES] = reader.array()?;
        let bytes_per_sector = u16::from_le_bytes([header[0x0B], header[0x0C]]);
        let sectors_per_cluster = header[0x0D];
        let signed = &header[3..11] == b"-FVE-FS-";
        let Some(record_at) = find_record(&header) else {
            if !signed || header[..3] != [0xEB, 0x52, 0x90] {
                return Err(Error::NoSignature { structure: Structure::VolumeHeader });
            }
            let cluster = Reader::new(&header[0x38..], 0x38, Structure::VolumeHeader).u64()?;
            let cluster_bytes = u64::from(bytes_per_sector) * u64::from(sectors_per_cluster);
            let first = cluster.checked_mul(cluster_bytes).filter(|offset| *offset > 0);
            let sectors = Reader::new(&header[0x28..], 0x28, Structure::VolumeHeader).u64()?;
            return Ok(Self {
                layout: VolumeLayout::Vista,
                bytes_per_sector,
                sectors_per_cluster,
                metadata_offsets: [first, None, None],
                file_system_sectors: Some(sectors),
                encrypt_on_write: None,
                record_at: None,
                sector: header,
            });
        };
        let mut record = Reader::new(&header[record_at..], record_at, Structure::VolumeHeader);
        let guid = record.guid()?;
        let metadata_offsets = [Some(record.u64()?), Some(record.u64()?), Some(record.u64()?)];
        let encrypt_on_write = if guid == ENCRYPT_ON_WRITE { Some([record.u64()?, record.u64()?]) } else { None };
        Ok(Self {
            layout: if signed { VolumeLayout::Fixed } else { VolumeLayout::ToGo },
            bytes_per_sector,
            sectors_per_cluster,
            metadata_offsets,
            file_system_sectors: None,
            encrypt_on_write,
            record_at: Some(record_at),
            sector: header,
        })
    }

    /// The sector: as it was read, with the fields above written into it.
    #[must_use]
    pub fn encode(&self) -> [u8; VOLUME_HEADER_BYTES] {
        let mut out = self.sector;
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x0B, &self.bytes_per_sector.to_le_bytes());
        put(0x0D, &[self.sectors_per_cluster]);
        let Some(record_at) = self.record_at else {
            let cluster_bytes = u64::from(self.bytes_per_sector) * u64::from(self.sectors_per_cluster);
            if let Some(cluster) = self.metadata_offsets[0].and_then(|offset| offset.checked_div(cluster_bytes)) {
                put(0x38, &cluster.to_le_bytes());
            }
            if let Some(sectors) = self.file_system_sectors {
                put(0x28, &sectors.to_le_bytes());
            }
            return out;
        };
        put(record_at, &if self.encrypt_on_write.is_some() { ENCRYPT_ON_WRITE } else { BITLOCKER }.to_bytes());
        let descriptors = self.encrypt_on_write.into_iter().flatten();
        for (index, offset) in self.metadata_offsets.into_iter().flatten().chain(descriptors).enumerate() {
            put(record_at + 16 + index * 8, &offset.to_le_bytes());
        }
        out
    }

    /// A header of the fixed form for a volume of `volume_bytes`. `file_system` is the first sector of the file system
    /// inside, from which the fields are taken that Windows takes from it (bytes per sector, sectors per cluster,
    /// geometry, hidden sectors).
    ///
    /// The 32-bit sector count at 0x20 is 0 where NTFS is inside, as Windows writes it. For anything else it tells the
    /// size, as the headers of To Go volumes do: libbde has no other place to learn it from.
    #[must_use]
    pub fn encode_fixed(
        file_system: &[u8; VOLUME_HEADER_BYTES],
        volume_bytes: u64,
        metadata_offsets: [u64; 3],
    ) -> [u8; VOLUME_HEADER_BYTES] {
        let mut out = [0; VOLUME_HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x00, &[0xEB, 0x58, 0x90]);
        put(0x03, b"-FVE-FS-");
        put(0x0B, &file_system[0x0B..0x0E]);
        put(0x15, &[0xF8]);
        put(0x18, &file_system[0x18..0x20]);
        let sector_bytes = u16::from_le_bytes([file_system[0x0B], file_system[0x0C]]);
        let sectors = volume_bytes.checked_div(u64::from(sector_bytes)).and_then(|count| u32::try_from(count).ok());
        if let Some(sectors) = sectors.filter(|_| &file_system[3..11] != b"NTFS    ") {
            put(0x20, &sectors.to_le_bytes());
        }
        // Constants that Windows writes in every volume header: they only look like a FAT32 file system.
        put(0x24, &0x1FE0_u32.to_le_bytes());
        put(0x30, &[1, 0, 6, 0]);
        put(0x40, &[0x80, 0x00, 0x29]);
        put(0x47, b"NO NAME    FAT32   ");
        // A boot stub of our own: return to the firmware, then wait.
        put(0x5A, &[0xCD, 0x18, 0xEB, 0xFE]);
        put(0xA0, &BITLOCKER.to_bytes());
        for (index, offset) in metadata_offsets.iter().enumerate() {
            put(0xB0 + index * 8, &offset.to_le_bytes());
        }
        put(0x1FE, &[0x55, 0xAA]);
        out
    }
}

/// Where either identifier stands: at the place of one of the two layouts, else anywhere.
fn find_record(header: &[u8; VOLUME_HEADER_BYTES]) -> Option<usize> {
    const GUID_BYTES: usize = 16;
    const OFFSET_BYTES: usize = 8;
    let is_record = |at: &usize| {
        // Behind the identifier stand three offsets, or five.
        let found = |guid: &Guid, offsets: usize| {
            header[*at..].starts_with(&guid.to_bytes())
                && *at + GUID_BYTES + offsets * OFFSET_BYTES <= VOLUME_HEADER_BYTES
        };
        found(&BITLOCKER, 3) || found(&ENCRYPT_ON_WRITE, 5)
    };
    [0xA0, 0x1A8].into_iter().chain(0..VOLUME_HEADER_BYTES).find(is_record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> [u8; 512] {
        let mut file_system = [0; 512];
        file_system[0x0B..0x0E].copy_from_slice(&[0, 2, 8]);
        VolumeHeader::encode_fixed(&file_system, 0x400_0000, [0x10_0000, 0x20_0000, 0x30_0000])
    }

    #[test]
    fn a_header_of_ours_reads_back() {
        let header = VolumeHeader::parse(&fixed()).expect("a good header");
        assert_eq!(header.layout, VolumeLayout::Fixed);
        assert_eq!((header.bytes_per_sector, header.sectors_per_cluster), (512, 8));
        assert_eq!(header.metadata_offsets, [Some(0x10_0000), Some(0x20_0000), Some(0x30_0000)]);
        assert_eq!(header.encrypt_on_write, None);
    }

    #[test]
    fn the_identifier_counts_wherever_it_stands() {
        for at in [0xD8, 0x1A8, 0x1D7] {
            let mut moved = fixed();
            let record: Vec<u8> = moved[0xA0..0xC8].to_vec();
            moved[0xA0..0xC8].fill(0);
            moved[at..at + record.len()].copy_from_slice(&record);
            // A jump like Vista's does not make it one.
            moved[1] = 0x52;
            let header = VolumeHeader::parse(&moved).expect("a good header");
            assert_eq!(header.layout, VolumeLayout::Fixed);
            assert_eq!(header.metadata_offsets, [Some(0x10_0000), Some(0x20_0000), Some(0x30_0000)]);
            assert_eq!(header.encode(), moved);
        }
        // No room for what stands behind it.
        let mut cut = fixed();
        cut[0xA0..0xB0].fill(0);
        cut[0x1D9..0x1E9].copy_from_slice(&BITLOCKER.to_bytes());
        assert!(VolumeHeader::parse(&cut).is_err());
    }

    #[test]
    fn plain_file_systems_are_not_bitlocker() {
        let mut fat = fixed();
        fat[0xA0..0xB0].fill(0);
        fat[3..11].copy_from_slice(b"MSWIN4.1");
        let missing = Error::NoSignature { structure: Structure::VolumeHeader };
        assert_eq!(VolumeHeader::parse(&fat), Err(missing.clone()), "FAT without the identifier");
        fat[3..11].copy_from_slice(b"NTFS    ");
        assert_eq!(VolumeHeader::parse(&fat), Err(missing.clone()));
        assert_eq!(VolumeHeader::parse(&[0; 512]), Err(missing));
        assert!(matches!(VolumeHeader::parse(&[0; 511]), Err(Error::Truncated { .. })));
    }
}
