//! The key exchange X25519MLKEM768 for TLS 1.3 (draft-ietf-tls-ecdhe-mlkem): who records connections now and has a quantum
//! computer later reads nothing. The provider brings X25519; ML-KEM-768 (FIPS 203) is the one that envelopes use.
//!
//! Shares and secret are those of ML-KEM followed by those of X25519.

use ml_kem::kem::{Decapsulate, Encapsulate, Kem, KeyExport};
use ml_kem::ml_kem_768::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::{Key, MlKem768};
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, ring};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::Zeroizing;

/// Bytes of an encapsulation key of ML-KEM-768.
const KEY_BYTES: usize = 1184;
/// Bytes of a ciphertext of ML-KEM-768.
const CIPHERTEXT_BYTES: usize = 1088;

/// The workspace's provider with the hybrid group before its own.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.kx_groups.insert(0, &X25519MlKem768);
    provider
}

#[derive(Debug)]
struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classic = X25519.start()?;
        let (decapsulation_key, key) = MlKem768::generate_keypair();
        let mut share = key.to_bytes().to_vec();
        share.extend_from_slice(classic.pub_key());
        Ok(Box::new(Started { classic, decapsulation_key, share }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, classic) = share.split_at_checked(KEY_BYTES).ok_or_else(misbehaved)?;
        let key = Key::<EncapsulationKey>::try_from(key).map_err(|_| misbehaved())?;
        // Refuses keys that are not reduced, as FIPS 203 asks (section 7.2).
        let key = EncapsulationKey::new(&key).map_err(|_| misbehaved())?;
        let classic = X25519.start_and_complete(classic)?;
        let (ciphertext, secret) = key.encapsulate();
        let secret = Zeroizing::new(secret);
        let mut answer = ciphertext.to_vec();
        answer.extend_from_slice(&classic.pub_key);
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: answer,
            secret: join(secret.as_slice(), &classic.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// The client's side between its share and the answer.
struct Started {
    classic: Box<dyn ActiveKeyExchange>,
    decapsulation_key: DecapsulationKey,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, classic) = share.split_at_checked(CIPHERTEXT_BYTES).ok_or_else(misbehaved)?;
        let ciphertext = Ciphertext::try_from(ciphertext).map_err(|_| misbehaved())?;
        let classic = self.classic.complete(classic)?;
        let secret = Zeroizing::new(self.decapsulation_key.decapsulate(&ciphertext));
        Ok(join(secret.as_slice(), &classic))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

fn join(post_quantum: &[u8], classic: &SharedSecret) -> SharedSecret {
    let mut both = Zeroizing::new(Vec::with_capacity(64));
    both.extend_from_slice(post_quantum);
    both.extend_from_slice(classic.secret_bytes());
    SharedSecret::from(both.as_slice())
}

fn misbehaved() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_and_shares_have_the_lengths_of_the_draft() {
        let client = X25519MlKem768.start().unwrap();
        assert_eq!(client.pub_key().len(), 1184 + 32);
        let server = X25519MlKem768.start_and_complete(client.pub_key()).unwrap();
        assert_eq!(server.pub_key.len(), 1088 + 32);
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 64);
    }

    #[test]
    fn shares_of_another_form_are_refused() {
        let share = X25519MlKem768.start().unwrap().pub_key().to_vec();
        // A coefficient that is not reduced.
        let mut unreduced = share.clone();
        unreduced[..3].fill(0xff);
        for bad in [&[][..], &share[..share.len() - 1], &share[..KEY_BYTES], &unreduced, &[&share[..], &[0]].concat()] {
            assert!(X25519MlKem768.start_and_complete(bad).is_err(), "{} bytes", bad.len());
        }
        let answer = X25519MlKem768.start_and_complete(&share).unwrap().pub_key;
        for bad in [&[][..], &answer[..answer.len() - 1], &answer[..CIPHERTEXT_BYTES], &[&answer[..], &[0]].concat()] {
            assert!(X25519MlKem768.start().unwrap().complete(bad).is_err(), "{} bytes", bad.len());
        }
    }
}
