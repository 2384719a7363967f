//! Files with a recovery password: the text file that Windows saves (any language, UTF-16 or UTF-8), or just the digits.

use secret::{RecoveryPassword, RecoveryPasswordError, SecretString};
use zeroize::Zeroizing;

/// Text of a file in UTF-16 (either byte order, with mark) or UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Option<SecretString> {
    let wide = |convert: fn([u8; 2]) -> u16| {
        let units: Zeroizing<Vec<u16>> =
            Zeroizing::new(bytes[2..].as_chunks::<2>().0.iter().map(|pair| convert(*pair)).collect());
        String::from_utf16(&units).ok().map(SecretString::new)
    };
    match bytes {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).ok().map(SecretString::from),
    }
}

/// Finds the recovery password in a text: the line whose digits form one. A text without any such line is read as the
/// password itself, so that a mistyped group is named.
///
/// # Errors
/// What is wrong with the best candidate.
pub(crate) fn find_password(text: &SecretString) -> Result<RecoveryPassword, RecoveryPasswordError> {
    let mut nearest = None;
    for line in text.expose().lines().map(|line| line.trim_matches(['\0', '\u{FEFF}'])) {
        match RecoveryPassword::parse(line) {
            Ok(password) => return Ok(password),
            // 48 digits that are not right: a mistyped password, not some other number in the text.
            Err(error) if digits(line) >= 40 => nearest = Some(error),
            Err(_) => {}
        }
    }
    match nearest {
        Some(error) => Err(error),
        None => RecoveryPassword::parse(text.expose()),
    }
}

fn digits(line: &str) -> usize {
    line.chars().filter(char::is_ascii_digit).count()
}

/// The file as Windows writes it: UTF-16LE with mark, CRLF.
pub(crate) fn encode(identifier: &str, password: &RecoveryPassword) -> Zeroizing<Vec<u8>> {
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
    fn a_mistyped_group_is_named_even_inside_prose() {
        let text = format!("Identifier:\n\t5F2B0A11\nRecovery Key:\n\t{}\n", TEXT.replace("013365", "013364"));
        let error = find_password(&SecretString::new(text)).err();
        assert_eq!(error, Some(RecoveryPasswordError::CheckDigit { group: 4 }));
    }
}
