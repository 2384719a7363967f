//! One key of an export, with its titles.

use std::fmt;

use fve_format::Guid;
use secret::{RecoveryPassword, RecoveryPasswordError, SecretBytes};

/// Longest title that is kept.
const TITLE_CHARS: usize = 200;

/// What opens a drive.
pub enum Key {
    /// 48 digits, check digits verified.
    RecoveryPassword(RecoveryPassword),
    /// The key of a `.BEK` file.
    ExternalKey(SecretBytes<32>),
}

/// Identifier of a key protector as text in upper case: the whole one, or its first eight characters where an export shows
/// no more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The eight characters that a locked PC shows.
    #[must_use]
    pub fn start(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }

    /// Whether it is the whole identifier.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() > 8
    }

    /// Eight hexadecimal characters, or a whole identifier.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(guid) = text.parse::<Guid>() {
            return Some(guid.into());
        }
        let short = text.trim_start_matches('{').trim_end_matches('}');
        let fits = short.len() == 8 && short.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(short.to_ascii_uppercase()))
    }
}

impl From<Guid> for KeyId {
    fn from(guid: Guid) -> Self {
        Self(guid.to_string())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where in the input a row stands, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A line of text.
    Line(u64),
    /// An object or a directory entry, counted among its like.
    Entry(u64),
    /// The file as a whole.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(formatter, "line {number}"),
            Self::Entry(number) => write!(formatter, "entry {number}"),
            Self::Whole => formatter.write_str("the file"),
        }
    }
}

/// What kind of drive a key is for, where the export says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VolumeType {
    /// The drive with the operating system.
    Os,
    /// Another drive inside the computer.
    Fixed,
    /// A drive that can be taken out.
    Removable,
    /// Not said.
    #[default]
    Unknown,
}

impl VolumeType {
    /// Its name in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Fixed => "fixed",
            Self::Removable => "removable",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a row has no key. Never holds a digit of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Something near 48 digits that is no recovery password.
    #[error(transparent)]
    Password(#[from] RecoveryPasswordError),
    /// The entry is about a key and does not hold it.
    #[error("the export does not hold the key itself")]
    NoKey,
    /// The export says that it goes on elsewhere.
    #[error("the export has further pages that are not in this file")]
    MorePages,
    /// The identifier is not one.
    #[error("the key ID is neither a whole identifier nor its first eight characters")]
    KeyId,
    /// A value is not valid base64, or not text.
    #[error("the value of {attribute} cannot be decoded")]
    Encoding {
        /// Of which attribute.
        attribute: &'static str,
    },
}

/// One key of an export.
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// Its identifier, where there is one.
    pub key_id: Option<KeyId>,
    /// The key, or why there is none.
    pub key: Result<Key, Refusal>,
    /// The PC.
    pub computer: String,
    /// The drive's letter or mount point.
    pub drive: String,
    /// The drive's label.
    pub label: String,
    /// Encryption method.
    pub method: String,
    /// What kind of drive it is.
    pub volume_type: VolumeType,
    /// When the key was made or saved, as the export writes it.
    pub created: Option<String>,
}

impl Row {
    pub(crate) fn new(place: Place, key: Result<Key, Refusal>) -> Self {
        Self {
            place,
            key_id: None,
            key,
            computer: String::new(),
            drive: String::new(),
            label: String::new(),
            method: String::new(),
            volume_type: VolumeType::Unknown,
            created: None,
        }
    }

    pub(crate) fn of_password(place: Place, parsed: Result<RecoveryPassword, RecoveryPasswordError>) -> Self {
        Self::new(place, parsed.map(Key::RecoveryPassword).map_err(Refusal::from))
    }
}

/// Digits from which on a text could be a key, however it is divided; an identifier has 32.
const KEY_DIGITS: usize = 40;

/// A title as it may be shown and kept: one line, not too long. What could be a key is no title.
pub(crate) fn title(text: &str) -> String {
    if text.bytes().filter(u8::is_ascii_digit).count() >= KEY_DIGITS {
        return String::new();
    }
    let shown = text.trim().chars().filter(|found| !found.is_control() && *found != '\u{FEFF}');
    shown.take(TITLE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_short_line_and_no_key() {
        assert_eq!(title("  PC-1\u{0}\r\n two "), "PC-1 two");
        assert_eq!(title(&"x".repeat(300)).len(), TITLE_CHARS);
        let guid = "12345678-1234-1234-1234-123456789012";
        assert_eq!(title(guid), guid);
        let key = "235818-357951-253979-013365-241120-245575-342914-591910";
        for hidden in [key.to_owned(), key.replacen('-', "\0\0", 1), key.replace('-', "\0"), key.replace('1', "1\t")] {
            assert_eq!(title(&hidden), "", "{hidden:?}");
        }
    }
}
