//! The recovery password: 48 digits in eight groups, each group a 16-bit number times eleven.
//!
//! Source: `docs/format/recovery-password.md`; observed in every volume with a recovery password.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::SecretString;

const GROUPS: usize = 8;
const DIGITS_PER_GROUP: usize = 6;
/// First group value that no longer fits: 65536 × 11.
const GROUP_LIMIT: u32 = 720_896;

/// A recovery password that passed its check digits.
///
/// Held as the 16-byte recovery key it stands for: eight `u16`, little-endian, in the order of the groups.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryPassword {
    key: [u8; 16],
}

/// Why a typed recovery password cannot be one. Groups count from 1. Never holds a digit of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryPasswordError {
    /// The number of digits differs from 48.
    #[error("a recovery password has 48 digits in 8 groups of 6; this one has {found} digits")]
    Length {
        /// Digits found.
        found: usize,
    },
    /// The text is divided into groups and one of them does not have six digits.
    #[error("group {group} of the recovery password has {found} digits instead of 6")]
    GroupLength {
        /// Which group, 1 to 8.
        group: usize,
        /// Digits in that group.
        found: usize,
    },
    /// Something that is neither a digit nor a separator.
    #[error("the recovery password holds a character that is not a digit (in group {group})")]
    NotADigit {
        /// The group in which it stands, 1 or more.
        group: usize,
    },
    /// The check digit of a group does not fit: at least one digit of that group is wrong.
    #[error("group {group} of the recovery password is mistyped: its check digit does not fit")]
    CheckDigit {
        /// Which group, 1 to 8.
        group: usize,
    },
    /// The group passes its check digit but is 720896 or more, which no recovery password contains.
    #[error("group {group} of the recovery password is mistyped: its value is too large")]
    TooLarge {
        /// Which group, 1 to 8.
        group: usize,
    },
}

impl RecoveryPassword {
    /// Reads the 48 digits as people type them: hyphens, dashes, spaces, tabs, dots, line ends, or nothing between the
    /// groups.
    ///
    /// # Errors
    /// The first thing wrong, with the number of its group.
    pub fn parse(text: &str) -> Result<Self, RecoveryPasswordError> {
        let digits = collect_digits(text)?;
        let mut key = [0; 16];
        for (index, group) in digits.chunks_exact(DIGITS_PER_GROUP).enumerate() {
            let value = group.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
            let group = index + 1;
            if value % 11 != 0 {
                return Err(RecoveryPasswordError::CheckDigit { group });
            }
            if value >= GROUP_LIMIT {
                return Err(RecoveryPasswordError::TooLarge { group });
            }
            let number = u16::try_from(value / 11).map_err(|_| RecoveryPasswordError::TooLarge { group })?;
            key[index * 2..index * 2 + 2].copy_from_slice(&number.to_le_bytes());
        }
        Ok(Self { key })
    }

    /// The password that stands for a 16-byte recovery key.
    #[must_use]
    pub fn from_key(key: &[u8; 16]) -> Self {
        Self { key: *key }
    }

    /// A new random recovery password (128 bits).
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        let mut key = [0; 16];
        crate::random_bytes(&mut key);
        let password = Self { key };
        key.zeroize();
        password
    }

    /// The 16-byte recovery key that is stretched.
    #[must_use]
    pub fn key(&self) -> &[u8; 16] {
        &self.key
    }

    /// The text form: eight groups of six digits joined by hyphens, 55 characters.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut text = String::with_capacity(GROUPS * (DIGITS_PER_GROUP + 1));
        for (index, pair) in self.key.chunks_exact(2).enumerate() {
            if index > 0 {
                text.push('-');
            }
            let mut value = u32::from(u16::from_le_bytes([pair[0], pair[1]])) * 11;
            let mut divisor = 100_000;
            while divisor > 0 {
                let digit = u8::try_from(value / divisor).unwrap_or(0);
                text.push(char::from(b'0' + digit));
                value %= divisor;
                divisor /= 10;
            }
        }
        SecretString::new(text)
    }
}

impl PartialEq for RecoveryPassword {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.key.ct_eq(&other.key).into()
    }
}

impl Eq for RecoveryPassword {}

/// Digits only, 48 of them; when the text is divided into exactly eight parts, a short or long part is named.
fn collect_digits(text: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, RecoveryPasswordError> {
    let mut digits = zeroize::Zeroizing::new(Vec::with_capacity(text.len()));
    let mut part_lengths = Vec::new();
    let mut in_part = 0_usize;
    for character in text.trim().chars() {
        if let Some(digit) = character.to_digit(10) {
            digits.push(u8::try_from(digit).unwrap_or(0));
            in_part += 1;
        } else if is_separator(character) {
            if in_part > 0 {
                part_lengths.push(in_part);
            }
            in_part = 0;
        } else {
            return Err(RecoveryPasswordError::NotADigit { group: digits.len() / DIGITS_PER_GROUP + 1 });
        }
    }
    if in_part > 0 {
        part_lengths.push(in_part);
    }
    if part_lengths.len() == GROUPS
        && let Some(index) = part_lengths.iter().position(|length| *length != DIGITS_PER_GROUP)
    {
        return Err(RecoveryPasswordError::GroupLength { group: index + 1, found: part_lengths[index] });
    }
    if digits.len() != GROUPS * DIGITS_PER_GROUP {
        return Err(RecoveryPasswordError::Length { found: digits.len() });
    }
    Ok(digits)
}

/// What people and programs put between groups: white space, every kind of dash, dots, commas, byte-order marks.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '.' | ',' | ';' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FEFF}' | '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "235818-357951-253979-013365-241120-245575-342914-591910";
    const KEY: [u8; 16] =
        [0xbe, 0x53, 0x1d, 0x7f, 0x31, 0x5a, 0xbf, 0x04, 0xa0, 0x55, 0x35, 0x57, 0xc6, 0x79, 0x32, 0xd2];

    fn check(text: &str, expected: Result<[u8; 16], RecoveryPasswordError>) {
        let result = RecoveryPassword::parse(text).map(|password| *password.key());
        assert_eq!(result, expected, "{text:?}");
    }

    #[test]
    fn accepts_what_people_type() {
        check(TEXT, Ok(KEY));
        check(&TEXT.replace('-', ""), Ok(KEY));
        check(&TEXT.replace('-', " "), Ok(KEY));
        check(&format!("\u{FEFF}  {}\r\n", TEXT.replace('-', " – ")), Ok(KEY));
        check(&TEXT.replacen('-', "", 3), Ok(KEY));
    }

    #[test]
    fn names_the_wrong_group() {
        check(&TEXT.replace("013365", "013364"), Err(RecoveryPasswordError::CheckDigit { group: 4 }));
        check(&TEXT.replace("591910", "720896"), Err(RecoveryPasswordError::TooLarge { group: 8 }));
        check(&TEXT.replace("357951", "35795"), Err(RecoveryPasswordError::GroupLength { group: 2, found: 5 }));
        check(&TEXT.replace("357951", "35795O"), Err(RecoveryPasswordError::NotADigit { group: 2 }));
        check("", Err(RecoveryPasswordError::Length { found: 0 }));
        check(&TEXT[..40], Err(RecoveryPasswordError::Length { found: 35 }));
    }

    #[test]
    fn text_form_is_the_windows_form() {
        assert_eq!(RecoveryPassword::from_key(&KEY).to_text().expose(), TEXT);
    }

    proptest::proptest! {
        #[test]
        fn text_then_parse_is_identity(key: [u8; 16]) {
            let password = RecoveryPassword::from_key(&key);
            proptest::prop_assert_eq!(
                RecoveryPassword::parse(password.to_text().expose()).map(|read| *read.key()), Ok(key));
        }

        #[test]
        fn any_single_wrong_digit_is_found(key: [u8; 16], position in 0..48_usize, change in 1..10_u8) {
            let text = RecoveryPassword::from_key(&key).to_text();
            let mut digits: Vec<u8> = text.expose().bytes().filter(|byte| *byte != b'-').collect();
            digits[position] = b'0' + (digits[position] - b'0' + change) % 10;
            let typed = String::from_utf8(digits).expect("digits are text");
            let group = position / 6 + 1;
            let error = RecoveryPassword::parse(&typed).err();
            let named = matches!(error,
                Some(RecoveryPasswordError::CheckDigit { group: found } | RecoveryPasswordError::TooLarge { group: found })
                    if found == group);
            proptest::prop_assert!(named);
        }
    }
}
