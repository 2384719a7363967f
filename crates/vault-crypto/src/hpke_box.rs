//! Sealing to a public key: HPKE base mode with X-Wing, HKDF-SHA-256 and AES-256-GCM (0x647A, 0x0001, 0x0002).

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use secret::{SecretBytes, SecretVec};
use vault_protocol::{FixedBytes, sha256};

use crate::Error;

/// An X-Wing key pair, derived from 32 bytes.
pub struct BoxKey {
    secret: <XWing as Kem>::PrivateKey,
    public: Vec<u8>,
}

impl BoxKey {
    /// The key pair that belongs to `seed`.
    #[must_use]
    pub fn from_seed(seed: &SecretBytes<32>) -> Self {
        let (secret, public) = XWing::derive_keypair(seed.expose());
        Self { secret, public: public.to_bytes().to_vec() }
    }

    /// The public key, 1216 bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Opens what was sealed to this key.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Malformed`].
    pub fn open(
        &self,
        encapsulated: &[u8],
        ciphertext: &[u8],
        info: &[u8],
        aad: &[u8],
        what: &'static str,
    ) -> Result<SecretVec, Error> {
        let encapsulated =
            <XWing as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| Error::Malformed { what })?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.secret,
            &encapsulated,
            info,
            ciphertext,
            aad,
        )
        .map(SecretVec::new)
        .map_err(|_| Error::Open { what })
    }
}

/// Seals `plain` to a public key; gives the encapsulated key (1120 bytes) and the ciphertext.
///
/// # Errors
/// [`Error::Malformed`] when `public` is not an X-Wing key.
pub(crate) fn seal(public: &[u8], plain: &[u8], info: &[u8], aad: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let malformed = || Error::Malformed { what: "the recipient's public key" };
    let public = <XWing as Kem>::PublicKey::from_bytes(public).map_err(|_| malformed())?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &public, info, plain, aad)
            .map_err(|_| malformed())?;
    Ok((encapsulated.to_bytes().to_vec(), ciphertext))
}

/// Identifier of a recipient's key: the first eight bytes of its SHA-256.
#[must_use]
pub fn kid(public: &[u8]) -> FixedBytes<8> {
    let mut id = [0; 8];
    id.copy_from_slice(&sha256(&[public])[..8]);
    FixedBytes(id)
}
