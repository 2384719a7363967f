//! The audit trail.

use data_encoding::BASE64;
use serde_json::{Value, json};
use vault_protocol::audit::AuditEntry;

use crate::engine::{Called, Engine, failed};
use crate::host::Host;

impl<H: Host> Engine<H> {
    pub(super) fn audit_trail(&self) -> Called {
        let trail = self.client.audit_trail().map_err(failed)?;
        Ok(trail.entries.iter().rev().map(document).collect())
    }

    pub(super) fn audit_verify(&self) -> Called {
        let report = self.client.audit_verify().map_err(failed)?;
        Ok(json!({
            "entries": report.entries, "receipts": report.receipts, "records": report.records, "reveals": report.reveals,
            "remembered": report.remembered, "logged": report.logged, "pending": report.pending,
            "logSize": report.log_size, "firstBadEntry": report.first_bad_entry, "problems": report.problems,
            "serviceFingerprint": self.client.service_fingerprint().ok(),
        }))
    }

    pub(super) fn audit_export(&self) -> Called {
        let bundle = self.client.audit_export().map_err(failed)?;
        Ok(json!(BASE64.encode(&bundle.to_bytes().map_err(failed)?)))
    }
}

fn document(entry: &AuditEntry) -> Value {
    json!({
        "seq": entry.seq, "at": entry.at, "actor": { "kind": entry.actor.kind, "id": entry.actor.id },
        "action": entry.action, "target": entry.target, "outcome": entry.outcome, "reason": entry.reason, "net": entry.net,
        "client": entry.client,
    })
}
