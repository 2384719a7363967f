//! The metadata entries of the small volumes, with fixed keys.

use std::sync::OnceLock;

use fve_crypto::{key_wrap, stretch};
use fve_format::{
    ENTRY_HEADER_BYTES, ExtendedVirtualization, Filetime, Guid, KeyProtector, MetadataEntry, ProtectorKind, Value,
    Virtualization, entry_type, key_type,
};
use secret::{RecoveryPassword, SecretBytes};

use super::{CREATED, HEADER_BYTES, HEADER_OFFSET, State};

pub(super) const FVEK: [u8; 32] = {
    let mut key = [0x44; 32];
    key[16] = 0x55;
    key
};
const CLEAR_KEY: [u8; 32] = [0x22; 32];
const EXTERNAL_KEY: [u8; 32] = [0x33; 32];
const SALT: [u8; 16] = [0x66; 16];

/// The volume master key.
pub(super) fn vmk() -> SecretBytes<32> {
    SecretBytes::from_fn(|key| *key = [0x11; 32])
}

/// The recovery password of every small volume.
#[must_use]
pub fn recovery_password() -> RecoveryPassword {
    RecoveryPassword::from_key(&[7; 16])
}

/// The `.BEK` file that opens every small volume.
#[must_use]
pub fn bek_file() -> Vec<u8> {
    let name = MetadataEntry::unicode(entry_type::PROPERTY, "ExternalKey");
    let key = MetadataEntry::key(entry_type::PROPERTY, key_type::EXTERNAL_KEY, &EXTERNAL_KEY);
    let mut data = identifier(3).to_bytes().to_vec();
    data.extend_from_slice(&CREATED.0.to_le_bytes());
    let mut put = |entry: &MetadataEntry| entry.encode(&mut data).is_ok();
    debug_assert!(put(&name) && put(&key), "both are short");
    let entry = MetadataEntry::stored(entry_type::EXTERNAL_KEY, fve_format::value_type::EXTERNAL_KEY, data);
    let size = u32::try_from(48 + entry.encoded_bytes()).unwrap_or(0);
    let mut file = Vec::new();
    for field in [size, 1, 48, size] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    file.extend_from_slice(&identifier(3).to_bytes());
    file.extend_from_slice(&1_u32.to_le_bytes());
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&CREATED.0.to_le_bytes());
    let encoded = entry.encode(&mut file);
    debug_assert!(encoded.is_ok(), "it is short");
    file
}

fn identifier(number: u8) -> Guid {
    Guid::from_random([number; 16])
}

/// A nonce for each counter.
fn nonce(counter: u8) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&CREATED.0.to_le_bytes());
    nonce[8] = counter;
    nonce
}

/// `key` as a wrapped key entry.
pub(super) fn wrapped(wrapping: &SecretBytes<32>, counter: u8, entry: u16, kind: u16, key: &[u8]) -> MetadataEntry {
    let mut inner = MetadataEntry::key(0, kind, key);
    inner.flags = 0;
    let mut plain = Vec::new();
    let encoded = inner.encode(&mut plain);
    debug_assert!(encoded.is_ok(), "keys are short");
    let nonce = nonce(counter);
    let (mac, ciphertext) = key_wrap::wrap(wrapping, &nonce, &plain);
    MetadataEntry::aes_ccm(entry, &nonce, &mac, &ciphertext)
}

/// What a new volume of this state holds.
pub(super) fn of(state: State) -> Vec<MetadataEntry> {
    let mut entries = vec![MetadataEntry::unicode(entry_type::DESCRIPTION, "TEST E: 2026-11-25")];
    if state != State::Decrypted {
        let protectors = [clear_key(), recovery(), external_key()];
        entries.extend(protectors.iter().filter_map(|protector| protector.to_entry().ok()));
        entries.push(wrapped(&vmk(), 10, entry_type::FVEK, 0x8004, &FVEK));
    }
    if state != State::Vista {
        let extension = ExtendedVirtualization {
            flags: if state.on_write() { 0x4A } else { 0x0A },
            sector_bytes: 512,
            native_sector_bytes: 512,
            system_version: [10, 0, 19045],
            verify_offset_bytes: HEADER_OFFSET + HEADER_BYTES,
            verify_length_bytes: 0x1_0000,
        };
        let place =
            Virtualization { offset_bytes: HEADER_OFFSET, length_bytes: HEADER_BYTES, extension: extension.encode() };
        entries.push(place.to_entry());
    }
    entries
}

fn protector(number: u8, kind: ProtectorKind, entries: Vec<MetadataEntry>) -> KeyProtector {
    let modified = Filetime(CREATED.0 + 1);
    KeyProtector { identifier: identifier(number), modified, hints: 0, protection: kind.protection(), entries }
}

fn vmk_under(key: &SecretBytes<32>, counter: u8) -> MetadataEntry {
    wrapped(key, counter, entry_type::PROPERTY, key_type::VMK, vmk().expose())
}

fn clear_key() -> KeyProtector {
    let key = SecretBytes::from_fn(|key| *key = CLEAR_KEY);
    let stored = MetadataEntry::key(entry_type::PROPERTY, key_type::CLEAR_KEY, &CLEAR_KEY);
    protector(1, ProtectorKind::ClearKey, vec![stored, vmk_under(&key, 2)])
}

fn recovery() -> KeyProtector {
    // 2^20 rounds: once in a process is enough.
    static STRETCHED: OnceLock<SecretBytes<32>> = OnceLock::new();
    let password = recovery_password();
    let stretched = STRETCHED.get_or_init(|| stretch::recovery_password(&password, &SALT));
    let backups = [
        wrapped(&vmk(), 3, entry_type::RECOVERY_KEY_BACKUP, key_type::RECOVERY_KEY, password.key()),
        wrapped(&vmk(), 4, entry_type::STRETCHED_KEY_BACKUP, key_type::STRETCHED_RECOVERY_PASSWORD, stretched.expose()),
    ];
    let salt = MetadataEntry::stretch_key(key_type::RECOVERY_KEY, &SALT, &backups).ok();
    protector(2, ProtectorKind::RecoveryPassword, salt.into_iter().chain([vmk_under(stretched, 5)]).collect())
}

fn external_key() -> KeyProtector {
    let key = SecretBytes::from_fn(|key| *key = EXTERNAL_KEY);
    let name = MetadataEntry::unicode(entry_type::PROPERTY, "ExternalKey");
    let backup = wrapped(&vmk(), 6, entry_type::PROPERTY, key_type::EXTERNAL_KEY, &EXTERNAL_KEY);
    let uses = MetadataEntry::use_key(key_type::EXTERNAL_KEY, &[backup]).ok();
    let entries = [name].into_iter().chain(uses).chain([vmk_under(&key, 7)]).collect();
    protector(3, ProtectorKind::ExternalKey, entries)
}

/// Names the places of an entry that starts at `at`, and of those nested in it.
pub(super) fn note(entry: &MetadataEntry, at: u64, place: &mut impl FnMut(&str, u64)) {
    let nested_in = |entries: &[MetadataEntry], first: u64, names: &[&str], place: &mut dyn FnMut(&str, u64)| {
        let mut at = first;
        for (entry, name) in entries.iter().zip(names) {
            place(name, at);
            at += entry.encoded_bytes() as u64;
        }
    };
    let inside = at + ENTRY_HEADER_BYTES as u64;
    match (entry.entry_type, entry.value()) {
        (entry_type::DESCRIPTION, _) => place("entry.description", at),
        (entry_type::FVEK, _) => place("entry.fvek", at),
        (entry_type::VIRTUALIZATION, _) => place("entry.virtualization", at),
        (_, Ok(Value::Vmk(protector))) => {
            let (name, nested): (&str, &[&str]) = match protector.kind() {
                ProtectorKind::ClearKey => ("entry.clear_key", &["entry.clear_key.key", "entry.clear_key.vmk"]),
                ProtectorKind::RecoveryPassword => ("entry.recovery", &["entry.recovery.salt", "entry.recovery.vmk"]),
                _ => (
                    "entry.external_key",
                    &["entry.external_key.name", "entry.external_key.use", "entry.external_key.vmk"],
                ),
            };
            place(name, at);
            nested_in(&protector.entries, inside + 28, nested, place);
        }
        _ => {}
    }
}
