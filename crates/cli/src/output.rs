//! Reports to standard output, everything else to standard error.

use std::io::{self, Write};

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

/// Something a person should know although the command goes on.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "keyhaven: {text}");
}

/// A size as people read it, with the exact number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") }
        }
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(511), "511 bytes");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(65_994_752), "62.9 MiB");
        assert_eq!(size(4 << 40), "4 TiB");
    }
}
