//! What an enrolled device does besides saving: it asks for its status, looks after what it saved, and reports.
//!
//! ```text
//! envelopes/RECORD.json  what this device saved, as it was sent (ciphertext), and how it stands
//! drives/DRIVE.json      which records belong to a drive, and when it was looked at and rotated
//! reports/NAME.json      signed notes and reports that the service has not seen yet
//! watch.json             where the device stands in the account's audit trail; when it asked for its records
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use secret::random_bytes;
use vault_crypto::IndexKey;
use vault_crypto::device::DeviceKeys;
use vault_protocol::device::Certificate;
use vault_protocol::limits::{MAX_AUDIT_PAGE, MAX_ORDERS};
use vault_protocol::messages::{DeviceNotice, DeviceStatusAnswer, Held, HeldAnswer, SaveAnswer, StatusQuestion};
use vault_protocol::note::{Finding, Note};
use vault_protocol::problem::Code;
use vault_protocol::record::{Header, Save, SaveRequest};
use vault_protocol::statement::{fingerprint, statement_hash};
use vault_protocol::{FixedBytes, Millis, OrderId, RecordId, Signed, VERSION, routes, sha256, verify};

use crate::orders::{self, Judged, OrderToDo};
use crate::save::receipt_name;
use crate::state::DeviceFile;
use crate::{Client, Error, Transport};

/// Between two looks at what the service holds, and at what is on a drive.
const WEEK: Millis = 7 * 24 * 3600 * 1000;

const WATCH: &str = "watch.json";

/// An envelope that this device sent.
#[derive(Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) request: SaveRequest,
    /// Its key was removed from the drive by this device.
    #[serde(default)]
    pub(crate) retired: bool,
    /// The service says that the owner had the record deleted. The envelope stays here, sealed: that is the service's word.
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// What is remembered between calls.
#[derive(Default, Serialize, Deserialize)]
struct Watch {
    audit_seq: Option<u64>,
    held_at: Option<Millis>,
}

/// What is remembered about a drive.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct DriveFile {
    /// Records whose key protectors were seen on it, and whether they were missed there before.
    pub(crate) records: BTreeMap<RecordId, bool>,
    pub(crate) checked_at: Option<Millis>,
    pub(crate) rotated_at: Option<Millis>,
}

/// A signed word for the service that waits.
#[derive(Serialize, Deserialize)]
struct Report {
    path: String,
    signed: Signed,
}

/// What came of asking for the status.
pub struct DeviceStatus {
    /// The service's time.
    pub service_time: Millis,
    /// Orders that this device accepts and has not finished.
    pub orders: Vec<OrderToDo>,
    /// Orders that the service still shows although this device ended them: what it reported is reported once more.
    pub ended: Vec<OrderId>,
    /// Why others are not accepted.
    pub refused: Vec<String>,
    /// What happened to the account since the last time.
    pub notices: Vec<DeviceNotice>,
    /// Whether the service says of the account's trail that it is shorter than before, or longer than what it told: notices may
    /// have been left out.
    pub trail_jumped: bool,
    /// Whether there is a new key statement, signed by the one that was pinned.
    pub new_statement: bool,
    /// Fingerprint of keys with which the account began again, as the service says; nobody vouches for them. What this device
    /// saves goes on being sealed to the keys it knows, until it is enrolled again.
    pub new_start: Option<String>,
}

/// What came of asking whether the service still holds what this device saved.
#[derive(Debug, Default)]
pub struct HeldReport {
    /// Held as saved.
    pub held: usize,
    /// Not held as saved, and sent again: there is a verified receipt, and now they are held.
    pub resent: Vec<RecordId>,
    /// Deleted by the owner, as the service says: not asked about again, and not saved again by itself.
    pub deleted: Vec<RecordId>,
    /// Not held as saved, and not taken again either.
    pub lost: Vec<(RecordId, Error)>,
    /// Could not be asked about.
    pub unasked: Vec<(RecordId, Error)>,
}

/// How the key protectors of a drive and what is saved stand to each other.
#[derive(Debug, Default)]
pub struct DriveCheck {
    /// Key protectors of the drive that are saved by this device.
    pub verified: Vec<(String, RecordId)>,
    /// Records of this device whose key protectors the drive has no longer.
    pub missing: Vec<RecordId>,
    /// Key protectors of the drive that wait here, sealed, to be saved.
    pub waiting: Vec<String>,
    /// Key protectors of the drive whose records the owner had deleted.
    pub deleted: Vec<String>,
    /// Key protectors of the drive that this device did not save.
    pub unknown: Vec<String>,
}

/// What a device makes of the orders in an answer.
#[derive(Default)]
struct JudgedOrders {
    to_do: Vec<OrderToDo>,
    ended: Vec<OrderId>,
    refused: Vec<String>,
}

/// This device, ready to sign and to find its records by key identifier.
pub(crate) struct Device {
    pub(crate) file: DeviceFile,
    pub(crate) keys: DeviceKeys,
    pub(crate) index: IndexKey,
}

impl<T: Transport> Client<T> {
    pub(crate) fn device(&self) -> Result<Device, Error> {
        let file: DeviceFile = self.state.read("device.json")?.ok_or(Error::NotEnrolled)?;
        if file.origin != self.transport.origin() {
            let found = self.transport.origin().to_owned();
            return Err(Error::WrongOrigin { expected: file.origin.clone(), found });
        }
        let keys = self.device_keys()?;
        let certificate = self.certificate(&file)?;
        let index = keys.index_key(&certificate)?;
        Ok(Device { file, keys, index })
    }

    /// The device's keys.
    pub(crate) fn device_keys(&self) -> Result<DeviceKeys, Error> {
        let seed = self.key_store.load()?.ok_or(Error::NotEnrolled)?;
        Ok(DeviceKeys::from_seed(seed))
    }

    /// The device's certificate, checked under the identity key of the statement it was issued under.
    pub(crate) fn certificate(&self, file: &DeviceFile) -> Result<Certificate, Error> {
        let issued_under = file.enrolled_statement.as_ref().unwrap_or(&file.key_statement);
        let statement =
            verify::key_statement(issued_under, file.account_id).map_err(Error::unverified("the key statement"))?;
        verify::certificate(&file.certificate, file.account_id, &statement.identity_pk)
            .map_err(Error::unverified("the device certificate"))
    }

    /// Asks for orders, changes of the account's keys and notices. A new key statement is pinned when the pinned identity
    /// key signed it.
    ///
    /// # Errors
    /// [`Error::Unverified`] for a key statement that was not signed so: nothing is changed then; [`Error`].
    pub fn device_status(&self) -> Result<DeviceStatus, Error> {
        let _lock = self.state.lock()?;
        let mut device = self.device()?;
        let mut watch: Watch = self.state.read(WATCH)?.unwrap_or_default();
        let known = verify::key_statement(&device.file.key_statement, device.file.account_id)
            .map_err(Error::unverified("the key statement"))?;
        let mut nonce = [0; 16];
        random_bytes(&mut nonce);
        let question = StatusQuestion {
            v: VERSION,
            account_id: device.file.account_id,
            device_id: device.file.device_id,
            generation: known.generation,
            audit_after: watch.audit_seq,
            nonce: FixedBytes(nonce),
            at: self.now(),
        };
        let signed = device.keys.signing_key().sign(StatusQuestion::KIND, &question)?;
        let answer: DeviceStatusAnswer = self.post(routes::DEVICE_STATUS, None, &signed)?;
        let new_statement = self.pin_statements(&mut device, &answer)?;
        let judged = self.judge_orders(&device, &answer.orders)?;
        let after = watch.audit_seq;
        let is_news = |notice: &DeviceNotice| after.is_some_and(|after| notice.seq > after);
        let notices = answer.notices.into_iter().filter(is_news).map(plain).collect();
        let (next, trail_jumped) = next_in_trail(after, answer.audit_seq);
        watch.audit_seq = Some(next);
        self.state.write(WATCH, &watch)?;
        let service_time = answer.now;
        let new_start = answer.new_start.as_ref();
        let new_start = new_start.filter(|signed| verify::key_statement(signed, device.file.account_id).is_ok());
        let new_start = new_start.map(|signed| fingerprint(&statement_hash(signed)));
        let JudgedOrders { to_do, ended, refused } = judged;
        Ok(DeviceStatus {
            service_time,
            orders: to_do,
            ended,
            refused,
            notices,
            trail_jumped,
            new_statement,
            new_start,
        })
    }

    fn pin_statements(&self, device: &mut Device, answer: &DeviceStatusAnswer) -> Result<bool, Error> {
        let file = &mut device.file;
        for change in &answer.statements {
            verify::next_statement(&file.key_statement, change, file.account_id)
                .map_err(Error::unverified("a new key statement"))?;
            let before = std::mem::replace(&mut file.key_statement, change.statement.clone());
            file.enrolled_statement.get_or_insert(before);
        }
        if !answer.statements.is_empty() {
            self.state.write("device.json", file)?;
        }
        Ok(!answer.statements.is_empty())
    }

    /// Whether the weekly question about held records is due.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn held_is_due(&self) -> Result<bool, Error> {
        let watch: Watch = self.state.read(WATCH)?.unwrap_or_default();
        Ok(is_due(watch.held_at, self.now()))
    }

    /// Asks the service for each record of this device whether it holds it as it was saved. What it does not is sent again,
    /// and the owner is told by a signed note.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`]; what goes wrong with single records is told in the result.
    pub fn check_held(&self) -> Result<HeldReport, Error> {
        let _lock = self.state.lock()?;
        let device = self.device()?;
        let mut report = HeldReport::default();
        for (record_id, envelope) in self.envelopes()?.into_iter().filter(|(_, envelope)| !envelope.deleted) {
            match self.is_held(&device, record_id, &envelope.request) {
                Ok(true) => report.held += 1,
                Err(error) if error.is(Code::RecordDeleted) => {
                    self.state.write(&envelope_name(record_id), &Envelope { deleted: true, ..envelope })?;
                    report.deleted.push(record_id);
                }
                Ok(false) => match self.send_again(&device, record_id, &envelope.request) {
                    Ok(()) => report.resent.push(record_id),
                    Err(error) if passes(&error) => report.unasked.push((record_id, error)),
                    Err(error) => report.lost.push((record_id, error)),
                },
                Err(error) => report.unasked.push((record_id, error)),
            }
            if report.unasked.len() >= 2 && report.held == 0 {
                break;
            }
        }
        if report.unasked.is_empty() {
            let mut watch: Watch = self.state.read(WATCH)?.unwrap_or_default();
            watch.held_at = Some(self.now());
            self.state.write(WATCH, &watch)?;
        }
        Ok(report)
    }

    fn is_held(&self, device: &Device, record_id: RecordId, request: &SaveRequest) -> Result<bool, Error> {
        let mut nonce = [0; 16];
        random_bytes(&mut nonce);
        let question = Held {
            v: VERSION,
            account_id: device.file.account_id,
            device_id: device.file.device_id,
            record_id,
            nonce: FixedBytes(nonce),
            at: self.now(),
        };
        let signed = device.keys.signing_key().sign(Held::KIND, &question)?;
        let path = routes::with_id(routes::HELD, &record_id.to_string());
        let answer: HeldAnswer = match self.post(&path, None, &signed) {
            Ok(answer) => answer,
            Err(error) if error.is(Code::RecordNotFound) => return Ok(false),
            // A row that cannot be read at all is not held either.
            Err(error) if error.is(Code::ServerFault) => return Ok(false),
            Err(error) => return Err(error),
        };
        let expected = sha256(&[&nonce, &request.save.payload, &request.header, &request.meta, &request.secret]);
        Ok(answer.digest.0 == expected)
    }

    /// Sends an envelope again, verifies the receipt and asks once more.
    fn send_again(&self, device: &Device, record_id: RecordId, request: &SaveRequest) -> Result<(), Error> {
        let path = routes::with_id(routes::RECORD, &record_id.to_string());
        let answer: SaveAnswer = self.put(&path, request)?;
        let receipt =
            verify::receipt(&answer.receipt, &device.file.receipt_pk).map_err(Error::unverified("the receipt"))?;
        let fits = receipt.record_id == record_id
            && receipt.account_id == device.file.account_id
            && receipt.body_sha256.0 == request.save.payload_sha256();
        if !fits {
            return Err(Error::Answer("the receipt is for something else"));
        }
        self.keep_former_receipt(record_id, &answer.receipt)?;
        self.state.write(&receipt_name(record_id), &answer.receipt)?;
        let key_index = index_of(request).unwrap_or(FixedBytes([0; 16]));
        self.note(device, Some(record_id), key_index, Finding::Resent)?;
        if self.is_held(device, record_id, request)? {
            Ok(())
        } else {
            Err(Error::Answer("another record than was sent"))
        }
    }

    /// A receipt that another one takes the place of says what the service once had: it is kept.
    fn keep_former_receipt(&self, record_id: RecordId, new: &Signed) -> Result<(), Error> {
        let Some(old) = self.state.read::<Signed>(&receipt_name(record_id))?.filter(|old| old != new) else {
            return Ok(());
        };
        let hash = sha256(&[&old.payload]);
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        self.state.write(&format!("evidence/receipt-{record_id}-{number:08x}.json"), &old)
    }

    /// Envelopes of this device that it did not retire.
    pub(crate) fn envelopes(&self) -> Result<Vec<(RecordId, Envelope)>, Error> {
        let mut all = Vec::new();
        for name in self.state.names("envelopes")? {
            let id = name.trim_start_matches("envelopes/").trim_end_matches(".json").parse();
            if let (Ok(id), Some(envelope)) = (id, self.state.read::<Envelope>(&name)?) {
                all.push((id, envelope));
            }
        }
        Ok(all)
    }

    /// The newest record of this device for the key protector with this identifier, delivered or waiting.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn own_record(&self, key_id: &str) -> Result<Option<RecordId>, Error> {
        let device = self.device()?;
        let wanted = device.index.entry(key_id).full;
        let mut found: Option<(u64, RecordId)> = None;
        let there = self.envelopes()?.into_iter().filter(|(_, envelope)| !envelope.deleted);
        let sent = there.map(|(_, envelope)| envelope.request);
        let waiting = self.state.outbox()?.into_iter().map(|item| item.request);
        for save in sent.chain(waiting).filter_map(|request| parsed(&request)) {
            let own = save.author_id == device.file.device_id.into();
            if own && save.index.iter().any(|entry| entry.full == wanted) {
                found = found.max(Some((save.seq, save.record_id)));
            }
        }
        Ok(found.map(|(_, record)| record))
    }

    /// Whether it is time to look at a drive again.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn drive_is_due(&self, drive: &str) -> Result<bool, Error> {
        Ok(is_due(self.drive_file(drive)?.checked_at, self.now()))
    }

    /// Holds the key protectors of a drive (all identifiers of its recovery keys) against what this device saved, and leaves
    /// signed notes for the owner.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn check_drive(&self, drive: &str, key_ids: &[String]) -> Result<DriveCheck, Error> {
        let _lock = self.state.lock()?;
        let device = self.device()?;
        let mut file = self.drive_file(drive)?;
        let envelopes = self.envelopes()?;
        let waiting = self.state.outbox()?.into_iter().filter_map(|item| parsed(&item.request));
        let own = |save: &Save| save.author_id == device.file.device_id.into();
        let waiting: Vec<_> =
            waiting.filter(own).flat_map(|save| save.index.into_iter().map(|entry| entry.full)).collect();
        let mut check = DriveCheck::default();
        for key_id in key_ids {
            let key_index = device.index.entry(key_id).full;
            let saved = envelopes.iter().filter(|(_, envelope)| index_of(&envelope.request) == Some(key_index));
            let newest = saved.max_by_key(|(_, envelope)| parsed(&envelope.request).map_or(0, |save| save.seq));
            match newest {
                Some((_, envelope)) if envelope.deleted => check.deleted.push(key_id.clone()),
                Some((record_id, _)) => {
                    file.records.insert(*record_id, false);
                    self.note(&device, Some(*record_id), key_index, Finding::Verified)?;
                    check.verified.push((key_id.clone(), *record_id));
                }
                None if waiting.contains(&key_index) => check.waiting.push(key_id.clone()),
                None => check.unknown.push(key_id.clone()),
            }
        }
        let superseded: Vec<RecordId> = envelopes
            .iter()
            .filter_map(|(_, envelope)| serde_json::from_slice::<Header>(&envelope.request.header).ok()?.supersedes)
            .collect();
        let there: Vec<RecordId> = check.verified.iter().map(|(_, record)| *record).collect();
        let over = |envelope: &Envelope| envelope.retired || envelope.deleted;
        file.records.retain(|record, _| !envelopes.iter().any(|(id, envelope)| id == record && over(envelope)));
        for (record_id, missed) in file.records.iter_mut().filter(|(record, _)| !there.contains(record)) {
            let envelope = envelopes.iter().find(|(id, _)| id == record_id);
            let Some(key_index) = envelope.and_then(|(_, envelope)| index_of(&envelope.request)) else { continue };
            // An older record of a key that is there under a newer one is not missed.
            if key_ids.iter().any(|key_id| device.index.entry(key_id).full == key_index) {
                continue;
            }
            // A rotation may have ended before it could say so: a key that was replaced is not missed.
            if superseded.contains(record_id) {
                self.retire(&device, *record_id, key_index)?;
                continue;
            }
            check.missing.push(*record_id);
            // Told once.
            if !*missed {
                self.note(&device, Some(*record_id), key_index, Finding::Missing)?;
                *missed = true;
            }
        }
        file.checked_at = Some(self.now());
        self.state.write(&drive_name(drive), &file)?;
        Ok(check)
    }

    /// Leaves a note that a drive has a key protector which is not saved and cannot be read to be saved.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn note_unknown(&self, key_id: &str) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        let device = self.device()?;
        let key_index = device.index.entry(key_id).full;
        self.note(&device, None, key_index, Finding::Unknown)
    }

    /// Notes that this device removed a key from its drive. Only for records of its own or those it was ordered to replace.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn note_retired(&self, record_id: RecordId, key_id: &str) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        let device = self.device()?;
        let key_index = device.index.entry(key_id).full;
        self.retire(&device, record_id, key_index)
    }

    /// The note first: should the program end in between, it is made once more.
    pub(crate) fn retire(&self, device: &Device, record_id: RecordId, key_index: FixedBytes<16>) -> Result<(), Error> {
        let name = envelope_name(record_id);
        let envelope: Option<Envelope> = self.state.read(&name)?;
        if envelope.as_ref().is_some_and(|envelope| envelope.retired) {
            return Ok(());
        }
        self.note(device, Some(record_id), key_index, Finding::Retired)?;
        match envelope {
            Some(envelope) => self.state.write(&name, &Envelope { retired: true, ..envelope }),
            None => Ok(()),
        }
    }

    pub(crate) fn note(
        &self,
        device: &Device,
        record_id: Option<RecordId>,
        key_index: FixedBytes<16>,
        finding: Finding,
    ) -> Result<(), Error> {
        let note = Note {
            v: VERSION,
            account_id: device.file.account_id,
            device_id: device.file.device_id,
            record_id,
            key_index,
            finding,
            at: self.now(),
        };
        let signed = device.keys.signing_key().sign(Note::KIND, &note)?;
        let about = record_id.map_or_else(|| short(&key_index), |record| record.to_string());
        self.queue(&format!("note-{about}-{}", finding.name()), routes::DEVICE_NOTE.to_owned(), signed)
    }

    /// Keeps a signed word until the service has it.
    pub(crate) fn queue(&self, name: &str, path: String, signed: Signed) -> Result<(), Error> {
        self.state.write(&format!("reports/{name}.json"), &Report { path, signed })
    }

    /// Sends what waits to be reported. Gives how many were taken, and why the others wait on.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn deliver_reports(&self) -> Result<(usize, Option<Error>), Error> {
        // A newer word under the same name must not be removed with the one that was sent.
        let _lock = self.state.lock()?;
        let mut sent = 0;
        for name in self.state.names("reports")? {
            let Some(report) = self.state.read::<Report>(&name)? else { continue };
            match self.post::<_, Value>(&report.path, None, &report.signed) {
                Ok(_) => sent += 1,
                // A word that the service will never take is not kept for ever.
                Err(Error::Problem(problem)) if is_final(&problem.code) => {}
                Err(error) => return Ok((sent, Some(error))),
            }
            self.state.remove(&name)?;
        }
        Ok((sent, None))
    }

    /// Whether the key protector of a record was seen on a drive.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn drive_had(&self, drive: &str, record: RecordId) -> Result<bool, Error> {
        Ok(self.drive_file(drive)?.records.contains_key(&record))
    }

    pub(crate) fn drive_file(&self, drive: &str) -> Result<DriveFile, Error> {
        Ok(self.state.read(&drive_name(drive))?.unwrap_or_default())
    }

    /// When orders last began to replace a key of a drive.
    pub(crate) fn set_rotated(&self, drive: &str, at: Millis) -> Result<(), Error> {
        let mut file = self.drive_file(drive)?;
        file.rotated_at = Some(at);
        self.state.write(&drive_name(drive), &file)
    }

    fn judge_orders(&self, device: &Device, signed: &[Signed]) -> Result<JudgedOrders, Error> {
        let mut orders = JudgedOrders::default();
        for order in signed.iter().take(usize::try_from(MAX_ORDERS).unwrap_or(0)) {
            match orders::judge(self, device, order)? {
                Judged::ToDo(order) => orders.to_do.push(order),
                Judged::Ended(id) => orders.ended.push(id),
                Judged::Refused(why) => orders.refused.push(why),
            }
        }
        Ok(orders)
    }
}

/// Where the device stands in the trail after an answer, and whether the answer says what cannot be: it tells of one page
/// behind `after`. A number that is too large would silence all notices up to it, so it is not taken; a smaller one is.
fn next_in_trail(after: Option<u64>, said: u64) -> (u64, bool) {
    match after {
        None => (said, false),
        Some(after) if said < after => (said, true),
        Some(after) if said - after > u64::from(MAX_AUDIT_PAGE) => (after, true),
        Some(_) => (said, false),
    }
}

fn is_due(last: Option<Millis>, now: Millis) -> bool {
    // A clock that was set back must not put the look off for longer than it would be anyway.
    last.is_none_or(|last| now - last >= WEEK || last > now)
}

/// It may be otherwise soon, and says nothing about the record.
fn passes(error: &Error) -> bool {
    match error {
        Error::Transport(_) => true,
        Error::Problem(problem) => problem.status == 429 || problem.status == 503,
        _ => false,
    }
}

fn is_final(code: &str) -> bool {
    let over = [
        Code::OrderOver,
        Code::RecordNotFound,
        Code::RecordDeleted,
        Code::RequestInvalid,
        Code::RecordSignature,
        Code::NotFound,
    ];
    Code::parse(code).is_some_and(|code| over.contains(&code))
}

pub(crate) fn parsed(request: &SaveRequest) -> Option<Save> {
    serde_json::from_slice(&request.save.payload).ok()
}

/// Blind index of the key's identifier.
pub(crate) fn index_of(request: &SaveRequest) -> Option<FixedBytes<16>> {
    parsed(request)?.index.first().map(|entry| entry.full)
}

/// Words of the service are shown to people: nothing but letters of actions.
fn plain(notice: DeviceNotice) -> DeviceNotice {
    let cut = |word: String| -> String {
        word.chars().filter(|letter| letter.is_ascii_lowercase() || *letter == '_').take(64).collect()
    };
    DeviceNotice { action: cut(notice.action), outcome: cut(notice.outcome), ..notice }
}

pub(crate) fn envelope_name(record: RecordId) -> String {
    format!("envelopes/{record}.json")
}

/// Identifiers of drives come from drives: whatever they hold, a name of a file comes out.
fn drive_name(drive: &str) -> String {
    let name: String =
        drive.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(64).collect();
    format!("drives/{name}.json")
}

fn short(index: &FixedBytes<16>) -> String {
    index.0.iter().map(|byte| format!("{byte:02x}")).collect()
}
