//! The vault's cryptography on the client's side: the code that can open things. The service does not link it.
//!
//! ```text
//! password ── OPAQUE ── export key ─┐
//! printed kit code ─────────────────┴─ slot keys ── catalogue root CR ── catalogue key (metadata), index key, author key
//!                                                └─ vault root VR ────── vault key (secrets), identity key
//! ```
//!
//! CR and VR are independent and wrapped apart: a session that was not stepped up can read titles and nothing else.
//! Every derivation is HKDF-SHA-256 with the info `vault/1/<purpose>`; no key has two purposes.
//!
//! What is not done here: sending, storing, asking people.

mod aead;
pub mod device;
pub mod enrol;
mod error;
mod hpke_box;
mod index;
mod kdf;
pub mod kit;
pub mod label;
pub mod order;
pub mod password;
pub mod record;
mod roots;
mod sign;
pub mod slot;

pub use error::Error;
pub use hpke_box::{BoxKey, kid};
pub use index::IndexKey;
pub use roots::{CatalogueRoot, VaultRoot, key_statement};
pub use sign::SigningKey;
