//! Enrolling devices: by code, or directly from a program that is signed in.

use std::collections::{BTreeMap, BTreeSet};

use secret::{SecretString, random_bytes};
use vault_crypto::device::{DeviceKeys, NewDevice, certify};
use vault_crypto::enrol::{EnrolmentKey, EnrolmentLink, EnrolmentSecret, Request};
use vault_protocol::device::{CAPABILITY_APPEND, Certificate, display_code, normalise_code};
use vault_protocol::messages::{
    ClientInfo, DeviceApproveRequest, DeviceCodeAnswer, DeviceCodeRequest, DeviceEnrolRequest, DeviceEnrolled,
    DeviceHelloRequest, DeviceList, DevicePending, DevicePendingRequest, DeviceRenameRequest, DeviceRevokeRequest,
    DeviceTokenAnswer, DeviceTokenRequest, Purpose,
};
use vault_protocol::problem::Code;
use vault_protocol::{AuthorId, DeviceId, FixedBytes, Millis, Signed, routes, verify};

use crate::reveal::{statements, verified_save};
use crate::state::DeviceFile;
use crate::{Client, Confirm, Error, Presence, Transport};

/// Most missing saves that are told of one device.
const MAX_GAPS: usize = 10_000;

/// A device that waits for its owner's approval.
pub struct DeviceEnrolment {
    keys: DeviceKeys,
    nonce: [u8; 16],
    secret: EnrolmentSecret,
    answer: DeviceCodeAnswer,
    name: String,
    origin: String,
    expires_at: Millis,
}

/// What the owner types to approve a device, with their own confirmation.
pub struct OwnerApproval {
    /// User code shown by the device.
    pub user_code: String,
    /// Check code shown by the device.
    pub check_code: String,
    /// The owner's confirmation.
    pub presence: Presence,
}

/// What the owner scans or pastes to approve a device, with their own confirmation.
pub struct LinkApproval {
    /// The link that the device shows: a secret.
    pub link: SecretString,
    /// The owner's confirmation.
    pub presence: Presence,
}

/// A device that was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Which device.
    pub device_id: DeviceId,
    /// The name it called itself and that its certificate has.
    pub name: String,
}

/// A device in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSummary {
    /// Which device.
    pub device_id: DeviceId,
    /// What the owner calls it; empty when its certificate cannot be verified.
    pub name: String,
    /// What it was called when it was enrolled.
    pub enrolled_name: String,
    /// What it may do.
    pub capability: String,
    /// `active` or `revoked`.
    pub state: String,
    /// Number of its newest save.
    pub last_seq: u64,
    /// When it was enrolled.
    pub issued_at: Millis,
    /// When it last called.
    pub seen_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// Numbers of saves up to its newest one that are not among the account's records, unless the owner had that many of them deleted.
    /// `None`: not looked for.
    pub gaps: Option<Vec<u64>>,
    /// Rotation orders that wait for it.
    pub open_orders: u64,
    /// Whether its certificate is signed by the account's identity key, or was by the one of its time.
    pub verified: bool,
    /// Whether it was enrolled before the account got its present keys: what it saves can be read once it is enrolled again.
    pub former: bool,
    /// Whether it is this computer.
    pub this_computer: bool,
}

impl DeviceEnrolment {
    /// The user code, as it is shown.
    #[must_use]
    pub fn user_code(&self) -> String {
        display_code(&self.answer.user_code)
    }

    /// The check code, as it is shown behind the user code. It never goes to the service.
    #[must_use]
    pub fn check_code(&self) -> Option<SecretString> {
        match &self.secret {
            EnrolmentSecret::Typed(letters) => Some(SecretString::new(display_code(letters.expose()))),
            EnrolmentSecret::Link(_) => None,
        }
    }

    /// The link to be opened or pasted where the owner is signed in. It holds the secret that authenticates both sides.
    #[must_use]
    pub fn link(&self) -> Option<SecretString> {
        EnrolmentLink::text(&self.origin, &self.answer.user_code, &self.secret)
    }

    /// Seconds between polls.
    #[must_use]
    pub fn interval_seconds(&self) -> u64 {
        self.answer.interval
    }
}

impl<T: Transport> Client<T> {
    /// Device: asks for a code and authenticates the request with a fresh check code.
    ///
    /// # Errors
    /// [`Error`].
    pub fn request_enrolment(&self, name: &str) -> Result<DeviceEnrolment, Error> {
        self.request_with(name, EnrolmentSecret::random_typed())
    }

    /// Device: the same with a link in place of the two codes: its secret is too long to be guessed.
    ///
    /// # Errors
    /// [`Error`].
    pub fn request_enrolment_by_link(&self, name: &str) -> Result<DeviceEnrolment, Error> {
        self.request_with(name, EnrolmentSecret::random_link())
    }

    fn request_with(&self, name: &str, secret: EnrolmentSecret) -> Result<DeviceEnrolment, Error> {
        // The secret is bound to the service's address; a service that calls itself otherwise is found out here.
        self.server()?;
        let keys = DeviceKeys::random();
        let mut nonce = [0; 16];
        random_bytes(&mut nonce);
        let box_key = keys.box_key();
        let device_pk = keys.signing_key().public();
        let body = DeviceCodeRequest {
            device_pk: device_pk.clone(),
            box_pk: box_key.public().into(),
            nonce: FixedBytes(nonce),
            client: client_info(),
            name: name.to_owned(),
            capability: CAPABILITY_APPEND.to_owned(),
        };
        let answer: DeviceCodeAnswer = self.post(routes::DEVICE_CODE, None, &body)?;
        let lifetime = Millis::try_from(answer.expires_in.min(600)).unwrap_or(600) * 1000;
        let enrolment = DeviceEnrolment {
            secret,
            name: name.to_owned(),
            origin: self.transport.origin().to_owned(),
            expires_at: self.now() + lifetime,
            keys,
            nonce,
            answer,
        };
        let tag_h = self.device_key(&enrolment)?.tag_h(&Request {
            origin: self.transport.origin(),
            user_code: &enrolment.answer.user_code,
            device_pk: &device_pk,
            box_pk: box_key.public(),
            nonce: &enrolment.nonce,
            name: &enrolment.name,
        });
        let code = crate::client::token_text(&enrolment.answer.device_code)?;
        let path = routes::with_id(routes::DEVICE_HELLO, &code);
        self.put::<_, ()>(&path, &DeviceHelloRequest { tag_h })?;
        Ok(enrolment)
    }

    /// The key that device and owner share, on the device's side.
    fn device_key(&self, enrolment: &DeviceEnrolment) -> Result<EnrolmentKey, Error> {
        let box_key = enrolment.keys.box_key();
        let key = enrolment.secret.key(&Request {
            origin: self.transport.origin(),
            user_code: &enrolment.answer.user_code,
            device_pk: &enrolment.keys.signing_key().public(),
            box_pk: box_key.public(),
            nonce: &enrolment.nonce,
            name: &enrolment.name,
        })?;
        Ok(key)
    }

    /// Device: asks once whether the owner approved. `None`: not yet.
    ///
    /// # Errors
    /// [`Error::AccountKeyMismatch`] when what came back was not made by whoever typed the check code;
    /// [`Error::EnrolmentExpired`]; [`Error`].
    pub fn poll_enrolment(&self, enrolment: &DeviceEnrolment) -> Result<Option<DeviceId>, Error> {
        if self.now() >= enrolment.expires_at {
            return Err(Error::EnrolmentExpired);
        }
        let body = DeviceTokenRequest { device_code: enrolment.answer.device_code.clone() };
        let answer: DeviceTokenAnswer = match self.post(routes::DEVICE_TOKEN, None, &body) {
            Ok(answer) => answer,
            Err(error) if error.is(Code::DevicePending) || error.is(Code::DeviceSlowDown) => return Ok(None),
            Err(error) => return Err(error),
        };
        let expected = self.device_key(enrolment)?.tag_a(
            &answer.key_statement,
            &answer.certificate,
            &answer.receipt_pk,
            &answer.log_pk,
        );
        if !EnrolmentKey::matches(&expected, &answer.tag_a) {
            return Err(Error::AccountKeyMismatch);
        }
        let pins = (answer.receipt_pk, answer.log_pk);
        self.keep_device(&enrolment.keys, &enrolment.name, answer.certificate, answer.key_statement, pins).map(Some)
    }

    /// Owner: approves the device that shows these codes.
    ///
    /// # Errors
    /// `device.check_failed` when the check code does not belong to the device; [`Error`].
    pub fn approve_device(&self, approval: &OwnerApproval) -> Result<Approved, Error> {
        self.approve_code(&approval.user_code, &approval.check_code, &approval.presence)
    }

    /// As [`approve_device`](Self::approve_device), confirmed in any way.
    ///
    /// # Errors
    /// As there.
    pub fn approve_code<'a>(
        &self,
        user_code: &str,
        check_code: &str,
        confirm: impl Into<Confirm<'a>>,
    ) -> Result<Approved, Error> {
        let check_failed = || Error::Problem(Box::new(Code::DeviceCheckFailed.problem()));
        let user_code =
            normalise_code(user_code).ok_or_else(|| Error::Problem(Box::new(Code::DeviceCodeExpired.problem())))?;
        let secret = EnrolmentSecret::parse_typed(check_code).ok_or_else(check_failed)?;
        self.approve(user_code, &secret, confirm.into())
    }

    /// Owner: approves the device that shows this link.
    ///
    /// # Errors
    /// `device.code_expired` when it is no link; [`Error::WrongOrigin`] when it is one to another service;
    /// `device.check_failed` when its secret does not belong to the device; [`Error`].
    pub fn approve_link(&self, approval: &LinkApproval) -> Result<Approved, Error> {
        self.approve_link_confirmed(&approval.link, &approval.presence)
    }

    /// As [`approve_link`](Self::approve_link), confirmed in any way.
    ///
    /// # Errors
    /// As there.
    pub fn approve_link_confirmed<'a>(
        &self,
        link: &SecretString,
        confirm: impl Into<Confirm<'a>>,
    ) -> Result<Approved, Error> {
        let link = EnrolmentLink::parse(link.expose())
            .ok_or_else(|| Error::Problem(Box::new(Code::DeviceCodeExpired.problem())))?;
        if link.origin != self.transport.origin() {
            let found = self.transport.origin().to_owned();
            return Err(Error::WrongOrigin { expected: link.origin, found });
        }
        self.approve(link.user_code, &link.secret, confirm.into())
    }

    fn approve(&self, user_code: String, secret: &EnrolmentSecret, confirm: Confirm<'_>) -> Result<Approved, Error> {
        let check_failed = || Error::Problem(Box::new(Code::DeviceCheckFailed.problem()));
        let owner = self.owner()?;
        let body = DevicePendingRequest { user_code: user_code.clone() };
        let pending: DevicePending = self.post(routes::DEVICE_PENDING, Some(owner.token()), &body)?;
        let request = Request {
            origin: self.transport.origin(),
            user_code: &user_code,
            device_pk: &pending.device_pk,
            box_pk: &pending.box_pk,
            nonce: &pending.nonce.0,
            name: &pending.name,
        };
        let key = secret.key(&request)?;
        let sent = pending.tag_h.ok_or_else(check_failed)?;
        if !EnrolmentKey::matches(&key.tag_h(&request), &sent) {
            return Err(check_failed());
        }
        let confirmed = self.step_up(Purpose::EnrolDevice, &user_code, confirm)?;
        let device = NewDevice {
            account_id: owner.profile.account_id,
            name: &pending.name,
            device_pk: pending.device_pk.clone(),
            box_pk: &pending.box_pk,
            issued_at: self.now(),
        };
        let certificate = certify(&device, &confirmed.vault()?.identity_key(), &owner.catalogue.index_key())?;
        let tag_a = key.tag_a(owner.key_statement(), &certificate, &owner.profile.receipt_pk, &owner.profile.log_pk);
        let body = DeviceApproveRequest { user_code, grant: confirmed.grant, certificate, tag_a };
        let enrolled: DeviceEnrolled = self.post(routes::DEVICE_APPROVE, Some(owner.token()), &body)?;
        Ok(Approved { device_id: enrolled.device_id, name: pending.name })
    }

    /// Owner: enrols this computer directly. No code is needed: the account's keys were just opened here.
    ///
    /// # Errors
    /// [`Error`].
    pub fn enrol_this_computer<'a>(&self, name: &str, presence: impl Into<Confirm<'a>>) -> Result<DeviceId, Error> {
        let owner = self.owner()?;
        let confirmed = self.step_up(Purpose::EnrolDevice, "self", presence)?;
        let keys = DeviceKeys::random();
        let box_key = keys.box_key();
        let device = NewDevice {
            account_id: owner.profile.account_id,
            name,
            device_pk: keys.signing_key().public(),
            box_pk: box_key.public(),
            issued_at: self.now(),
        };
        let certificate = certify(&device, &confirmed.vault()?.identity_key(), &owner.catalogue.index_key())?;
        let body = DeviceEnrolRequest { grant: confirmed.grant, certificate: certificate.clone() };
        let _: DeviceEnrolled = self.post(routes::DEVICES, Some(owner.token()), &body)?;
        let pins = (owner.profile.receipt_pk.clone(), owner.profile.log_pk.clone());
        self.keep_device(&keys, name, certificate, owner.key_statement().clone(), pins)
    }

    /// Checks the certificate once more and stores the device.
    fn keep_device(
        &self,
        keys: &DeviceKeys,
        name: &str,
        certificate: Signed,
        key_statement: Signed,
        (receipt_pk, log_pk): (vault_protocol::PublicKey, vault_protocol::PublicKey),
    ) -> Result<DeviceId, Error> {
        let claimed: vault_protocol::statement::KeyStatement =
            serde_json::from_slice(&key_statement.payload).map_err(|_| Error::Answer("the key statement"))?;
        let account_id = claimed.account_id;
        let statement =
            verify::key_statement(&key_statement, account_id).map_err(Error::unverified("the key statement"))?;
        let certified: Certificate = verify::certificate(&certificate, account_id, &statement.identity_pk)
            .map_err(Error::unverified("the device certificate"))?;
        // Under another name the owner would look for this device among others.
        if certified.device_pk != keys.signing_key().public() || certified.name != name {
            return Err(Error::AccountKeyMismatch);
        }
        let _lock = self.state.lock()?;
        let device_id = certified.device_id;
        let device = DeviceFile {
            origin: self.transport.origin().to_owned(),
            account_id,
            device_id,
            certificate,
            key_statement,
            enrolled_statement: None,
            receipt_pk,
            log_pk,
            next_seq: 1,
        };
        self.forget_former_device()?;
        // The key first: a device without its key is none, a key without its device is replaced the next time.
        self.key_store.keep(keys.seed())?;
        self.state.write("device.json", &device)?;
        Ok(device_id)
    }

    /// The account's devices.
    ///
    /// # Errors
    /// [`Error`].
    pub fn devices(&self) -> Result<Vec<DeviceSummary>, Error> {
        let owner = self.owner()?;
        let this: Option<DeviceFile> = self.state.read("device.json")?;
        let list: DeviceList = self.get(routes::DEVICES, Some(owner.token()))?;
        let labels = owner.catalogue.label_key();
        let account = owner.profile.account_id;
        let statements = statements(account, &owner.statement, &list.former_statements)?;
        let summaries = list.devices.iter().map(|device| {
            let certified = statements.iter().find_map(|statement| {
                let certificate = verify::certificate(&device.certificate, account, &statement.identity_pk).ok()?;
                (certificate.device_id == device.device_id).then_some((certificate, statement.generation))
            });
            let former = certified.as_ref().is_some_and(|(_, generation)| *generation < owner.statement.generation);
            let certificate = certified.map(|(certificate, _)| certificate);
            let enrolled_name = certificate.as_ref().map(|certificate| certificate.name.clone()).unwrap_or_default();
            let label = device.label_sealed.as_ref().filter(|_| certificate.is_some());
            let label = label.and_then(|label| labels.open(account, device.device_id, label).ok());
            DeviceSummary {
                device_id: device.device_id,
                name: label.unwrap_or_else(|| enrolled_name.clone()),
                enrolled_name,
                capability: certificate.as_ref().map(|certificate| certificate.capability.clone()).unwrap_or_default(),
                state: device.state.clone(),
                last_seq: device.last_seq,
                issued_at: certificate.as_ref().map_or(0, |certificate| certificate.issued_at),
                seen_at: device.seen_at,
                revoked_at: device.revoked_at,
                gaps: None,
                open_orders: device.open_orders,
                verified: certificate.is_some(),
                former,
                this_computer: this.as_ref().is_some_and(|this| this.device_id == device.device_id),
            }
        });
        Ok(summaries.collect())
    }

    /// The account's devices, each with the saves that are missing: numbers up to its newest save without a record whose
    /// author could be verified.
    ///
    /// # Errors
    /// [`Error`].
    pub fn devices_with_gaps(&self) -> Result<Vec<DeviceSummary>, Error> {
        let owner = self.owner()?;
        let mut devices = self.devices()?;
        let authors = self.authors(&owner)?;
        let mut found: BTreeMap<AuthorId, BTreeSet<u64>> = BTreeMap::new();
        for view in self.record_views(&owner)? {
            if let Some(save) = verified_save(&view, owner.profile.account_id, &authors) {
                found.entry(save.author_id).or_default().insert(save.seq);
            }
        }
        let mut deleted: Option<BTreeMap<String, usize>> = None;
        for device in &mut devices {
            let there = found.remove(&device.device_id.into()).unwrap_or_default();
            // The newest number is the service's word, and a record may be newer than that word.
            let newest = device.last_seq.max(there.last().copied().unwrap_or(0));
            let mut gaps: Vec<u64> = (1..=newest).filter(|seq| !there.contains(seq)).take(MAX_GAPS).collect();
            if !gaps.is_empty() {
                if deleted.is_none() {
                    deleted = Some(self.audit_trail()?.deletions_by_author());
                }
                let explained = deleted.as_ref().and_then(|all| all.get(&device.device_id.to_string()));
                // Which numbers they had is not known any more, only how many there were.
                if explained.is_some_and(|explained| gaps.len() <= *explained) {
                    gaps.clear();
                }
            }
            device.gaps = Some(gaps);
        }
        Ok(devices)
    }

    /// Gives a device another name. It is sealed: the service cannot read it.
    ///
    /// # Errors
    /// [`Error::Crypto`] for a name that is too long; [`Error`].
    pub fn rename_device(&self, device: DeviceId, name: &str) -> Result<(), Error> {
        let owner = self.owner()?;
        let label_sealed = owner.catalogue.label_key().seal(owner.profile.account_id, device, name)?;
        let path = routes::with_id(routes::DEVICE_RENAME, &device.to_string());
        self.post(&path, Some(owner.token()), &DeviceRenameRequest { label_sealed })
    }

    /// What belonged to the device that this computer was before.
    fn forget_former_device(&self) -> Result<(), Error> {
        for folder in ["envelopes", "drives", "reports", "orders"] {
            for name in self.state.names(folder)? {
                self.state.remove(&name)?;
            }
        }
        self.state.remove("watch.json")
    }

    /// Revokes a device: it can save no more.
    ///
    /// # Errors
    /// [`Error`].
    pub fn revoke_device<'a>(&self, device: DeviceId, presence: impl Into<Confirm<'a>>) -> Result<(), Error> {
        let owner = self.owner()?;
        let grant = self.step_up(Purpose::RevokeDevice, &device.to_string(), presence)?.grant;
        let path = routes::with_id(routes::DEVICE_REVOKE, &device.to_string());
        self.post(&path, Some(owner.token()), &DeviceRevokeRequest { grant })
    }

    /// Whether this computer is enrolled.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn is_enrolled(&self) -> Result<bool, Error> {
        Ok(self.state.read::<DeviceFile>("device.json")?.is_some())
    }
}

fn client_info() -> ClientInfo {
    ClientInfo { name: "keyhaven".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
