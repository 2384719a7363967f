//! A volume that a search found: opened with the header that it has, or with one made anew.

use std::ops::Range;

use block_io::BlockRead;
use fve_format::encrypt_on_write::Descriptor;
use fve_format::{
    ENCRYPT_ON_WRITE_FLAG, MetadataBlock, MetadataHeader, VOLUME_HEADER_BYTES, VolumeHeader, VolumeState,
};

use crate::volume::sealed_sector_bytes;
use crate::{Error, Volume, VolumeLayout};

/// Relocated headers of volumes that have no discovery file system in front are no longer than this.
const MAX_FIXED_HEADER_BYTES: u64 = 64 * 1024;
const STEP_BYTES: usize = 4 << 20;

/// What a search found. Nothing of it is proven before a secret has opened it.
#[derive(Debug, Clone)]
pub struct FoundVolume {
    /// Where it starts in the storage that was searched.
    pub start_bytes: u64,
    /// Metadata copies that name each other: 1 to 3. With one only, the start is the likeliest of three answers.
    pub copies: usize,
    /// Whether it was being converted in place by this program.
    pub is_masked: bool,
    pub(crate) block: MetadataBlock,
    /// Its volume header, where that is sound.
    pub(crate) header: Option<VolumeHeader>,
}

impl FoundVolume {
    /// Whether its volume header is there and names the places where the metadata was found.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Identifier, method, creation time, as the block that was found tells them.
    #[must_use]
    pub fn metadata(&self) -> &MetadataHeader {
        &self.block.metadata
    }

    /// Where to look for the volume in a storage of this length: from its start to the end of the storage. Where it ends is
    /// told by the block that is proven genuine, which need not be the one that was found first.
    #[must_use]
    pub fn region(&self, storage_bytes: u64) -> Range<u64> {
        self.start_bytes.min(storage_bytes)..storage_bytes
    }

    /// Where it ends, if the metadata tells.
    pub(crate) fn end_bytes(&self) -> Option<u64> {
        let header = &self.block.header;
        let finished = (header.state, header.next_state) == (VolumeState::Encrypted, VolumeState::Encrypted);
        let length = Some(header.encrypted_bytes).filter(|length| finished && *length > 0)?;
        self.start_bytes.checked_add(length)
    }

    /// Where its metadata copies are in the storage that was searched.
    pub(crate) fn places(&self) -> [u64; 3] {
        self.block.header.metadata_offsets.map(|place| self.start_bytes.saturating_add(place))
    }

    /// Opens it. `storage` is its region.
    ///
    /// # Errors
    /// As [`Volume::open`]; [`Error::BadConversion`], [`Error::NoConversionMap`] and [`Error::Unsupported`] where the first
    /// sector is lost and cannot be made anew.
    pub fn open<D: BlockRead>(&self, storage: D) -> Result<Volume<D>, Error> {
        if self.header.is_some() {
            return Volume::open(storage);
        }
        if self.is_masked {
            // The header of the conversion may still be there: it looks like no volume header.
            return match Volume::open(storage) {
                Err(Error::NotBitLocker { .. }) => Err(Error::BadConversion { reason: "its first sector is lost" }),
                opened => opened,
            };
        }
        let header = self.make_header(&storage)?;
        Volume::with_header(storage, header)
    }

    fn make_header(&self, storage: &impl BlockRead) -> Result<VolumeHeader, Error> {
        if self.block.header.version == 1 {
            return vista_backup(storage, &self.block).ok_or(Error::Unsupported(
                "its first sector is lost, and that of a Windows Vista volume cannot be made anew",
            ));
        }
        let mut header = fixed_header(&self.block, storage.geometry().length_bytes)?;
        if is_under_encrypt_on_write(&self.block) {
            let found = find_descriptor(storage);
            let reason = "its first sector is lost, and no descriptor of the conversion was found";
            header.encrypt_on_write = Some(found.ok_or(Error::NoConversionMap { reason })?);
        }
        Ok(header)
    }
}

/// A volume header for this block, with the geometry of a plain volume with clusters of 4 KiB: enough for reading.
pub(crate) fn fixed_header(block: &MetadataBlock, volume_bytes: u64) -> Result<VolumeHeader, Error> {
    let sector_bytes = sealed_sector_bytes(block).unwrap_or(512);
    let mut file_system = [0; VOLUME_HEADER_BYTES];
    let [low, high, ..] = sector_bytes.to_le_bytes();
    let [sectors_per_cluster, ..] = (4096 / sector_bytes.max(1)).max(1).to_le_bytes();
    file_system[0x0B..0x0E].copy_from_slice(&[low, high, sectors_per_cluster]);
    let sector = VolumeHeader::encode_fixed(&file_system, volume_bytes, block.header.metadata_offsets);
    Ok(VolumeHeader::parse(&sector)?)
}

/// Whether the sealed flags say so. Volumes with a discovery file system have the flag, too, and no such conversion.
fn is_under_encrypt_on_write(block: &MetadataBlock) -> bool {
    let Some(virtualization) = block.virtualization() else { return false };
    virtualization.flags().is_some_and(|flags| flags & ENCRYPT_ON_WRITE_FLAG != 0)
        && virtualization.length_bytes <= MAX_FIXED_HEADER_BYTES
        && block.header.state != VolumeState::Decrypted
}

/// Vista keeps the NTFS backup of its patched first sector in the last one.
fn vista_backup(storage: &impl BlockRead, block: &MetadataBlock) -> Option<VolumeHeader> {
    let mut sector = [0; VOLUME_HEADER_BYTES];
    let at = storage.geometry().length_bytes.checked_sub(VOLUME_HEADER_BYTES as u64)?;
    storage.read_exact_at(at, &mut sector).ok()?;
    let header = VolumeHeader::parse(&sector).ok()?;
    let same = header.metadata_offsets[0] == Some(block.header.metadata_offsets[0]);
    (same && header.layout == VolumeLayout::Vista).then_some(header)
}

/// Where the descriptors of an encrypt-on-write conversion are, by the first that is sound and lies where it says.
fn find_descriptor(storage: &impl BlockRead) -> Option<[u64; 2]> {
    let length = storage.geometry().length_bytes;
    let mut buffer = vec![0; STEP_BYTES];
    let mut at = 0;
    while at < length {
        let count = usize::try_from(length - at).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        let buffer = &mut buffer[..count];
        if storage.read_exact_at(at, buffer).is_ok() {
            let sectors = buffer.chunks_exact(512).enumerate();
            for (index, _) in sectors.filter(|(_, sector)| sector.starts_with(b"FVE-EOW\0")) {
                let here = at + (index * 512) as u64;
                let found = descriptor_at(storage, here).filter(|offsets| offsets.contains(&here));
                if found.is_some() {
                    return found;
                }
            }
        }
        at += count as u64;
    }
    None
}

fn descriptor_at(storage: &impl BlockRead, at: u64) -> Option<[u64; 2]> {
    let mut bytes = [0; 4096];
    storage.read_exact_at(at, &mut bytes).ok()?;
    Descriptor::parse(&bytes).ok().map(|descriptor| descriptor.copies)
}
