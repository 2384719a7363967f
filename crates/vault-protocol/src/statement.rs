//! The key statement: an account's public keys of one generation.

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Bytes, FixedBytes, Millis, PublicKey, Signed, sha256};

/// An account's public keys, signed by the identity key among them (and by the previous generation's, where there is one).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyStatement {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose keys.
    pub account_id: AccountId,
    /// From 1.
    pub generation: u32,
    /// X-Wing key to which metadata is sealed, 1216 bytes.
    pub catalogue_pk: Bytes,
    /// X-Wing key to which secrets are sealed, 1216 bytes.
    pub vault_pk: Bytes,
    /// Signs statements, certificates and orders.
    pub identity_pk: PublicKey,
    /// Signs records that the owner saves directly.
    pub author_pk: PublicKey,
    /// Hash of the statement before, from the second generation on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_hash: Option<FixedBytes<32>>,
    /// When it was made.
    pub created_at: Millis,
}

impl KeyStatement {
    /// Type of the signed object.
    pub const KIND: &'static str = "key-statement";
}

/// Hash of a statement: SHA-256 of its payload as signed.
#[must_use]
pub fn statement_hash(signed: &Signed) -> [u8; 32] {
    sha256(&[&signed.payload])
}

/// What people compare: the first 100 bits of the hash as 20 base32 characters in groups of five.
#[must_use]
pub fn fingerprint(hash: &[u8; 32]) -> String {
    let text = BASE32_NOPAD.encode(&hash[..13]);
    let groups: Vec<&str> = (0..4).map(|group| &text[group * 5..group * 5 + 5]).collect();
    groups.join("-")
}
