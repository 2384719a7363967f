//! Volumes to change: made by us in memory, or Windows' own with every write kept in memory.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use block_io::{BlockRead, BlockWrite, FileDisk, Geometry};
use fve::{
    ClearKey, CreateOptions, EncryptionMethod, ExternalKey, ExternalKeyFile, Filetime, KeyMaterial, NewVolume,
    Password, Placement, UnlockOptions, UnlockedVolume, Volume,
};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock, MetadataEntry};
use secret::{RecoveryPassword, SecretBytes, SecretString};
use testkit::volumes::{SmallVolume, SparseDisk, State};

pub(crate) const VOLUME_BYTES: u64 = 64 << 20;
pub(crate) const PASSWORD: &str = "correct horse";
/// Some weeks after the volumes were made.
pub(crate) const NOW: Filetime = Filetime(135_000_000_000_000_000);
const CONTENT: &[u8] = b"over the border of a sector and of eight";

/// A disk whose writes stay in memory, over a file that is never written.
pub(crate) struct Layered {
    below: Option<FileDisk>,
    written: SparseDisk,
    pages: std::sync::Mutex<std::collections::BTreeSet<u64>>,
    writes: AtomicU64,
    length_bytes: u64,
}

const PAGE: u64 = 512;

impl Layered {
    pub(crate) fn empty(length_bytes: u64) -> Self {
        let written = SparseDisk::new(length_bytes);
        Self { below: None, written, pages: std::sync::Mutex::default(), writes: AtomicU64::new(0), length_bytes }
    }

    pub(crate) fn over(path: &Path) -> Self {
        let below = FileDisk::open(path).unwrap();
        let length_bytes = below.geometry().length_bytes;
        Self { below: Some(below), ..Self::empty(length_bytes) }
    }

    pub(crate) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.read_exact_at(at, &mut bytes).unwrap();
        bytes
    }

    /// Writes so far.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(crate) fn put(&self, at: u64, bytes: &[u8]) {
        self.write_all_at(at, bytes).unwrap();
    }
}

impl BlockRead for Layered {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
        let Some(below) = &self.below else { return self.written.read_exact_at(offset_bytes, buffer) };
        below.read_exact_at(offset_bytes, buffer)?;
        let end = offset_bytes + buffer.len() as u64;
        for page in self.pages.lock().unwrap().range(offset_bytes / PAGE..end.div_ceil(PAGE)) {
            let (from, to) = ((page * PAGE).max(offset_bytes), ((page + 1) * PAGE).min(end));
            let at = |place: u64| usize::try_from(place - offset_bytes).unwrap();
            self.written.read_exact_at(from, &mut buffer[at(from)..at(to)])?;
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.length_bytes, sector_bytes: 512 }
    }
}

impl BlockWrite for Layered {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), block_io::Error> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let end = offset_bytes + data.len() as u64;
        if self.below.is_some() {
            let (first, last) = (offset_bytes / PAGE, end.div_ceil(PAGE));
            let mut whole = self.bytes(first * PAGE, usize::try_from((last - first) * PAGE).unwrap());
            let inside = usize::try_from(offset_bytes - first * PAGE).unwrap();
            whole[inside..inside + data.len()].copy_from_slice(data);
            self.pages.lock().unwrap().extend(first..last);
            return self.written.write_all_at(first * PAGE, &whole);
        }
        self.written.write_all_at(offset_bytes, data)
    }

    fn flush(&self) -> Result<(), block_io::Error> {
        Ok(())
    }
}

/// The recovery password of every volume that we make.
pub(crate) fn recovery() -> RecoveryPassword {
    RecoveryPassword::from_key(&[7; 16])
}

/// How every volume that we make is made.
pub(crate) fn options(password: Option<&str>, placement: Placement) -> CreateOptions {
    CreateOptions {
        method: EncryptionMethod::AesXts128,
        description: "TEST E: 2026-11-25".to_owned(),
        now: Filetime::from_system_time_ms(UNIX_EPOCH + Duration::from_secs(1_795_000_000)),
        recovery_password: recovery(),
        password: password.map(SecretString::from),
        placement,
    }
}

/// A finished volume.
pub(crate) fn made(password: Option<&str>) -> Layered {
    let disk = Layered::empty(VOLUME_BYTES);
    let options = options(password, Placement::choose(VOLUME_BYTES, 512, 0).unwrap());
    let new = NewVolume::begin(&disk, &options).unwrap();
    new.volume().write_all_at(4000, CONTENT).unwrap();
    new.finish().unwrap();
    disk
}

/// Checks that the volume opens and holds what was put into it.
pub(crate) fn assert_content(disk: &impl BlockRead, material: &dyn KeyMaterial) {
    let (unlocked, _) = Volume::open(disk).unwrap().unlock(material, UnlockOptions::default()).unwrap();
    let mut read = vec![0; CONTENT.len()];
    unlocked.read_exact_at(4000, &mut read).unwrap();
    assert_eq!(read, CONTENT);
}

/// A small volume of `testkit` in this state.
pub(crate) fn small(state: State, change: impl FnOnce(&mut Vec<MetadataEntry>)) -> Layered {
    layered(SmallVolume::with_entries(state, change).disk)
}

/// A disk in memory with this content.
pub(crate) fn layered(disk: SparseDisk) -> Layered {
    let length_bytes = disk.geometry().length_bytes;
    Layered { written: disk, ..Layered::empty(length_bytes) }
}

/// Changes the entries of a volume behind the back of the engine, and seals them as they should be.
pub(crate) fn reseal(disk: &Layered, change: impl FnOnce(&mut Vec<MetadataEntry>)) {
    let volume = Volume::open(disk).unwrap();
    let places = volume.copies().each_ref().map(|copy| copy.offset_bytes.unwrap());
    let mut block = MetadataBlock::parse(&disk.bytes(places[0], METADATA_REGION_BYTES)).unwrap();
    let vmk = master_key(&block);
    change(&mut block.entries);
    block.metadata.next_nonce += 1;
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&(block.metadata.next_nonce - 1).to_le_bytes());
    block
        .seal(|bytes| {
            let mut inner = MetadataEntry::key(0, fve_format::key_type::METADATA_HASH, &fve_crypto::sha256(bytes));
            inner.flags = 0;
            let mut plain = Vec::new();
            inner.encode(&mut plain).unwrap();
            let (mac, ciphertext) = fve_crypto::key_wrap::wrap(&vmk, &nonce, &plain);
            MetadataEntry::aes_ccm(0, &nonce, &mac, &ciphertext)
        })
        .unwrap();
    for place in places {
        disk.put(place, &block.encode().unwrap());
    }
}

/// The VMK of a volume that [`recovery`] opens, taken out without the engine.
fn master_key(block: &MetadataBlock) -> SecretBytes<32> {
    for protector in block.protectors() {
        for entry in &protector.entries {
            let Ok(fve_format::Value::StretchKey(salt)) = entry.value() else { continue };
            let key = fve_crypto::stretch::recovery_password(&recovery(), &salt.salt);
            let Some(Ok(fve_format::Value::AesCcm(wrapped))) = protector.entries.last().map(MetadataEntry::value)
            else {
                continue;
            };
            if let Some(plain) = fve_crypto::key_wrap::unwrap(&key, &wrapped.nonce, &wrapped.mac, wrapped.ciphertext) {
                return SecretBytes::from_slice(&plain.expose()[12..]).unwrap();
            }
        }
    }
    panic!("the recovery password opens none of its protectors");
}

/// A volume that Windows made.
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    fields: BTreeMap<String, String>,
}

impl Image {
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Everything that opens it, with a name for messages.
    pub(crate) fn secrets(&self, corpus: &Path) -> Vec<(&'static str, Box<dyn KeyMaterial>)> {
        let mut secrets: Vec<(&'static str, Box<dyn KeyMaterial>)> = Vec::new();
        if let Some(password) = self.field("PW") {
            secrets.push(("PW", Box::new(Password(SecretString::from(password)))));
        }
        for key in ["RP", "RP2"] {
            if let Some(digits) = self.field(key) {
                secrets.push((key, Box::new(RecoveryPassword::parse(digits).unwrap())));
            }
        }
        if let Some(identifier) = self.field("SK_VMK_GUID") {
            let path = corpus.join(format!("{}.BEK", identifier.to_uppercase()));
            let file = ExternalKeyFile::parse(&std::fs::read(path).unwrap()).unwrap();
            secrets.push(("BEK", Box::new(ExternalKey::from_file(&file).unwrap())));
        }
        if self.field("CLEARKEY").is_some() || self.field("CLEARKEY_VMK_GUID").is_some() {
            secrets.push(("clear key", Box::new(ClearKey)));
        }
        secrets
    }
}

pub(crate) fn images(corpus: &Path) -> Vec<Image> {
    let text = std::fs::read_to_string(corpus.join("images.conf")).unwrap();
    let mut images: Vec<Image> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let path = corpus.join(format!("{name}.img"));
            images.push(Image { name: name.to_owned(), path, fields: BTreeMap::new() });
        } else if let (Some((key, value)), Some(image)) = (line.split_once('='), images.last_mut()) {
            image.fields.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    images.retain(|image| image.path.exists());
    images
}

pub(crate) fn plain_sha256(disk: &Layered, material: &dyn KeyMaterial) -> String {
    let (unlocked, _) = Volume::open(disk).unwrap().unlock(material, UnlockOptions::default()).unwrap();
    sha256_of(&unlocked).unwrap()
}

/// SHA-256 of the whole plain volume.
pub(crate) fn sha256_of(volume: &UnlockedVolume<impl BlockRead>) -> Result<String, block_io::Error> {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    volume.stream::<block_io::Error>(2, |chunk| {
        hash.update(chunk);
        Ok(())
    })?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
