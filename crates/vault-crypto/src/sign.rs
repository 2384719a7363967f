//! Signing: Ed25519 (RFC 8032).

use ed25519_dalek::Signer;
use secret::SecretBytes;
use serde::Serialize;
use vault_protocol::{Bytes, FixedBytes, PublicKey, Signed, signature_input};

use crate::Error;

/// An Ed25519 key pair. The secret half is wiped when it is dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key pair that belongs to `seed`.
    #[must_use]
    pub fn from_seed(seed: &SecretBytes<32>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.expose()))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::Ed25519(FixedBytes(self.0.verifying_key().to_bytes()))
    }

    /// Signs the JSON of `payload`.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the payload cannot be written as JSON.
    pub fn sign<T: Serialize>(&self, kind: &'static str, payload: &T) -> Result<Signed, Error> {
        let payload = serde_json::to_vec(payload).map_err(|_| Error::Malformed { what: kind })?;
        let signature = self.0.sign(&signature_input(kind, &payload));
        Ok(Signed {
            kind: kind.to_owned(),
            payload: Bytes(payload),
            key_id: self.public().key_id(),
            signature: Bytes(signature.to_bytes().to_vec()),
        })
    }
}
