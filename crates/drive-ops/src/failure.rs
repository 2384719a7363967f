//! Errors as a person sees them: what failed, why, what to do next, and the exit status.

use std::io;

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    /// What it is about, for those who say it in another language.
    pub kind: Kind,
    /// What failed, in one line.
    pub error: String,
    /// Why.
    pub cause: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Address of a page that explains it.
    pub page: Option<Box<str>>,
    /// Code of the error catalogue, where the failure has one; it never changes.
    pub code: Option<String>,
    broken_pipe: bool,
}

/// What a command gives.
pub type Outcome<T = ()> = Result<T, Failure>;

/// What a failure is about, as far as a person would do something else about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Kind {
    /// Anything else.
    #[default]
    Other,
    /// The secret does not open the drive.
    WrongKey,
    /// The drive takes no secret of this kind, or this one belongs to another drive.
    OtherKey,
    /// The 48 digits are not complete or not right.
    BadDigits,
    /// What was given as a key file is none.
    BadKeyFile,
    /// It is no BitLocker drive.
    NotBitLocker,
    /// It is one already.
    AlreadyEncrypted,
    /// Its metadata or its conversion is damaged, or was changed by somebody.
    Damaged,
    /// It is stored in a way that is not known here.
    Unsupported,
    /// Somebody else uses it.
    InUse,
    /// This account may not use it.
    NoRights,
    /// It is not there.
    NotFound,
    /// It cannot be written.
    ReadOnly,
    /// Its file system was not closed.
    NotClean,
    /// Windows sleeps on it.
    Hibernated,
    /// Its file system has no room for what BitLocker needs.
    NoSpace,
    /// It has no file system that can be encrypted where it lies.
    UnknownFileSystem,
    /// There is no room where something should be written.
    DiskFull,
    /// The place lies on the drive that the key opens.
    OnTheDrive,
    /// There is a file of this name.
    Exists,
    /// Without this key nobody could open it.
    LastKey,
    /// It has a password.
    HasPassword,
    /// Its protection is suspended.
    Suspended,
    /// Its protection is not suspended.
    NotSuspended,
    /// This computer may not save to an account.
    NotEnrolled,
    /// The account service does not answer.
    Unreachable,
    /// This program is not there.
    NoProgram,
}

impl Failure {
    /// A well-formed no: exit status 1.
    #[must_use]
    pub fn no(error: impl Into<String>) -> Self {
        Self {
            status: 1,
            kind: Kind::Other,
            error: error.into(),
            cause: None,
            hint: None,
            page: None,
            code: None,
            broken_pipe: false,
        }
    }

    /// It could not be tried: exit status 2.
    #[must_use]
    pub fn could_not(error: impl Into<String>) -> Self {
        Self { status: 2, ..Self::no(error) }
    }

    /// With a word for what it is about.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// With the cause and everything that caused it.
    #[must_use]
    pub fn because(mut self, cause: &dyn std::error::Error) -> Self {
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(deeper) = source {
            text = format!("{text}: {deeper}");
            source = deeper.source();
        }
        self.cause = Some(text);
        self
    }

    /// With a cause in words.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// With the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writing to standard output or a file failed.
    #[must_use]
    pub fn writing(what: &str, error: &io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = Self::could_not(format!("cannot write {what}")).because(error);
        let failure = match error.kind() {
            io::ErrorKind::StorageFull => {
                failure.kind(Kind::DiskFull).hint("free some space or choose another place, then run it again")
            }
            _ => failure,
        };
        Self { broken_pipe, ..failure }
    }

    /// The exit status.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Whoever read our output has seen enough: no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}
