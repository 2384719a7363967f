//! Refusals as problem documents, and why a panel does not start.

use std::io;
use std::path::PathBuf;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drive_ops::failure::{Failure, Kind};

use crate::types::Problem;

/// Why the panel cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another one of this account runs.
    #[error("a control panel of this account runs already")]
    Running,
    /// It is asked to listen where other computers reach it.
    #[error("the control panel listens on this computer alone, and {address} can be reached from others")]
    NotLoopback {
        /// Where it should have listened.
        address: std::net::SocketAddr,
    },
    /// It cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Its folder cannot be used.
    #[error("cannot use {path}")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended without having been asked to.
    #[error("the control panel ended")]
    Serve(#[source] io::Error),
}

/// A refusal, or work that failed.
pub(crate) struct Refused(pub(crate) Box<Problem>);
/// What a handler gives.
pub(crate) type Answer<T> = Result<T, Refused>;

/// What the panel itself refuses. The page has words for each code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Another name or another page asked.
    Foreign,
    /// There is no session.
    Session,
    /// The link was used, is too old, or never was one.
    Link,
    NotFound,
    Invalid,
    MediaType,
    TooLarge,
    /// The list has changed: there is no such drive in it.
    NoDrive,
    /// The drive is not unlocked here.
    Locked,
    /// A secret is needed.
    SecretNeeded,
    /// The recovery key is not saved, or nobody has confirmed it.
    NotBackedUp,
    /// These are not the last digits of the key.
    WrongDigits,
    /// The key waits here, sealed; the account does not have it.
    Waiting,
    /// Work on the drive is under way.
    Busy,
    /// The work cannot do that now.
    WrongState,
    /// Too short for a password.
    ShortPassword,
    /// There are too many of them.
    TooMany,
    /// It broke.
    Broken,
}

impl Code {
    fn parts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Foreign => ("panel.foreign", 403, "the request does not come from the control panel's own page"),
            Self::Session => ("panel.session", 401, "there is no session"),
            Self::Link => ("panel.link", 401, "this link was used or is too old"),
            Self::NotFound => ("panel.not_found", 404, "there is no such thing"),
            Self::Invalid => ("panel.invalid", 400, "the request cannot be understood"),
            Self::MediaType => ("panel.media_type", 415, "the request is not JSON"),
            Self::TooLarge => ("panel.too_large", 413, "the request is too large"),
            Self::NoDrive => ("panel.no_drive", 404, "there is no such drive in the list any longer"),
            Self::Locked => ("panel.locked", 409, "the drive is locked"),
            Self::SecretNeeded => ("panel.secret_needed", 403, "a key of the drive is needed"),
            Self::NotBackedUp => ("panel.not_backed_up", 409, "the recovery key is not yet saved and confirmed"),
            Self::WrongDigits => ("panel.wrong_digits", 422, "these are not the last six digits of the key"),
            Self::Waiting => ("panel.waiting", 503, "the key is not yet saved to the account"),
            Self::Busy => ("panel.busy", 409, "work on this drive is under way"),
            Self::WrongState => ("panel.wrong_state", 409, "that cannot be done now"),
            Self::ShortPassword => ("panel.short_password", 422, "a password needs at least 8 characters"),
            Self::TooMany => ("panel.too_many", 429, "there are too many of these"),
            Self::Broken => ("panel.broken", 500, "something broke inside the control panel"),
        }
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        let (code, status, title) = code.parts();
        let title = title.to_owned();
        Self(Box::new(Problem { code: code.to_owned(), status, title, detail: None, next: None, help: None }))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = match failure.kind {
            Kind::NotFound => 404,
            Kind::NoRights => 403,
            Kind::InUse | Kind::Exists | Kind::AlreadyEncrypted => 409,
            Kind::DiskFull => 507,
            _ if failure.status() == 1 => 422,
            _ => 503,
        };
        let code = failure.code.unwrap_or_else(|| format!("drive.{}", word(failure.kind)));
        let help = failure.page.map(String::from);
        Self(Box::new(Problem { code, status, title: failure.error, detail: failure.cause, next: failure.hint, help }))
    }
}

/// With what is known of the cause.
pub(crate) fn because(code: Code, failure: Failure) -> Refused {
    let mut problem = Refused::from(code).0;
    problem.detail = Some(match failure.cause {
        Some(cause) => format!("{}: {cause}", failure.error),
        None => failure.error,
    });
    problem.next = failure.hint;
    Refused(problem)
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::WrongKey => "wrong_key",
        Kind::OtherKey => "other_key",
        Kind::BadDigits => "bad_digits",
        Kind::BadKeyFile => "bad_key_file",
        Kind::NotBitLocker => "not_bitlocker",
        Kind::AlreadyEncrypted => "already_encrypted",
        Kind::Damaged => "damaged",
        Kind::Unsupported => "unsupported",
        Kind::InUse => "in_use",
        Kind::NoRights => "no_rights",
        Kind::NotFound => "not_found",
        Kind::ReadOnly => "read_only",
        Kind::NotClean => "not_clean",
        Kind::Hibernated => "hibernated",
        Kind::NoSpace => "no_space",
        Kind::UnknownFileSystem => "unknown_file_system",
        Kind::DiskFull => "disk_full",
        Kind::OnTheDrive => "on_the_drive",
        Kind::Exists => "exists",
        Kind::LastKey => "last_key",
        Kind::HasPassword => "has_password",
        Kind::Suspended => "suspended",
        Kind::NotSuspended => "not_suspended",
        Kind::NotEnrolled => "not_enrolled",
        Kind::Unreachable => "unreachable",
        Kind::NoProgram => "no_program",
        _ => "failed",
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// Runs work that blocks, away from the threads that answer.
pub(crate) async fn off<R: Send + 'static>(work: impl FnOnce() -> Answer<R> + Send + 'static) -> Answer<R> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Code::Broken.into()))
}

/// The lock of a mutex, whatever happened to whoever had it before: what is inside is whole after every statement.
pub(crate) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
