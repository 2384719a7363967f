//! Saving: seal, put in the outbox, deliver, verify the receipt, and only then say "saved".
//!
//! No prompt, no session and no second factor: the device's signature is enough to append.

use secret::{RecoveryPassword, SecretBytes};
use vault_crypto::record::{Draft, Meta, SecretRef, seal};
use vault_protocol::messages::SaveAnswer;
use vault_protocol::problem::Code;
use vault_protocol::record::{AuthorKind, Save};
use vault_protocol::{AccountId, PublicKey, RecordId, Signed, routes, verify};

use crate::state::{DeviceFile, OutboxItem};
use crate::watch::{Envelope, envelope_name};
use crate::{Client, Error, Transport, TransportError};

/// After so many items in a row for which the service could not be reached, the others are not tried in this run.
const UNREACHABLE_TRIES: usize = 2;

/// What was authenticated about an account when this computer joined it or signed in to it.
struct Pins {
    origin: String,
    account_id: AccountId,
    receipt_pk: PublicKey,
    log_pk: PublicKey,
}

/// A recovery password with its titles.
pub struct KeyToSave {
    /// The 48 digits.
    pub password: RecoveryPassword,
    /// Titles; the key identifier among them.
    pub meta: Meta,
}

/// The key of a `.BEK` file with its titles.
pub struct StartupKeyToSave {
    /// The key.
    pub key: SecretBytes<32>,
    /// Titles; the key identifier among them.
    pub meta: Meta,
}

/// Something that can be saved.
pub trait ToSave {
    /// The secret.
    fn secret(&self) -> SecretRef<'_>;
    /// Its titles.
    fn meta(&self) -> &Meta;
    /// The record that it takes the place of.
    fn supersedes(&self) -> Option<RecordId> {
        None
    }
}

impl ToSave for KeyToSave {
    fn secret(&self) -> SecretRef<'_> {
        SecretRef::RecoveryPassword(&self.password)
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl ToSave for StartupKeyToSave {
    fn secret(&self) -> SecretRef<'_> {
        SecretRef::ExternalKey(&self.key)
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl ToSave for Box<dyn ToSave> {
    fn secret(&self) -> SecretRef<'_> {
        (**self).secret()
    }
    fn meta(&self) -> &Meta {
        (**self).meta()
    }
    fn supersedes(&self) -> Option<RecordId> {
        (**self).supersedes()
    }
}

/// What became of a save.
#[derive(Debug)]
pub enum Outcome {
    /// Stored, receipt verified.
    Saved {
        /// Which record.
        record_id: RecordId,
        /// Number of its entry in the audit trail.
        audit_seq: u64,
    },
    /// Sealed and waiting in the outbox; the next run delivers it.
    Waiting {
        /// Which record.
        record_id: RecordId,
        /// Why it could not be delivered now.
        why: Error,
    },
}

/// How an earlier save stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Stored; the receipt that is kept here was verified again.
    Saved {
        /// Number of its entry in the audit trail.
        audit_seq: u64,
    },
    /// Still in the outbox.
    Waiting,
}

/// What became of a delivery of the outbox.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Records that have a verified receipt now.
    pub saved: Vec<(RecordId, u64)>,
    /// Records that wait on, and why.
    pub waiting: Vec<(RecordId, Error)>,
}

impl<T: Transport> Client<T> {
    /// Seals `key`, makes it durable in the outbox and tries to deliver it. Keys that waited before go first.
    ///
    /// # Errors
    /// Only when nothing could be put in the outbox: [`Error::NotEnrolled`], [`Error::State`]. A service that cannot be
    /// reached is [`Outcome::Waiting`].
    pub fn save(&self, key: &impl ToSave) -> Result<Outcome, Error> {
        self.save_in_place_of(key, None)
    }

    /// As [`Client::save`], for a key that takes the place of another one. The older record stays.
    ///
    /// # Errors
    /// As there.
    pub fn save_in_place_of(&self, key: &impl ToSave, supersedes: Option<RecordId>) -> Result<Outcome, Error> {
        let _lock = self.state.lock()?;
        let mut device: DeviceFile = self.state.read("device.json")?.ok_or(Error::NotEnrolled)?;
        let item = self.seal(&device, key, supersedes)?;
        let (record_id, seq) = (item.record_id, item.seq);
        self.state.write(&outbox_name(record_id), &item)?;
        device.next_seq = seq + 1;
        self.state.write("device.json", &device)?;
        let mut delivery = self.deliver()?;
        if let Some((_, audit_seq)) = delivery.saved.iter().find(|(saved, _)| *saved == record_id) {
            return Ok(Outcome::Saved { record_id, audit_seq: *audit_seq });
        }
        let why = delivery.waiting.iter().position(|(waiting, _)| *waiting == record_id);
        let why = why.map_or(Error::Answer("no receipt"), |index| delivery.waiting.swap_remove(index).1);
        Ok(Outcome::Waiting { record_id, why })
    }

    /// What became of a save that waited here: a delivery may have come through since. `None` when this computer knows
    /// nothing of it.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`]; [`Error::Unverified`] when its receipt is not genuine.
    pub fn became_of(&self, record_id: RecordId) -> Result<Option<Standing>, Error> {
        let Some(device) = self.state.read::<DeviceFile>("device.json")? else { return Ok(None) };
        if let Some(signed) = self.state.read::<Signed>(&receipt_name(record_id))? {
            let receipt = verify::receipt(&signed, &device.receipt_pk).map_err(Error::unverified("the receipt"))?;
            if receipt.record_id == record_id && receipt.account_id == device.account_id {
                return Ok(Some(Standing::Saved { audit_seq: receipt.audit_seq }));
            }
        }
        let waits = self.state.outbox()?.iter().any(|item| item.record_id == record_id);
        Ok(waits.then_some(Standing::Waiting))
    }

    /// Delivers what waits in the outbox.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`]. Items that cannot be delivered are told in the result.
    pub fn deliver_outbox(&self) -> Result<Delivery, Error> {
        let _lock = self.state.lock()?;
        self.deliver()
    }

    /// Seals a key under the account's authenticated keys.
    fn seal(&self, device: &DeviceFile, key: &impl ToSave, supersedes: Option<RecordId>) -> Result<OutboxItem, Error> {
        let statement = verify::key_statement(&device.key_statement, device.account_id)
            .map_err(Error::unverified("the key statement"))?;
        let certificate = self.certificate(device)?;
        let keys = self.device_keys()?;
        // A crash between writing the item and the counter must not use a number twice.
        let waiting = self.state.outbox()?.iter().map(|item| item.seq + 1).max().unwrap_or(0);
        let seq = device.next_seq.max(waiting);
        let draft = Draft {
            statement: &statement,
            author_id: device.device_id.into(),
            author_kind: AuthorKind::Device,
            author_key: &keys.signing_key(),
            seq,
            created_at: self.now(),
            supersedes,
            meta: key.meta(),
            index: keys.index_key(&certificate)?.entry(&key.meta().key_id),
        };
        let request = seal(&draft, key.secret())?;
        let save: Save =
            serde_json::from_slice(&request.save.payload).map_err(|_| Error::Answer("a save of our own"))?;
        Ok(OutboxItem { record_id: save.record_id, seq, request })
    }

    /// Delivers under the caller's lock.
    pub(crate) fn deliver(&self) -> Result<Delivery, Error> {
        let mut delivery = Delivery::default();
        let pins = self.pins()?;
        let mut unreachable = 0;
        for item in self.state.outbox()? {
            let done = if unreachable < UNREACHABLE_TRIES {
                self.deliver_item(&pins, &item)
            } else {
                Err(TransportError("the service was not there for the ones before".to_owned()).into())
            };
            match done {
                Ok((receipt, audit_seq)) => {
                    self.keep_envelope(&item)?;
                    self.state.write(&receipt_name(item.record_id), &receipt)?;
                    self.state.remove(&outbox_name(item.record_id))?;
                    delivery.saved.push((item.record_id, audit_seq));
                    unreachable = 0;
                }
                // It was delivered once, its receipt is here, and the program ended before it took the item out.
                Err(why) if why.is(Code::RecordDeleted) && self.has_receipt(item.record_id)? => {
                    self.state.remove(&outbox_name(item.record_id))?;
                }
                Err(why) => {
                    unreachable = if matches!(why, Error::Transport(_)) { unreachable + 1 } else { 0 };
                    delivery.waiting.push((item.record_id, why));
                }
            }
        }
        // Device and owner may be of two services: this one's log has this one's key.
        let of_this_service = pins.iter().find(|pins| pins.origin == self.transport.origin());
        if let (false, Some(pins)) = (delivery.saved.is_empty(), of_this_service) {
            self.check_log_daily(&pins.log_pk);
        }
        Ok(delivery)
    }

    fn has_receipt(&self, record_id: RecordId) -> Result<bool, Error> {
        Ok(self.state.read::<Signed>(&receipt_name(record_id))?.is_some())
    }

    /// What a device sent stays here, sealed, so that it can be sent again should the service lose it.
    fn keep_envelope(&self, item: &OutboxItem) -> Result<(), Error> {
        let save: Save =
            serde_json::from_slice(&item.request.save.payload).map_err(|_| Error::Answer("a save of our own"))?;
        if save.author_id == save.account_id.into() {
            return Ok(());
        }
        let envelope = Envelope { request: item.request.clone(), retired: false, deleted: false };
        self.state.write(&envelope_name(item.record_id), &envelope)
    }

    /// Of the device and of the owner who is signed in; usually both are of one account.
    fn pins(&self) -> Result<Vec<Pins>, Error> {
        let device = self.state.read::<DeviceFile>("device.json")?.map(|device| Pins {
            origin: device.origin.clone(),
            account_id: device.account_id,
            receipt_pk: device.receipt_pk.clone(),
            log_pk: device.log_pk.clone(),
        });
        let owner = self.state.profile()?.map(|profile| Pins {
            origin: profile.origin,
            account_id: profile.account_id,
            receipt_pk: profile.receipt_pk,
            log_pk: profile.log_pk,
        });
        Ok(device.into_iter().chain(owner).collect())
    }

    /// Sends one item and verifies its receipt under the pinned key.
    fn deliver_item(&self, pins: &[Pins], item: &OutboxItem) -> Result<(Signed, u64), Error> {
        let save: Save =
            serde_json::from_slice(&item.request.save.payload).map_err(|_| Error::Answer("a save of our own"))?;
        let pins = pins.iter().find(|pins| pins.account_id == save.account_id).ok_or(Error::NotEnrolled)?;
        if pins.origin != self.transport.origin() {
            return Err(Error::WrongOrigin {
                expected: pins.origin.clone(),
                found: self.transport.origin().to_owned(),
            });
        }
        let path = routes::with_id(routes::RECORD, &item.record_id.to_string());
        let answer: SaveAnswer = self.put(&path, &item.request)?;
        let receipt = verify::receipt(&answer.receipt, &pins.receipt_pk).map_err(Error::unverified("the receipt"))?;
        let fits = receipt.record_id == item.record_id
            && receipt.account_id == pins.account_id
            && receipt.body_sha256.0 == item.request.save.payload_sha256();
        if !fits {
            return Err(Error::Answer("the receipt is for something else"));
        }
        Ok((answer.receipt, receipt.audit_seq))
    }
}

pub(crate) fn outbox_name(record: RecordId) -> String {
    format!("outbox/{record}.json")
}

pub(crate) fn receipt_name(record: RecordId) -> String {
    format!("receipts/{record}.json")
}
