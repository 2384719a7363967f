//! The words that clients and the service of the vault exchange.
//!
//! JSON over HTTPS under `/v1`. Bytes are base64url without padding, identifiers UUIDs, times milliseconds since 1970.
//! What must be provable later travels as [`Signed`]: the exact payload bytes with a signature over them, so no
//! canonical JSON is needed.
//!
//! | module | what |
//! |---|---|
//! | `messages` | request and answer of every route |
//! | `statement`, `device`, `record`, `order`, `note`, `audit` | payloads that are signed or chained |
//! | `signed`, `verify` | signed objects and everything the server has to check |
//! | `problem` | the error catalogue |
//! | `log` | the global log: tree, tiles, checkpoints, proofs |
//! | `backup_code` | the form of backup codes |
//! | `opaque` | the suite of the password protocol |
//! | `schema` | schemas of all this (feature `openapi`), for the service to describe itself with |
//!
//! What is not done here: sealing, opening, deriving keys (`vault-crypto`), sending (`vault-client`), storing.

pub mod audit;
pub mod backup_code;
mod bytes;
pub mod device;
mod ids;
pub mod limits;
pub mod log;
pub mod messages;
pub mod note;
pub mod opaque;
pub mod order;
pub mod problem;
pub mod record;
pub mod routes;
#[cfg(feature = "openapi")]
pub mod schema;
mod signed;
pub mod statement;
pub mod verify;

pub use bytes::{Bytes, FixedBytes};
pub use ids::{AccountId, AuthorId, CeremonyId, DeviceId, FactorId, OrderId, ParseIdError, RecordId, SlotId, WaitId};
pub use signed::{KeyId, PublicKey, Signed, signature_input};

/// A moment: milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// Version of every payload defined here.
pub const VERSION: u32 = 1;

/// SHA-256 of the concatenated parts.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
