//! Saved keys: listing, revealing, reading, saving.

use std::time::{Duration, UNIX_EPOCH};

use data_encoding::BASE64;
use fve_format::{ExternalKeyFile, Filetime, Guid};
use serde_json::{Value, json};
use vault_client::{Afterwards, Meta, Ordered, Outcome, RecordSummary, RevealedSecret, Secret, ToSave};
use vault_protocol::RecordId;
use zeroize::Zeroizing;

use super::Confirming;
use crate::engine::{Called, Engine, failed, read};
use crate::failure;
use crate::found::Found;
use crate::host::Host;

impl<H: Host> Engine<H> {
    pub(super) fn records(&self) -> Called {
        let records = self.client.records().map_err(failed)?;
        Ok(records.iter().map(record_document).collect())
    }

    pub(super) fn reveal(&self, arguments: &str) -> Called {
        let (record, reason, confirm, afterwards): (RecordId, String, Confirming, String) = read(arguments)?;
        let afterwards = if afterwards == "rotate" { Afterwards::Rotate } else { Afterwards::Leave };
        let given = confirm.given();
        let revealed =
            self.client.reveal_any(record, &reason, given.confirm(&self.asks), afterwards).map_err(failed)?;
        let now = Duration::from_millis(u64::try_from((self.clock)()).unwrap_or_default());
        revealed_document(&revealed, Filetime::from_system_time_ms(UNIX_EPOCH + now))
    }

    pub(super) fn read_keys(&mut self, arguments: &str) -> Called {
        let (content, file_name): (Zeroizing<String>, Option<String>) = read(arguments)?;
        let too_large = || failure::of_page("page.too_large", "this is larger than any file of keys");
        let bytes = Zeroizing::new(BASE64.decode(content.as_bytes()).map_err(|_| too_large())?);
        let known = self.client.known_keys().map_err(failed)?;
        let found = Found::read(&bytes, file_name, known).map_err(|error| match error {
            key_import::Error::TooLarge { .. } | key_import::Error::TooManyRows => too_large(),
            error => {
                let mut failure = failure::of_page("page.no_keys", "nothing in this looks like a recovery key");
                failure["cause"] = json!(error.to_string());
                failure
            }
        })?;
        if found.is_empty() {
            return Err(failure::of_page("page.no_keys", "nothing in this looks like a recovery key"));
        }
        let (format, rows) = (found.format, found.documents());
        Ok(json!({ "handle": self.keep(found).to_string(), "format": format, "rows": rows }))
    }

    pub(super) fn save_keys(&mut self, arguments: &str) -> Called {
        let (handle, indexes, computer): (String, Vec<usize>, Option<String>) = read(arguments)?;
        // Good once: what is tried again is read again, and what was saved meanwhile is known then.
        let found = handle.parse().ok().and_then(|handle: u64| self.found.remove(&handle));
        let found = found.ok_or_else(|| failure::of_page("page.no_keys", "choose the file again"))?;
        let (places, keys): (Vec<usize>, Vec<Box<dyn ToSave>>) =
            found.to_save(&indexes, computer.as_deref().unwrap_or_default()).into_iter().unzip();
        let outcomes = self.client.import(&keys, &found.known).map_err(failed)?;
        let documents = places.into_iter().zip(outcomes).map(|(index, outcome)| match outcome {
            Outcome::Saved { record_id, audit_seq } => json!({
                "index": index, "saved": true, "receipt": { "recordId": record_id, "auditSeq": audit_seq },
            }),
            Outcome::Waiting { why, .. } => json!({ "index": index, "saved": false, "failure": failed(why) }),
        });
        Ok(documents.collect())
    }
}

fn record_document(record: &RecordSummary) -> Value {
    let finding = record.finding.as_ref().map(|(found, at, by)| json!({ "found": found.name(), "at": at, "by": by }));
    json!({
        "recordId": record.record_id, "kind": record.kind, "meta": record.meta.as_ref().map(meta_document),
        "verified": record.verified, "author": record.author, "state": record.state, "receivedAt": record.received_at,
        "revealedAt": record.revealed_at, "finding": finding, "former": record.former,
    })
}

fn meta_document(meta: &Meta) -> Value {
    json!({
        "keyId": meta.key_id, "volumeType": meta.volume_type, "mount": meta.mount, "label": meta.label,
        "computer": meta.computer, "os": meta.os, "method": meta.method, "source": meta.source,
    })
}

fn revealed_document(revealed: &RevealedSecret, now: Filetime) -> Called {
    let ordered = revealed.ordered.as_ref().map(|ordered| match ordered {
        Ordered::Yes { .. } => json!({ "yes": true }),
        Ordered::No { why } => json!({ "yes": false, "why": why }),
        Ordered::Failed(error) => json!({ "yes": false, "why": failed_word(error) }),
    });
    let mut document = json!({ "meta": meta_document(&revealed.meta), "ordered": ordered });
    match &revealed.secret {
        Secret::RecoveryPassword(password) => document["digits"] = json!(password.to_text().expose()),
        Secret::ExternalKey(key) => {
            let file = startup_key(&revealed.meta, key.expose(), now)
                .ok_or_else(|| failure::of_page("page.fault", "a startup key without an identifier"))?;
            let bytes =
                file.encode().map_err(|_| failure::of_page("page.fault", "a startup key that cannot be written"))?;
            document["file"] = json!({ "name": file.file_name(), "bytes": BASE64.encode(&bytes) });
        }
    }
    Ok(document)
}

pub(super) fn startup_key(meta: &Meta, key: &[u8; 32], now: Filetime) -> Option<ExternalKeyFile> {
    let identifier: Guid = meta.key_id.parse().ok()?;
    Some(ExternalKeyFile::new(identifier, now, now, key))
}

fn failed_word(error: &vault_client::Error) -> String {
    error.code().map_or_else(String::new, |code| code.code().to_owned())
}
