//! What can go wrong between a person and their account.

use vault_protocol::problem::{Code, Problem};
use vault_protocol::verify::VerifyError;

use crate::{AuthenticatorError, TransportError};

/// A flow that did not reach its end. Texts never hold a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service says no, or that something is missing.
    #[error("{}", .0.title)]
    Problem(Box<Problem>),
    /// The service could not be reached, or broke off.
    #[error("the service cannot be reached")]
    Transport(#[from] TransportError),
    /// The answer is not what the protocol says.
    #[error("the service gave an answer that cannot be understood ({0})")]
    Answer(&'static str),
    /// Opening or making something failed.
    #[error(transparent)]
    Crypto(#[from] vault_crypto::Error),
    /// Something signed is not accepted.
    #[error("{what} cannot be verified: {source}")]
    Unverified {
        /// What it is.
        what: &'static str,
        /// Why not.
        source: VerifyError,
    },
    /// The account's key during an enrolment, or since the last time, is not the authenticated one.
    #[error("the account's key is not the one that was authenticated")]
    AccountKeyMismatch,
    /// The service shows another history, or other keys, than before.
    #[error("the service's {0} differs from what was seen before")]
    Inconsistent(&'static str),
    /// The service's global log contradicts what was seen, or itself.
    #[error("the service's log {what}")]
    Log {
        /// What it does.
        what: &'static str,
        /// File with the service's statements that do not go together.
        evidence: String,
    },
    /// The service's log could not be checked for long.
    #[error("the service's log could not be checked for {days} days")]
    LogUnchecked {
        /// For how many days.
        days: i64,
    },
    /// The account began again with new keys, which nobody on this computer has accepted so far.
    #[error("the account has new keys, fingerprint {fingerprint}, that this computer does not know")]
    NewKeys {
        /// What is to be compared with the new kit.
        fingerprint: String,
    },
    /// The record was saved before the account got its present keys.
    #[error("this key was saved before the account began again with new keys")]
    FormerKeys,
    /// The service calls itself by another address than the one it was reached under.
    #[error("the service calls itself {found}, but it was reached as {expected}")]
    WrongOrigin {
        /// Address it was reached under.
        expected: String,
        /// Address it claims.
        found: String,
    },
    /// The authenticator that keeps passkeys.
    #[error(transparent)]
    Authenticator(#[from] AuthenticatorError),
    /// The passkey derives no key here, or not the same one twice.
    #[error("this passkey cannot derive a key here")]
    PrfUnavailable,
    /// The account's only factors are passkeys, and a code was to be given.
    #[error("the account's only second factors are passkeys")]
    OnlyPasskeys,
    /// The account has no such passkey.
    #[error("the account has no such passkey")]
    NoSuchPasskey,
    /// Nobody is signed in on this computer.
    #[error("nobody is signed in on this computer")]
    NotSignedIn,
    /// This computer is not enrolled.
    #[error("this computer is not enrolled as a device of an account")]
    NotEnrolled,
    /// The emergency kit was not confirmed, so the account was not made.
    #[error("the emergency kit was not confirmed; no account was made")]
    KitNotConfirmed,
    /// The person broke off.
    #[error("cancelled")]
    Cancelled,
    /// The enrolment took longer than its code lives.
    #[error("the enrolment code has expired")]
    EnrolmentExpired,
    /// Files of this client's state.
    #[error("{operation} {path} failed")]
    State {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The device key could be used by others than its owner.
    #[error("others than its owner could use the device key {path} (mode {mode:o}{})", owned_by(*owner))]
    KeyExposed {
        /// Which file.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// Its owner, when it is somebody else than who runs this.
        owner: Option<u32>,
    },
    /// Others could put files into the folder of this client's state.
    #[error("others than its owner could change {path} (mode {mode:o}{})", owned_by(*owner))]
    StateExposed {
        /// Which folder.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// Its owner, when it is somebody else than who runs this.
        owner: Option<u32>,
    },
    /// The record keeps another kind of secret than the one asked for.
    #[error("the record keeps another kind of secret")]
    OtherKind,
    /// A state file does not hold what it should.
    #[error("{path} is damaged")]
    DamagedState {
        /// Which file.
        path: String,
    },
}

impl Error {
    /// The code of the error catalogue that fits.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        use vault_crypto::Error as Crypto;
        Some(match self {
            Self::Problem(problem) => return Code::parse(&problem.code),
            Self::Transport(_) => Code::ServerBusy,
            Self::Crypto(Crypto::KdfRefused(_)) => Code::AuthKdfRefused,
            Self::Crypto(Crypto::Password) => Code::AuthInvalid,
            Self::Crypto(Crypto::RecoveryPassword(_)) => Code::RecordBadPasswordDigits,
            Self::Crypto(_) => Code::RevealSlotFailed,
            Self::Unverified { .. } => Code::RecordUnverified,
            Self::AccountKeyMismatch => Code::DeviceAccountKeyMismatch,
            Self::Inconsistent(_) | Self::Log { .. } => Code::LogInconsistent,
            Self::NewKeys { .. } => Code::AuthNewKeys,
            Self::FormerKeys => Code::RecoverNoSlot,
            Self::PrfUnavailable => Code::FactorPrfUnavailable,
            Self::OnlyPasskeys => Code::FactorRequired,
            Self::NotSignedIn => Code::AuthSessionExpired,
            Self::EnrolmentExpired => Code::DeviceCodeExpired,
            _ => return None,
        })
    }

    /// Whether the service answered with this code.
    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        matches!(self, Self::Problem(problem) if problem.code == code.code())
    }

    pub(crate) fn unverified(what: &'static str) -> impl FnOnce(VerifyError) -> Self {
        move |source| Self::Unverified { what, source }
    }
}

fn owned_by(owner: Option<u32>) -> String {
    owner.map(|owner| format!(", owned by user {owner}")).unwrap_or_default()
}
