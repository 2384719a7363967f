//! Names that can be shown, and a way to show those that cannot.
//!
//! Windows allows every name Unix allows and the other way round, but for the separators, NUL and the two names that mean
//! directories. A damaged or hostile volume has such names; they are shown with the bytes that do not work as `%2F`.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a name can be one component of a path.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// A plain name for any name: itself where it is plain; else with `/`, NUL, `%` and a leading `.` as `%` and two digits.
#[must_use]
pub fn escape(name: &str) -> Cow<'_, str> {
    if is_plain(name) {
        return Cow::Borrowed(name);
    }
    if name.is_empty() {
        return Cow::Borrowed("%");
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (index, letter) in name.chars().enumerate() {
        match letter {
            '/' | '\0' | '%' => escape_into(&mut out, letter),
            '.' if index == 0 => escape_into(&mut out, letter),
            _ => out.push(letter),
        }
    }
    Cow::Owned(out)
}

/// What [`escape`] may have been given to come to `shown`; `None` when it gives other names only as they are.
#[must_use]
pub fn unescape(shown: &str) -> Option<String> {
    if shown == "%" {
        return Some(String::new());
    }
    let mut out = String::with_capacity(shown.len());
    let mut rest = shown;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at)?);
        out.push(match rest.get(at..at + 3)? {
            "%2F" => '/',
            "%00" => '\0',
            "%25" => '%',
            "%2E" => '.',
            _ => return None,
        });
        rest = rest.get(at + 3..)?;
    }
    out.push_str(rest);
    // Only what is not plain was ever escaped.
    (!is_plain(&out)).then_some(out)
}

/// The path of a name in a directory.
#[must_use]
pub fn child(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

fn escape_into(out: &mut String, letter: char) {
    // Writing to a String cannot fail.
    let _ = write!(out, "%{:02X}", u32::from(letter));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_and_others_come_back() {
        for name in ["a", "...", ".hidden", "100%", "%2f", "COM1", "a\\b", "Grüße", "new\nline"] {
            assert_eq!(escape(name), name);
            assert_eq!(unescape(name), None, "{name}");
        }
        for (name, shown) in [
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E."),
            ("a/b", "a%2Fb"),
            ("nul\0", "nul%00"),
            ("50%/", "50%25%2F"),
            ("/", "%2F"),
        ] {
            assert_eq!(escape(name), shown);
            assert!(is_plain(shown));
            // `%2F` alone is a name of its own, too; both readings are tried.
            assert_eq!(unescape(shown).as_deref(), Some(name), "{shown}");
        }
    }
}
