//! A BitLocker volume that is not unlocked: what can be known without a key.

use block_io::BlockRead;
use fve_crypto::SectorCipher;
use fve_format::{
    EncryptionMethod, Guid, KeyProtector, MetadataBlock, MetadataHeader, VOLUME_HEADER_BYTES, Value, VolumeHeader,
    VolumeLayout, VolumeState, key_type,
};
use secret::SecretBytes;

use crate::copies::Copies;
use crate::keys::sector_method;
use crate::map::AddressMap;
use crate::material::try_protectors;
use crate::wrapping::{Unwrapped, unwrap_key};
use crate::{Error, Fvek, KeyMaterial, MetadataCopy, UnlockedVolume, Vmk};

/// An opened volume. Opening reads the volume header and the three metadata copies, nothing else, whatever its size.
pub struct Volume<D> {
    storage: D,
    header: VolumeHeader,
    copies: Copies,
    chosen: usize,
    block: MetadataBlock,
}

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
        let header = VolumeHeader::parse(&sector).map_err(|_| Error::NotBitLocker { found: recognise(&sector) })?;
        if header.layout == VolumeLayout::Vista {
            return Err(Error::Unsupported("it was made by Windows Vista, whose layout is not supported yet"));
        }
        let copies = Copies::read(&storage, header.metadata_offsets);
        let Some((chosen, block)) = copies.choose().and_then(|index| Some((index, copies.blocks[index].clone()?)))
        else {
            return Err(Error::NoMetadata { copies: Box::new(copies.copies) });
        };
        Ok(Self { storage, header, copies, chosen, block })
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

    /// Bytes from the start that are encrypted; the size of the volume when conversion is complete.
    pub fn encrypted_bytes(&self) -> u64 {
        self.block.header.encrypted_bytes
    }

    /// Size of the volume in bytes: the encrypted size when conversion is complete, else the size of the storage.
    pub fn volume_bytes(&self) -> u64 {
        match self.state() {
            (VolumeState::Encrypted, VolumeState::Encrypted) if self.encrypted_bytes() > 0 => self.encrypted_bytes(),
            _ => self.storage.geometry().length_bytes,
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
        let sectors = u64::from(self.block.header.header_sectors);
        let relocated = self.block.virtualization().map_or(0, |virtualization| virtualization.length_bytes);
        relocated.checked_div(sectors).and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0).unwrap_or(512)
    }

    /// Finds the protector that `material` opens and gives the VMK.
    ///
    /// # Errors
    /// [`Error::WrongSecret`], [`Error::NoSuchProtector`], [`Error::BadProtector`], and [`Error::Tampered`] when the
    /// secret is right but no copy is what was sealed.
    pub fn unwrap_vmk(&self, material: &dyn KeyMaterial) -> Result<(Vmk, Guid), Error> {
        let (vmk, identifier) = try_protectors(&self.protectors(), material)?;
        self.verify_hash(&vmk)?;
        Ok((vmk, identifier))
    }

    /// Unlocks: unwraps the keys and builds the address map. Gives the protector that was used, too.
    ///
    /// # Errors
    /// As [`Self::unwrap_vmk`]; [`Error::Short`]; [`Error::Unsupported`] for states that cannot be read;
    /// [`Error::UnsupportedMethod`]; [`Error::BadPlace`]; [`Error::BadFvek`].
    pub fn unlock(
        self,
        material: &dyn KeyMaterial,
        options: UnlockOptions,
    ) -> Result<(UnlockedVolume<D>, Guid), Error> {
        let (vmk, identifier) = self.unwrap_vmk(material)?;
        if self.header.encrypt_on_write.is_some() {
            return Err(Error::Unsupported("an encrypt-on-write conversion is under way, which is not supported yet"));
        }
        let fvek = self.unwrap_fvek(&vmk)?;
        let sector_bytes = self.sector_bytes();
        let cipher = SectorCipher::new(sector_method(fvek.method)?, fvek.key.expose(), sector_bytes)
            .map_err(|_| Error::BadFvek { reason: "its length does not fit the encryption method or sector size" })?;
        let map = AddressMap::build(&self.block, self.volume_bytes(), sector_bytes)?;
        let length_bytes = self.readable_bytes(options)?;
        let read_only = self.why_read_only();
        let unlocked = UnlockedVolume::new(self.storage, cipher, map, length_bytes, read_only);
        Ok((unlocked, identifier))
    }

    /// How much of the volume is there, in whole sectors.
    fn readable_bytes(&self, options: UnlockOptions) -> Result<u64, Error> {
        let (storage_bytes, volume_bytes) = (self.storage_bytes(), self.volume_bytes());
        let sector = u64::from(self.sector_bytes());
        if storage_bytes >= volume_bytes {
            return Ok(volume_bytes - volume_bytes % sector);
        }
        if options.allow_short {
            return Ok(storage_bytes - storage_bytes % sector);
        }
        Err(Error::Short { storage_bytes, volume_bytes })
    }

    /// Writing is allowed only where nothing has to be guessed.
    fn why_read_only(&self) -> Option<&'static str> {
        if self.state() != (VolumeState::Encrypted, VolumeState::Encrypted) {
            return Some("the volume is being converted");
        }
        if self.copies.copies.iter().any(|copy| !matches!(copy.health, crate::CopyHealth::Good)) {
            return Some("the metadata copies are damaged or differ; they must be repaired first");
        }
        None
    }

    fn verify_hash(&self, vmk: &Vmk) -> Result<(), Error> {
        let block = self.block.encode_block()?;
        let hash = match unwrap_key(&vmk.0, &self.block.validation.hash, |found| found == key_type::METADATA_HASH) {
            Unwrapped::Key(hash) => SecretBytes::<32>::from_slice(hash.expose()),
            // A decrypted volume keeps the hash in the clear.
            _ => match self.block.validation.hash.value() {
                Ok(Value::Key(key)) if self.block.metadata.method == EncryptionMethod::None => {
                    SecretBytes::from_slice(key.key)
                }
                _ => None,
            },
        };
        let computed = SecretBytes::from_fn(|out| *out = fve_crypto::sha256(&block));
        if hash.is_some_and(|hash| hash == computed) { Ok(()) } else { Err(Error::Tampered) }
    }

    fn unwrap_fvek(&self, vmk: &Vmk) -> Result<Fvek, Error> {
        let stated = self.block.metadata.method;
        sector_method(stated)?;
        let entry = self.block.wrapped_fvek().ok_or(Error::BadFvek { reason: "the volume holds none" })?;
        match unwrap_key(&vmk.0, entry, |found| found == stated.value()) {
            Unwrapped::Key(key) => Ok(Fvek { method: stated, key }),
            Unwrapped::WrongKey => Err(Error::BadFvek { reason: "AES-CCM tag mismatch under the volume master key" }),
            Unwrapped::Malformed(reason) => Err(Error::BadFvek { reason }),
        }
    }
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
