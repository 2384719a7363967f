//! The vault's client: everything an owner or a device does with an account, over a one-method [`Transport`].
//!
//! | module | flow |
//! |---|---|
//! | `sign_up`, `sign_in`, `factors` | the owner's way in, second factor included |
//! | `passkeys` | passkeys: adding, signing in, opening the vault; `authenticator` is the joint to what keeps them |
//! | `step_up` | fresh proof of presence for one act |
//! | `recover`, `reset`, `renew`, `kit` | what to do when password, factors, both or the kit are lost |
//! | `waits` | the delays before weighty changes, and cancelling them |
//! | `enrol` | a device joins: by code, or directly from a program that is signed in |
//! | `save` | seal, put in the outbox, deliver, verify the receipt |
//! | `watch`, `orders` | what a device does besides: status, held records, drives, rotation orders |
//! | `key_store` | where the device key lies |
//! | `import` | keys from elsewhere: which are there already, saving the others |
//! | `reveal` | list, find, release, export |
//! | `audit` | replay the trail against everything remembered |
//!
//! What the client remembers lies in a [`State`] folder: pins, session, device key, outbox, receipts.
//!
//! What is not done here: asking people (callers pass answers or functions that ask), BitLocker.

mod audit;
mod authenticator;
mod backup_codes;
mod bundle;
mod client;
mod enrol;
mod error;
mod factors;
#[cfg(feature = "http")]
mod http;
mod import;
mod key_store;
mod kit;
mod log;
mod memory;
mod orders;
mod passkeys;
mod password;
mod recover;
mod renew;
mod reset;
mod reveal;
mod reveals;
mod save;
mod sign_in;
mod sign_up;
mod state;
mod step_up;
mod transport;
mod waits;
mod watch;

pub use audit::{AuditReport, AuditTrail, BundleTrust};
pub use authenticator::{Authenticator, AuthenticatorError, PrfOutput};
pub use backup_codes::NewBackupCodes;
pub use bundle::AuditBundle;
pub use client::Client;
pub use enrol::{Approved, DeviceEnrolment, DeviceSummary, LinkApproval, OwnerApproval};
pub use error::Error;
pub use factors::{AskForCodes, NewTotp};
#[cfg(feature = "http")]
pub use http::HttpTransport;
pub use import::KnownKeys;
pub use key_store::{FileKeyStore, KeyStore};
pub use log::ReceiptReport;
pub use memory::Memory;
pub use orders::{OrderSummary, OrderToDo, Ordered};
pub use passkeys::NewPasskey;
pub use recover::Recovery;
pub use renew::{BroughtOver, NewStart};
pub use reset::LostFactors;
pub use reveal::{Afterwards, ExportedKey, RecordSummary, RevealedKey, RevealedSecret};
pub use save::{Delivery, KeyToSave, Outcome, Standing, StartupKeyToSave, ToSave};
pub use sign_in::{AnyFactor, SignInFactor, SignedIn};
pub use sign_up::{Kit, NewAccount};
pub use state::State;
pub use step_up::{Confirm, Presence};
pub use transport::{Method, Request, Response, Transport, TransportError};
pub use watch::{DeviceStatus, DriveCheck, HeldReport};

pub use vault_crypto::Error as CryptoError;
pub use vault_crypto::record::{Meta, Secret, SecretRef};
pub use vault_protocol::limits::MAX_EXPORT;
pub use vault_protocol::log::VerifierKey;
pub use vault_protocol::messages::{
    AccountView, DeviceNotice, FactorList, FactorView, PasskeyAssertion, PasskeyCreation, PasskeyCredential,
    PasskeyRequest, PasskeyView, REVEAL_REASONS, WaitBegun, WaitView, wait_kind,
};
pub use vault_protocol::note::Finding;
pub use vault_protocol::{AccountId, Bytes, DeviceId, FactorId, Millis, OrderId, RecordId, Signed, WaitId, problem};
