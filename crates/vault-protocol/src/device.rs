//! Device certificates and the codes of enrolment.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Bytes, DeviceId, Millis, PublicKey};

/// Letters of user codes and typed enrolment secrets: no vowels (no words), none that look or sound alike.
pub const CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters in a user code and in a typed enrolment secret.
pub const CODE_LETTERS: usize = 8;
/// The only capability of this version: append records and ask about one's own.
pub const CAPABILITY_APPEND: &str = "records.append";

/// What the owner's identity key vouches for: this key may append records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose device.
    pub account_id: AccountId,
    /// Which device.
    pub device_id: DeviceId,
    /// What the owner calls it.
    pub name: String,
    /// Signs its saves.
    pub device_pk: PublicKey,
    /// X-Wing key that receives index keys and settings, 1216 bytes.
    pub box_pk: Bytes,
    /// What it may do, see [`CAPABILITY_APPEND`].
    pub capability: String,
    /// The account's index key, sealed to the box key.
    pub index_key_sealed: Bytes,
    /// Organisation it is enrolled for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// From when on.
    pub issued_at: Millis,
    /// Until when, where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
}

impl Certificate {
    /// Type of the signed object.
    pub const KIND: &'static str = "device-certificate";
}

/// Brings a typed code into its one form: upper case, letters of the alphabet only. `None` when something else is left
/// or the length is wrong.
#[must_use]
pub fn normalise_code(typed: &str) -> Option<String> {
    let code: String = typed
        .chars()
        .filter(|character| !character.is_whitespace() && *character != '-')
        .map(|character| character.to_ascii_uppercase())
        .collect();
    let fits = code.len() == CODE_LETTERS && code.bytes().all(|byte| CODE_ALPHABET.contains(&byte));
    fits.then_some(code)
}

/// The code as it is shown: two groups of four.
#[must_use]
pub fn display_code(code: &str) -> String {
    match code.split_at_checked(CODE_LETTERS / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_codes_are_forgiven_their_looks() {
        assert_eq!(normalise_code(" bcdf-ghjk "), Some("BCDFGHJK".to_owned()));
        assert_eq!(normalise_code("bcdf ghja"), None, "A is not a letter of codes");
        assert_eq!(normalise_code("bcdf"), None);
        assert_eq!(display_code("BCDFGHJK"), "BCDF-GHJK");
    }
}
