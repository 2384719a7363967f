//! The emergency kit: a printed code of 130 bits that opens the account without the password.
//!
//! 26 base32 characters and 2 check characters (the first 10 bits of SHA-256 of the 26), in groups of four. Letters that
//! look alike are forgiven: base32 has no 0, 1 and 8, so those are read as O, I and B.

use data_encoding::BASE32_NOPAD;
use secret::{SecretBytes, SecretString, SecretVec};
use vault_protocol::{FixedBytes, sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::kdf::derive;

const CODE_LETTERS: usize = 26;
const CHECK_LETTERS: usize = 2;

/// A kit code, without its check characters.
pub struct KitCode(SecretString);

impl KitCode {
    /// A new random code.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        let bits = SecretBytes::<17>::random();
        let text = Zeroizing::new(BASE32_NOPAD.encode(bits.expose()));
        Self(SecretString::from(&text[..CODE_LETTERS]))
    }

    /// Reads a typed code.
    ///
    /// # Errors
    /// [`Error::KitCode`] when it is incomplete or mistyped.
    pub fn parse(typed: &str) -> Result<Self, Error> {
        let mut letters = Zeroizing::new(String::with_capacity(typed.len()));
        for character in typed.chars().filter(|character| character.is_alphanumeric()) {
            letters.push(match character.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                other => other,
            });
        }
        let (code, check) = letters.split_at_checked(CODE_LETTERS).ok_or(Error::KitCode)?;
        if check != check_letters(code) {
            return Err(Error::KitCode);
        }
        Ok(Self(SecretString::from(code)))
    }

    /// The code as it is printed: seven groups of four, check characters last.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut text = String::with_capacity(40);
        let check = check_letters(self.0.expose());
        for (index, letter) in self.0.expose().chars().chain(check.chars()).enumerate() {
            if index > 0 && index % 4 == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        SecretString::new(text)
    }

    /// Whether `typed` ends like the printed code: the check that the kit really was printed or saved.
    #[must_use]
    pub fn ends_with(&self, typed: &str) -> bool {
        let clean = |text: &str| -> Zeroizing<String> {
            Zeroizing::new(text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect())
        };
        let typed = clean(typed);
        typed.len() == 6 && clean(self.to_text().expose()).ends_with(typed.as_str())
    }

    /// What its slot's keys are derived from.
    #[must_use]
    pub fn key_material(&self) -> SecretVec {
        SecretVec::new(derive::<32>(self.0.expose().as_bytes(), &[], "kit").expose().to_vec())
    }

    /// Proof that somebody holds the kit; the service stores its SHA-256 only.
    #[must_use]
    pub fn proof(&self) -> SecretBytes<32> {
        derive(self.0.expose().as_bytes(), &[], "kit-proof")
    }

    /// SHA-256 of the proof.
    #[must_use]
    pub fn proof_hash(&self) -> FixedBytes<32> {
        FixedBytes(sha256(&[self.proof().expose()]))
    }
}

fn check_letters(code: &str) -> String {
    BASE32_NOPAD.encode(&sha256(&[b"vault/1/kit-check", code.as_bytes()])[..2])[..CHECK_LETTERS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_code_reads_back_however_it_is_typed() {
        let code = KitCode::random();
        let printed = code.to_text();
        assert_eq!(printed.expose().len(), 28 + 6);
        for typed in [
            printed.expose().to_owned(),
            printed.expose().to_lowercase().replace('-', " "),
            printed.expose().replace('O', "0").replace('I', "1").replace('B', "8"),
        ] {
            let read = KitCode::parse(&typed).expect("the same code");
            assert!(read.0 == code.0);
        }
        assert!(code.ends_with(&printed.expose()[printed.expose().len() - 7..].replace('-', "")));
        assert!(!code.ends_with("AAAAAA") || printed.expose().ends_with("AAAA"));
    }

    #[test]
    fn a_wrong_letter_is_noticed() {
        let printed = KitCode::random().to_text().expose().to_owned();
        let wrong = if printed.starts_with('Q') { "R" } else { "Q" };
        let missed = (0..1).filter(|_| KitCode::parse(&format!("{wrong}{}", &printed[1..])).is_ok()).count();
        // Ten check bits: one code in a thousand passes by chance.
        assert!(missed <= 1);
        assert_eq!(KitCode::parse(&printed[..30]).err(), Some(Error::KitCode));
        assert_eq!(KitCode::parse("").err(), Some(Error::KitCode));
    }
}
