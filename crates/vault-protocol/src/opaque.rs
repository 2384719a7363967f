//! The suite of the password protocol (OPAQUE, RFC 9807): Ristretto255, TripleDh with SHA-512, Argon2id.
//!
//! The stretching function runs on clients only; it is part of the suite's type, so both sides name it. Context is empty;
//! the client's identifier is the account identifier, the server's its origin.

use opaque_ke::{CipherSuite, Identifiers, Ristretto255, TripleDh};

use crate::AccountId;

/// The suite.
pub struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2_opaque::Sha512>;
    type Ksf = argon2::Argon2<'static>;
}

/// Identifiers of both sides, bound into the protocol run.
#[must_use]
pub fn identifiers<'a>(account: &'a AccountId, origin: &'a str) -> Identifiers<'a> {
    Identifiers { client: Some(account.as_bytes()), server: Some(origin.as_bytes()) }
}

/// How a client stretches a password. Clients refuse any other profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfProfile {
    /// Its number on the wire.
    pub number: u32,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// The profiles a client accepts. Argon2id version 1.3, 16 zero bytes of salt (the OPRF output is salted already).
pub const KDF_PROFILES: [KdfProfile; 2] = [
    KdfProfile { number: 1, memory_kib: 64 * 1024, passes: 3, lanes: 4 },
    KdfProfile { number: 2, memory_kib: 128 * 1024, passes: 3, lanes: 1 },
];

/// The profile with this number; `None` for any other: weaker ones are never accepted.
#[must_use]
pub fn kdf_profile(number: u32) -> Option<KdfProfile> {
    KDF_PROFILES.into_iter().find(|profile| profile.number == number)
}
