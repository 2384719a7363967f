//! Reports to standard output, everything else to standard error.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// A name from a drive or a word of a service, safe for a terminal: control characters and the marks that turn text around are
/// escaped.
pub(crate) fn shown(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_control() || turns(letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

fn turns(letter: char) -> bool {
    matches!(letter, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

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

/// Something a person should know although the command goes on.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "keyhaven: {}", shown_lines(text));
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
    use serde_json::json;

    use super::{document_text, shown, shown_lines, size};

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

    #[test]
    fn sizes() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(511), "511 bytes");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(65_994_752), "62.9 MiB");
        assert_eq!(size(4 << 40), "4 TiB");
    }
}
