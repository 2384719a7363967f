//! The service's global log, as this computer saw it: it may only grow.
//!
//! What was seen last is pinned in `log.json`. A newer checkpoint must be signed by the pinned key and, by a proof that is
//! computed here from the log's tiles, be a continuation of the pinned one. What is not is kept under `evidence/`: the
//! service signed both.
//!
//! A service that cannot be reached, or an answer that is no checkpoint, is no inconsistency. It is told when it lasts. A signed
//! checkpoint whose tiles are kept back is told at once and kept: whoever forks a log would do it in this way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vault_protocol::log::{
    Checkpoint, Hash, InclusionProof, Note, NoteError, ProofError, Span, Tile, Tiles, VerifierKey, consistency_spans,
    is_consistent, log_name, root_spans,
};
use vault_protocol::messages::{ProofQuestion, RecordProof};
use vault_protocol::problem::Code;
use vault_protocol::{FixedBytes, Millis, PublicKey, Signed, VERSION, routes, sha256, verify};

use crate::audit::{CLOCK_SLACK, LONGEST_WAIT_MS};
use crate::state::DeviceFile;
use crate::watch::{Envelope, envelope_name};
use crate::{Client, Error, Transport};

const LOG_FILE: &str = "log.json";
const DAY_MS: Millis = 24 * 3600 * 1000;
/// A device that delivers looks at the log so often.
const DEVICE_INTERVAL_MS: Millis = DAY_MS;
/// A log that could not be checked for so long is told.
const LONGEST_UNCHECKED_MS: Millis = 5 * DAY_MS;

/// What a log can be found out to have done.
pub(crate) mod fault {
    /// Entries are gone.
    pub(crate) const SHRUNK: &str = "is shorter than what was seen before";
    /// Another history, as long or longer.
    pub(crate) const FORKED: &str = "does not continue what was seen before";
    /// Its content is not what it signed.
    pub(crate) const CONTENT: &str = "does not hold what its checkpoint says";
    /// Another key, or none.
    pub(crate) const KEY: &str = "has a checkpoint that is not signed by its pinned key";
    /// Signed, and what would prove it is kept back.
    pub(crate) const UNCONNECTED: &str = "shows a checkpoint and not what connects it with what was seen before";
    /// Another log.
    pub(crate) const NAME: &str = "shows the checkpoint of another log";
}

/// The logs this computer saw, by the address of their service.
#[derive(Default, Serialize, Deserialize)]
struct LogFile {
    logs: BTreeMap<String, PinnedLog>,
}

/// The newest checkpoint that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PinnedLog {
    pub(crate) size: u64,
    root: FixedBytes<32>,
    pub(crate) note: String,
    checked_at: Millis,
}

/// Two statements of a service that do not go together, or one that should not be.
#[derive(Serialize, Deserialize)]
struct Evidence {
    what: String,
    log: String,
    log_key: Option<String>,
    found_at: Millis,
    seen: Option<String>,
    shown: String,
}

/// A checkpoint as it was shown, and what connects it with the pinned one.
pub(crate) struct ShownLog {
    pub(crate) note: String,
    pub(crate) seen: Option<PinnedLog>,
    pub(crate) consistency: Vec<Hash>,
    /// Of the checkpoint; `None` when it is not accepted.
    pub(crate) size: Option<u64>,
    root: Hash,
    /// What is wrong with it.
    pub(crate) fault: Option<&'static str>,
    /// It is signed, and why nothing connects it with the pinned one.
    unconnected: Option<Error>,
}

/// What a device without a session found out about its own saves.
#[derive(Debug, Clone, Default)]
pub struct ReceiptReport {
    /// Receipts whose entry is proven to be in the log.
    pub logged: usize,
    /// Receipts whose entry is not there yet.
    pub pending: usize,
    /// Receipts of saves that this device did not sign itself: only the signed-in owner can ask about them.
    pub others: usize,
    /// Entries in the log.
    pub log_size: u64,
    /// What does not fit.
    pub problems: Vec<String>,
}

impl<T: Transport> Client<T> {
    /// Fetches the checkpoint and judges it.
    pub(crate) fn look_at_log(&self, log_pk: &PublicKey) -> Result<ShownLog, Error> {
        connected(self.fetch_log(log_pk)?)
    }

    fn fetch_log(&self, log_pk: &PublicKey) -> Result<ShownLog, Error> {
        let note = String::from_utf8(self.get_bytes(routes::LOG_CHECKPOINT)?);
        self.judge_log(log_pk, note.map_err(|_| Error::Answer("the checkpoint of the log"))?)
    }

    fn judge_log(&self, log_pk: &PublicKey, note: String) -> Result<ShownLog, Error> {
        let seen = self.pinned_log()?;
        let (consistency, size, root) = (Vec::new(), None, [0; 32]);
        let mut shown = ShownLog { note, seen, consistency, size, root, fault: None, unconnected: None };
        let name = log_name(self.transport.origin());
        let checkpoint = match Note::parse(&shown.note).and_then(|note| note.checkpoint(&name, log_pk)) {
            Ok(checkpoint) => checkpoint,
            Err(NoteError::Malformed) => return Err(Error::Answer("the checkpoint of the log")),
            Err(NoteError::Origin) => return Ok(ShownLog { fault: Some(fault::NAME), ..shown }),
            Err(_) => return Ok(ShownLog { fault: Some(fault::KEY), ..shown }),
        };
        (shown.size, shown.root) = (Some(checkpoint.size), checkpoint.root);
        let Some(seen) = &shown.seen else { return Ok(shown) };
        let old = (seen.size, &seen.root.0);
        if checkpoint.size < seen.size {
            shown.fault = Some(fault::SHRUNK);
            return Ok(shown);
        }
        // A tile that was damaged on the way is no lie: asked for once more.
        for _ in 0..2 {
            match self.connect(old, &checkpoint) {
                Ok((consistency, fault)) => {
                    (shown.consistency, shown.fault, shown.unconnected) = (consistency, fault, None);
                    if fault.is_none() {
                        break;
                    }
                }
                // Another failure than that of the network may be different the next time.
                Err(error) => shown.unconnected = Some(error),
            }
        }
        Ok(shown)
    }

    /// The proof that the log of `checkpoint` continues an old one, computed from its tiles; or what is wrong.
    fn connect(&self, old: (u64, &Hash), checkpoint: &Checkpoint) -> Result<(Vec<Hash>, Option<&'static str>), Error> {
        let new = (checkpoint.size, &checkpoint.root);
        let path = consistency_spans(old.0, new.0);
        let whole = if path.is_empty() { Vec::new() } else { root_spans(new.0) };
        let tiles = self.log_tiles(&[&path[..], &whole].concat(), new.0)?;
        let missing = Error::Answer("a tile of the log");
        let (Some(path), Some(root)) = (tiles.hashes(&path), tiles.hashes(&whole)) else { return Err(missing) };
        if root.first().is_some_and(|root| root != new.1) {
            return Ok((path, Some(fault::CONTENT)));
        }
        let fault = (!is_consistent(old, new, &path)).then_some(fault::FORKED);
        Ok((path, fault))
    }

    fn log_tiles(&self, spans: &[Span], size: u64) -> Result<Tiles, Error> {
        let mut tiles = Tiles::default();
        for id in Tiles::needed(spans) {
            let width = id.width(size);
            let bytes = self.get_bytes(&routes::log_tile(id, width))?;
            let tile = Tile::parse(&bytes).filter(|tile| tile.hashes().len() as u64 == width);
            tiles.insert(id, tile.ok_or(Error::Answer("a tile of the log"))?);
        }
        Ok(tiles)
    }

    /// Fetches the checkpoint; an error when it contradicts what was seen.
    ///
    /// # Errors
    /// [`Error::Log`]; [`Error`] when it could not be checked.
    pub(crate) fn check_log(&self, log_pk: &PublicKey) -> Result<ShownLog, Error> {
        let shown = self.look_at_log(log_pk)?;
        self.accept(shown, log_pk)
    }

    fn accept(&self, shown: ShownLog, log_pk: &PublicKey) -> Result<ShownLog, Error> {
        match shown.fault {
            None => Ok(shown),
            Some(what) => Err(Error::Log { what, evidence: self.keep_evidence(what, &shown, log_pk)? }),
        }
    }

    /// Keeps both statements; gives the file's path. The same two are kept once.
    pub(crate) fn keep_evidence(&self, what: &str, shown: &ShownLog, log_pk: &PublicKey) -> Result<String, Error> {
        self.keep_evidence_of(what, shown.seen.as_ref(), shown, log_pk)
    }

    fn keep_evidence_of(
        &self,
        what: &str,
        seen: Option<&PinnedLog>,
        shown: &ShownLog,
        log_pk: &PublicKey,
    ) -> Result<String, Error> {
        let before = seen.map(|seen| seen.note.as_bytes()).unwrap_or_default();
        let hash = sha256(&[before, &[0], shown.note.as_bytes()]);
        self.write_evidence(&format!("evidence/log-{:016x}.json", number(&hash)), what, seen, shown, log_pk)
    }

    fn write_evidence(
        &self,
        name: &str,
        what: &str,
        seen: Option<&PinnedLog>,
        shown: &ShownLog,
        log_pk: &PublicKey,
    ) -> Result<String, Error> {
        let log = log_name(self.transport.origin());
        let seen = seen.map(|seen| seen.note.clone());
        let log_key = VerifierKey::of_log(&log, log_pk).map(|key| key.to_text());
        let found_at = self.now();
        let evidence = Evidence { what: what.to_owned(), log, log_key, found_at, seen, shown: shown.note.clone() };
        self.state.write(name, &evidence)?;
        Ok(self.state.folder().join(name).display().to_string())
    }

    /// The checkpoint seen last.
    pub(crate) fn pinned_log(&self) -> Result<Option<PinnedLog>, Error> {
        let file: Option<LogFile> = self.state.read(LOG_FILE)?;
        Ok(file.and_then(|mut file| file.logs.remove(self.transport.origin())))
    }

    /// Pins an accepted checkpoint, under the caller's lock. It was compared with one pinned checkpoint and takes the place of
    /// no other: what another process pinned meanwhile stays, and is compared the next time.
    ///
    /// # Errors
    /// [`Error::Log`] when the other one is as long and not the same.
    pub(crate) fn pin_log(&self, shown: &ShownLog, log_pk: &PublicKey) -> Result<(), Error> {
        let (Some(size), None) = (shown.size, shown.fault) else { return Ok(()) };
        let mut file: LogFile = self.state.read(LOG_FILE)?.unwrap_or_default();
        let origin = self.transport.origin();
        let pinned = file.logs.get(origin);
        if let Some(pinned) = pinned.filter(|pinned| pinned.size == size && pinned.root.0 != shown.root) {
            let evidence = self.keep_evidence_of(fault::FORKED, Some(pinned), shown, log_pk)?;
            return Err(Error::Log { what: fault::FORKED, evidence });
        }
        if pinned.map(PinnedLog::head) != shown.seen.as_ref().map(PinnedLog::head) {
            return Ok(());
        }
        let root = FixedBytes(shown.root);
        let pinned = PinnedLog { size, root, note: shown.note.clone(), checked_at: self.now() };
        file.logs.insert(origin.to_owned(), pinned);
        self.state.write(LOG_FILE, &file)
    }

    /// At a sign-in, under the caller's lock: refuses a log that contradicts itself. One that cannot be checked now is looked at
    /// the next time; that it is kept back, or could not be checked for days, is told.
    pub(crate) fn check_log_if_reachable(&self, log_pk: &PublicKey) -> Result<(), Error> {
        let Ok(shown) = self.fetch_log(log_pk) else {
            self.tell_if_unchecked();
            return Ok(());
        };
        if shown.unconnected.is_none() {
            let shown = self.accept(shown, log_pk)?;
            return self.pin_log(&shown, log_pk);
        }
        if let Ok(evidence) = self.keep_unconnected(&shown, log_pk) {
            self.tell_log_fault(&Error::Log { what: fault::UNCONNECTED, evidence });
        }
        self.tell_if_unchecked();
        Ok(())
    }

    /// One file for each pinned checkpoint, so that outages do not fill the disk: the first one that was not connected with it.
    fn keep_unconnected(&self, shown: &ShownLog, log_pk: &PublicKey) -> Result<String, Error> {
        let seen = shown.seen.as_ref().map(|seen| seen.note.as_bytes()).unwrap_or_default();
        let name = format!("evidence/log-unconnected-{:016x}.json", number(&sha256(&[seen])));
        if self.state.read::<Evidence>(&name)?.is_some() {
            return Ok(self.state.folder().join(name).display().to_string());
        }
        self.write_evidence(&name, fault::UNCONNECTED, shown.seen.as_ref(), shown, log_pk)
    }

    fn tell_if_unchecked(&self) {
        let Ok(Some(pinned)) = self.pinned_log() else { return };
        let age = self.now().saturating_sub(pinned.checked_at);
        if age > LONGEST_UNCHECKED_MS {
            self.tell_log_fault(&Error::LogUnchecked { days: age / DAY_MS });
        }
    }

    /// At a delivery, under the caller's lock: once a day. Saving goes on whatever comes out; it is told.
    pub(crate) fn check_log_daily(&self, log_pk: &PublicKey) {
        let fresh = |pinned: &PinnedLog| {
            let age = self.now() - pinned.checked_at;
            (0..DEVICE_INTERVAL_MS).contains(&age)
        };
        if self.pinned_log().is_ok_and(|pinned| pinned.as_ref().is_some_and(fresh)) {
            return;
        }
        if let Err(error) = self.check_log_if_reachable(log_pk) {
            self.tell_log_fault(&error);
        }
    }

    /// Device, without a session: whether the saves it has receipts for are in the log.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`]; [`Error::Log`] when the log contradicts what was seen; [`Error`] when it could not be checked.
    pub fn verify_receipts(&self) -> Result<ReceiptReport, Error> {
        let _lock = self.state.lock()?;
        let device: DeviceFile = self.state.read("device.json")?.ok_or(Error::NotEnrolled)?;
        if device.origin != self.transport.origin() {
            return Err(Error::WrongOrigin {
                expected: device.origin.clone(),
                found: self.transport.origin().to_owned(),
            });
        }
        let mut log = self.check_log(&device.log_pk)?;
        self.pin_log(&log, &device.log_pk)?;
        let mut report = ReceiptReport::default();
        for name in self.state.names("receipts")? {
            let Some(signed) = self.state.read::<Signed>(&name)? else { continue };
            self.verify_receipt(&device, &name, &signed, &mut log, &mut report)?;
        }
        report.log_size = log.size.unwrap_or(0);
        Ok(report)
    }

    fn verify_receipt(
        &self,
        device: &DeviceFile,
        name: &str,
        signed: &Signed,
        log: &mut ShownLog,
        report: &mut ReceiptReport,
    ) -> Result<(), Error> {
        let Ok(receipt) = verify::receipt(signed, &device.receipt_pk) else {
            report.problems.push(format!("the receipt in {name} is not signed by this service"));
            return Ok(());
        };
        if receipt.account_id != device.account_id {
            return Ok(());
        }
        let question = ProofQuestion {
            v: VERSION,
            account_id: device.account_id,
            device_id: device.device_id,
            record_id: receipt.record_id,
            at: self.now(),
        };
        let question = self.device_keys()?.signing_key().sign(ProofQuestion::KIND, &question)?;
        let path = routes::with_id(routes::RECORD_PROOF, &receipt.record_id.to_string());
        let answer: RecordProof = match self.post(&path, None, &question) {
            Ok(answer) => answer,
            Err(error) if error.is(Code::RecordNotFound) => {
                // What this device sent itself is its own, whatever the service says.
                if self.state.read::<Envelope>(&envelope_name(receipt.record_id))?.is_some() {
                    report.problems.push(format!(
                        "entry {}: the save of record {} has a receipt, and the service says that there is none",
                        receipt.audit_seq, receipt.record_id
                    ));
                } else {
                    report.others += 1;
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some(text) = answer.proof else {
            let age = self.now().saturating_sub(receipt.committed_at);
            if (-CLOCK_SLACK..=LONGEST_WAIT_MS).contains(&age) {
                report.pending += 1;
            } else {
                report.problems.push(format!(
                    "entry {}: the save of record {} is not in the service's log",
                    receipt.audit_seq, receipt.record_id
                ));
            }
            return Ok(());
        };
        let proof = InclusionProof::parse(&text).map_err(|_| Error::Answer("a proof of the log"))?;
        if proof.note != log.note {
            // The log has grown since; it must have grown on.
            let grown = connected(self.judge_log(&device.log_pk, proof.note.clone())?)?;
            *log = self.accept(grown, &device.log_pk)?;
            self.pin_log(log, &device.log_pk)?;
        }
        match proof.verify(&receipt.audit_hash.0, &log_name(self.transport.origin()), &device.log_pk) {
            Ok(_) => report.logged += 1,
            Err(ProofError::Malformed | ProofError::Note(_)) => return Err(Error::Answer("a proof of the log")),
            Err(_) => report.problems.push(format!(
                "entry {}: the save of record {} is not where the log is said to have it",
                receipt.audit_seq, receipt.record_id
            )),
        }
        Ok(())
    }
}

/// For those who ask for a verdict: what is not connected has none.
fn connected(mut shown: ShownLog) -> Result<ShownLog, Error> {
    match shown.unconnected.take() {
        Some(error) => Err(error),
        None => Ok(shown),
    }
}

/// Good for the name of a file.
fn number(hash: &Hash) -> u64 {
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

impl PinnedLog {
    pub(crate) fn head(&self) -> (u64, Hash) {
        (self.size, self.root.0)
    }
}
