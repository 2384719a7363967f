//! Where the first sectors of the volume were moved to.
//!
//! Data after the entry header: offset u64, length u64, and since Windows 8 an extension that starts with its version
//! and size. The extension's tail is kept byte for byte; the fields below are those of version 5, 76 bytes.

use crate::entry::{entry_type, value_type};
use crate::reader::Reader;
use crate::{Error, MetadataEntry, Structure};

/// Set in the flags of volumes that are under encrypt-on-write: observed in `bitlk-aes-xts-128-eow`,
/// `bitlk-partially-encrypted-aes-cbc-128` and dissect.fve's `eow_partial`. To Go volumes have it, too.
pub const ENCRYPT_ON_WRITE_FLAG: u64 = 0x40;

/// The relocated volume header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Virtualization {
    /// Where it starts, in bytes from the start of the volume.
    pub offset_bytes: u64,
    /// Its length in bytes: 8192, several MiB on To Go volumes.
    pub length_bytes: u64,
    /// Bytes behind the two fields; empty on Windows 7.
    pub extension: Vec<u8>,
}

/// The extension as a new volume gets it; names after dissect.fve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedVirtualization {
    /// 0x0A on a finished data volume, 0x0B with 4096-byte sectors.
    pub flags: u64,
    /// Logical sector size in bytes.
    pub sector_bytes: u32,
    /// Physical sector size in bytes.
    pub native_sector_bytes: u32,
    /// Major, minor and build number of the system that made the volume.
    pub system_version: [u32; 3],
    /// A region of 64 KiB reserved behind the relocated header: where it starts.
    pub verify_offset_bytes: u64,
    /// Its length in bytes.
    pub verify_length_bytes: u32,
}

impl Virtualization {
    pub(crate) fn parse(data: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(data, 0, Structure::Entry);
        Ok(Self { offset_bytes: reader.u64()?, length_bytes: reader.u64()?, extension: reader.rest().to_vec() })
    }

    /// Flags of the extension; `None` on Windows 7, which has none.
    #[must_use]
    pub fn flags(&self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.extension.get(8..)?.first_chunk()?))
    }

    /// Logical sector size in bytes by the extension; `None` where there is none, or it is too old to have the field.
    #[must_use]
    pub fn sector_bytes(&self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.extension.get(0x1C..)?.first_chunk()?)).filter(|size| *size > 0)
    }

    /// A region that Windows reserves and does not use in a finished volume, by the extension: where it starts, its length in
    /// bytes.
    #[must_use]
    pub fn verify_region(&self) -> Option<(u64, u32)> {
        let offset = u64::from_le_bytes(*self.extension.get(0x3C..)?.first_chunk()?);
        let length = u32::from_le_bytes(*self.extension.get(0x44..)?.first_chunk()?);
        Some((offset, length)).filter(|(offset, length)| *offset > 0 && *length > 0)
    }

    /// The entry that is stored in the metadata block.
    #[must_use]
    pub fn to_entry(&self) -> MetadataEntry {
        let mut data = Vec::with_capacity(16 + self.extension.len());
        data.extend_from_slice(&self.offset_bytes.to_le_bytes());
        data.extend_from_slice(&self.length_bytes.to_le_bytes());
        data.extend_from_slice(&self.extension);
        MetadataEntry::stored(entry_type::VIRTUALIZATION, value_type::VIRTUALIZATION, data)
    }
}

impl ExtendedVirtualization {
    /// The 76 bytes of structure version 5.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(76);
        out.extend_from_slice(&5_u16.to_le_bytes());
        out.extend_from_slice(&76_u16.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.flags.to_le_bytes());
        // No conversion log: offset and size 0.
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&self.sector_bytes.to_le_bytes());
        out.extend_from_slice(&self.native_sector_bytes.to_le_bytes());
        for number in self.system_version {
            out.extend_from_slice(&number.to_le_bytes());
        }
        // Platform 2, service pack 0.0, suite mask 0x0110, product type 1 (workstation), architecture 2 (x64).
        out.extend_from_slice(&2_u32.to_le_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, 0x10, 0x01, 1, 2]);
        out.extend_from_slice(&self.verify_offset_bytes.to_le_bytes());
        out.extend_from_slice(&self.verify_length_bytes.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Observed in the volume `bitlk-aes-xts-128` (the entry after its header).
    #[test]
    fn the_extension_equals_the_one_windows_wrote() {
        let expected = hex!(
            "00501a0200000000 0020000000000000 05004c00 00000000 0a00000000000000"
            "0000000000000000 00000000 00020000 00020000 0a000000 00000000 ab3f0000 02000000 0000 0000 1001 01 02"
            "00701a0200000000 0000010000000000"
        );
        let extension = ExtendedVirtualization {
            flags: 0x0A,
            sector_bytes: 512,
            native_sector_bytes: 512,
            system_version: [10, 0, 16299],
            verify_offset_bytes: 0x21A_7000,
            verify_length_bytes: 0x1_0000,
        };
        let entry =
            Virtualization { offset_bytes: 0x21A_5000, length_bytes: 0x2000, extension: extension.encode() }.to_entry();
        assert_eq!(entry.data.as_slice(), &expected);
        let parsed = Virtualization::parse(&entry.data).expect("a good entry");
        assert_eq!(parsed.verify_region(), Some((0x21A_7000, 0x1_0000)));
        assert_eq!(entry.encoded_bytes(), 0x64);
    }
}
