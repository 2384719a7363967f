//! Signed objects.
//!
//! `{"t": type, "p": payload bytes, "k": key id, "s": signature}`. The signature is over `vault/1/<type>`, a zero byte and
//! the payload exactly as it was sent; those bytes are what is stored and hashed.

use serde::{Deserialize, Serialize};

use crate::{Bytes, FixedBytes, sha256};

/// A payload with the signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// What the payload is; part of what is signed.
    #[serde(rename = "t")]
    pub kind: String,
    /// The payload, exactly as it was signed.
    #[serde(rename = "p")]
    pub payload: Bytes,
    /// Which key signed.
    #[serde(rename = "k")]
    pub key_id: KeyId,
    /// The signature.
    #[serde(rename = "s")]
    pub signature: Bytes,
}

impl Signed {
    /// SHA-256 of the payload as it was signed.
    #[must_use]
    pub fn payload_sha256(&self) -> [u8; 32] {
        sha256(&[&self.payload])
    }
}

/// The first eight bytes of SHA-256 of a public key.
pub type KeyId = FixedBytes<8>;

/// A public signing key with its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "alg", content = "pk")]
pub enum PublicKey {
    /// Ed25519 (RFC 8032).
    Ed25519(FixedBytes<32>),
    /// ECDSA on P-256 with SHA-256: keys that a TPM or Secure Enclave holds. Named, not verified yet.
    #[serde(rename = "ES256")]
    Es256(Bytes),
}

impl PublicKey {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => &key.0,
            Self::Es256(key) => key,
        }
    }

    /// Its identifier in signed objects.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let hash = sha256(&[self.bytes()]);
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        FixedBytes(id)
    }
}

/// What is signed: `vault/1/<kind>`, a zero byte, the payload.
#[must_use]
pub fn signature_input(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(9 + kind.len() + payload.len());
    input.extend_from_slice(b"vault/1/");
    input.extend_from_slice(kind.as_bytes());
    input.push(0);
    input.extend_from_slice(payload);
    input
}
