//! The form of backup codes: twelve base32 letters, 60 bits, in groups of four.

/// Kind of a second factor that is one of the backup codes.
pub const KIND: &str = "backup-code";
/// What a step-up that makes new ones names as its target.
pub const TARGET: &str = "backup-codes";
/// Letters of a code.
pub const LETTERS: usize = 12;

/// The letters of a typed code; `None` when it has not the form of one.
///
/// Hyphens and spaces do not count, nor does the case; base32 has no 0, 1 and 8, so those are read as O, I and B.
#[must_use]
pub fn letters(typed: &str) -> Option<[u8; LETTERS]> {
    letters_of(typed)
}

/// The same for codes of other lengths.
#[must_use]
pub fn letters_of<const N: usize>(typed: &str) -> Option<[u8; N]> {
    let mut letters = [0; N];
    let mut length = 0;
    for character in typed.chars().filter(|character| !character.is_whitespace() && *character != '-') {
        *letters.get_mut(length)? = match character.to_ascii_uppercase() {
            '0' => b'O',
            '1' => b'I',
            '8' => b'B',
            letter @ ('A'..='Z' | '2'..='7') => u8::try_from(letter).ok()?,
            _ => return None,
        };
        length += 1;
    }
    (length == N).then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_it_is_typed() {
        for typed in ["ABCO-2345-IBYZ", "abco 2345 ibyz", "ABC02345-18YZ", " abco2345ibyz "] {
            assert_eq!(letters(typed).as_ref(), Some(b"ABCO2345IBYZ"), "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_code_is_told_from_one() {
        let long = "A".repeat(100_000);
        for typed in ["", "123456", "ABCO-2345-IBY", "ABCO-2345-IBYZA", "ABCO-2345-IBY9", "ABCÖ-2345-IBYZ", "\0", &long]
        {
            assert_eq!(letters(typed), None, "{}", &typed[..typed.len().min(20)]);
        }
    }
}
