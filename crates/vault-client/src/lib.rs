//! The vault's client: everything an owner or a device does with an account, over a one-method [`Transport`].
//!
//! | module | flow |
//! |---|---|
//! | `sign_up`, `sign_in`, `factors` | the owner's way in, second factor included |
//! | `passkeys` | passkeys: adding, signing in, opening the vault; `authenticator` is the joint to what keeps them |
//! | `step_up` | fresh proof of presence for one act |
//! | `enrol` | a device joins: by code, or directly from a program that is signed in |
//! | `save` | seal, put in the outbox, deliver, verify the receipt |
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
mod client;
mod enrol;
mod error;
mod factors;
#[cfg(feature = "http")]
mod http;
mod import;
mod passkeys;
mod password;
mod recover;
mod reveal;
mod save;
mod sign_in;
mod sign_up;
mod state;
mod step_up;
mod transport;

pub use audit::{AuditReport, AuditTrail};
pub use authenticator::{Authenticator, AuthenticatorError, PrfOutput};
pub use backup_codes::NewBackupCodes;
pub use client::Client;
pub use enrol::{DeviceEnrolment, DeviceSummary, OwnerApproval};
pub use error::Error;
pub use factors::{AskForCodes, NewTotp};
#[cfg(feature = "http")]
pub use http::HttpTransport;
pub use import::KnownKeys;
pub use passkeys::NewPasskey;
pub use recover::Recovery;
pub use reveal::{ExportedKey, RecordSummary, RevealedKey};
pub use save::{Delivery, KeyToSave, Outcome, Standing};
pub use sign_in::{SignInFactor, SignedIn};
pub use sign_up::{Kit, NewAccount};
pub use state::State;
pub use step_up::{Confirm, Presence};
pub use transport::{Method, Request, Response, Transport, TransportError};

pub use vault_crypto::Error as CryptoError;
pub use vault_crypto::record::Meta;
pub use vault_protocol::limits::MAX_EXPORT;
pub use vault_protocol::messages::{
    AccountView, FactorList, FactorView, PasskeyAssertion, PasskeyCreation, PasskeyCredential, PasskeyRequest,
    PasskeyView, REVEAL_REASONS,
};
pub use vault_protocol::{AccountId, Bytes, DeviceId, FactorId, Millis, RecordId, Signed, problem};
