//! A BitLocker volume that is not unlocked: what can be known without a key.

use std::ops::Range;

use block_io::BlockRead;
use fve_crypto::SectorCipher;
use fve_format::{
    BLOCK_HEADER_BYTES, BlockHeader, ENCRYPT_ON_WRITE_FLAG, EncryptionMethod, Guid, KeyProtector,
    METADATA_REGION_BYTES, MetadataBlock, MetadataHeader, VOLUME_HEADER_BYTES, Value, VolumeHeader, VolumeLayout,
    VolumeState, entry_type, key_type,
};
use secret::SecretBytes;

use crate::conversion::Conversion;
use crate::convert::{ConversionProgress, InPlace};
use crate::copies::{Copies, read_copy};
use crate::keys::sector_method;
use crate::map::{AddressMap, Ground};
use crate::material::try_protectors;
use crate::unlocked::Parts;
use crate::vista::BootSectorPatch;
use crate::wrapping::{Unwrapped, unwrap_key};
use crate::{Error, Fvek, KeyMaterial, MetadataCopy, UnlockedVolume, Vmk};

/// An opened volume. Opening reads the volume header and the three metadata copies, nothing else, whatever its size.
pub struct Volume<D> {
    pub(crate) storage: D,
    pub(crate) header: VolumeHeader,
    pub(crate) copies: Copies,
    chosen: usize,
    block: MetadataBlock,
    /// A conversion in place that is under way.
    in_place: Option<InPlace>,
}

/// Protectors that are tried: a password is stretched anew for each, so a volume with thousands would take hours to
/// refuse one.
pub(crate) const MAX_PROTECTORS: usize = 64;

/// How tolerant unlocking is.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnlockOptions {
    /// Accept storage that ends before the volume does, and read as far as it goes.
    pub allow_short: bool,
}

impl<D: BlockRead> Volume<D> {
    /// Reads the volume header and the metadata copies.
    ///
    /// # Errors
    /// [`Error::NotBitLocker`], [`Error::NoMetadata`] when no copy can be used, [`Error::Storage`].
    pub fn open(storage: D) -> Result<Self, Error> {
        let mut sector = [0; VOLUME_HEADER_BYTES];
        if storage.geometry().length_bytes < VOLUME_HEADER_BYTES as u64 {
            return Err(Error::NotBitLocker { found: Some("nothing: it is shorter than one sector") });
        }
        storage.read_exact_at(0, &mut sector)?;
        let in_place = InPlace::read(&storage, &sector)?;
        if let Some(in_place) = &in_place {
            sector = in_place.volume_header();
        }
        let header = VolumeHeader::parse(&sector).map_err(|_| Error::NotBitLocker { found: recognise(&sector) })?;
        let copies = match &in_place {
            Some(in_place) => {
                let unmasked = in_place.unmasked(&storage);
                Copies::read(&unmasked, places_of_copies(&unmasked, &header), region_bytes(&header))
            }
            None => Copies::read(&storage, places_of_copies(&storage, &header), region_bytes(&header)),
        };
        let Some((chosen, block)) = copies.choose().and_then(|index| Some((index, copies.blocks[index].clone()?)))
        else {
            return Err(Error::NoMetadata { copies: Box::new(copies.copies) });
        };
        Ok(Self { storage, header, copies, chosen, block, in_place })
    }

    /// As [`Self::open`] for a finished or paused volume whose first sector is given, because the stored one is lost.
    pub(crate) fn with_header(storage: D, header: VolumeHeader) -> Result<Self, Error> {
        let copies = Copies::read(&storage, places_of_copies(&storage, &header), region_bytes(&header));
        let Some((chosen, block)) = copies.choose().and_then(|index| Some((index, copies.blocks[index].clone()?)))
        else {
            return Err(Error::NoMetadata { copies: Box::new(copies.copies) });
        };
        Ok(Self { storage, header, copies, chosen, block, in_place: None })
    }

    /// What the first sector says.
    pub fn header(&self) -> &VolumeHeader {
        &self.header
    }

    /// The three copies and their health.
    pub fn copies(&self) -> &[MetadataCopy; 3] {
        &self.copies.copies
    }

    /// Which copy is used, 0 to 2.
    pub fn copy_in_use(&self) -> usize {
        self.chosen
    }

    /// State now, and the state a conversion leads to.
    pub fn state(&self) -> (VolumeState, VolumeState) {
        (self.block.header.state, self.block.header.next_state)
    }

    /// Identifier, method, creation time.
    pub fn metadata(&self) -> &MetadataHeader {
        &self.block.metadata
    }

    /// Computer, label or drive, and date of encryption, where the volume says so.
    pub fn description(&self) -> Option<String> {
        self.block.description()
    }

    /// The key protectors, in the order of the metadata.
    pub fn protectors(&self) -> Vec<KeyProtector> {
        self.block.protectors()
    }

    /// Whether this is the drive of a system that unlocks other drives automatically: it holds the key for theirs.
    pub fn unlocks_other_drives(&self) -> bool {
        self.block.entries.iter().any(|entry| entry.entry_type == entry_type::AUTO_UNLOCK)
    }

    /// The metadata blocks, and place and length of the relocated volume header.
    pub(crate) fn places_of_structures(&self) -> ([u64; 3], (u64, u64)) {
        let header = &self.block.header;
        let length = u64::from(header.header_sectors) * u64::from(self.sector_bytes());
        let relocated = self.block.virtualization().map(|place| (place.offset_bytes, place.length_bytes));
        (header.metadata_offsets, relocated.unwrap_or((header.header_offset_bytes, length)))
    }

    /// The places inside the volume that belong to BitLocker: metadata copies, the relocated volume header and, where it is
    /// named, the reserved region. The file system inside must not use them.
    pub fn own_places(&self) -> Vec<Range<u64>> {
        let (metadata_offsets, (header_offset_bytes, header_bytes)) = self.places_of_structures();
        let region_bytes = region_bytes(&self.header) as u64;
        let metadata = metadata_offsets.into_iter().map(|at| at..at.saturating_add(region_bytes));
        let header = header_offset_bytes..header_offset_bytes.saturating_add(header_bytes);
        metadata.chain([header]).chain(self.reserved_region()).collect()
    }

    /// A region that belongs to BitLocker and holds nothing in a finished volume, where the volume names one that lies in
    /// it: room for a journal when nothing is known about the file system inside.
    pub fn reserved_region(&self) -> Option<Range<u64>> {
        let (start, length) = self.block.virtualization()?.verify_region()?;
        let end = start.checked_add(u64::from(length))?;
        Some(start..end).filter(|region| region.end <= self.volume_bytes())
    }

    /// How far a conversion in place is, where one is under way: it was paused or interrupted, or runs now.
    pub fn in_place_conversion(&self) -> Option<ConversionProgress> {
        self.in_place.as_ref().map(InPlace::progress)
    }

    pub(crate) fn in_place(&self) -> Option<&InPlace> {
        self.in_place.as_ref()
    }

    /// The sectors that were being rewritten when a conversion was interrupted; they read as zeros.
    pub fn interrupted_range(&self) -> Option<Range<u64>> {
        let header = &self.block.header;
        let end = header.encrypted_bytes.checked_add(u64::from(header.conversion_bytes))?;
        Some(header.encrypted_bytes..end).filter(|range| !range.is_empty())
    }

    /// Bytes from the start that are encrypted; the size of the volume when conversion is complete.
    pub fn encrypted_bytes(&self) -> u64 {
        self.block.header.encrypted_bytes
    }

    /// Size of the volume in bytes: the encrypted size when conversion is complete, else the size of the storage.
    pub fn volume_bytes(&self) -> u64 {
        let stored = self.storage.geometry().length_bytes;
        if let Some(sectors) = self.header.file_system_sectors {
            // Vista: the file system, and behind it one sector with the backup of its first.
            return sectors.saturating_add(1).saturating_mul(u64::from(self.sector_bytes()));
        }
        match self.state() {
            (VolumeState::Encrypted, VolumeState::Encrypted) if self.encrypted_bytes() > 0 => self.encrypted_bytes(),
            _ => stored,
        }
    }

    /// Size of what the volume lies on, in bytes.
    pub fn storage_bytes(&self) -> u64 {
        self.storage.geometry().length_bytes
    }

    /// Sector size in bytes: from the volume header; where that says 0 (exFAT), from the relocated header's length.
    pub fn sector_bytes(&self) -> u32 {
        if self.header.bytes_per_sector != 0 {
            return u32::from(self.header.bytes_per_sector);
        }
        self.sealed_sector_bytes().unwrap_or(512)
    }

    /// Sector size in bytes, by the length of the relocated header in bytes and in sectors, or by the extension.
    fn sealed_sector_bytes(&self) -> Option<u32> {
        sealed_sector_bytes(&self.block)
    }

    /// Whether the sealed metadata says, too, that an encrypt-on-write conversion is under way. The first sector, which
    /// calls for it, is sealed by nothing: somebody who can write to the drive can make it say so, and the maps with it.
    /// Volumes without the flags (Windows 7) cannot have such a conversion.
    pub fn is_encrypt_on_write_sealed(&self) -> bool {
        let flags = self.block.virtualization().and_then(|virtualization| virtualization.flags());
        flags.is_some_and(|flags| flags & ENCRYPT_ON_WRITE_FLAG != 0)
    }

    /// Why an encrypt-on-write conversion that is under way cannot be read, if so: the keys are not needed to know.
    pub fn conversion_problem(&self) -> Option<&'static str> {
        let offsets = self.header.encrypt_on_write.filter(|_| !self.is_decrypted())?;
        match Conversion::read(&self.storage, offsets, self.volume_bytes(), self.sector_bytes()) {
            Err(Error::NoConversionMap { reason }) => Some(reason),
            _ => None,
        }
    }

    /// Protectors that cannot be interpreted, by their identifiers where these can be told. They are kept as they are.
    pub fn unreadable_protectors(&self) -> Vec<Option<Guid>> {
        self.block.unreadable_protectors()
    }

    /// Finds the protector that `material` opens and gives the VMK.
    ///
    /// # Errors
    /// [`Error::WrongSecret`], [`Error::NoSuchProtector`], [`Error::BadProtector`], and [`Error::Tampered`] when the
    /// secret is right but no copy is what was sealed.
    pub fn unwrap_vmk(&self, material: &dyn KeyMaterial) -> Result<(Vmk, Guid), Error> {
        let (vmk, identifier, _) = self.unwrap_with(material)?;
        Ok((vmk, identifier))
    }

    /// Finds a copy that the secret opens and that is what was sealed. The one in use comes first; others are tried where
    /// they differ from it: its checksum may fit although it is damaged behind, or was changed.
    pub(crate) fn unwrap_with(&self, material: &dyn KeyMaterial) -> Result<(Vmk, Guid, usize), Error> {
        let mut first_error = None;
        let different = (0..3)
            .filter(|index| *index != self.chosen)
            .filter(|index| self.copies.blocks[*index].as_ref().is_some_and(|block| *block != self.block));
        for index in std::iter::once(self.chosen).chain(different) {
            let Some(block) = &self.copies.blocks[index] else { continue };
            match Self::unwrap_block(block, material) {
                Ok((vmk, identifier)) => return Ok((vmk, identifier, index)),
                Err(error) => first_error.get_or_insert(error),
            };
        }
        Err(first_error.unwrap_or(Error::Tampered))
    }

    /// Opens one copy, and checks that it is what was sealed.
    pub(crate) fn unwrap_block(block: &MetadataBlock, material: &dyn KeyMaterial) -> Result<(Vmk, Guid), Error> {
        let protectors = protectors_to_try(block)?;
        let (vmk, identifier) = try_protectors(&protectors, material)?;
        verify_hash(block, &vmk)?;
        Ok((vmk, identifier))
    }

    /// Uses this copy from now on, because it was proven genuine.
    pub(crate) fn use_copy(&mut self, index: usize) {
        if let Some(block) = &self.copies.blocks[index] {
            (self.block, self.chosen) = (block.clone(), index);
        }
    }

    /// The copy in use.
    pub(crate) fn block(&self) -> &MetadataBlock {
        &self.block
    }

    /// Whether the data is not encrypted at all, although the metadata is there: then there are no keys, and
    /// [`Self::open_decrypted`] gives the data. Nothing seals such metadata, so one copy is not believed when another that
    /// can be used says otherwise.
    pub fn is_decrypted(&self) -> bool {
        if self.in_place.as_ref().is_some_and(InPlace::is_plain) {
            return true;
        }
        let mut usable = self.copies.blocks.iter().flatten().chain([&self.block]);
        usable.all(is_decrypted)
    }

    /// Unlocks: unwraps the keys and builds the address map. Gives the protector that was used, too.
    ///
    /// # Errors
    /// As [`Self::unwrap_vmk`]; [`Error::Decrypted`]; [`Error::Short`]; [`Error::NoConversionMap`] and
    /// [`Error::Unsupported`] for states that cannot be read; [`Error::UnsupportedMethod`]; [`Error::BadPlace`];
    /// [`Error::BadFvek`].
    pub fn unlock(
        mut self,
        material: &dyn KeyMaterial,
        options: UnlockOptions,
    ) -> Result<(UnlockedVolume<D>, Guid), Error> {
        if self.is_decrypted() {
            return Err(Error::Decrypted);
        }
        let (vmk, identifier, index) = self.unwrap_with(material)?;
        if let Some(block) = self.copies.blocks[index].take() {
            (self.block, self.chosen) = (block, index);
        }
        let fvek = self.unwrap_fvek(&vmk)?;
        let cipher = SectorCipher::new(sector_method(fvek.method)?, fvek.key.expose(), self.sector_bytes())
            .map_err(|_| Error::BadFvek { reason: "its length does not fit the encryption method or sector size" })?;
        Ok((self.assemble(Some(cipher), options)?, identifier))
    }

    /// The data of a volume that is decrypted; see [`Self::is_decrypted`].
    ///
    /// # Errors
    /// [`Error::Tampered`], and as [`Self::unlock`] where the places make no sense.
    pub fn open_decrypted(self, options: UnlockOptions) -> Result<UnlockedVolume<D>, Error> {
        if self.in_place.is_none() {
            verify_clear_hash(&self.block)?;
        }
        if !self.is_decrypted() {
            return Err(Error::Tampered);
        }
        self.assemble(None, options)
    }

    fn assemble(self, cipher: Option<SectorCipher>, options: UnlockOptions) -> Result<UnlockedVolume<D>, Error> {
        let sector_bytes = self.sector_bytes();
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
            return Err(Error::Unsupported("its sectors are of a size that BitLocker does not use"));
        }
        // The volume header is not sealed, and with another sector size every sector decrypts to noise.
        if self.sealed_sector_bytes().is_some_and(|sealed| sealed != sector_bytes) {
            return Err(Error::Unsupported("its header and its metadata tell different sector sizes"));
        }
        let (length_bytes, volume_bytes) = (self.readable_bytes(), self.volume_bytes());
        let vista = self.header.layout == VolumeLayout::Vista;
        if vista && self.state() != (VolumeState::Encrypted, VolumeState::Encrypted) {
            return Err(Error::Unsupported("Windows Vista was converting it, and does not write down how far it came"));
        }
        let conversion = match self.header.encrypt_on_write {
            Some(offsets) => match Conversion::read(&self.storage, offsets, volume_bytes, sector_bytes) {
                // Nothing is encrypted, whatever became of the maps.
                Err(Error::NoConversionMap { .. }) if cipher.is_none() => None,
                read => Some(read?),
            },
            None => None,
        };
        let interrupted = conversion.as_ref().is_some_and(Conversion::is_interrupted);
        let in_place = match &self.in_place {
            Some(in_place) => {
                in_place.check_against(&self.block, volume_bytes, sector_bytes)?;
                Some(in_place.map(&self.storage, cipher.as_ref())?)
            }
            None => None,
        };
        let ground = Ground {
            in_place,
            layout: self.header.layout,
            volume_bytes,
            sector_bytes,
            region_bytes: region_bytes(&self.header) as u64,
            conversion,
            patched_backup: if vista { self.patched_backup(length_bytes) } else { None },
        };
        let map = AddressMap::build(&self.block, ground)?;
        let read_only = self.why_read_only(interrupted);
        let boot_sector = vista.then(|| BootSectorPatch::new(&self.block));
        let parts = Parts { cipher, sector_bytes, map, length_bytes, read_only, boot_sector };
        let storage_bytes = self.storage_bytes();
        let mut unlocked = UnlockedVolume::new(self.storage, parts);
        // Shrunk, not cut off, when the file system inside ends before the storage does; dislocker reads such volumes, too.
        let whole =
            storage_bytes >= volume_bytes || file_system_bytes(&unlocked).is_some_and(|size| size <= length_bytes);
        match (whole, options.allow_short) {
            (true, _) => {}
            (false, true) => unlocked.refuse_writes("the end of the volume is missing"),
            (false, false) => return Err(Error::Short { storage_bytes, volume_bytes }),
        }
        Ok(unlocked)
    }

    /// The last sector, where Vista patched the backup of the boot sector in it.
    fn patched_backup(&self, length_bytes: u64) -> Option<u64> {
        let sector_bytes = u64::from(self.sector_bytes());
        let at = self.volume_bytes().checked_sub(sector_bytes).filter(|at| at + sector_bytes <= length_bytes)?;
        let mut start = [0; 16];
        self.storage.read_exact_at(at, &mut start).ok()?;
        BootSectorPatch::applies_to(&start).then_some(at)
    }

    /// How much of the volume is there, in whole sectors.
    fn readable_bytes(&self) -> u64 {
        let there = self.storage_bytes().min(self.volume_bytes());
        there - there % u64::from(self.sector_bytes())
    }

    /// Writing is allowed only where nothing has to be guessed. While a conversion is paused that is so: a sector is
    /// written in the state that the boundary or the map of chunks gives it.
    fn why_read_only(&self, interrupted: bool) -> Option<&'static str> {
        use VolumeState::{ConvertingPaused, Decrypted, Encrypted, Paused};
        if self.in_place.is_some() {
            return Some("it is being encrypted or decrypted in place");
        }
        if self.header.layout == VolumeLayout::Vista {
            return Some("volumes of Windows Vista are read only");
        }
        if let VolumeState::Unknown(_) = self.state().0 {
            return Some("the volume is in a state that this program does not know");
        }
        if interrupted
            || self.interrupted_range().is_some()
            || !matches!(self.state().0, Decrypted | Encrypted | Paused | ConvertingPaused)
        {
            return Some("a conversion was interrupted, and some sectors are in between; let Windows finish it first");
        }
        if self.header.encrypt_on_write.is_some() && !self.is_decrypted() && !self.is_encrypt_on_write_sealed() {
            return Some("its first sector calls for a conversion that the sealed metadata does not know of");
        }
        if self.copies.copies.iter().any(|copy| !matches!(copy.health, crate::CopyHealth::Good)) {
            return Some("the metadata copies are damaged or differ; they must be repaired first");
        }
        None
    }

    fn unwrap_fvek(&self, vmk: &Vmk) -> Result<Fvek, Error> {
        let stated = self.block.metadata.method;
        sector_method(stated)?;
        let mut reason = "the volume holds none";
        for entry in self.block.wrapped_fveks() {
            match unwrap_key(&vmk.0, entry, |found| found == stated.value()) {
                Unwrapped::Key(key) => return Ok(Fvek { method: stated, key }),
                Unwrapped::WrongKey => reason = "AES-CCM tag mismatch under the volume master key",
                Unwrapped::Malformed(malformed) => reason = malformed,
            }
        }
        Err(Error::BadFvek { reason })
    }
}

/// Sector size in bytes, by the length of the relocated header in bytes and in sectors, or by the extension.
pub(crate) fn sealed_sector_bytes(block: &MetadataBlock) -> Option<u32> {
    let sectors = u64::from(block.header.header_sectors);
    let virtualization = block.virtualization()?;
    let by_length = virtualization.length_bytes.checked_div(sectors).and_then(|size| u32::try_from(size).ok());
    by_length.filter(|size| *size > 0).or(virtualization.sector_bytes())
}

fn protectors_to_try(block: &MetadataBlock) -> Result<Vec<KeyProtector>, Error> {
    let protectors = block.protectors();
    if protectors.len() > MAX_PROTECTORS {
        return Err(Error::TooManyProtectors { found: protectors.len(), most: MAX_PROTECTORS });
    }
    Ok(protectors)
}

/// Whether the block is what was sealed under the VMK. A hash in the clear, as a decrypted volume has it, seals nothing: who
/// holds a VMK has a block that wraps one.
pub(crate) fn verify_hash(block: &MetadataBlock, vmk: &Vmk) -> Result<(), Error> {
    match unwrap_key(&vmk.0, &block.validation.hash, |found| found == key_type::METADATA_HASH) {
        Unwrapped::Key(hash) => compare_hash(block, hash.expose()),
        _ => Err(Error::Tampered),
    }
}

/// Whether a block says that nothing is encrypted, and holds no key either.
fn is_decrypted(block: &MetadataBlock) -> bool {
    let header = &block.header;
    (header.state, header.next_state) == (VolumeState::Decrypted, VolumeState::Decrypted)
        && block.metadata.method == EncryptionMethod::None
        && block.wrapped_fveks().next().is_none()
        && block.entries.iter().all(|entry| entry.entry_type != entry_type::PROTECTOR)
}

fn verify_clear_hash(block: &MetadataBlock) -> Result<(), Error> {
    match block.validation.hash.value() {
        Ok(Value::Key(key)) if block.metadata.method == EncryptionMethod::None => compare_hash(block, key.key),
        _ => Err(Error::Tampered),
    }
}

fn compare_hash(block: &MetadataBlock, stored: &[u8]) -> Result<(), Error> {
    let bytes = block.encode_block()?;
    let computed = SecretBytes::<32>::from_fn(|out| *out = fve_crypto::sha256(&bytes));
    if SecretBytes::from_slice(stored).is_some_and(|stored| stored == computed) { Ok(()) } else { Err(Error::Tampered) }
}

/// Length of a metadata region: 64 KiB; on Vista 16 KiB, rounded up to a cluster.
fn region_bytes(header: &VolumeHeader) -> usize {
    const VISTA_REGION_BYTES: usize = 0x4000;
    if header.layout != VolumeLayout::Vista {
        return METADATA_REGION_BYTES;
    }
    let cluster_bytes = usize::from(header.bytes_per_sector) * usize::from(header.sectors_per_cluster);
    VISTA_REGION_BYTES.next_multiple_of(cluster_bytes.clamp(1, METADATA_REGION_BYTES))
}

/// Where the copies are. The header of Vista names the first only, which names the others.
fn places_of_copies(storage: &impl BlockRead, header: &VolumeHeader) -> [Option<u64>; 3] {
    match header.metadata_offsets {
        [Some(first), None, None] => match read_copy(storage, first, region_bytes(header)) {
            Ok(block) if block.header.metadata_offsets[0] == first => block.header.metadata_offsets.map(Some),
            _ => {
                // A damaged block may still know where the others are, and each of them must confirm it.
                let mut start = [0; BLOCK_HEADER_BYTES];
                let read = storage.read_exact_at(first, &mut start).ok();
                let offsets = read.and_then(|()| BlockHeader::in_damaged(&start)).map(|header| header.metadata_offsets);
                offsets.filter(|offsets| offsets[0] == first).map_or([Some(first), None, None], |all| all.map(Some))
            }
        },
        offsets => offsets,
    }
}

/// Bytes that the file system inside takes, by its boot sector; `None` when it is none of those that Windows encrypts.
fn file_system_bytes(plain: &impl BlockRead) -> Option<u64> {
    let mut sector = [0; VOLUME_HEADER_BYTES];
    plain.read_exact_at(0, &mut sector).ok()?;
    let (half, _) = sector.as_chunks::<2>();
    let word = |at: usize| u64::from(u16::from_le_bytes(half[at / 2]));
    let long = |at: usize| word(at) | word(at + 2) << 16;
    let huge = |at: usize| long(at) | long(at + 4) << 32;
    // FAT keeps the 16-bit count at an odd place.
    let (bytes_per_sector, few) = (
        u64::from(u16::from_le_bytes([sector[11], sector[12]])),
        u64::from(u16::from_le_bytes([sector[19], sector[20]])),
    );
    let size = match &sector[3..11] {
        // Behind the file system lies the backup of its boot sector.
        b"NTFS    " => huge(0x28).checked_add(1).and_then(|sectors| sectors.checked_mul(bytes_per_sector)),
        b"EXFAT   " => huge(0x48).checked_shl(u32::from(sector[0x6C])),
        _ if sector[510..] == [0x55, 0xAA] => Some(if few > 0 { few } else { long(0x20) } * bytes_per_sector),
        _ => None,
    };
    size.filter(|bytes| *bytes > 0)
}

/// What a first sector looks like, for the error message.
fn recognise(sector: &[u8; VOLUME_HEADER_BYTES]) -> Option<&'static str> {
    match &sector[3..11] {
        b"NTFS    " => return Some("a plain NTFS volume"),
        b"EXFAT   " => return Some("a plain exFAT volume"),
        _ => {}
    }
    if &sector[0x52..0x57] == b"FAT32" || &sector[0x36..0x39] == b"FAT" {
        Some("a plain FAT volume")
    } else if sector.starts_with(b"LUKS\xba\xbe") {
        Some("a LUKS volume")
    } else if sector.iter().all(|byte| *byte == 0) {
        Some("an empty disk")
    } else if sector[510..] == [0x55, 0xAA] {
        Some("a whole disk with partitions; name the partition")
    } else {
        None
    }
}
