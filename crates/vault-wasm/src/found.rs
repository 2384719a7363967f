//! Keys that were read from a file or a pasted text. They stay here until they are saved; the page sees what they are for.

use std::collections::BTreeMap;

use key_import::{Key, KeyId, Options, Refusal, Row};
use secret::{RecoveryPasswordError, SecretBytes};
use serde_json::{Value, json};
use vault_client::{KeyToSave, KnownKeys, Meta, Secret, StartupKeyToSave, ToSave};

/// A reading.
pub(crate) struct Found {
    pub(crate) format: &'static str,
    rows: Vec<FoundRow>,
    pub(crate) known: KnownKeys,
}

struct FoundRow {
    row: Row,
    fate: Fate,
}

enum Fate {
    Save,
    Known,
    Refused(String),
}

impl Found {
    /// Reads, and judges each key.
    pub(crate) fn read(bytes: &[u8], file_name: Option<String>, known: KnownKeys) -> Result<Self, key_import::Error> {
        let import = key_import::read(bytes, &Options { file_name, ..Options::default() })?;
        let mut seen: BTreeMap<KeyId, Secret> = BTreeMap::new();
        let rows = import.rows.into_iter().map(|row| {
            let fate = judge(&row, &known, &mut seen);
            FoundRow { row, fate }
        });
        let rows = rows.collect();
        Ok(Self { format: import.format.name(), rows, known })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn documents(&self) -> Vec<Value> {
        self.rows.iter().enumerate().map(|(index, found)| document(index, found)).collect()
    }

    /// The keys at these places that can be saved, with their places.
    pub(crate) fn to_save(&self, indexes: &[usize], computer: &str) -> Vec<(usize, Box<dyn ToSave>)> {
        let chosen = self
            .rows
            .iter()
            .enumerate()
            .filter(|(index, found)| indexes.contains(index) && matches!(found.fate, Fate::Save));
        chosen.filter_map(|(index, found)| Some((index, key_of(&found.row, self.format, computer)?))).collect()
    }
}

fn judge(row: &Row, known: &KnownKeys, seen: &mut BTreeMap<KeyId, Secret>) -> Fate {
    let secret = match &row.key {
        Ok(key) => secret_of(key),
        Err(refusal) => return Fate::Refused(refusal.to_string()),
    };
    let Some(key_id) = &row.key_id else { return Fate::Refused("no_key_id".to_owned()) };
    if let Some(before) = seen.get(key_id) {
        return if is_same(before, &secret) { Fate::Known } else { Fate::Refused("contradicts".to_owned()) };
    }
    seen.insert(key_id.clone(), secret);
    if known.has(key_id.text()) { Fate::Known } else { Fate::Save }
}

fn document(index: usize, FoundRow { row, fate }: &FoundRow) -> Value {
    let (word, why) = match fate {
        Fate::Save => ("save", None),
        Fate::Known => ("known", None),
        Fate::Refused(why) => ("refused", Some(why)),
    };
    let wrong_group = match &row.key {
        Err(Refusal::Password(
            RecoveryPasswordError::GroupLength { group, .. }
            | RecoveryPasswordError::NotADigit { group }
            | RecoveryPasswordError::CheckDigit { group, .. },
        )) => Some(*group),
        _ => None,
    };
    let kind = if matches!(row.key, Ok(Key::ExternalKey(_))) { "external-key" } else { "recovery-password" };
    json!({
        "index": index, "fate": word, "why": why, "wrongGroup": wrong_group, "kind": kind,
        "keyId": row.key_id.as_ref().map_or("", KeyId::text), "computer": row.computer, "drive": row.drive, "label": row.label,
        "place": row.place.to_string(),
    })
}

fn key_of(row: &Row, format: &str, computer: &str) -> Option<Box<dyn ToSave>> {
    let meta = Meta {
        key_id: row.key_id.as_ref()?.text().to_owned(),
        volume_type: row.volume_type.name().to_owned(),
        mount: row.drive.clone(),
        label: row.label.clone(),
        computer: if row.computer.is_empty() { computer.to_owned() } else { row.computer.clone() },
        os: "browser".to_owned(),
        method: row.method.clone(),
        protector_created: row.created.clone(),
        source: format!("import:{format}"),
        client: concat!("keyhaven-portal/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Some(match row.key.as_ref().ok()? {
        Key::RecoveryPassword(password) => Box::new(KeyToSave { password: password.clone(), meta }),
        Key::ExternalKey(key) => Box::new(StartupKeyToSave { key: same(key), meta }),
    })
}

fn secret_of(key: &Key) -> Secret {
    match key {
        Key::RecoveryPassword(password) => Secret::RecoveryPassword(password.clone()),
        Key::ExternalKey(key) => Secret::ExternalKey(same(key)),
    }
}

/// Another copy, which is wiped like the first.
fn same(key: &SecretBytes<32>) -> SecretBytes<32> {
    SecretBytes::from_fn(|out| out.copy_from_slice(key.expose()))
}

fn is_same(first: &Secret, second: &Secret) -> bool {
    match (first, second) {
        (Secret::RecoveryPassword(first), Secret::RecoveryPassword(second)) => first == second,
        (Secret::ExternalKey(first), Secret::ExternalKey(second)) => first == second,
        _ => false,
    }
}
