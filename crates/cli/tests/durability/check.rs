//! What is there, against what was said.

use std::collections::BTreeMap;

use vault_client::{RecordId, Standing};

use crate::people::{Load, Owner};

/// Counts over all owners.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Saves that a device was told to be safe.
    pub(crate) acknowledged: usize,
    /// Of those, what is not there or not where the receipt says.
    pub(crate) lost: usize,
    /// Records.
    pub(crate) records: usize,
    /// Entries of saves in the trails.
    pub(crate) entries: usize,
}

/// Compares receipts, records and trails, as the owners' own programs see them.
pub(crate) fn compare(owners: &[Owner], load: &Load) -> Found {
    let mut found = Found::default();
    for (owner, made) in owners.iter().zip(&load.made) {
        let client = &owner.devices[0].client;
        let records = client.records().unwrap();
        let mut saves: BTreeMap<RecordId, Vec<u64>> = BTreeMap::new();
        for entry in client.audit_trail().unwrap().entries.iter().filter(|entry| entry.action == "save") {
            saves.entry(entry.target.parse().unwrap()).or_default().push(entry.seq);
        }
        for record in &records {
            assert!(record.verified, "{}: a record that no device signed", owner.name);
            let seqs = saves.get(&record.record_id).map_or(0, Vec::len);
            assert_eq!(seqs, 1, "{}: a record has one entry", owner.name);
        }
        assert_eq!(saves.len(), records.len(), "{}: an entry without a record", owner.name);
        found.records += records.len();
        found.entries += saves.values().map(Vec::len).sum::<usize>();
        for (device, made) in owner.devices.iter().zip(made) {
            for record in made {
                let Some(Standing::Saved { audit_seq }) = device.client.became_of(*record).unwrap() else { continue };
                found.acknowledged += 1;
                found.lost += usize::from(saves.get(record).is_none_or(|seqs| seqs != &[audit_seq]));
            }
        }
    }
    found
}

/// Nothing is lost, nothing doubled, and the chains are whole.
pub(crate) fn expect_everything(owners: &[Owner], load: &Load) -> Found {
    let found = compare(owners, load);
    assert_eq!(found.lost, 0, "{found:?}");
    // Everything was delivered in the end: what is there is what was confirmed.
    assert_eq!((found.records, found.entries), (found.acknowledged, found.acknowledged), "{found:?}");
    for owner in owners {
        let report = owner.devices[0].client.audit_verify().unwrap();
        assert!(report.problems.is_empty(), "{}: {:?}", owner.name, report.problems);
    }
    found
}
