//! Releases that this computer asked for: remembered, so that a trail that hides one is found out.

use vault_protocol::audit::{AuditEntry, action, entry_hash};
use vault_protocol::limits::MAX_AUDIT_PAGE;
use vault_protocol::messages::{AuditHead, AuditPage};
use vault_protocol::{AccountId, FixedBytes, RecordId, routes};

use crate::audit::follow;
use crate::bundle::RememberedReveal;
use crate::client::Owner;
use crate::{Client, Error, Transport};

const REVEALS_FILE: &str = "reveals.json";
/// Acts that give out a key.
pub(crate) const RELEASES: [&str; 2] = [action::REVEAL, action::EXPORT];

/// Whether this entry tells that a record was given out.
pub(crate) fn is_release(entry: &AuditEntry) -> bool {
    RELEASES.contains(&entry.action.as_str()) && entry.outcome == "done"
}

impl<T: Transport> Client<T> {
    /// Remembers releases, with their entries where the trail shows them at once. The keys are given out by now: whatever
    /// fails here withholds none, and a missing entry is found by `audit verify`.
    pub(crate) fn remember_reveals(&self, owner: &Owner, records: &[RecordId]) {
        let found = self.new_releases(owner).unwrap_or_default();
        let _ = self.add_reveals(owner.profile.account_id, records, found);
    }

    fn add_reveals(
        &self,
        account_id: AccountId,
        records: &[RecordId],
        mut found: Vec<(String, AuditHead)>,
    ) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        let mut reveals: Vec<RememberedReveal> = self.state.read(REVEALS_FILE)?.unwrap_or_default();
        found.retain(|(_, head)| !reveals.iter().any(|known| known.entry == Some(*head)));
        for record in records {
            // The newest one: an older one that is not remembered is another computer's.
            let place = found.iter().rposition(|(target, _)| *target == record.to_string());
            let entry = place.map(|place| found.remove(place).1);
            reveals.push(RememberedReveal { account_id, record_id: *record, at: self.now(), entry });
        }
        self.state.write(REVEALS_FILE, &reveals)
    }

    /// Releases behind the head that was seen last, in order, from entries that follow it.
    fn new_releases(&self, owner: &Owner) -> Result<Vec<(String, AuditHead)>, Error> {
        let mut head = owner.profile.audit_head;
        let mut found = Vec::new();
        loop {
            let path = format!("{}?after={}&limit={MAX_AUDIT_PAGE}", routes::AUDIT, head.seq);
            let page: AuditPage = self.get(&path, Some(owner.token()))?;
            if page.entries.is_empty() {
                return Ok(found);
            }
            let (end, entries) = follow(head, &page.entries)?;
            head = end;
            for (entry, bytes) in entries.into_iter().zip(&page.entries) {
                if is_release(&entry) {
                    found.push((entry.target, AuditHead { seq: entry.seq, hash: FixedBytes(entry_hash(bytes)) }));
                }
            }
        }
    }

    pub(crate) fn remembered_reveals(&self, account: AccountId) -> Result<Vec<RememberedReveal>, Error> {
        let reveals: Vec<RememberedReveal> = self.state.read(REVEALS_FILE)?.unwrap_or_default();
        Ok(reveals.into_iter().filter(|reveal| reveal.account_id == account).collect())
    }
}
