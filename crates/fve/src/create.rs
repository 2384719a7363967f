//! Making a new volume, field by field as Windows writes it.
//!
//! Order of writing: sectors first, then the three metadata copies, then the volume header, with a flush before it. Until
//! the header is there the storage does not look like a BitLocker volume, and nothing else either.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use block_io::BlockWrite;
use fve_crypto::{SectorCipher, key_wrap, stretch};
use fve_format::{
    BlockHeader, EncryptionMethod, ExtendedVirtualization, Filetime, Guid, KeyProtector, METADATA_REGION_BYTES,
    MetadataBlock, MetadataEntry, MetadataHeader, ProtectorKind, VOLUME_HEADER_BYTES, Virtualization, VolumeHeader,
    VolumeLayout, VolumeState, entry_type, key_type,
};
use secret::{RecoveryPassword, SecretBytes, SecretString};
use zeroize::Zeroizing;

use crate::keys::sector_method;
use crate::map::{AddressMap, Ground, Source};
use crate::stream::in_parallel;
use crate::unlocked::Parts;
use crate::wrapping::{NonceSource, wrap_key};
use crate::{Error, Fvek, UnlockedVolume, Vmk};

/// Smallest volume: what Windows takes.
const MIN_VOLUME_BYTES: u64 = 64 * 1024 * 1024;
/// Where Windows 10 and 11 place the first metadata block.
const FIRST_METADATA_BYTES: u64 = 0x210_0000;
/// Length of the relocated volume header.
pub(crate) const HEADER_BYTES: u64 = 0x2000;
/// Length of the region reserved behind it.
const VERIFY_BYTES: u32 = 0x1_0000;
/// Sector size of a volume that nobody asked another one for.
const SECTOR_BYTES: u32 = 512;
/// The system that a volume names as its maker; readers may expect a real one.
const SYSTEM_VERSION: [u32; 3] = [10, 0, 19045];
/// Data written in one go while filling.
const FILL_CHUNK_BYTES: usize = 1024 * 1024;

/// What the new volume shall be.
pub struct CreateOptions {
    /// [`EncryptionMethod::AesXts128`] or another known method.
    pub method: EncryptionMethod,
    /// Free text, kept in the clear: computer, label, date.
    pub description: String,
    /// Time stamp of everything in the volume.
    pub now: Filetime,
    /// The recovery password; every volume gets one.
    pub recovery_password: RecoveryPassword,
    /// A password, if wanted.
    pub password: Option<SecretString>,
    /// Where things lie.
    pub placement: Placement,
}

/// Where BitLocker's own structures lie, in bytes from the start of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Size of the volume.
    pub volume_bytes: u64,
    /// The three metadata blocks.
    pub metadata_offsets: [u64; 3],
    /// The relocated volume header.
    pub header_offset_bytes: u64,
}

impl Placement {
    /// The places Windows 10 and 11 prefer: the first block at 33 MiB or the next place above `first_free_bytes`, the
    /// others a ninth of the volume further each, the relocated header behind the first.
    ///
    /// `cluster_bytes` is the cluster size of the file system inside, to which places are rounded up.
    ///
    /// # Errors
    /// [`Error::BadSize`] below 64 MiB, where the size is not whole sectors, or where the blocks do not fit.
    pub fn choose(volume_bytes: u64, cluster_bytes: u64, first_free_bytes: u64) -> Result<Self, Error> {
        let bad = |reason| Error::BadSize { found_bytes: volume_bytes, reason };
        if volume_bytes < MIN_VOLUME_BYTES {
            return Err(bad("64 MiB is the smallest"));
        }
        if !volume_bytes.is_multiple_of(u64::from(SECTOR_BYTES)) {
            return Err(bad("it is not a multiple of 512"));
        }
        let align = cluster_bytes.max(4096);
        let first = FIRST_METADATA_BYTES.max(first_free_bytes).next_multiple_of(align);
        let region = METADATA_REGION_BYTES as u64;
        let behind_first = region + HEADER_BYTES + u64::from(VERIFY_BYTES);
        let room = volume_bytes.saturating_sub(first);
        let preferred = volume_bytes.div_ceil(9).next_multiple_of(align);
        let distance = if preferred * 2 + region <= room { preferred } else { room / 3 / align * align };
        if distance < behind_first {
            return Err(bad("the file system leaves no room for the metadata"));
        }
        Ok(Self {
            volume_bytes,
            metadata_offsets: [first, first + distance, first + 2 * distance],
            header_offset_bytes: first + region,
        })
    }

    /// The regions that a file system inside must never use: reads give zeros or its own first sectors, writes are lost.
    #[must_use]
    pub fn reserved(&self) -> [Range<u64>; 3] {
        let region = METADATA_REGION_BYTES as u64;
        let [first, second, third] = self.metadata_offsets;
        let behind_header = self.verify_offset_bytes() + u64::from(VERIFY_BYTES);
        [first..behind_header, second..second + region, third..third + region]
    }

    fn verify_offset_bytes(&self) -> u64 {
        self.header_offset_bytes + HEADER_BYTES
    }
}

/// Progress of [`NewVolume::fill`]: bytes done, bytes in all.
pub type FillProgress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// A volume being made: sectors can be written through [`Self::volume`]; nothing is a BitLocker volume before
/// [`Self::finish`].
pub struct NewVolume<D> {
    volume: UnlockedVolume<D>,
    block: MetadataBlock,
    recovery_identifier: Guid,
    placement: Placement,
    sector_bytes: u32,
}

impl<D: BlockWrite> NewVolume<D> {
    /// Makes the keys and the metadata, in memory, for sectors of 512 bytes. `storage` is as long as the volume.
    ///
    /// # Errors
    /// [`Error::UnsupportedMethod`], [`Error::BadSize`], [`Error::BadPlace`].
    pub fn begin(storage: D, options: &CreateOptions) -> Result<Self, Error> {
        Self::begin_with_sectors(storage, options, SECTOR_BYTES)
    }

    /// As [`Self::begin`], for sectors of 512 or 4096 bytes: the unit of encryption.
    ///
    /// # Errors
    /// As [`Self::begin`]; [`Error::BadSize`] also for any other sector size.
    pub fn begin_with_sectors(storage: D, options: &CreateOptions, sector_bytes: u32) -> Result<Self, Error> {
        Self::begin_as(storage, options, sector_bytes, random_guid())
    }

    /// As [`Self::begin_with_sectors`], with the identifier that the recovery-password protector gets: known before anything is
    /// written, so that the recovery password can be saved with it first.
    ///
    /// # Errors
    /// As there.
    pub fn begin_as(
        storage: D,
        options: &CreateOptions,
        sector_bytes: u32,
        recovery_identifier: Guid,
    ) -> Result<Self, Error> {
        let placement = options.placement.clone();
        let bad_size = |reason| Error::BadSize { found_bytes: placement.volume_bytes, reason };
        if !matches!(sector_bytes, 512 | 4096) {
            return Err(bad_size("its sectors have neither 512 nor 4096 bytes"));
        }
        if !placement.volume_bytes.is_multiple_of(sector_bytes.into()) {
            return Err(bad_size("it is not a multiple of the sector size"));
        }
        if storage.geometry().length_bytes != placement.volume_bytes {
            let found_bytes = storage.geometry().length_bytes;
            return Err(Error::BadSize { found_bytes, reason: "the storage has another size than the volume" });
        }
        let vmk = Vmk::random();
        let fvek = Fvek::random(options.method)?;
        let block = metadata_block(options, sector_bytes, &vmk, &fvek, recovery_identifier)?;
        let ground = Ground {
            layout: VolumeLayout::Fixed,
            volume_bytes: placement.volume_bytes,
            sector_bytes,
            region_bytes: METADATA_REGION_BYTES as u64,
            conversion: None,
            in_place: None,
            patched_backup: None,
        };
        let map = AddressMap::build(&block, ground)?;
        let cipher = SectorCipher::new(sector_method(fvek.method)?, fvek.key.expose(), sector_bytes)
            .map_err(|_| Error::UnsupportedMethod(fvek.method))?;
        let parts = Parts {
            cipher: Some(cipher),
            sector_bytes,
            map,
            length_bytes: placement.volume_bytes,
            read_only: None,
            boot_sector: None,
        };
        let volume = UnlockedVolume::new(storage, parts);
        Ok(Self { volume, block, recovery_identifier, placement, sector_bytes })
    }

    /// The plain view, to put a file system in.
    pub fn volume(&self) -> &UnlockedVolume<D> {
        &self.volume
    }

    /// Identifier of the recovery-password protector.
    pub fn recovery_identifier(&self) -> Guid {
        self.recovery_identifier
    }

    /// Encrypts zeros over the whole volume, on `workers` threads, so that nothing tells used from free space.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn fill(&self, workers: usize, progress: FillProgress<'_>) -> Result<(), Error> {
        let zeros = vec![0; FILL_CHUNK_BYTES];
        let total = self.placement.volume_bytes;
        let progress = Mutex::new((0, progress));
        for segment in self.volume.segments().filter(|segment| segment.source != Source::Zeros) {
            let length = segment.end_bytes - segment.start_bytes;
            in_parallel(workers, length.div_ceil(FILL_CHUNK_BYTES as u64), |index, _| {
                let inside = index * FILL_CHUNK_BYTES as u64;
                let count = FILL_CHUNK_BYTES.min(usize::try_from(length - inside).unwrap_or(FILL_CHUNK_BYTES));
                self.volume.write_all_at(segment.start_bytes + inside, &zeros[..count])?;
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.0 += count as u64;
                let done = progress.0;
                (progress.1)(done, total);
                Ok::<(), Error>(())
            })?;
        }
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        (progress.1)(total, total);
        Ok(())
    }

    /// Writes the metadata copies and, last, the volume header.
    ///
    /// # Errors
    /// [`Error::Storage`]; the storage is not a BitLocker volume then.
    pub fn finish(self) -> Result<(), Error> {
        use block_io::BlockRead;
        let mut file_system = [0; VOLUME_HEADER_BYTES];
        self.volume.read_exact_at(0, &mut file_system)?;
        let header = volume_header(file_system, self.sector_bytes, &self.placement);
        let storage = self.volume.storage();
        // Nothing is ever read from the rest of the first 8 KiB; Windows leaves noise there.
        let mut noise = vec![0; usize::try_from(HEADER_BYTES).unwrap_or(0) - VOLUME_HEADER_BYTES];
        secret::random_bytes(&mut noise);
        storage.write_all_at(VOLUME_HEADER_BYTES as u64, &noise)?;
        let region = self.block.encode()?;
        for offset in self.placement.metadata_offsets {
            storage.write_all_at(offset, &region)?;
            storage.flush()?;
        }
        storage.write_all_at(0, &header)?;
        storage.flush()?;
        Ok(())
    }
}

/// The volume header for a file system that starts with this sector.
pub(crate) fn volume_header(
    mut file_system: [u8; VOLUME_HEADER_BYTES],
    sector_bytes: u32,
    placement: &Placement,
) -> [u8; VOLUME_HEADER_BYTES] {
    if file_system[510..] != [0x55, 0xAA] {
        // No file system inside: the geometry of a plain volume with clusters of 4 KiB.
        file_system = [0; VOLUME_HEADER_BYTES];
        // 4096 at most.
        let [low, high, ..] = sector_bytes.to_le_bytes();
        let [sectors_per_cluster, ..] = (4096 / sector_bytes.max(1)).to_le_bytes();
        file_system[0x0B..0x0E].copy_from_slice(&[low, high, sectors_per_cluster]);
        file_system[0x18..0x1C].copy_from_slice(&[0x3F, 0, 0xFF, 0]);
    }
    VolumeHeader::encode_fixed(&file_system, placement.volume_bytes, placement.metadata_offsets)
}

/// The whole metadata block, sealed.
pub(crate) fn metadata_block(
    options: &CreateOptions,
    sector_bytes: u32,
    vmk: &Vmk,
    fvek: &Fvek,
    recovery_identifier: Guid,
) -> Result<MetadataBlock, Error> {
    // Windows' first counter is 2.
    let mut nonces = NonceSource::new(options.now, 2);
    let mut entries = vec![MetadataEntry::unicode(entry_type::DESCRIPTION, &options.description)];
    if let Some(password) = &options.password {
        entries.push(password_protector(password, vmk, options.now, &mut nonces)?.to_entry()?);
    }
    let recovery = recovery_protector(&options.recovery_password, recovery_identifier, vmk, options.now, &mut nonces)?;
    entries.push(recovery.to_entry()?);
    entries.push(wrap_key(&vmk.0, &mut nonces, entry_type::FVEK, fvek.method.value(), fvek.key.expose()));
    entries.push(virtualization(&options.placement, sector_bytes).to_entry());

    let validation_nonce = nonces.take();
    let header = BlockHeader {
        version: 2,
        state: VolumeState::Encrypted,
        next_state: VolumeState::Encrypted,
        encrypted_bytes: options.placement.volume_bytes,
        conversion_bytes: 0,
        header_sectors: u32::try_from(HEADER_BYTES).unwrap_or(0) / sector_bytes,
        metadata_offsets: options.placement.metadata_offsets,
        header_offset_bytes: options.placement.header_offset_bytes,
    };
    let metadata = MetadataHeader {
        identifier: random_guid(),
        next_nonce: nonces.next(),
        method: options.method,
        preferred_method: options.method,
        created: options.now,
    };
    let mut block = MetadataBlock::new(header, metadata, entries);
    block.seal(|bytes| wrap_hash(vmk, &validation_nonce, bytes))?;
    Ok(block)
}

/// The hash of the block as a wrapped key entry.
pub(crate) fn wrap_hash(vmk: &Vmk, nonce: &[u8; 12], block: &[u8]) -> MetadataEntry {
    let mut inner = MetadataEntry::key(0, key_type::METADATA_HASH, &fve_crypto::sha256(block));
    inner.flags = 0;
    let mut plain = Zeroizing::new(Vec::new());
    if inner.encode(&mut plain).is_err() {
        plain.clear();
    }
    let (mac, ciphertext) = key_wrap::wrap(&vmk.0, nonce, &plain);
    MetadataEntry::aes_ccm(entry_type::PROPERTY, nonce, &mac, &ciphertext)
}

/// Salt with the stretched key wrapped for later, then the VMK wrapped under the stretched key.
pub(crate) fn password_protector(
    password: &SecretString,
    vmk: &Vmk,
    now: Filetime,
    nonces: &mut NonceSource,
) -> Result<KeyProtector, Error> {
    let salt = random_array();
    let stretched = stretch::password(password, &salt);
    let backup = wrap_key(&vmk.0, nonces, entry_type::PROPERTY, key_type::STRETCHED_PASSWORD, stretched.expose());
    let entries =
        vec![MetadataEntry::stretch_key(key_type::PASSWORD, &salt, &[backup])?, wrapped_vmk(&stretched, vmk, nonces)];
    Ok(protector(random_guid(), ProtectorKind::Password, now, entries))
}

/// As for a password, and the recovery key itself wrapped too: that is how it can be shown again later.
pub(crate) fn recovery_protector(
    password: &RecoveryPassword,
    identifier: Guid,
    vmk: &Vmk,
    now: Filetime,
    nonces: &mut NonceSource,
) -> Result<KeyProtector, Error> {
    let salt = random_array();
    let stretched = stretch::recovery_password(password, &salt);
    let backups = [
        wrap_key(&vmk.0, nonces, entry_type::RECOVERY_KEY_BACKUP, key_type::RECOVERY_KEY, password.key()),
        wrap_key(
            &vmk.0,
            nonces,
            entry_type::STRETCHED_KEY_BACKUP,
            key_type::STRETCHED_RECOVERY_PASSWORD,
            stretched.expose(),
        ),
    ];
    let entries = vec![
        MetadataEntry::stretch_key(key_type::RECOVERY_KEY, &salt, &backups)?,
        wrapped_vmk(&stretched, vmk, nonces),
    ];
    Ok(protector(identifier, ProtectorKind::RecoveryPassword, now, entries))
}

pub(crate) fn wrapped_vmk(wrapping_key: &SecretBytes<32>, vmk: &Vmk, nonces: &mut NonceSource) -> MetadataEntry {
    wrap_key(wrapping_key, nonces, entry_type::PROPERTY, key_type::VMK, vmk.0.expose())
}

pub(crate) fn protector(
    identifier: Guid,
    kind: ProtectorKind,
    now: Filetime,
    entries: Vec<MetadataEntry>,
) -> KeyProtector {
    KeyProtector { identifier, modified: now, hints: 0, protection: kind.protection(), entries }
}

fn virtualization(placement: &Placement, sector_bytes: u32) -> Virtualization {
    let extension = ExtendedVirtualization {
        // Windows sets the lowest bit on media with sectors of 4096 bytes.
        flags: if sector_bytes == 4096 { 0x0B } else { 0x0A },
        sector_bytes,
        native_sector_bytes: sector_bytes,
        system_version: SYSTEM_VERSION,
        verify_offset_bytes: placement.verify_offset_bytes(),
        verify_length_bytes: VERIFY_BYTES,
    };
    Virtualization {
        offset_bytes: placement.header_offset_bytes,
        length_bytes: HEADER_BYTES,
        extension: extension.encode(),
    }
}

/// A new identifier, of a protector for instance.
#[must_use]
pub fn random_guid() -> Guid {
    Guid::from_random(random_array())
}

pub(crate) fn random_array() -> [u8; 16] {
    let mut bytes = [0; 16];
    secret::random_bytes(&mut bytes);
    bytes
}
