//! What every handler can reach: tables, secrets, time, settings.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use vault_protocol::CeremonyId;
use vault_protocol::messages::ServerIdentity;
use vault_protocol::problem::Code;
use vault_store::{AccountId, Ceremony, Millis, Store, WriteTimes};

use crate::clock::{Clock, Timeline};
use crate::config::{Delays, Limits};
use crate::failure::{Failure, Fault};
use crate::keys::ServerKeys;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::passkeys;
use crate::ready::Readiness;

/// Stretching profiles that new accounts may use. One only: a mail without an account must look like one with, and a
/// second profile would tell them apart.
pub(crate) const KDF_PROFILES: [u32; 1] = [1];

/// Shared by all requests.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

/// What [`App`] points to.
pub(crate) struct Inner {
    /// The tables.
    pub(crate) store: Arc<dyn Store>,
    /// The server's secrets.
    pub(crate) keys: ServerKeys,
    /// Tells the keeper of the log that there are new audit entries.
    pub(crate) new_entries: tokio::sync::Notify,
    time: Timeline,
    limits: Limits,
    origin: String,
    announcing: Announcing,
    webauthn: Option<webauthn_rs::Webauthn>,
    /// Wakes the background task that sends notices.
    pub(crate) mail_made: tokio::sync::Notify,
    operation: Operation,
}

/// How owners are told, and how long things wait of which they are told first.
#[derive(Debug)]
pub(crate) struct Announcing {
    /// The way out for notices, where there is one.
    pub(crate) notices: Option<Arc<dyn Notices>>,
    /// The safety delays.
    pub(crate) delays: Delays,
}

/// What tells how the service is.
#[derive(Debug)]
pub(crate) struct Operation {
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Whether it can do its work.
    pub(crate) readiness: Readiness,
    /// How long the database takes.
    pub(crate) write_times: WriteTimes,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keys: ServerKeys,
        clock: Arc<dyn Clock>,
        limits: Limits,
        origin: String,
        announcing: Announcing,
        operation: Operation,
    ) -> Self {
        let webauthn = passkeys::relying_party(&origin);
        let time = Timeline::new(clock);
        let (new_entries, mail_made) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        Self(Arc::new(Inner {
            store,
            keys,
            new_entries,
            time,
            limits,
            origin,
            webauthn,
            announcing,
            mail_made,
            operation,
        }))
    }
}

impl Inner {
    /// The time now. Never goes back, whatever is done to the clock: what has expired stays expired.
    pub(crate) fn now(&self) -> Millis {
        self.time.now_ms()
    }

    /// What the clock shows, for codes that an authenticator makes from its own clock.
    pub(crate) fn clock_ms(&self) -> Millis {
        self.time.clock_ms()
    }

    /// The abuse limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What tells how the service is.
    pub(crate) fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The service's name in every password proof.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What checks passkeys. An origin that is no domain name has none.
    pub(crate) fn webauthn(&self) -> Result<&webauthn_rs::Webauthn, Failure> {
        self.webauthn.as_ref().ok_or_else(|| Code::FactorPasskeyUnavailable.into())
    }

    /// How owners are told, where they are.
    pub(crate) fn notices(&self) -> Option<Arc<dyn Notices>> {
        self.announcing.notices.clone()
    }

    /// How long things wait that are announced first.
    pub(crate) fn delays(&self) -> Delays {
        self.announcing.delays
    }

    /// Whether codes can be mailed.
    pub(crate) fn sends_notices(&self) -> bool {
        self.announcing.notices.is_some()
    }

    /// What clients are told about the service.
    pub(crate) fn identity(&self) -> ServerIdentity {
        ServerIdentity {
            origin: self.origin.clone(),
            receipt_pk: self.keys.receipt_pk(),
            log_pk: self.keys.log_pk(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// A name for a mail that does not tell the mail, for counters.
    pub(crate) fn mail_name(&self, email_norm: &str) -> String {
        let mac = self.mail_mac("counter", email_norm);
        data_encoding::HEXLOWER.encode(&mac[..16])
    }

    /// The account identifier that an unknown mail is answered with: always the same one, and of the same form as a real
    /// one (UUID version 4, which is why real ones are not time-ordered).
    pub(crate) fn stand_in(&self, email_norm: &str) -> AccountId {
        let mac = self.mail_mac("stand-in", email_norm);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac[..16]);
        AccountId::from_bytes(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes())
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mail_mac(&self, purpose: &str, email_norm: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.keys.mail_key.expose()).expect("any length will do");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(email_norm.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Seals the state of a ceremony to the ceremony and its stage.
    pub(crate) fn ceremony(
        &self,
        id: CeremonyId,
        kind: &'static str,
        account_id: Option<AccountId>,
        state: &impl Serialize,
        lifetime_ms: i64,
    ) -> Result<Ceremony, Failure> {
        let state = zeroize::Zeroizing::new(serde_json::to_vec(state).map_err(|_| Fault::Made("a ceremony"))?);
        Ok(Ceremony {
            id,
            kind: kind.to_owned(),
            account_id,
            state_sealed: self.keys.ceremony_seal.seal(&ceremony_context(id, kind), &state)?,
            expires_at: self.now() + lifetime_ms,
        })
    }

    /// Opens the state of a ceremony.
    pub(crate) fn ceremony_state<T: DeserializeOwned>(&self, ceremony: &Ceremony) -> Result<T, Failure> {
        let context = ceremony_context(ceremony.id, &ceremony.kind);
        let state = self.keys.ceremony_seal.open(&context, &ceremony.state_sealed)?;
        Ok(serde_json::from_slice(state.expose()).map_err(|_| Fault::Stored("ceremony"))?)
    }
}

fn ceremony_context(id: CeremonyId, kind: &str) -> Vec<u8> {
    format!("ceremonies/{id}/{kind}").into_bytes()
}
