//! The blind index: how a record is found by its key identifier without opening it.

use hmac::{Hmac, KeyInit, Mac};
use secret::SecretBytes;
use sha2::Sha256;
use vault_protocol::FixedBytes;
use vault_protocol::record::IndexEntry;

/// HMAC-SHA-256 key of an account's index.
pub struct IndexKey(SecretBytes<32>);

impl IndexKey {
    /// Takes over the key.
    #[must_use]
    pub fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    pub(crate) fn bytes(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// The entry for a key identifier: a GUID as BitLocker shows it, upper case, without braces.
    #[must_use]
    pub fn entry(&self, key_id: &str) -> IndexEntry {
        let prefix: String = key_id.chars().take(8).collect();
        IndexEntry {
            scope: "account".to_owned(),
            full: self.hash(b"full", key_id),
            prefix: self.hash(b"prefix", &prefix),
        }
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn hash(&self, label: &[u8], text: &str) -> FixedBytes<16> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("any length will do");
        mac.update(label);
        mac.update(text.as_bytes());
        let mut out = [0; 16];
        out.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        FixedBytes(out)
    }
}
