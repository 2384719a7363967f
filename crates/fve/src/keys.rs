//! The two keys of a volume.

use secret::{SecretBytes, SecretVec};

use fve_crypto::SectorMethod;
use fve_format::EncryptionMethod;

use crate::Error;

/// The volume master key, 32 bytes: wraps the FVEK, the metadata hash and the backups in the protectors.
#[derive(Clone)]
pub struct Vmk(pub(crate) SecretBytes<32>);

impl Vmk {
    pub(crate) fn random() -> Self {
        Self(SecretBytes::random())
    }
}

impl PartialEq for Vmk {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// The full volume encryption key: 16 to 64 bytes that encrypt the sectors, with the method they belong to.
#[derive(Clone)]
pub struct Fvek {
    pub(crate) method: EncryptionMethod,
    pub(crate) key: SecretVec,
}

impl Fvek {
    /// A new random key for `method`; the two halves of an XTS key are never equal.
    pub(crate) fn random(method: EncryptionMethod) -> Result<Self, Error> {
        let length = sector_method(method)?.key_bytes();
        loop {
            let key = SecretVec::random(length);
            let (first, second) = key.expose().split_at(length / 2);
            if first != second {
                return Ok(Self { method, key });
            }
        }
    }

    /// How sectors are encrypted.
    #[must_use]
    pub fn method(&self) -> EncryptionMethod {
        self.method
    }
}

/// The cipher for an on-disk method.
pub(crate) fn sector_method(method: EncryptionMethod) -> Result<SectorMethod, Error> {
    Ok(match method {
        EncryptionMethod::AesCbc128Diffuser => SectorMethod::Cbc128Diffuser,
        EncryptionMethod::AesCbc256Diffuser => SectorMethod::Cbc256Diffuser,
        EncryptionMethod::AesCbc128 => SectorMethod::Cbc128,
        EncryptionMethod::AesCbc256 => SectorMethod::Cbc256,
        EncryptionMethod::AesXts128 => SectorMethod::Xts128,
        EncryptionMethod::AesXts256 => SectorMethod::Xts256,
        other => return Err(Error::UnsupportedMethod(other)),
    })
}
