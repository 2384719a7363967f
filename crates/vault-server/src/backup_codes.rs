//! Backup codes: made from the system's randomness, shown once, kept as HMACs under a key outside the database.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use secret::SecretBytes;
use sha2::Sha256;
use vault_protocol::backup_code::{LETTERS, letters};
use vault_protocol::limits::BACKUP_CODES;
use vault_store::{AccountId, Digest};
use zeroize::Zeroizing;

use crate::app::Inner;

const GROUP: usize = 4;

/// A full set of new codes, as they are shown.
pub(crate) fn new_codes() -> Vec<Zeroizing<String>> {
    std::iter::repeat_with(new_code).take(BACKUP_CODES).collect()
}

fn new_code() -> Zeroizing<String> {
    // Eight bytes give thirteen letters; the last one, of four bits, is left out.
    let text = Zeroizing::new(BASE32_NOPAD.encode(SecretBytes::<8>::random().expose()));
    let mut code = Zeroizing::new(String::with_capacity(LETTERS + LETTERS / GROUP));
    for (index, letter) in text.chars().take(LETTERS).enumerate() {
        if index > 0 && index % GROUP == 0 {
            code.push('-');
        }
        code.push(letter);
    }
    code
}

impl Inner {
    /// What the database keeps of a code; `None` for what has not the form of one.
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn backup_code_hash(&self, account: AccountId, typed: &str) -> Option<Digest> {
        let letters = Zeroizing::new(letters(typed)?);
        let key = self.keys.backup_code_key.expose();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
        mac.update(account.as_bytes());
        mac.update(&letters[..]);
        Some(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_form_and_differ() {
        let codes = new_codes();
        let distinct: std::collections::BTreeSet<_> = codes.iter().map(|code| letters(code).unwrap()).collect();
        assert_eq!(distinct.len(), BACKUP_CODES);
        assert!(codes.iter().all(|code| code.len() == 14 && code.matches('-').count() == 2));
    }
}
