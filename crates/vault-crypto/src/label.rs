//! Names of devices, sealed for their owner: the service keeps them and cannot read them.
//!
//! `nonce(12) ‖ AES-256-GCM(key, nonce, padded name, AAD = account ‖ device)`. Names are padded to one length, so that the
//! size tells nothing. Only who has the catalogue root can make one, so a name cannot be moved to another device either.

use secret::{SecretBytes, random_bytes};
use vault_protocol::{AccountId, Bytes, DeviceId};
use zeroize::Zeroizing;

use crate::{Error, aead};

const NONCE_BYTES: usize = 12;
/// Length of every padded name: 64 letters of up to four bytes, and the mark of their end.
const PADDED_BYTES: usize = 257;

/// Seals names of devices.
pub struct LabelKey(SecretBytes<32>);

impl LabelKey {
    pub(crate) fn new(key: SecretBytes<32>) -> Self {
        Self(key)
    }

    /// Seals a name.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a name of more than 256 bytes.
    pub fn seal(&self, account: AccountId, device: DeviceId, name: &str) -> Result<Bytes, Error> {
        if name.len() >= PADDED_BYTES {
            return Err(Error::Malformed { what: "the device's name" });
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(PADDED_BYTES));
        plain.extend_from_slice(name.as_bytes());
        plain.push(0x80);
        plain.resize(PADDED_BYTES, 0);
        let mut nonce = [0; NONCE_BYTES];
        random_bytes(&mut nonce);
        let mut out = nonce.to_vec();
        out.extend_from_slice(&aead::seal(&self.0, &nonce, &plain, &aad(account, device)));
        Ok(Bytes(out))
    }

    /// Opens a name.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Malformed`].
    pub fn open(&self, account: AccountId, device: DeviceId, sealed: &[u8]) -> Result<String, Error> {
        let what = "the device's name";
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Error::Malformed { what })?;
        let plain = aead::open(&self.0, nonce, ciphertext, &aad(account, device), what)?;
        let end = plain.expose().iter().rposition(|byte| *byte != 0).ok_or(Error::Malformed { what })?;
        let name = plain.expose().get(..end).unwrap_or_default();
        std::str::from_utf8(name).map(str::to_owned).map_err(|_| Error::Malformed { what })
    }
}

fn aad(account: AccountId, device: DeviceId) -> Vec<u8> {
    [account.as_bytes().as_slice(), device.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CatalogueRoot;

    #[test]
    fn a_name_opens_for_its_owner_and_its_device_only() {
        let (account, device) = (AccountId::new(), DeviceId::new());
        let key = CatalogueRoot::random().label_key();
        for name in ["kitchen", "", &"ä".repeat(64), &"\u{1F4BB}".repeat(64)] {
            let sealed = key.seal(account, device, name).unwrap();
            assert_eq!(key.open(account, device, &sealed).unwrap(), name);
            assert_eq!(sealed.len(), 12 + PADDED_BYTES + 16, "all are as long");
            assert!(key.open(account, DeviceId::new(), &sealed).is_err());
            assert!(key.open(AccountId::new(), device, &sealed).is_err());
            assert!(CatalogueRoot::random().label_key().open(account, device, &sealed).is_err());
        }
        assert!(key.seal(account, device, &"x".repeat(257)).is_err());
        for bad in [&b""[..], &[0; 12], &[7; 300]] {
            assert!(key.open(account, device, bad).is_err());
        }
    }
}
