//! Does a recovery password lie about somewhere, in any form? For tests that search whole files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::{BASE32, BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use secret::RecoveryPassword;

/// A form of a secret, and bytes that give it away.
#[derive(Clone)]
pub struct Form {
    /// What it is, in words.
    pub name: String,
    bytes: Vec<u8>,
}

/// A form that was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Which file.
    pub file: PathBuf,
    /// Which form.
    pub form: String,
}

/// Every form of a recovery password: its digits as people and programs write them, the 16 bytes they stand for, and both
/// in hexadecimal, base32 and base64.
///
/// Each form is searched as two halves: a database may store a long value in two places.
#[must_use]
pub fn forms(password: &RecoveryPassword) -> Vec<Form> {
    let text = password.to_text();
    let hyphens = text.expose();
    let digits = hyphens.replace('-', "");
    let spaces = hyphens.replace('-', " ");
    let mut whole = vec![("the 16 bytes".to_owned(), password.key().to_vec())];
    let mut reversed = password.key().to_vec();
    reversed.reverse();
    whole.push(("the 16 bytes, reversed".to_owned(), reversed));
    for (name, text) in [("digits", digits.as_str()), ("digits in groups", hyphens), ("digits, spaced", &spaces)] {
        let utf16: Vec<u16> = text.encode_utf16().collect();
        whole.push((name.to_owned(), text.as_bytes().to_vec()));
        whole.push((format!("{name}, UTF-16"), utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect()));
    }
    let mut all = whole.clone();
    for (name, bytes) in &whole {
        all.extend(encoded(name, bytes));
    }
    all.into_iter().flat_map(|(name, bytes)| halves(&name, &bytes)).collect()
}

fn encoded(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (encoding, text) in [
        ("hexadecimal", HEXLOWER.encode(bytes)),
        ("upper-case hexadecimal", HEXUPPER.encode(bytes)),
        ("base32", BASE32.encode(bytes).trim_end_matches('=').to_owned()),
    ] {
        all.push((format!("{name} in {encoding}"), text.into_bytes()));
    }
    // Base64 looks different at each of three places relative to what goes before it.
    for (shift, skip) in [(0, 0), (1, 2), (2, 3)] {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(bytes);
        for (encoding, text) in [("base64", BASE64.encode(&shifted)), ("base64url", BASE64URL.encode(&shifted))] {
            // The first letters hold bits of what goes before, the last ones of what comes after.
            let whole = &text[skip..text.len() - 4];
            all.push((format!("{name} in {encoding}"), whole.as_bytes().to_vec()));
        }
    }
    all
}

fn halves(name: &str, bytes: &[u8]) -> [Form; 2] {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [first, second].map(|half| Form { name: name.to_owned(), bytes: half.to_vec() })
}

/// The forms that occur in these bytes.
#[must_use]
pub fn search(bytes: &[u8], forms: &[Form]) -> Vec<String> {
    let mut found: Vec<String> =
        forms.iter().filter(|form| contains(bytes, &form.bytes)).map(|form| form.name.clone()).collect();
    found.dedup();
    found
}

/// The forms that occur in the files below a folder, and how many bytes were searched.
///
/// # Errors
/// A file or folder that cannot be read.
pub fn search_folder(folder: &Path, forms: &[Form]) -> io::Result<(Vec<Leak>, u64)> {
    let (mut leaks, mut searched) = (Vec::new(), 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let (found, bytes) = search_folder(&path, forms)?;
            leaks.extend(found);
            searched += bytes;
            continue;
        }
        let bytes = fs::read(&path)?;
        searched += bytes.len() as u64;
        leaks.extend(search(&bytes, forms).into_iter().map(|form| Leak { file: path.clone(), form }));
    }
    Ok((leaks, searched))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return false };
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| byte == first) {
        let start = from + at + 1;
        if haystack[start..].starts_with(rest) {
            return true;
        }
        from = start;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_form_wherever_it_lies() {
        let password = RecoveryPassword::from_key(b"sixteen bytes !!");
        let forms = forms(&password);
        let text = password.to_text();
        let digits = text.expose().replace('-', "");
        for shift in 0..3 {
            let mut plain = vec![b'x'; shift];
            plain.extend_from_slice(password.key());
            plain.extend_from_slice(b"tail");
            let mut written = vec![b'y'; shift];
            written.extend_from_slice(digits.as_bytes());
            written.extend_from_slice(b"tail");
            for bytes in [&plain, &written] {
                assert!(!search(bytes, &forms).is_empty());
                assert!(!search(BASE64URL.encode(bytes).as_bytes(), &forms).is_empty(), "base64 at {shift}");
                assert!(!search(HEXLOWER.encode(bytes).as_bytes(), &forms).is_empty());
            }
        }
        let (first, second) = digits.split_at(30);
        assert!(!search(format!("{first}----{second}").as_bytes(), &forms).is_empty(), "a value in two places");
        assert!(search(b"nothing of it: 123456-123456", &forms).is_empty());
    }
}
