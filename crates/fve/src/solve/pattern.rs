//! What can be read of a recovery password.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Digits of a recovery password.
pub(super) const DIGITS: usize = 48;
/// Digits of a group.
pub(super) const GROUP_DIGITS: usize = 6;

/// 48 places, at each the digits that may stand there.
///
/// In text: a digit, `?` for any, `[38]` for one of some. Between them may be hyphens, dashes, blanks. Without `Debug`: most of
/// a key is a key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DigitPattern {
    /// A bit for each digit, least significant 0.
    places: [u16; DIGITS],
}

/// Why a text is no pattern. Never holds a digit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Another number of places than 48.
    #[error("a recovery key has 48 digits; this pattern has {found} places")]
    Length {
        /// Places found.
        found: usize,
    },
    /// Something else than digits, `?`, brackets and separators.
    #[error("place {place} of the pattern is neither a digit nor `?` nor `[…]`")]
    NotADigit {
        /// Which place, from 1.
        place: usize,
    },
    /// Brackets that do not close, are empty, or hold something else than digits.
    #[error("the brackets at place {place} of the pattern do not hold digits alone")]
    Brackets {
        /// Which place, from 1.
        place: usize,
    },
}

const ANY: u16 = 0x3FF;

impl DigitPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut pattern = Self { places: [0; DIGITS] };
        let mut found = 0;
        let mut letters = text.trim().chars();
        while let Some(letter) = letters.next() {
            let place = found + 1;
            let set = match letter {
                '0'..='9' => digit_bit(letter),
                '?' | '_' | '*' => ANY,
                '[' => bracketed(&mut letters).ok_or(PatternError::Brackets { place })?,
                '-' | '\u{2010}'..='\u{2015}' | '.' | ',' => continue,
                _ if letter.is_whitespace() => continue,
                _ => return Err(PatternError::NotADigit { place }),
            };
            if let Some(place) = pattern.places.get_mut(found) {
                *place = set;
            }
            found += 1;
        }
        if found == DIGITS { Ok(pattern) } else { Err(PatternError::Length { found }) }
    }

    /// The six places of a group, 0 to 7.
    pub(super) fn group(&self, index: usize) -> [u16; GROUP_DIGITS] {
        let mut group = [0; GROUP_DIGITS];
        if let Some(places) = self.places.chunks_exact(GROUP_DIGITS).nth(index) {
            group.copy_from_slice(places);
        }
        group
    }
}

fn digit_bit(letter: char) -> u16 {
    letter.to_digit(10).map_or(0, |digit| 1 << digit)
}

/// The digits up to the closing bracket.
fn bracketed(letters: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut set = 0;
    loop {
        match letters.next()? {
            ']' if set != 0 => return Some(set),
            letter @ '0'..='9' => set |= digit_bit(letter),
            ' ' | ',' | '/' => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "235818-357951-253979-013365-241120-245575-342914-591910";

    fn error(text: &str) -> Option<PatternError> {
        DigitPattern::parse(text).err()
    }

    #[test]
    fn digits_unknown_and_doubtful() {
        let text = KNOWN.replacen("235818", "2?5[81][0,3,9]8", 1);
        let pattern = DigitPattern::parse(&text).unwrap();
        assert_eq!(pattern.group(0), [1 << 2, ANY, 1 << 5, 1 << 8 | 1 << 1, 1 | 1 << 3 | 1 << 9, 1 << 8]);
        assert_eq!(pattern.group(7)[5], 1);
        assert!(DigitPattern::parse(&KNOWN.replace('-', " ")).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        assert_eq!(error("123"), Some(PatternError::Length { found: 3 }));
        assert_eq!(error(&format!("{KNOWN}0")), Some(PatternError::Length { found: 49 }));
        assert_eq!(error(&KNOWN.replace("357951", "35x951")), Some(PatternError::NotADigit { place: 9 }));
        for bad in ["[", "[]", "[x]", "[1", "[?]"] {
            assert_eq!(error(&format!("1{bad}")), Some(PatternError::Brackets { place: 2 }), "{bad}");
        }
    }
}
