//! BitLocker's cryptography, one function per named operation.
//!
//! - [`stretch`]: from a password or a recovery password to a 32-byte key, 2^20 rounds of SHA-256.
//! - [`key_wrap`]: AES-256-CCM, the way every key on the volume is wrapped.
//! - [`SectorCipher`]: the sector data, AES-XTS and AES-CBC, the latter with or without the Elephant diffuser.
//!
//! What is not protected: sector data carries no authentication. Decryption with a wrong key gives noise, never an
//! error; only unwrapping a key proves that a secret is right.
//!
//! What is not done here: on-disk structures and input/output.

mod batch;
mod cbc;
mod diffuser;
pub mod key_wrap;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod mask;
mod sector;
pub mod stretch;
mod xts;

pub use sector::{CipherError, SectorCipher, SectorMethod};

/// SHA-256 of `data`: the hash of a metadata block that is kept, wrapped, in its validation record.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(data).into()
}
