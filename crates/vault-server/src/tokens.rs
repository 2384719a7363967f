//! Bearer tokens, grants, invites, device codes: random, shown once, kept as SHA-256 only.

use secret::random_bytes;
use vault_protocol::{Bytes, sha256};
use vault_store::Digest;

/// Length of a token in bytes: 256 bits.
const TOKEN: usize = 32;

/// A new token and what the database keeps of it.
pub(crate) fn new_token() -> (Bytes, Digest) {
    let mut token = vec![0; TOKEN];
    random_bytes(&mut token);
    let hash = hash(&token);
    (token.into(), hash)
}

/// What the database keeps of a token.
pub(crate) fn hash(token: &[u8]) -> Digest {
    sha256(&[token])
}

/// 32 random bytes that are no secret.
pub(crate) fn challenge() -> [u8; 32] {
    let mut bytes = [0; 32];
    random_bytes(&mut bytes);
    bytes
}
