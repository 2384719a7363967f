//! From an error to a problem document: the one place where it happens.
//!
//! A caller learns a code of the catalogue. What went wrong inside goes to the log, under the request's name, and
//! nowhere else.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use vault_protocol::problem::Code;
use vault_store::Refusal;

use crate::seal::OpenError;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A code of the catalogue.
    Said(Code),
    /// A code, and how long to wait in milliseconds.
    Wait(Code, i64),
    /// A safety delay runs until then.
    Waiting(vault_protocol::Millis),
    /// A wrong code that was right at another time: the authenticator's clock is so many seconds ahead.
    Drift(i64),
    /// Nothing the caller could know. The text never holds user data.
    Fault(Fault),
}

/// An internal cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(vault_store::Error),
    /// A save could not be made durable.
    #[error("a save was not stored")]
    Save(#[source] vault_store::Error),
    /// A sealed value does not open: wrong key file, or a damaged database.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// A stored value is not what was written.
    #[error("a stored {0} cannot be read")]
    Stored(&'static str),
    /// Something the server makes itself could not be made.
    #[error("{0} could not be made")]
    Made(&'static str),
}

impl Failure {
    /// The store's answer to a save, for which every fault means: not saved, try again.
    pub(crate) fn of_save(error: vault_store::Error) -> Self {
        match error {
            vault_store::Error::Refused(_) => error.into(),
            other => Self::Fault(Fault::Save(other)),
        }
    }

    /// A failure of something that a save needs first: that, too, means to the client that nothing was saved.
    pub(crate) fn during_save(self) -> Self {
        match self {
            Self::Fault(Fault::Store(error)) => Self::Fault(Fault::Save(error)),
            other => other,
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Said(code)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        vault_store::Error::from(refusal).into()
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<vault_store::Error> for Failure {
    fn from(error: vault_store::Error) -> Self {
        let vault_store::Error::Refused(refusal) = error else { return Self::Fault(Fault::Store(error)) };
        Self::Said(match refusal {
            Refusal::Grant | Refusal::Ceremony => Code::StepupGrantUsed,
            Refusal::EmailTaken => Code::SignupEmailTaken,
            Refusal::Invite => Code::AuthEmailCodeInvalid,
            Refusal::Session => Code::AuthSessionExpired,
            Refusal::LastFactor => Code::FactorLastOne,
            Refusal::SameFactor => Code::FactorSame,
            Refusal::LabelTaken => Code::FactorLabelTaken,
            Refusal::PasskeyLeaked => Code::FactorPrfLeaked,
            Refusal::FactorQuota => Code::FactorTooMany,
            Refusal::NotFound => Code::RecordNotFound,
            Refusal::CodeUsed => Code::FactorCodeUsed,
            Refusal::Purged => Code::RecordDeleted,
            Refusal::IdConflict => Code::RecordIdConflict,
            Refusal::DeviceRevoked => Code::DeviceRevoked,
            Refusal::Quota | Refusal::Limit { .. } => Code::RecordQuota,
            Refusal::OrderOpen => Code::OrderOpen,
            Refusal::OrderOver => Code::OrderOver,
            Refusal::DeviceCode => Code::DeviceCodeExpired,
            Refusal::Wait | Refusal::WaitRuns => Code::WaitOver,
            Refusal::WaitQuota => Code::LimitRate,
            // An identifier that a client chose is in use: it is not the client it seems to be, or it is broken.
            _ => Code::RequestInvalid,
        })
    }
}

impl IntoResponse for Failure {
    /// The body is written further out, where the request's name is known.
    fn into_response(self) -> Response {
        let drift_seconds = if let Self::Drift(seconds) = self { Some(seconds) } else { None };
        let at = if let Self::Waiting(at) = self { Some(at) } else { None };
        let (code, wait_ms) = match self {
            Self::Said(code) => (code, None),
            Self::Waiting(_) => (Code::RecoverWaiting, None),
            Self::Drift(_) => (Code::FactorCodeWrong, None),
            Self::Wait(code, wait_ms) => (code, Some(wait_ms)),
            Self::Fault(fault) => {
                let code = if matches!(fault, Fault::Save(_)) { Code::SaveNotDurable } else { Code::ServerFault };
                tracing::error!(cause = %chain(&fault), "request failed");
                (code, None)
            }
        };
        let mut problem = code.problem();
        problem.drift_seconds = drift_seconds;
        problem.at = at;
        problem.retry_after = wait_ms.map(|wait_ms| u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000).max(1));
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(problem);
        response
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
