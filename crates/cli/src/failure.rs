//! Errors as a person sees them: what failed, why, what to do next, and the exit status.

use std::io;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    /// What failed, in one line.
    pub(crate) error: String,
    /// Why.
    pub(crate) cause: Option<String>,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// Address of a page that explains it.
    pub(crate) page: Option<Box<str>>,
    /// Code of the error catalogue, where the failure has one; it never changes.
    pub(crate) code: Option<String>,
    broken_pipe: bool,
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A well-formed no: exit status 1.
    pub(crate) fn no(error: impl Into<String>) -> Self {
        Self { status: 1, error: error.into(), cause: None, hint: None, page: None, code: None, broken_pipe: false }
    }

    /// It could not be tried: exit status 2.
    pub(crate) fn could_not(error: impl Into<String>) -> Self {
        Self { status: 2, ..Self::no(error) }
    }

    /// With the cause and everything that caused it.
    pub(crate) fn because(mut self, cause: &dyn std::error::Error) -> Self {
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
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// With the next step.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writing to standard output or a file failed.
    pub(crate) fn writing(what: &str, error: &io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = Self::could_not(format!("cannot write {what}")).because(error);
        let failure = match error.kind() {
            io::ErrorKind::StorageFull => failure.hint("free some space or choose another place, then run it again"),
            _ => failure,
        };
        Self { broken_pipe, ..failure }
    }

    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// Whoever read our output has seen enough: no failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}
