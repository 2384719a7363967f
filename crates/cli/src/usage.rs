//! Arguments that cannot be used: the refusal shows no value that may hold a secret.
//!
//! The parser of arguments shows what it was given, and what it was given may come from the environment, where passwords of
//! databases and mail servers are allowed.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

/// Flags whose values may hold a password or a token.
const UNSHOWN: [&str; 4] = ["--database", "--purge-database", "--smtp", "--key-command"];

/// The same refusal without the value of such a flag.
pub(crate) fn without_secrets(mut error: clap::Error) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => flag.split(' ').next().unwrap_or_default().to_owned(),
        _ => return error,
    };
    if UNSHOWN.contains(&flag.as_str()) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("(not shown)".to_owned()));
    }
    error
}

/// Help and version are answers; anything else that is refused here could not be tried.
pub(crate) fn exit(error: clap::Error) -> ExitCode {
    let error = without_secrets(error);
    // The terminal may be gone; there is nobody left to tell then.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}
