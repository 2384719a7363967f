//! Reports to standard output, everything else to standard error.

use std::io::{self, Write};

pub(crate) use drive_ops::note::note;
use drive_ops::words::turns;
pub(crate) use drive_ops::words::{shown, size};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// A text of several lines in the same way: whatever came into it unseen, it stays text.
fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// A document as one text. What could drive a terminal is written as JSON writes it, which changes nothing for programs.
pub(crate) fn document_text(document: &Value, on_lines: bool) -> String {
    let text = if on_lines { format!("{document:#}") } else { document.to_string() };
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != '\n' && (letter.is_control() || turns(letter)) {
            out.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    out
}

/// Prints a report: the text for people, or the same as one JSON document.
pub(crate) fn report(json: bool, value: &Value, text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    let written = if json {
        writeln!(out, "{}", document_text(value, true))
    } else {
        out.write_all(shown_lines(text).as_bytes())
    };
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
        let _ = writeln!(err, "{}", document_text(&document, true));
        return;
    }
    let code = failure.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    let _ = writeln!(err, "keyhaven: error: {}", shown_lines(&format!("{}{code}", failure.error)));
    if let Some(cause) = &failure.cause {
        let _ = writeln!(err, "keyhaven: cause: {}", shown_lines(cause));
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, "keyhaven: hint: {}", shown_lines(hint));
    }
    if let Some(page) = &failure.page {
        let _ = writeln!(err, "keyhaven: more: {}", shown_lines(page));
    }
}

/// Prints a note.
pub(crate) fn tell_note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "keyhaven: {}", shown_lines(text));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{document_text, shown, shown_lines};

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(shown("Grüße.txt"), "Grüße.txt");
        assert_eq!(shown("a\u{1b}[2Jb\nkeyhaven: hint: x"), "a\\u{1b}[2Jb\\u{a}keyhaven: hint: x");
        assert_eq!(shown("exe.\u{202e}txt"), "exe.\\u{202e}txt");
        assert_eq!(shown_lines("a\n\u{9b}2Jb\n"), "a\n\\u{9b}2Jb\n");
        // For programs it is the same text.
        let document = json!({ "title": "a\u{1b}\u{9b}2J\u{202e}b\nÜ" });
        for on_lines in [false, true] {
            let text = document_text(&document, on_lines);
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']) && text.contains('Ü'), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), document);
        }
    }
}
