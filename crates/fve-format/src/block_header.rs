//! The block header: the first 64 bytes of a metadata block.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0x00 | 8 | `-FVE-FS-` |
//! | 0x08 | 2 | length of the block: ÷ 16 in version 2, bytes in version 1 |
//! | 0x0A | 2 | version: 1 Vista, 2 later |
//! | 0x0C | 2, 2 | state now, state on the way to |
//! | 0x10 | 8 | encrypted size in bytes: data before it is encrypted |
//! | 0x18 | 4 | bytes being converted at the encrypted size, in state 2 |
//! | 0x1C | 4 | sectors of the relocated volume header |
//! | 0x20 | 8 × 3 | volume offsets of the three metadata blocks |
//! | 0x38 | 8 | volume offset of the relocated volume header; on Vista the cluster of `$MFTMirr` |

use crate::reader::Reader;
use crate::{Error, Structure, VolumeState};

/// Length of the block header in bytes.
pub const BLOCK_HEADER_BYTES: usize = 64;
pub(crate) const SIGNATURE: &[u8; 8] = b"-FVE-FS-";

/// The block header. Its length field is derived from the entries when it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// 1 on Vista, 2 later.
    pub version: u16,
    /// What the volume is now.
    pub state: VolumeState,
    /// Where a conversion leads.
    pub next_state: VolumeState,
    /// Bytes from the start of the volume that are encrypted; the volume size when conversion is complete.
    pub encrypted_bytes: u64,
    /// Bytes being converted at `encrypted_bytes` (state 2), else 0.
    pub conversion_bytes: u32,
    /// Length of the relocated volume header in sectors.
    pub header_sectors: u32,
    /// Where the three metadata blocks start, in bytes from the start of the volume.
    pub metadata_offsets: [u64; 3],
    /// Where the relocated volume header starts, in bytes; on Vista the cluster of `$MFTMirr`.
    pub header_offset_bytes: u64,
}

impl BlockHeader {
    /// The header of a block whose checksum may not fit: for looking where it points, not for believing. `None` when it is no
    /// block at all.
    #[must_use]
    pub fn in_damaged(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).ok().map(|(header, _)| header)
    }

    /// Reads the header and the length of the block in bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, usize), Error> {
        let mut reader = Reader::new(bytes, 0, Structure::BlockHeader);
        if reader.take(8)? != SIGNATURE {
            return Err(Error::NoSignature { structure: Structure::BlockHeader });
        }
        let size = usize::from(reader.u16()?);
        let version = reader.u16()?;
        let block_bytes = match version {
            1 => size,
            2 => size * 16,
            _ => return Err(reader.bad_field("version", 2, u64::from(version), "1 or 2")),
        };
        let header = Self {
            version,
            state: VolumeState::from_value(reader.u16()?),
            next_state: VolumeState::from_value(reader.u16()?),
            encrypted_bytes: reader.u64()?,
            conversion_bytes: reader.u32()?,
            header_sectors: reader.u32()?,
            metadata_offsets: [reader.u64()?, reader.u64()?, reader.u64()?],
            header_offset_bytes: reader.u64()?,
        };
        Ok((header, block_bytes))
    }

    /// `size_field` is the block's length in the unit of the version.
    pub(crate) fn encode(&self, size_field: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(SIGNATURE);
        for field in [size_field, self.version, self.state.value(), self.next_state.value()] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.encrypted_bytes.to_le_bytes());
        out.extend_from_slice(&self.conversion_bytes.to_le_bytes());
        out.extend_from_slice(&self.header_sectors.to_le_bytes());
        for offset in self.metadata_offsets {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out.extend_from_slice(&self.header_offset_bytes.to_le_bytes());
    }
}
