//! Reports to standard output, everything else to standard error.

use std::io::{self, Write};

pub(crate) use drive_ops::note::note;
pub(crate) use drive_ops::words::size;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// Prints a report: the text for people, or the same as one JSON document.
pub(crate) fn report(json: bool, value: &Value, text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    let written = if json { writeln!(out, "{value:#}") } else { out.write_all(text.as_bytes()) };
    written.and_then(|()| out.flush()).map_err(|error| Failure::writing("to standard output", &error))
}

/// Prints a failure: error, cause, next step.
pub(crate) fn failure(failure: &Failure, json: bool) {
    let mut err = io::stderr().lock();
    // There is nobody to tell when standard error is gone.
    if json {
        let document = json!({
            "error": failure.error, "cause": failure.cause, "hint": failure.hint, "code": failure.code,
            "page": failure.page, "status": failure.status(),
        });
        let _ = writeln!(err, "{document:#}");
        return;
    }
    let code = failure.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    let _ = writeln!(err, "keyhaven: error: {}{code}", failure.error);
    if let Some(cause) = &failure.cause {
        let _ = writeln!(err, "keyhaven: cause: {cause}");
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, "keyhaven: hint: {hint}");
    }
    if let Some(page) = &failure.page {
        let _ = writeln!(err, "keyhaven: more: {page}");
    }
}

/// Prints a note.
pub(crate) fn tell_note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "keyhaven: {text}");
}
