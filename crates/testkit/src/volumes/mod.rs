//! Small BitLocker volumes with fixed keys, in every state, that are the same bytes each time.
//!
//! `fve::NewVolume` makes volumes with random keys; damaging one in a way that a checksum or a seal does not notice
//! needs keys that the test knows. These volumes have the same entries, lie on a [`SparseDisk`], and name the places of
//! their structures, so that a recipe can say `entry.fvek+0` instead of an offset.
//!
//! Built from `fve-format` and `fve-crypto` alone: `fve` is what is tested.

mod conversion;
mod entries;
pub mod recipe;
pub mod seal;
mod sparse;

use std::collections::BTreeMap;

use fve_crypto::{SectorCipher, SectorMethod};
use fve_format::{
    BlockHeader, EncryptionMethod, Filetime, Guid, MetadataBlock, MetadataHeader, VolumeHeader, VolumeState,
};

pub use conversion::{CHUNK_BYTES, CONVERTING_CHUNK};
pub use entries::{bek_file, recovery_password};
pub use sparse::SparseDisk;

/// Size of the volumes: the least that BitLocker takes.
pub const VOLUME_BYTES: u64 = 64 << 20;
/// Where the three metadata blocks lie.
pub const METADATA_OFFSETS: [u64; 3] = [0x210_0000, 0x290_0000, 0x310_0000];
/// Where the relocated volume header lies.
pub const HEADER_OFFSET: u64 = 0x211_0000;
/// Length of the relocated volume header.
pub const HEADER_BYTES: u64 = 0x2000;
/// Up to where a volume in conversion is encrypted.
pub const BOUNDARY: u64 = 40 << 20;

const SECTOR: usize = 512;
const VISTA_REGION_BYTES: usize = 0x4000;
/// Sectors per cluster of the Vista volume.
const VISTA_CLUSTER: u64 = 8;
const CREATED: Filetime = Filetime(134_000_000_000_000_000);

/// What state a volume is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Finished.
    Encrypted,
    /// Paused on the way: encrypted below [`BOUNDARY`].
    Paused,
    /// Interrupted: 64 KiB at [`BOUNDARY`] are in between.
    Converting,
    /// Decrypted, its metadata still there.
    Decrypted,
    /// An encrypt-on-write conversion with three maps.
    EncryptOnWrite,
    /// The same, and [`CONVERTING_CHUNK`] of the first map is in between.
    EncryptOnWriteInterrupted,
    /// As Windows Vista made them.
    Vista,
    /// Finished, with the header of a removable drive.
    ToGo,
}

impl State {
    /// All of them, with the names that recipes use.
    pub const ALL: [(&'static str, Self); 8] = [
        ("encrypted", Self::Encrypted),
        ("paused", Self::Paused),
        ("converting", Self::Converting),
        ("decrypted", Self::Decrypted),
        ("encrypt-on-write", Self::EncryptOnWrite),
        ("encrypt-on-write-interrupted", Self::EncryptOnWriteInterrupted),
        ("vista", Self::Vista),
        ("to-go", Self::ToGo),
    ];

    fn on_write(self) -> bool {
        matches!(self, Self::EncryptOnWrite | Self::EncryptOnWriteInterrupted)
    }
}

/// A volume, what is in it, and where its structures are.
#[derive(Clone)]
pub struct SmallVolume {
    /// Where it lies.
    pub disk: SparseDisk,
    /// Its state.
    pub state: State,
    /// Where each structure starts, in bytes from the start of the volume; one place for each metadata copy.
    pub places: BTreeMap<String, Vec<u64>>,
    /// Parts of the plain content: offset in the plain volume, bytes.
    pub content: Vec<(u64, Vec<u8>)>,
}

impl SmallVolume {
    /// Builds one.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self::with_entries(state, |_| {})
    }

    /// Builds one whose metadata entries were changed before they were sealed.
    #[must_use]
    pub fn with_entries(state: State, change: impl FnOnce(&mut Vec<fve_format::MetadataEntry>)) -> Self {
        let mut entries = entries::of(state);
        change(&mut entries);
        let block = MetadataBlock::new(block_header(state), metadata_header(state), entries);
        let mut volume =
            Self { disk: SparseDisk::new(VOLUME_BYTES), state, places: BTreeMap::new(), content: Vec::new() };
        volume.put_content();
        if state.on_write() {
            volume.put_conversion();
        }
        volume.put_metadata(block);
        volume.put_header();
        volume
    }

    /// The sector cipher of the volume.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the lengths are constants that fit")]
    pub fn cipher() -> SectorCipher {
        SectorCipher::new(SectorMethod::Xts128, &entries::FVEK, 512).expect("the key fits the method")
    }

    fn note(&mut self, name: &str, at: u64) {
        self.places.entry(name.to_owned()).or_default().push(at);
    }

    fn put_header(&mut self) {
        let mut file_system = [0; SECTOR];
        file_system[0x0B..0x0E].copy_from_slice(&[0, 2, 8]);
        let mut sector = VolumeHeader::encode_fixed(&file_system, VOLUME_BYTES, METADATA_OFFSETS);
        match self.state {
            State::Vista => {
                sector = [0; SECTOR];
                sector[..11].copy_from_slice(b"\xEB\x52\x90-FVE-FS-");
                sector[0x0B..0x0E].copy_from_slice(&[0, 2, 8]);
                sector[0x28..0x30].copy_from_slice(&(VOLUME_BYTES / SECTOR as u64 - 1).to_le_bytes());
                let cluster = METADATA_OFFSETS[0] / (VISTA_CLUSTER * SECTOR as u64);
                sector[0x38..0x40].copy_from_slice(&cluster.to_le_bytes());
                sector[510..].copy_from_slice(&[0x55, 0xAA]);
            }
            State::ToGo => {
                sector.copy_within(0xA0..0xC8, 0x1A8);
                sector[0xA0..0xC8].fill(0);
                sector[3..11].copy_from_slice(b"MSWIN4.1");
            }
            State::EncryptOnWrite | State::EncryptOnWriteInterrupted => {
                sector = conversion::header(&sector);
            }
            _ => {}
        }
        self.disk.put(0, &sector);
        self.note("header", 0);
    }

    /// Metadata blocks with their places: `copy1` to `copy3`, `copies`, `metadata`, `validation`, `entry.NAME`.
    #[allow(clippy::expect_used, reason = "the block is small")]
    fn put_metadata(&mut self, mut block: MetadataBlock) {
        let decrypted = self.state == State::Decrypted;
        block.seal(|bytes| seal::hash_entry(bytes, decrypted)).expect("it fits into a region");
        if self.state == State::Vista {
            block.validation.version = 1;
        }
        let mut region = block.encode().expect("it fits into a region");
        if self.state == State::Vista {
            region.truncate(VISTA_REGION_BYTES);
        }
        let block_bytes = block.encode_block().expect("it was encoded before").len() as u64;
        for (index, at) in METADATA_OFFSETS.into_iter().enumerate() {
            self.disk.put(at, &region);
            self.note(&format!("copy{}", index + 1), at);
            self.note("copies", at);
            self.note("metadata", at + 0x40);
            self.note("validation", at + block_bytes);
            self.note("hash", at + block_bytes + 8);
            let mut entry_at = at + 0x70;
            for entry in &block.entries {
                entries::note(entry, entry_at, &mut |name, at| self.note(name, at));
                entry_at += entry.encoded_bytes() as u64;
            }
        }
    }

    /// The relocated header and some sectors elsewhere, each stored as its place demands.
    fn put_content(&mut self) {
        let vista = self.state == State::Vista;
        let mut boot = pattern(0, usize::try_from(HEADER_BYTES).unwrap_or(0));
        if vista {
            // Stored plain at its own place; the first sector is the patched header.
            boot = pattern(0, SECTOR);
            self.disk.put(SECTOR as u64, &boot);
            self.content.push((SECTOR as u64, boot));
        } else {
            self.store(0, HEADER_OFFSET, boot);
        }
        // The first four are the first, fourth, fifth and seventh chunk of a conversion.
        let starts = [0, 3, 4, 6].map(|chunk| HEADER_BYTES + chunk * CHUNK_BYTES);
        for at in starts.into_iter().chain([0x10_0000, BOUNDARY - 0x400, BOUNDARY + 0x1_0000, VOLUME_BYTES - 0x2000]) {
            self.store(at, at, pattern(at, 0x400));
        }
    }

    fn store(&mut self, plain_at: u64, at: u64, plain: Vec<u8>) {
        let cipher = Self::cipher();
        let mut stored = plain.clone();
        for (index, sector) in stored.chunks_exact_mut(SECTOR).enumerate() {
            let here = at + (index * SECTOR) as u64;
            let encrypted = match self.state {
                State::Decrypted => false,
                State::Paused | State::Converting => here < BOUNDARY,
                State::EncryptOnWrite | State::EncryptOnWriteInterrupted => conversion::is_encrypted(self.state, here),
                State::Encrypted | State::Vista | State::ToGo => true,
            };
            if encrypted {
                cipher.encrypt(here, sector);
            }
        }
        self.disk.put(at, &stored);
        self.content.push((plain_at, plain));
    }
}

/// Bytes that differ from place to place.
fn pattern(at: u64, length: usize) -> Vec<u8> {
    (at..at + length as u64).map(|at| (((at / 512) ^ (at / 7) ^ (at >> 17)) & 0xFF) as u8).collect()
}

fn block_header(state: State) -> BlockHeader {
    let (now, next, encrypted_bytes, conversion_bytes) = match state {
        State::Paused => (VolumeState::ConvertingPaused, VolumeState::Encrypted, BOUNDARY, 0),
        State::Converting => (VolumeState::Converting, VolumeState::Encrypted, BOUNDARY, 0x1_0000),
        State::Decrypted => (VolumeState::Decrypted, VolumeState::Decrypted, 0, 0),
        State::Vista => (VolumeState::Encrypted, VolumeState::Encrypted, 0, 0),
        _ => (VolumeState::Encrypted, VolumeState::Encrypted, VOLUME_BYTES, 0),
    };
    let vista = state == State::Vista;
    BlockHeader {
        version: if vista { 1 } else { 2 },
        state: now,
        next_state: next,
        encrypted_bytes,
        conversion_bytes,
        header_sectors: if vista { 0 } else { 16 },
        metadata_offsets: METADATA_OFFSETS,
        header_offset_bytes: if vista { 2 } else { HEADER_OFFSET },
    }
}

fn metadata_header(state: State) -> MetadataHeader {
    let method = if state == State::Decrypted { EncryptionMethod::None } else { EncryptionMethod::AesXts128 };
    MetadataHeader {
        identifier: Guid::from_random([0x10; 16]),
        next_nonce: 20,
        method,
        preferred_method: method,
        created: CREATED,
    }
}
