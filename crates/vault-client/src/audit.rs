//! The audit trail: read it, and hold it against everything this client remembers.
//!
//! The same checks run on what the service shows now and on a bundle that was made elsewhere: [`check`].

use std::collections::BTreeMap;

use vault_protocol::audit::{AuditEntry, action, entry_hash};
use vault_protocol::limits::MAX_AUDIT_PAGE;
use vault_protocol::log::{Checkpoint, Hash, Note, VerifierKey, is_consistent, is_included, log_name};
use vault_protocol::messages::{AuditHead, AuditPage, EntryProof};
use vault_protocol::statement::{KeyStatement, fingerprint, statement_hash};
use vault_protocol::{AccountId, Bytes, FixedBytes, Millis, PublicKey, routes, verify};

use crate::bundle::AuditBundle;
use crate::client::Owner;
use crate::log::fault;
use crate::reveal::{Authors, statements, verified_save};
use crate::reveals::is_release;
use crate::state::Profile;
use crate::{Client, Error, Transport};

/// An entry that is older than this must be in the log. Young ones may wait for their place.
pub(crate) const LONGEST_WAIT_MS: Millis = 60_000;
/// How far the service's clock may be ahead of the one here.
pub(crate) const CLOCK_SLACK: Millis = 5 * 60 * 1000;

/// Entries of one account that are read: more than anybody makes in a life, and an end for a service that has none.
const LONGEST_TRAIL: u64 = 1 << 20;

/// An account's trail whose chain was replayed.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    /// All entries, oldest first.
    pub entries: Vec<AuditEntry>,
    pub(crate) bytes: Vec<Bytes>,
    pub(crate) head: AuditHead,
}

impl AuditTrail {
    /// How many records of each author were deleted, by the identifier of the author.
    pub(crate) fn deletions_by_author(&self) -> BTreeMap<String, usize> {
        let mut saved_by: BTreeMap<&str, &str> = BTreeMap::new();
        let mut deleted: BTreeMap<String, usize> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.outcome == "done") {
            if entry.action == action::SAVE {
                saved_by.insert(&entry.target, &entry.actor.id);
            } else if entry.action == action::DELETE_DONE
                // Removed, so that a second entry about the same record explains nothing more.
                && let Some(author) = saved_by.remove(entry.target.as_str())
            {
                *deleted.entry(author.to_owned()).or_default() += 1;
            }
        }
        deleted
    }
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
    /// Releases that the client remembers and that are in the chain.
    pub remembered: usize,
    /// Entries that are proven to be in the service's global log.
    pub logged: usize,
    /// Entries so new that they wait for their place in it.
    pub pending: usize,
    /// Entries of all accounts in that log.
    pub log_size: u64,
    /// Witnesses that signed the log's checkpoint, and when, in milliseconds since 1970.
    pub witnesses: Vec<(String, Millis)>,
    /// Number of the first entry that does not fit, where a problem is of one.
    pub first_bad_entry: Option<u64>,
    /// Where the service's contradicting statements about its log were kept.
    pub evidence: Option<String>,
    /// What does not fit, first first.
    pub problems: Vec<String>,
}

impl AuditReport {
    fn problem(&mut self, entry: Option<u64>, text: String) {
        if let Some(seq) = entry {
            self.first_bad_entry = Some(self.first_bad_entry.map_or(seq, |first| first.min(seq)));
            self.problems.push(format!("entry {seq}: {text}"));
        } else {
            self.problems.push(text);
        }
    }
}

/// How the keys in a bundle are known to be the true ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleTrust {
    /// This computer signed in to the account before.
    State,
    /// The account's fingerprint and the service's, as they were told by somebody who knows.
    Fingerprints {
        /// Of the account, as on the emergency kit.
        account: String,
        /// Of the service, as [`Client::service_fingerprint`] gives it.
        service: String,
    },
}

/// What a bundle is held against.
struct Pins<'a> {
    origin: &'a str,
    account_id: AccountId,
    statement: KeyStatement,
    receipt_pk: &'a PublicKey,
    log_pk: &'a PublicKey,
    /// Newest entry that was seen before.
    head: AuditHead,
    /// Newest log that was seen before.
    log: Option<(u64, Hash)>,
    witnesses: &'a [VerifierKey],
}

impl<T: Transport> Client<T> {
    /// Reads the whole trail and replays its chain.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the chain is broken or goes back behind what was seen; [`Error`].
    pub fn audit_trail(&self) -> Result<AuditTrail, Error> {
        let owner = self.owner()?;
        let trail = self.read_trail(&owner)?;
        let _lock = self.state.lock()?;
        self.advance_head(&owner, &trail.bytes, trail.head)?;
        Ok(trail)
    }

    /// Checks chain, remembered head, receipts, releases, the signatures of all records, and the global log; collects what does
    /// not fit.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`], [`Error::Transport`]: it could not be checked.
    pub fn audit_verify(&self) -> Result<AuditReport, Error> {
        self.audit_verify_witnessed(&[])
    }

    /// As [`Client::audit_verify`]; each of the witnesses must have signed the log's checkpoint.
    ///
    /// # Errors
    /// As [`Client::audit_verify`].
    pub fn audit_verify_witnessed(&self, witnesses: &[VerifierKey]) -> Result<AuditReport, Error> {
        let owner = self.owner()?;
        let collected = match self.collect(&owner) {
            Ok(collected) => collected,
            Err(Error::Inconsistent(what)) => {
                let mut report = AuditReport::default();
                report.problem(None, format!("the {what} differs from what was seen before"));
                return Ok(report);
            }
            Err(other) => return Err(other),
        };
        let profile = &owner.profile;
        let pins = Pins {
            origin: &profile.origin,
            account_id: profile.account_id,
            statement: owner.statement.clone(),
            receipt_pk: &profile.receipt_pk,
            log_pk: &profile.log_pk,
            head: profile.audit_head,
            log: collected.log.seen.as_ref().map(|seen| seen.head()),
            witnesses,
        };
        let mut report = check(&collected.bundle, &pins);
        let _lock = self.state.lock()?;
        if let Some(what) = collected.log.fault {
            report.evidence = Some(self.keep_evidence(what, &collected.log, &profile.log_pk)?);
        }
        if report.problems.is_empty() {
            match self.advance_head(&owner, &collected.bundle.entries, collected.head) {
                Err(Error::Inconsistent(what)) => {
                    report.problem(None, format!("the {what} differs from what was seen meanwhile"));
                    return Ok(report);
                }
                done => done?,
            }
            match self.pin_log(&collected.log, &profile.log_pk) {
                Err(Error::Log { what, evidence }) => {
                    report.problem(None, format!("the service's log {what}"));
                    report.evidence = Some(evidence);
                }
                done => done?,
            }
        }
        Ok(report)
    }

    /// Checks a bundle without asking the service.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] when nothing is known that the bundle could be held against; [`Error::Unverified`],
    /// [`Error::Inconsistent`] when its keys are not the ones that are known.
    pub fn audit_verify_bundle(
        &self,
        bundle: &AuditBundle,
        trust: &BundleTrust,
        witnesses: &[VerifierKey],
    ) -> Result<AuditReport, Error> {
        let known = self.state.profile()?.filter(|known| known.account_id == bundle.account_id);
        let (head, log) = match trust {
            BundleTrust::State => {
                let known = known.ok_or(Error::NotSignedIn)?;
                if known.origin != bundle.origin || known.key_statement != bundle.key_statement {
                    return Err(Error::Inconsistent("key statement"));
                }
                if known.receipt_pk != bundle.receipt_pk || known.log_pk != bundle.log_pk {
                    return Err(Error::Inconsistent("own keys"));
                }
                (known.audit_head, self.pinned_log()?.map(|pinned| pinned.head()))
            }
            BundleTrust::Fingerprints { account, service } => {
                if !same(account, &fingerprint(&statement_hash(&bundle.key_statement))) {
                    return Err(Error::Inconsistent("key statement"));
                }
                if !same(service, &bundle.service_fingerprint()) {
                    return Err(Error::Inconsistent("own keys"));
                }
                (AuditHead { seq: 0, hash: FixedBytes([0; 32]) }, None)
            }
        };
        let statement = verify::key_statement(&bundle.key_statement, bundle.account_id)
            .map_err(Error::unverified("the key statement"))?;
        let pins = Pins {
            origin: &bundle.origin,
            account_id: bundle.account_id,
            statement,
            receipt_pk: &bundle.receipt_pk,
            log_pk: &bundle.log_pk,
            head,
            log,
            witnesses,
        };
        if *trust != BundleTrust::State {
            return Ok(check(bundle, &pins));
        }
        Ok(check(&self.with_own_memory(bundle)?, &pins))
    }

    /// The bundle with what this computer remembers of the time that it tells of: whoever made it may have left that out.
    fn with_own_memory(&self, bundle: &AuditBundle) -> Result<AuditBundle, Error> {
        let mut whole = bundle.clone();
        let last = bundle.entries.len() as u64;
        for reveal in self.remembered_reveals(bundle.account_id)? {
            let told_of = reveal.entry.is_some_and(|entry| entry.seq <= last);
            let there = whole.reveals.iter().any(|there| there.entry.is_some() && there.entry == reveal.entry);
            if told_of && !there {
                whole.reveals.push(reveal);
            }
        }
        for signed in self.kept_receipts()? {
            let receipt = verify::receipt(&signed, &bundle.receipt_pk).ok();
            let told_of =
                receipt.is_some_and(|receipt| receipt.account_id == bundle.account_id && receipt.audit_seq <= last);
            if told_of && !whole.receipts.contains(&signed) {
                whole.receipts.push(signed);
            }
        }
        Ok(whole)
    }

    pub(crate) fn read_trail(&self, owner: &Owner) -> Result<AuditTrail, Error> {
        let mut bytes: Vec<Bytes> = Vec::new();
        let mut end = AuditHead { seq: 0, hash: FixedBytes([0; 32]) };
        let head = loop {
            let path = format!("{}?after={}&limit={MAX_AUDIT_PAGE}", routes::AUDIT, bytes.len());
            let page: AuditPage = self.get(&path, Some(owner.token()))?;
            let went_on = !page.entries.is_empty();
            end = follow(end, &page.entries)?.0;
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
        contains(&trail.bytes, &owner.profile.audit_head).then_some(trail).ok_or(Error::Inconsistent("audit trail"))
    }

    /// Moves the pinned head on to the end of a chain, under the caller's lock. What another process wrote since the chain was
    /// read stays: another account, or a head further on.
    fn advance_head(&self, owner: &Owner, chain: &[Bytes], head: AuditHead) -> Result<(), Error> {
        let Some(now) = self.state.profile()?.filter(|now| now.account_id == owner.profile.account_id) else {
            return Ok(());
        };
        if now.audit_head.seq > head.seq {
            return Ok(());
        }
        if !contains(chain, &now.audit_head) {
            return Err(Error::Inconsistent("audit trail"));
        }
        self.state.write("profile.json", &Profile { audit_head: head, ..now })
    }
}

/// Follows the chain from `end` over a page of it. Gives the new end and the entries.
///
/// # Errors
/// [`Error::Inconsistent`] for what does not follow; [`Error::Answer`] for more than a page, and when there is no end.
pub(crate) fn follow(mut end: AuditHead, page: &[Bytes]) -> Result<(AuditHead, Vec<AuditEntry>), Error> {
    if page.len() as u64 > u64::from(MAX_AUDIT_PAGE) {
        return Err(Error::Answer("more of the audit trail than asked for"));
    }
    let mut entries = Vec::with_capacity(page.len());
    for bytes in page {
        let entry: AuditEntry = serde_json::from_slice(bytes).map_err(|_| Error::Inconsistent("audit trail"))?;
        if entry.seq != end.seq.saturating_add(1) || entry.prev != end.hash {
            return Err(Error::Inconsistent("audit trail"));
        }
        if entry.seq > LONGEST_TRAIL {
            return Err(Error::Answer("an audit trail without end"));
        }
        end = AuditHead { seq: entry.seq, hash: FixedBytes(entry_hash(bytes)) };
        entries.push(entry);
    }
    Ok((end, entries))
}

/// Compares fingerprints as people type them.
fn same(typed: &str, found: &str) -> bool {
    let letters = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect::<String>()
    };
    letters(typed) == letters(found)
}

/// Whether the chain holds this entry. Number 0 stands for "nothing seen yet".
fn contains(chain: &[Bytes], head: &AuditHead) -> bool {
    let Some(index) = head.seq.checked_sub(1) else { return true };
    let entry = usize::try_from(index).ok().and_then(|index| chain.get(index));
    entry.is_some_and(|bytes| entry_hash(bytes) == head.hash.0)
}

/// Holds a bundle against what is pinned.
fn check(bundle: &AuditBundle, pins: &Pins<'_>) -> AuditReport {
    let mut report = AuditReport { entries: bundle.entries.len(), ..AuditReport::default() };
    let entries = match verify::audit_chain(&bundle.entries) {
        Ok((entries, _)) => entries,
        // The chain breaks behind an entry that was changed; the log tells which of the two it was.
        Err(seq) if was_changed(bundle, pins, seq - 1) => {
            report.problem(Some(seq - 1), "it is not the one that is in the service's log".to_owned());
            return report;
        }
        Err(seq) => {
            report.problem(Some(seq), "it does not follow from the one before".to_owned());
            return report;
        }
    };
    if pins.head.seq <= bundle.entries.len() as u64 && !contains(&bundle.entries, &pins.head) {
        report.problem(Some(pins.head.seq), "it is another one than this computer saw before".to_owned());
    }
    report.reveals = entries.iter().filter(|entry| is_release(entry)).count();
    check_log(bundle, &entries, pins, &mut report);
    check_receipts(bundle, pins, &mut report);
    check_records(bundle, &entries, pins, &mut report);
    check_reveals(bundle, &entries, &mut report);
    report
}

/// Whether the log has another entry in this one's place.
fn was_changed(bundle: &AuditBundle, pins: &Pins<'_>, seq: u64) -> bool {
    let checkpoint =
        Note::parse(&bundle.checkpoint).and_then(|note| note.checkpoint(&log_name(pins.origin), pins.log_pk)).ok();
    let bytes = seq.checked_sub(1).and_then(|index| bundle.entries.get(usize::try_from(index).ok()?));
    let proof = bundle.proofs.iter().find(|proof| proof.seq == seq);
    let (Some(checkpoint), Some(bytes), Some(proof)) = (checkpoint, bytes, proof) else { return false };
    !is_proven(bytes, proof, &checkpoint)
}

fn is_proven(entry: &[u8], proof: &EntryProof, checkpoint: &Checkpoint) -> bool {
    let path: Vec<Hash> = proof.path.iter().map(|hash| hash.0).collect();
    is_included(&entry_hash(entry), proof.index, checkpoint.size, &path, &checkpoint.root)
}

fn check_log(bundle: &AuditBundle, entries: &[AuditEntry], pins: &Pins<'_>, report: &mut AuditReport) {
    let name = log_name(pins.origin);
    let read = |note: &str| Note::parse(note).and_then(|note| Ok((note.checkpoint(&name, pins.log_pk)?, note)));
    let (checkpoint, note) = match read(&bundle.checkpoint) {
        Ok(read) => read,
        Err(why) => return report.problem(None, format!("the checkpoint of the service's log: {why}")),
    };
    report.log_size = checkpoint.size;
    // A bundle names what was seen when it was made; that must be connected with its checkpoint.
    let seen = match bundle.seen.as_deref().map(read).transpose() {
        Ok(seen) => seen.map(|(seen, _)| (seen.size, seen.root)),
        Err(why) => return report.problem(None, format!("the checkpoint that was seen before: {why}")),
    };
    if let Some(what) = log_fault(bundle, seen, pins.log, &checkpoint) {
        return report.problem(None, format!("the service's log {what}"));
    }
    for witness in pins.witnesses {
        match note.verify(witness) {
            Ok(seconds) => {
                let at = Millis::try_from(seconds).unwrap_or(0).saturating_mul(1000);
                report.witnesses.push((witness.name().to_owned(), at));
            }
            Err(_) => report.problem(None, format!("the witness {} did not sign the checkpoint", witness.name())),
        }
    }
    check_inclusion(bundle, entries, &checkpoint, report);
}

/// What is wrong between the checkpoint of a bundle and those that were seen before.
fn log_fault(
    bundle: &AuditBundle,
    seen: Option<(u64, Hash)>,
    pinned: Option<(u64, Hash)>,
    checkpoint: &Checkpoint,
) -> Option<&'static str> {
    let path: Vec<Hash> = bundle.consistency.iter().map(|hash| hash.0).collect();
    if let Some((size, root)) = seen {
        if size > checkpoint.size {
            return Some(fault::SHRUNK);
        }
        if !is_consistent((size, &root), (checkpoint.size, &checkpoint.root), &path) {
            return Some(fault::FORKED);
        }
    }
    // One size has one root. Others are connected only online.
    let known = [seen, Some((checkpoint.size, checkpoint.root))];
    let forked = |(size, root): (u64, Hash)| known.iter().flatten().any(|other| other.0 == size && other.1 != root);
    pinned.is_some_and(forked).then_some(fault::FORKED)
}

fn check_inclusion(bundle: &AuditBundle, entries: &[AuditEntry], checkpoint: &Checkpoint, report: &mut AuditReport) {
    let proofs: BTreeMap<u64, _> = bundle.proofs.iter().map(|proof| (proof.seq, proof)).collect();
    // The service's own clock where it is ahead: two times of one clock can be compared.
    let newest = entries.iter().map(|entry| entry.at).max().unwrap_or(0).max(bundle.made_at);
    for (entry, bytes) in entries.iter().zip(&bundle.entries) {
        let Some(proof) = proofs.get(&entry.seq) else {
            // Nor is one young for ever because it calls itself so.
            let from_the_future = entry.at > bundle.made_at.saturating_add(CLOCK_SLACK);
            if from_the_future || newest.saturating_sub(entry.at) > LONGEST_WAIT_MS {
                report.problem(Some(entry.seq), "it is not in the service's log".to_owned());
            } else {
                report.pending += 1;
            }
            continue;
        };
        if is_proven(bytes, proof, checkpoint) {
            report.logged += 1;
        } else {
            report.problem(Some(entry.seq), "it is not where the service's log is said to have it".to_owned());
        }
    }
}

fn check_receipts(bundle: &AuditBundle, pins: &Pins<'_>, report: &mut AuditReport) {
    for signed in &bundle.receipts {
        let Ok(receipt) = verify::receipt(signed, pins.receipt_pk) else {
            report.problem(None, "a receipt that is kept here is not signed by this service".to_owned());
            continue;
        };
        if receipt.account_id != pins.account_id {
            continue;
        }
        if contains(&bundle.entries, &AuditHead { seq: receipt.audit_seq, hash: receipt.audit_hash }) {
            report.receipts += 1;
        } else {
            let text = format!("the save of record {} has a receipt and no entry", receipt.record_id);
            report.problem(Some(receipt.audit_seq), text);
        }
    }
}

fn check_records(bundle: &AuditBundle, entries: &[AuditEntry], pins: &Pins<'_>, report: &mut AuditReport) {
    let statements = match statements(pins.account_id, &pins.statement, &bundle.former_statements) {
        Ok(statements) => statements,
        Err(_) => {
            report.problem(None, "the key statements before the present one do not belong to it".to_owned());
            vec![pins.statement.clone()]
        }
    };
    let authors = Authors::of(pins.account_id, &statements, &bundle.certificates);
    for view in &bundle.records {
        if verified_save(view, pins.account_id, &authors).is_some() {
            report.records += 1;
        } else {
            report.problem(None, format!("who saved record {} cannot be verified", view.record_id));
        }
    }
    for (place, entry) in entries.iter().enumerate() {
        if entry.action != action::SAVE || entry.outcome != "done" {
            continue;
        }
        let listed = bundle.records.iter().any(|view| view.record_id.to_string() == entry.target);
        // What the owner deleted is gone, and told so.
        let mut later = entries.iter().skip(place + 1);
        if !listed && !later.any(|later| later.action == action::DELETE_DONE && later.target == entry.target) {
            report.problem(Some(entry.seq), format!("record {} was saved and is not listed", entry.target));
        }
    }
}

fn check_reveals(bundle: &AuditBundle, entries: &[AuditEntry], report: &mut AuditReport) {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_release(entry)) {
        *told.entry(&entry.target).or_default() += 1;
    }
    for reveal in bundle.reveals.iter().filter(|reveal| reveal.account_id == bundle.account_id) {
        let record = reveal.record_id.to_string();
        // Each stands for one entry, whichever it is; one that is known by its number must be that one.
        let left = told.get_mut(record.as_str()).filter(|left| **left > 0);
        let counted = left.map(|left| *left -= 1).is_some();
        if counted && reveal.entry.is_none_or(|head| contains(&bundle.entries, &head)) {
            report.remembered += 1;
        } else {
            let text = format!("the release of record {record} that this computer remembers has no entry");
            report.problem(reveal.entry.map(|head| head.seq), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_has_an_end() {
        let entry = |seq: u64| {
            let entry = serde_json::json!({
                "v": 1, "seq": seq, "prev": FixedBytes([7; 32]), "at": 1, "actor": { "kind": "account", "id": "" },
                "action": "login", "target": "", "outcome": "done", "net": "", "client": "", "salt": FixedBytes([0; 16]),
            });
            Bytes(serde_json::to_vec(&entry).unwrap())
        };
        let at = |seq: u64| AuditHead { seq, hash: FixedBytes([7; 32]) };
        let (end, entries) = follow(at(LONGEST_TRAIL - 1), &[entry(LONGEST_TRAIL)]).unwrap();
        assert_eq!((end.seq, entries.len()), (LONGEST_TRAIL, 1));
        let endless = follow(at(LONGEST_TRAIL), &[entry(LONGEST_TRAIL + 1)]).unwrap_err();
        assert!(matches!(endless, Error::Answer("an audit trail without end")), "{endless}");
        for (seq, found) in [(3, 3), (3, 5), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
            let broken = follow(at(seq), &[entry(found)]).unwrap_err();
            assert!(matches!(broken, Error::Inconsistent(_) | Error::Answer(_)), "{seq} {found}: {broken}");
        }
    }
}
