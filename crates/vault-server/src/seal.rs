//! Sealing of what the server must read back but the database must not: second-factor secrets and the state of a
//! ceremony between two calls.
//!
//! Construction: AES-256-GCM, random 96-bit nonce, output `nonce(12) || ciphertext || tag(16)`. The context (table and
//! row) is authenticated, so that a sealed value cannot be moved to another row. One key seals far fewer than 2^32
//! values, which is where random nonces would begin to matter (NIST SP 800-38D, 8.3).

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use secret::{SecretBytes, SecretVec, random_bytes};

const NONCE: usize = 12;

/// A key that seals one kind of value.
pub(crate) struct SealKey(SecretBytes<32>);

/// The value was not sealed by this key for this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open")]
pub struct OpenError;

impl SealKey {
    pub(crate) fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// Seals `plaintext` to `context`.
    pub(crate) fn seal(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut nonce = [0; NONCE];
        random_bytes(&mut nonce);
        let payload = Payload { msg: plaintext, aad: context };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| OpenError)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what [`SealKey::seal`] made for the same context.
    pub(crate) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<SecretVec, OpenError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(OpenError)?;
        let payload = Payload { msg: sealed, aad: context };
        self.cipher().decrypt(&Nonce::from(*nonce), payload).map(SecretVec::new).map_err(|_| OpenError)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.0.expose().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_in_its_own_row() {
        let key = SealKey::new(SecretBytes::random());
        let sealed = key.seal(b"factors/1", b"seed").unwrap();
        assert!(key.open(b"factors/1", &sealed).unwrap().expose() == b"seed");
        assert!(key.open(b"factors/2", &sealed).is_err());
        assert!(SealKey::new(SecretBytes::random()).open(b"factors/1", &sealed).is_err());
        assert!(key.open(b"factors/1", &sealed[..20]).is_err());
        assert!(key.open(b"factors/1", &[]).is_err());
        assert_ne!(sealed, key.seal(b"factors/1", b"seed").unwrap());
    }
}
