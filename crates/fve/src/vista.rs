//! What Windows Vista does to the boot sector: the signature replaces the name of the file system, and the cluster of the
//! first metadata block replaces that of `$MFTMirr`.
//!
//! Source: documented by dislocker and dissect.fve; observed in `win-vista`. That the backup of the boot sector in the
//! last sector of the volume is patched alike is documented by dislocker only; it is undone where the signature is there.

use fve_format::MetadataBlock;

const NAME_AT: usize = 3;
const MIRROR_AT: usize = 0x38;
const SIGNATURE: &[u8; 8] = b"-FVE-FS-";

/// What a boot sector is given back when it is read.
pub(crate) struct BootSectorPatch {
    mirror_cluster: u64,
}

impl BootSectorPatch {
    /// The block keeps the real cluster where later versions keep the place of the relocated header.
    pub(crate) fn new(block: &MetadataBlock) -> Self {
        Self { mirror_cluster: block.header.header_offset_bytes }
    }

    /// Whether this boot sector was patched.
    pub(crate) fn applies_to(sector: &[u8]) -> bool {
        sector[NAME_AT..].starts_with(SIGNATURE)
    }

    /// Makes the sector what the file system wrote.
    pub(crate) fn undo(&self, sector: &mut [u8]) {
        if Self::applies_to(sector) {
            sector[NAME_AT..NAME_AT + 8].copy_from_slice(b"NTFS    ");
            sector[MIRROR_AT..MIRROR_AT + 8].copy_from_slice(&self.mirror_cluster.to_le_bytes());
        }
    }
}
