//! Metadata entries of every kind, and what is nested in them.

use fve::{ClearKey, ExternalKey, ExternalKeyFile, KeyMaterial};
use fve_format::{KeyProtector, MetadataEntry, Value, entry_type, parse_entries, value_type};

/// Levels that are interpreted: each copies what is nested in it.
const LEVELS: usize = 32;

/// Every kind that is interpreted, and one that is not.
pub const KINDS: [u16; 13] = [
    value_type::KEY,
    value_type::UNICODE,
    value_type::STRETCH_KEY,
    value_type::USE_KEY,
    value_type::AES_CCM,
    value_type::TPM_BLOB,
    value_type::VMK,
    value_type::EXTERNAL_KEY,
    value_type::VIRTUALIZATION,
    value_type::BACKUP_INFO,
    value_type::GUID,
    0,
    0xFFFF,
];

/// A list of entries.
pub fn list(data: &[u8]) {
    if let Ok(entries) = parse_entries(data, 0) {
        assert!(encoded(&entries) == data, "entries are written back as they were");
        entries.iter().for_each(interpret);
    }
}

/// One entry: its kind, by the first byte, and its data.
pub fn one(data: &[u8]) {
    if let Some((kind, data)) = data.split_first() {
        let kind = KINDS[usize::from(*kind) % KINDS.len()];
        interpret(&MetadataEntry::stored(entry_type::PROPERTY, kind, data.to_vec()));
    }
}

/// The data of a key protector; secrets that cost nothing are tried on it.
pub fn key_protector(data: &[u8]) {
    let entry = MetadataEntry::stored(entry_type::PROTECTOR, value_type::VMK, data.to_vec());
    interpret(&entry);
    let Ok(Value::Vmk(protector)) = entry.value() else { return };
    let _ = ClearKey.unwrap_vmk(&protector);
    let file = ExternalKeyFile::parse(&testkit::volumes::bek_file()).ok();
    if let Some(key) = file.as_ref().and_then(ExternalKey::from_file) {
        let _ = key.unwrap_vmk(&protector);
        let _ = key.unwrap_vmk(&KeyProtector { identifier: key.identifier(), ..protector });
    }
}

/// Interprets an entry and everything nested in it; what has a constructor is made again.
pub fn interpret(entry: &MetadataEntry) {
    let mut waiting = vec![(entry.clone(), 0)];
    while let Some((entry, level)) = waiting.pop() {
        let _ = format!("{entry:?}");
        if let Ok(nested) = entry.nested() {
            assert!(
                entry.with_nested(&nested).is_ok_and(|again| again == entry),
                "what is nested is put back as it was"
            );
        }
        let nested = match entry.value() {
            Ok(value) => check(&entry, value),
            Err(error) => {
                crate::structures::told(&error);
                Vec::new()
            }
        };
        if level < LEVELS {
            waiting.extend(nested.into_iter().map(|entry| (entry, level + 1)));
        }
    }
}

/// Gives the nested entries.
fn check(entry: &MetadataEntry, value: Value<'_>) -> Vec<MetadataEntry> {
    let data = entry.data.as_slice();
    let same = |again: MetadataEntry| assert!(again.data.as_slice() == data, "{entry:?} is written back as it was");
    match value {
        Value::Key(key) if key.flags == 0 => same(MetadataEntry::key(0, key.key_type, key.key)),
        Value::Key(key) => assert_eq!(key.key.len(), data.len() - 4),
        Value::Unicode(text) => assert!(text.len() <= data.len() * 2, "at most three bytes for each two"),
        Value::StretchKey(salt) => {
            let again = MetadataEntry::stretch_key(salt.key_type, &salt.salt, &salt.entries);
            assert!(again.is_ok_and(|again| again.data[4..] == data[4..]), "a salt is written back as it was");
            return salt.entries;
        }
        Value::UseKey(uses) => {
            let again = MetadataEntry::use_key(uses.key_type, &uses.entries);
            assert!(again.is_ok_and(|again| again.data[4..] == data[4..]), "a use is written back as it was");
            return uses.entries;
        }
        Value::AesCcm(wrapped) => same(MetadataEntry::aes_ccm(0, &wrapped.nonce, &wrapped.mac, wrapped.ciphertext)),
        Value::Vmk(protector) => {
            let _ = protector.kind().to_string();
            assert!(protector.to_entry().is_ok_and(|again| again.data == entry.data));
            return protector.entries;
        }
        Value::ExternalKey(file) => {
            assert!(file.encode().is_ok_and(|bytes| bytes.ends_with(data)));
            return file.entries;
        }
        Value::Virtualization(virtualization) => same(virtualization.to_entry()),
        Value::BackupInfo(info) => assert_eq!(info.created.0.to_le_bytes(), data[..8]),
        Value::Guid(guid) => assert_eq!(guid.to_bytes(), data[..16]),
        _ => {}
    }
    Vec::new()
}

fn encoded(entries: &[MetadataEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        assert!(entry.encode(&mut out).is_ok(), "what was parsed fits");
    }
    out
}
