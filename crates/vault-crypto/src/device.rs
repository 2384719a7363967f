//! Device keys and certificates.

use secret::{SecretBytes, SecretVec};
use vault_protocol::device::{CAPABILITY_APPEND, Certificate};
use vault_protocol::{AccountId, Bytes, DeviceId, Millis, PublicKey, Signed, VERSION};

use crate::kdf::derive;
use crate::{BoxKey, Error, IndexKey, SigningKey, hpke_box};

const INDEX_KEY_INFO: &[u8] = b"vault/1/device/index-key";
/// HPKE encapsulated key of X-Wing.
const ENCAPSULATED_BYTES: usize = 1120;

/// A device's secret: one seed, from which its signing key and its box key come.
pub struct DeviceKeys {
    seed: SecretBytes<32>,
}

impl DeviceKeys {
    /// New keys.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        Self { seed: SecretBytes::random() }
    }

    /// The keys of a stored seed.
    #[must_use]
    pub fn from_seed(seed: SecretBytes<32>) -> Self {
        Self { seed }
    }

    /// The seed, for storing it where only its owner can read.
    #[must_use]
    pub fn seed(&self) -> &SecretBytes<32> {
        &self.seed
    }

    /// Signs saves.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(&derive(self.seed.expose(), &[], "device-sign"))
    }

    /// Receives index keys.
    #[must_use]
    pub fn box_key(&self) -> BoxKey {
        BoxKey::from_seed(&derive(self.seed.expose(), &[], "device-box"))
    }

    /// The account's index key out of this device's certificate.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Malformed`].
    pub fn index_key(&self, certificate: &Certificate) -> Result<IndexKey, Error> {
        let what = "the index key";
        let sealed = &certificate.index_key_sealed;
        let (encapsulated, ciphertext) =
            sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(Error::Malformed { what })?;
        let aad = index_key_aad(certificate.account_id, certificate.device_id);
        let key: SecretVec = self.box_key().open(encapsulated, ciphertext, INDEX_KEY_INFO, &aad, what)?;
        SecretBytes::from_slice(key.expose()).map(IndexKey::new).ok_or(Error::Malformed { what })
    }
}

/// What the owner vouches for.
pub struct NewDevice<'a> {
    /// Whose device.
    pub account_id: AccountId,
    /// What the owner calls it.
    pub name: &'a str,
    /// Its signing key.
    pub device_pk: PublicKey,
    /// Its box key.
    pub box_pk: &'a [u8],
    /// From when on.
    pub issued_at: Millis,
}

/// Makes and signs the certificate of a new device.
///
/// # Errors
/// [`Error::Malformed`] when the box key is not an X-Wing key.
pub fn certify(device: &NewDevice<'_>, identity: &SigningKey, index_key: &IndexKey) -> Result<Signed, Error> {
    let device_id = DeviceId::new();
    let aad = index_key_aad(device.account_id, device_id);
    let (mut sealed, ciphertext) = hpke_box::seal(device.box_pk, index_key.bytes().expose(), INDEX_KEY_INFO, &aad)?;
    sealed.extend_from_slice(&ciphertext);
    let certificate = Certificate {
        v: VERSION,
        account_id: device.account_id,
        device_id,
        name: device.name.to_owned(),
        device_pk: device.device_pk.clone(),
        box_pk: Bytes(device.box_pk.to_vec()),
        capability: CAPABILITY_APPEND.to_owned(),
        index_key_sealed: Bytes(sealed),
        org_id: None,
        issued_at: device.issued_at,
        expires_at: None,
    };
    identity.sign(Certificate::KIND, &certificate)
}

fn index_key_aad(account: AccountId, device: DeviceId) -> Vec<u8> {
    [account.as_bytes().as_slice(), device.as_bytes()].concat()
}
