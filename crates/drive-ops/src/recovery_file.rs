//! Files with a recovery password: the text file that Windows saves (any language, UTF-16 or UTF-8), or just the digits.

use secret::{RecoveryPassword, RecoveryPasswordError, SecretString};
use zeroize::Zeroizing;

/// Text of a file in UTF-16 (either byte order, with mark) or UTF-8 (with or without).
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<SecretString> {
    let wide = |convert: fn([u8; 2]) -> u16| {
        let units: Zeroizing<Vec<u16>> =
            Zeroizing::new(bytes[2..].as_chunks::<2>().0.iter().map(|pair| convert(*pair)).collect());
        String::from_utf16(&units).ok().map(SecretString::new)
    };
    match bytes {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok().map(SecretString::from),
        _ => std::str::from_utf8(bytes).ok().map(SecretString::from),
    }
}

/// Text of a file in which only the digits matter: one in an older code page, letter by letter, where it is nothing else.
#[must_use]
pub fn decode_for_digits(bytes: &[u8]) -> SecretString {
    decode(bytes).unwrap_or_else(|| SecretString::new(bytes.iter().map(|byte| char::from(*byte)).collect()))
}

/// Finds the recovery password in a text: eight groups of six digits on one line, whatever stands before and behind them. A
/// text without any is read as the password itself, so that a mistyped group is named.
///
/// # Errors
/// What is wrong with the best candidate.
pub fn find_password(text: &SecretString) -> Result<RecoveryPassword, RecoveryPasswordError> {
    let mut nearest = None;
    for line in text.expose().lines().map(|line| line.trim_matches(['\0', '\u{FEFF}'])) {
        match RecoveryPassword::parse(line) {
            Ok(password) => return Ok(password),
            // 48 digits that are not right: a mistyped password, not some other number in the text.
            Err(error) if digits(line) >= 40 => nearest = Some(error),
            Err(_) => {}
        }
        for candidate in candidates(line) {
            match RecoveryPassword::parse(&candidate) {
                Ok(password) => return Ok(password),
                Err(error) => nearest = Some(error),
            }
        }
    }
    match nearest {
        Some(error) => Err(error),
        None => RecoveryPassword::parse(text.expose()),
    }
}

/// Every place in a line where eight groups of six digits stand, with one character between groups: `Recovery Key:
/// 123456-…`, a row of a table, an exported attribute.
fn candidates(line: &str) -> impl Iterator<Item = Zeroizing<String>> {
    const TEXT_CHARS: usize = 8 * 7 - 1;
    let has_shape = |text: &str| {
        text.chars().count() == TEXT_CHARS
            && text.chars().enumerate().all(|(index, found)| found.is_ascii_digit() == (index % 7 != 6))
    };
    let starts = line.char_indices().scan(false, |inside, (at, found)| {
        let first = found.is_ascii_digit() && !*inside;
        *inside = found.is_ascii_digit();
        Some(first.then_some(at))
    });
    starts.flatten().filter_map(move |at| {
        let mut rest = line[at..].chars();
        let text = Zeroizing::new(rest.by_ref().take(TEXT_CHARS).collect::<String>());
        let ends = rest.next().is_none_or(|next| !next.is_ascii_digit());
        (ends && has_shape(&text)).then_some(text)
    })
}

fn digits(line: &str) -> usize {
    line.chars().filter(char::is_ascii_digit).count()
}

/// The file as Windows writes it: UTF-16LE with mark, CRLF.
#[must_use]
pub fn encode(identifier: &str, password: &RecoveryPassword) -> Zeroizing<Vec<u8>> {
    let digits = password.to_text();
    let text = Zeroizing::new(format!(
        "BitLocker Drive Encryption recovery key \0\r\n\r\n\
         To verify that this is the correct recovery key, compare the start of the following identifier with the \
         identifier value displayed on your PC.\r\n\r\n\
         Identifier:\r\n\r\n\t{identifier}\r\n\r\n\
         If the above identifier matches the one displayed by your PC, then use the following key to unlock your \
         drive.\r\n\r\n\
         Recovery Key:\r\n\r\n\t{}\r\n\r\n\
         If the above identifier doesn't match the one displayed by your PC, then this isn't the right key to unlock \
         your drive.\r\nTry another recovery key.\r\n",
        digits.expose()
    ));
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 + text.len() * 2));
    bytes.extend_from_slice(&[0xFF, 0xFE]);
    bytes.extend_from_slice(&SecretString::from(text.as_str()).to_utf16le());
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const TEXT: &str = "235818-357951-253979-013365-241120-245575-342914-591910";

    #[test]
    fn a_file_of_ours_reads_back() {
        let password = RecoveryPassword::parse(TEXT).unwrap();
        let file = encode("5F2B0A11-0000-4000-8000-000000000000", &password);
        let read = find_password(&decode(&file).unwrap()).unwrap();
        assert!(read == password);
    }

    #[test]
    fn digits_alone_in_any_form_are_enough() {
        for text in [TEXT.to_owned(), TEXT.replace('-', " "), TEXT.replace('-', "\n"), format!("{TEXT}\n")] {
            assert!(find_password(&SecretString::new(text)).is_ok());
        }
    }

    #[test]
    fn the_digits_are_found_among_other_text() {
        for text in [
            format!("RecoveryPassword     : {TEXT}"),
            format!("Recovery Key: {TEXT}."),
            format!("E:,{{5F2B0A11-0000-4000-8000-000000000000}},\"{TEXT}\",2026-11-25"),
            format!("msFVE-RecoveryPassword: {}", TEXT.replace('-', "\u{2013}")),
            format!("123456 {TEXT} 123456"),
        ] {
            assert!(find_password(&SecretString::from(text.as_str())).is_ok(), "{text}");
        }
        let mistyped = format!("RecoveryPassword : {}", TEXT.replace("013365", "013364"));
        let error = find_password(&SecretString::new(mistyped)).err();
        assert_eq!(error, Some(RecoveryPasswordError::CheckDigit { group: 4 }));
        // More digits than a recovery password: not cut out of the middle.
        assert!(find_password(&SecretString::new(format!("{TEXT}0"))).is_err());
    }

    #[test]
    fn marks_and_code_pages_do_not_matter() {
        let marked = [b"\xEF\xBB\xBF", "caf\u{e9}".as_bytes()].concat();
        assert_eq!(decode(&marked).unwrap().expose(), "caf\u{e9}");
        let german = [b"Wiederherstellungsschl\xFCssel: ", TEXT.as_bytes()].concat();
        assert!(decode(&german).is_none());
        assert!(find_password(&decode_for_digits(&german)).is_ok());
    }

    #[test]
    fn a_mistyped_group_is_named_even_inside_prose() {
        let text = format!("Identifier:\n\t5F2B0A11\nRecovery Key:\n\t{}\n", TEXT.replace("013365", "013364"));
        let error = find_password(&SecretString::new(text)).err();
        assert_eq!(error, Some(RecoveryPasswordError::CheckDigit { group: 4 }));
    }
}
