//! AES-256-GCM (SP 800-38D) under keys that are used once or with a random nonce.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use secret::{SecretBytes, SecretVec};

use crate::Error;

/// Seals `plain`; the key must never see this nonce again.
#[allow(clippy::expect_used, reason = "the only failure is a plaintext of 64 GiB")]
pub(crate) fn seal(key: &SecretBytes<32>, nonce: &[u8; 12], plain: &[u8], aad: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(key.expose().into());
    cipher.encrypt(nonce.into(), Payload { msg: plain, aad }).expect("short plaintexts can be sealed")
}

/// Opens what [`seal`] made.
pub(crate) fn open(
    key: &SecretBytes<32>,
    nonce: &[u8; 12],
    ciphertext: &[u8],
    aad: &[u8],
    what: &'static str,
) -> Result<SecretVec, Error> {
    let cipher = Aes256Gcm::new(key.expose().into());
    cipher.decrypt(nonce.into(), Payload { msg: ciphertext, aad }).map(SecretVec::new).map_err(|_| Error::Open { what })
}
