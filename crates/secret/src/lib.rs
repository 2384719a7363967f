//! Key material: bytes and text that are wiped when dropped, compared in constant time, and that have no way to be
//! printed (no `Debug`, no `Display`, no `serde`).
//!
//! The crate also holds [`RecoveryPassword`], the 48 digits that every party of the product handles: the volume engine
//! stretches it, the vault seals it, the programs check it while it is typed.
//!
//! What is not done here: any cipher, any hash, any storage.

mod bytes;
mod recovery_password;

pub use bytes::{SecretBytes, SecretString, SecretVec, random_bytes};
pub use recovery_password::{RecoveryPassword, RecoveryPasswordError};
