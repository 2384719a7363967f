//! Files of the age format (C2SP), for one passphrase, whole in memory.
//!
//! Only what an export needs is here: writing. The crate that reads and writes all of the format is, in a browser, a third of the
//! whole client; the tests let it, and the `age` program, read what is written here.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use data_encoding::BASE64_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secret::{SecretBytes, SecretString, random_bytes};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Work of the passphrase's stretching: scrypt with N of two to this power, 128 MiB.
pub(crate) const LOG_N: u8 = 17;
/// Content that is sealed in one piece.
const CHUNK_BYTES: usize = 64 * 1024;
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";

/// Encrypts `content`. `None`: a limit of the primitives was met, which no content that fits in memory meets.
pub(crate) fn seal(passphrase: &SecretString, log_n: u8, content: &[u8]) -> Option<Vec<u8>> {
    let file_key = SecretBytes::<16>::random();
    let mut salt = [0; 16];
    random_bytes(&mut salt);
    let wrap_key = stretched(passphrase, log_n, &salt)?;
    let wrapped = encrypt(&wrap_key, &[0; 12], file_key.expose())?;
    let mut header = format!(
        "age-encryption.org/v1\n-> scrypt {} {log_n}\n{}\n---",
        BASE64_NOPAD.encode(&salt),
        BASE64_NOPAD.encode(&wrapped)
    );
    let mac_key = derived(file_key.expose(), &[], b"header")?;
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*mac_key).ok()?;
    mac.update(header.as_bytes());
    header.push(' ');
    header.push_str(&BASE64_NOPAD.encode(&mac.finalize().into_bytes()));
    header.push('\n');

    let mut sealed = header.into_bytes();
    let mut nonce = [0; 16];
    random_bytes(&mut nonce);
    sealed.extend_from_slice(&nonce);
    let key = derived(file_key.expose(), &nonce, b"payload")?;
    // An empty content is one empty chunk, the last.
    let chunks = content.len().div_ceil(CHUNK_BYTES).max(1);
    for number in 0..chunks {
        let chunk = content.chunks(CHUNK_BYTES).nth(number).unwrap_or_default();
        sealed.extend(encrypt(&key, &chunk_nonce(number as u64, number + 1 == chunks), chunk)?);
    }
    Some(sealed)
}

fn stretched(passphrase: &SecretString, log_n: u8, salt: &[u8; 16]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let params = scrypt::Params::new(log_n, 8, 1, 32).ok()?;
    scrypt::scrypt(passphrase.expose().as_bytes(), &[SALT_LABEL, salt].concat(), &params, &mut *key).ok()?;
    Some(key)
}

fn derived(file_key: &[u8; 16], salt: &[u8], label: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), file_key).expand(label, &mut *key).ok()?;
    Some(key)
}

fn encrypt(key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(Key::from_slice(key)).encrypt(Nonce::from_slice(nonce), content).ok()
}

/// Number of the chunk in eleven bytes, and whether it is the last.
fn chunk_nonce(number: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Quick to make and to read.
    const QUICK: u8 = 4;

    fn opened(sealed: &[u8], passphrase: &str) -> Option<Vec<u8>> {
        let identity = age::scrypt::Identity::new(age::secrecy::SecretString::from(passphrase.to_owned()));
        let decryptor = age::Decryptor::new(sealed).ok()?;
        let mut content = Vec::new();
        let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).ok()?;
        reader.read_to_end(&mut content).ok()?;
        Some(content)
    }

    #[test]
    fn the_formats_own_crate_reads_it_at_every_edge_of_a_chunk() {
        let passphrase = SecretString::from("six green kettles");
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut sealed = seal(&passphrase, QUICK, &content).unwrap();
            assert!(opened(&sealed, "six green kettles") == Some(content), "{length}");
            assert_eq!(opened(&sealed, "six green kettle"), None);
            let last = sealed.len() - 1;
            sealed[last] ^= 1;
            assert_eq!(opened(&sealed, "six green kettles"), None, "{length}");
        }
        let once = seal(&passphrase, QUICK, b"same").unwrap();
        assert_ne!(once, seal(&passphrase, QUICK, b"same").unwrap(), "each file has keys of its own");
    }
}
