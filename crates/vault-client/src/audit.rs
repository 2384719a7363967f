//! The audit trail: read it, and hold it against everything this client remembers.

use vault_protocol::audit::{AuditEntry, action, entry_hash};
use vault_protocol::limits::MAX_AUDIT_PAGE;
use vault_protocol::messages::{AuditHead, AuditPage};
use vault_protocol::{Bytes, FixedBytes, Signed, routes, verify};

use crate::client::Owner;
use crate::reveal::summary;
use crate::state::Profile;
use crate::{Client, Error, Transport};

/// Acts that give out a key.
const RELEASES: [&str; 2] = [action::REVEAL, action::EXPORT];

/// An account's trail whose chain was replayed.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    /// All entries, oldest first.
    pub entries: Vec<AuditEntry>,
    bytes: Vec<Bytes>,
    head: AuditHead,
}

/// What `audit verify` found. Empty `problems`: everything fits.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// Entries in the chain.
    pub entries: usize,
    /// Receipts of this client that are in the chain.
    pub receipts: usize,
    /// Records whose author's signature fits.
    pub records: usize,
    /// Reveals in the chain.
    pub reveals: usize,
    /// What does not fit, first first.
    pub problems: Vec<String>,
}

impl<T: Transport> Client<T> {
    /// Reads the whole trail and replays its chain.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the chain is broken or goes back behind what was seen; [`Error`].
    pub fn audit_trail(&self) -> Result<AuditTrail, Error> {
        let owner = self.owner()?;
        let trail = self.read_trail(&owner)?;
        self.remember_head(&owner, &trail)?;
        Ok(trail)
    }

    /// Checks chain, remembered head, receipts and the signatures of all records; collects what does not fit.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`], [`Error::Transport`]: it could not be checked.
    pub fn audit_verify(&self) -> Result<AuditReport, Error> {
        let owner = self.owner()?;
        let mut report = AuditReport::default();
        let trail = match self.read_trail(&owner) {
            Ok(trail) => trail,
            Err(Error::Inconsistent(what)) => {
                report.problems.push(format!("the {what} differs from what was seen before"));
                return Ok(report);
            }
            Err(other) => return Err(other),
        };
        report.entries = trail.entries.len();
        report.reveals = trail.entries.iter().filter(|entry| RELEASES.contains(&entry.action.as_str())).count();
        self.check_receipts(&owner, &trail, &mut report)?;
        self.check_records(&owner, &trail, &mut report)?;
        if report.problems.is_empty() {
            self.remember_head(&owner, &trail)?;
        }
        Ok(report)
    }

    fn read_trail(&self, owner: &Owner) -> Result<AuditTrail, Error> {
        let mut bytes: Vec<Bytes> = Vec::new();
        let head = loop {
            let path = format!("{}?after={}&limit={MAX_AUDIT_PAGE}", routes::AUDIT, bytes.len());
            let page: AuditPage = self.get(&path, Some(owner.token()))?;
            let went_on = !page.entries.is_empty();
            bytes.extend(page.entries);
            if bytes.len() as u64 >= page.head.seq || !went_on {
                break page.head;
            }
        };
        let (entries, hash) = verify::audit_chain(&bytes).map_err(|_| Error::Inconsistent("audit trail"))?;
        // New entries may have come between two pages; the chain itself must end in what was read.
        let read = AuditHead { seq: entries.len() as u64, hash: FixedBytes(hash) };
        if read.seq < head.seq || (read.seq == head.seq && read.hash != head.hash) {
            return Err(Error::Inconsistent("audit trail"));
        }
        let trail = AuditTrail { entries, bytes, head: read };
        trail.contains(&owner.profile.audit_head).then_some(trail).ok_or(Error::Inconsistent("audit trail"))
    }

    fn check_receipts(&self, owner: &Owner, trail: &AuditTrail, report: &mut AuditReport) -> Result<(), Error> {
        for name in self.state.names("receipts")? {
            let Some(signed) = self.state.read::<Signed>(&name)? else { continue };
            let Ok(receipt) = verify::receipt(&signed, &owner.profile.receipt_pk) else {
                report.problems.push(format!("the receipt in {name} is not signed by this service"));
                continue;
            };
            if receipt.account_id != owner.profile.account_id {
                continue;
            }
            if trail.contains(&AuditHead { seq: receipt.audit_seq, hash: receipt.audit_hash }) {
                report.receipts += 1;
            } else {
                report.problems.push(format!("the save of record {} has a receipt and no entry", receipt.record_id));
            }
        }
        Ok(())
    }

    fn check_records(&self, owner: &Owner, trail: &AuditTrail, report: &mut AuditReport) -> Result<(), Error> {
        let authors = self.authors(owner)?;
        let views = self.record_views(owner)?;
        for view in &views {
            if summary(owner, &authors, view).verified {
                report.records += 1;
            } else {
                report.problems.push(format!("who saved record {} cannot be verified", view.record_id));
            }
        }
        for entry in trail.entries.iter().filter(|entry| entry.action == action::SAVE && entry.outcome == "done") {
            if !views.iter().any(|view| view.record_id.to_string() == entry.target) {
                report.problems.push(format!("record {} was saved and is not listed", entry.target));
            }
        }
        Ok(())
    }

    fn remember_head(&self, owner: &Owner, trail: &AuditTrail) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        self.state.write("profile.json", &Profile { audit_head: trail.head, ..owner.profile.clone() })
    }
}

impl AuditTrail {
    /// Whether the chain holds this entry. Number 0 stands for "nothing seen yet".
    fn contains(&self, head: &AuditHead) -> bool {
        let Some(index) = head.seq.checked_sub(1) else { return true };
        let entry = usize::try_from(index).ok().and_then(|index| self.bytes.get(index));
        entry.is_some_and(|bytes| entry_hash(bytes) == head.hash.0)
    }
}
