//! All keys in one file that a passphrase opens: the document of `keyhaven keys export`, encrypted with age.

use std::time::{Duration, UNIX_EPOCH};

use data_encoding::BASE64;
use fve_format::Filetime;
use secret::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use vault_client::{Bytes, ExportedKey, MAX_EXPORT, RecordId, RecordSummary, Secret, Signed};
use vault_protocol::record::{KIND_EXTERNAL_KEY, KIND_RECOVERY_PASSWORD};
use zeroize::Zeroizing;

use super::records::startup_key;
use super::{Confirming, Given, SecretText};
use crate::engine::{Called, Engine, failed, read};
use crate::host::Host;
use crate::{age, failure, strength};

/// Weakest passphrase that is taken: whoever gets the file can try guesses for as long as they like.
const LEAST_STRENGTH: u8 = 3;
/// Room for one key in the document. With enough of it the document is written without copies that stay behind.
const ENTRY_BYTES: usize = 16 * 1024;

/// The document inside the file.
#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    keys: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    record: RecordId,
    key_id: &'a str,
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    recovery_key: Option<SecretString>,
    /// A `.BEK` file in base64.
    #[serde(serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    startup_key_file: Option<SecretString>,
    computer: &'a str,
    drive: &'a str,
    label: &'a str,
    volume_type: &'a str,
    method: &'a str,
    created: Option<&'a str>,
    source: &'a str,
    state: Option<&'a str>,
    saved_by: Option<&'a str>,
    saved: Option<String>,
    header: &'a Bytes,
    save: &'a Signed,
    receipt: &'a Signed,
}

fn exposed<S: serde::Serializer>(key: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.as_ref().map(SecretString::expose).unwrap_or_default())
}

impl<H: Host> Engine<H> {
    /// Everything that can be wrong with the file is found before a key is released.
    pub(super) fn export_keys(&self, arguments: &str) -> Called {
        let (passphrase, confirm): (SecretText, Confirming) = read(arguments)?;
        if strength::score(passphrase.0.expose(), "") < LEAST_STRENGTH {
            return Err(failure::of_page("page.weak_passphrase", "this passphrase is too easy to guess"));
        }
        let records = self.client.records().map_err(failed)?;
        let known = [KIND_RECOVERY_PASSWORD, KIND_EXTERNAL_KEY];
        let records: Vec<&RecordSummary> = records
            .iter()
            .filter(|record| record.verified && !record.former && known.contains(&record.kind.as_str()))
            .collect();
        if records.is_empty() {
            return Err(failure::of_page("page.no_keys", "the account has no keys to export"));
        }
        let given = confirm.given();
        if records.len() > MAX_EXPORT && matches!(given, Given::Code(_)) {
            // Each batch needs a confirmation of its own, and a code is good once.
            return Err(failure::of_page(
                "page.too_many",
                "so many keys are exported with a passkey, or with the program",
            ));
        }
        let ids: Vec<RecordId> = records.iter().map(|record| record.record_id).collect();
        let mut released = Vec::with_capacity(ids.len());
        for batch in ids.chunks(MAX_EXPORT) {
            released.extend(self.client.export(batch, given.confirm(&self.asks)).map_err(failed)?);
        }
        let now = self.filetime((self.clock)());
        let keys =
            released.iter().map(|exported| self.entry(exported, &records, now)).collect::<Result<Vec<_>, _>>()?;
        let mut document = Zeroizing::new(Vec::with_capacity(keys.len() * ENTRY_BYTES));
        let unwritable = || failure::of_page("page.fault", "the keys cannot be encrypted");
        serde_json::to_writer_pretty(&mut *document, &Document { format: "keyhaven-keys/1", keys })
            .map_err(|_| unwritable())?;
        let sealed = age::seal(&passphrase.0, age::LOG_N, &document).ok_or_else(unwritable)?;
        Ok(json!({ "name": "keyhaven-keys.age", "bytes": BASE64.encode(&sealed), "keys": released.len() }))
    }

    fn filetime(&self, at: vault_client::Millis) -> Filetime {
        let since = Duration::from_millis(u64::try_from(at).unwrap_or_default());
        Filetime::from_system_time_ms(UNIX_EPOCH + since)
    }

    fn entry<'a>(
        &self,
        exported: &'a ExportedKey,
        summaries: &[&'a RecordSummary],
        now: Filetime,
    ) -> Result<Entry<'a>, Value> {
        let meta = &exported.key.meta;
        let summary = summaries.iter().find(|summary| summary.record_id == exported.record_id);
        let (recovery_key, startup_key_file) = match &exported.key.secret {
            Secret::RecoveryPassword(password) => (Some(password.to_text()), None),
            Secret::ExternalKey(key) => {
                let file = startup_key(meta, key.expose(), now).and_then(|file| file.encode().ok());
                let file =
                    file.ok_or_else(|| failure::of_page("page.fault", "a startup key that cannot be written"))?;
                (None, Some(SecretString::new(BASE64.encode(&file))))
            }
        };
        Ok(Entry {
            record: exported.record_id,
            key_id: &meta.key_id,
            recovery_key,
            startup_key_file,
            computer: &meta.computer,
            drive: &meta.mount,
            label: &meta.label,
            volume_type: &meta.volume_type,
            method: &meta.method,
            created: meta.protector_created.as_deref(),
            source: &meta.source,
            state: summary.map(|summary| summary.state.as_str()),
            saved_by: summary.map(|summary| summary.author.as_str()),
            saved: summary.map(|summary| self.filetime(summary.received_at).to_string()),
            header: &exported.header,
            save: &exported.save,
            receipt: &exported.receipt,
        })
    }
}
