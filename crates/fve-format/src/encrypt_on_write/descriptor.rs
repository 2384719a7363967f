//! The descriptor of a conversion.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | `FVE-EOW` and a zero |
//! | 8 | 2, 2 | size of the header, 0x38; of all, 0x38 + 8 for each map |
//! | 12 | 4, 4 | logical and physical sector size |
//! | 20 | 4 | chunk size |
//! | 24 | 4, 4 | size of a conversion log; of one record in it |
//! | 32 | 4 | number of block maps |
//! | 36 | 4 | CRC-32 of all, this field zero |
//! | 40 | 8 × 2 | volume offsets of both copies |
//! | 56 | 8 × n | volume offsets of the block maps |

use crate::checksum::checksum_without;
use crate::reader::Reader;
use crate::{Error, Structure};

/// Bytes that are reserved for a descriptor.
pub const DESCRIPTOR_BYTES: usize = 4096;
const SIGNATURE: &[u8; 8] = b"FVE-EOW\0";
const HEADER_BYTES: usize = 0x38;
const CHECKSUM_AT: usize = 36;

/// What the descriptor says. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Logical sector size in bytes.
    pub sector_bytes: u32,
    /// Physical sector size in bytes: what is written atomically.
    pub physical_sector_bytes: u32,
    /// Bytes that one bit of a map stands for.
    pub chunk_bytes: u32,
    /// Length of each conversion log in bytes.
    pub log_bytes: u32,
    /// Length of one record in a log, its two header sectors included.
    pub log_record_bytes: u32,
    /// Where the two copies of the descriptor are.
    pub copies: [u64; 2],
    /// Where the block maps are.
    pub maps: Vec<u64>,
}

impl Descriptor {
    /// Reads a descriptor at the start of `bytes` and checks its CRC-32.
    ///
    /// # Errors
    /// [`Error::NoSignature`], [`Error::Checksum`], and what else is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, 0, Structure::ConversionDescriptor);
        if reader.take(8)? != SIGNATURE {
            return Err(Error::NoSignature { structure: Structure::ConversionDescriptor });
        }
        let header_bytes = reader.u16()?;
        if usize::from(header_bytes) != HEADER_BYTES {
            return Err(reader.bad_field("header size", 2, u64::from(header_bytes), "0x38"));
        }
        let size = usize::from(reader.u16()?);
        if size > DESCRIPTOR_BYTES || size > bytes.len() || size < HEADER_BYTES {
            return Err(reader.bad_field("size", 2, size as u64, "0x38 to 4096"));
        }
        let (sector_bytes, physical_sector_bytes) = (reader.u32()?, reader.u32()?);
        let chunk_bytes = reader.u32()?;
        let (log_bytes, log_record_bytes) = (reader.u32()?, reader.u32()?);
        let maps = reader.u32()?;
        if u64::from(maps) != (size as u64 - HEADER_BYTES as u64) / 8 || !size.is_multiple_of(8) {
            return Err(reader.bad_field(
                "number of block maps",
                4,
                u64::from(maps),
                "as many as the size has room for",
            ));
        }
        let stored = reader.u32()?;
        let found = checksum_without(&bytes[..size], CHECKSUM_AT);
        if stored != found {
            return Err(Error::Checksum { found, stored });
        }
        let copies = [reader.u64()?, reader.u64()?];
        let maps = (0..maps).map(|_| reader.u64()).collect::<Result<_, _>>()?;
        Ok(Self { sector_bytes, physical_sector_bytes, chunk_bytes, log_bytes, log_record_bytes, copies, maps })
    }

    /// Length in bytes, without the rest of the reserved space.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + 8 * self.maps.len()
    }

    /// The bytes of the descriptor.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the maps do not fit into the reserved space.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let size = self.encoded_bytes();
        let too_large = || Error::TooLarge { needed: size, available: DESCRIPTOR_BYTES };
        if size > DESCRIPTOR_BYTES {
            return Err(too_large());
        }
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(SIGNATURE);
        out.extend_from_slice(&0x38_u16.to_le_bytes());
        out.extend_from_slice(&u16::try_from(size).map_err(|_| too_large())?.to_le_bytes());
        let maps = u32::try_from(self.maps.len()).map_err(|_| too_large())?;
        for field in [self.sector_bytes, self.physical_sector_bytes, self.chunk_bytes, self.log_bytes] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.log_record_bytes, maps, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for offset in self.copies.iter().chain(&self.maps) {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        let checksum = checksum_without(&out, CHECKSUM_AT);
        out[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Observed in `eow_partial`.
    const WINDOWS: [u8; 0x68] = hex!(
        "4656452d454f570038006800000200000002000000008000000c080000040400060000009c50cb90"
        "00a053150000000000b0531500000000 00c0531500000000 00e05b1500000000 0000641500000000"
        "00206c1500000000 0040741500000000 00607c1500000000"
    );

    #[test]
    fn a_descriptor_of_windows_reads_and_writes_back() {
        let descriptor = Descriptor::parse(&WINDOWS).expect("a good descriptor");
        assert_eq!((descriptor.chunk_bytes, descriptor.log_bytes), (0x80_0000, 0x8_0C00));
        assert_eq!(descriptor.copies, [0x1553_A000, 0x1553_B000]);
        assert_eq!(descriptor.maps.len(), 6);
        assert_eq!(descriptor.maps[2], 0x1564_0000);
        assert_eq!(descriptor.encode().expect("fits"), WINDOWS);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        for bit in 0..WINDOWS.len() * 8 {
            let mut changed = WINDOWS;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Descriptor::parse(&changed).is_err(), "bit {bit}");
        }
        assert!(matches!(Descriptor::parse(&[0; 512]), Err(Error::NoSignature { .. })));
    }
}
