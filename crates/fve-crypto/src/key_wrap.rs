//! Wrapping keys: AES-256-CCM with a 12-byte nonce, a 16-byte MAC and no associated data.
//!
//! The MAC is stored before the ciphertext and apart from it. A (key, nonce) pair must never repeat: the writer takes
//! counters from the metadata header and never goes back.
//!
//! Source: RFC 3610 parameters L = 3, M = 16; observed: resealing a volume's own keys gives the stored bytes again.

use aes::Aes256;
use ccm::Ccm;
use ccm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
use ccm::consts::{U12, U16};
use secret::{SecretBytes, SecretVec};

type KeyWrap = Ccm<Aes256, U16, U12>;

/// Unwraps `ciphertext`; `None` when the MAC does not fit, that is, when the key is not the one it was wrapped with or
/// the data was changed.
#[must_use]
pub fn unwrap(key: &SecretBytes<32>, nonce: &[u8; 12], mac: &[u8; 16], ciphertext: &[u8]) -> Option<SecretVec> {
    let mut plain = ciphertext.to_vec();
    let cipher = KeyWrap::new(key.expose().into());
    cipher.decrypt_inout_detached(nonce.into(), &[], InOutBuf::from(plain.as_mut_slice()), mac.into()).ok()?;
    Some(SecretVec::new(plain))
}

/// Wraps `plain` under a nonce that was never used with this key; gives the MAC and the ciphertext of equal length.
///
/// # Panics
/// When `plain` is 16 MiB or more, which no key is.
#[must_use]
#[allow(clippy::expect_used, reason = "the only failure is a plaintext that no caller can make")]
pub fn wrap(key: &SecretBytes<32>, nonce: &[u8; 12], plain: &[u8]) -> ([u8; 16], Vec<u8>) {
    let mut ciphertext = plain.to_vec();
    let cipher = KeyWrap::new(key.expose().into());
    let mac = cipher
        .encrypt_inout_detached(nonce.into(), &[], InOutBuf::from(ciphertext.as_mut_slice()))
        .expect("keys are shorter than 16 MiB");
    (mac.into(), ciphertext)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const KEY: [u8; 32] = hex!("1a39f926dab83e947fa85125b91e556e9ecc2bc5968924e03de234878d1fd4bd");
    const NONCE: [u8; 12] = hex!("c049ba6f3632d50106000000");
    const MAC: [u8; 16] = hex!("0cf85869dd1a2a024c48d0f6aa00b997");
    const CIPHERTEXT: [u8; 44] =
        hex!("005e2014c039b7de88e6906efdbe83055dcb5c097dbe3fe86860ef7bae367a13178587cd8cd11af5713d0bb7");
    const PLAIN: [u8; 44] =
        hex!("2c0000000100000003200000e5862465920b1190605ae29547623fb9c0dbafab073c85634bfb0f8a4b8cf46b");

    fn key() -> SecretBytes<32> {
        SecretBytes::from_slice(&KEY).expect("32 bytes")
    }

    #[test]
    fn unwraps_the_vmk_of_a_windows_volume() {
        let plain = unwrap(&key(), &NONCE, &MAC, &CIPHERTEXT).expect("the right key");
        assert_eq!(plain.expose(), &PLAIN);
    }

    #[test]
    fn wrapping_again_gives_the_stored_bytes() {
        assert_eq!(wrap(&key(), &NONCE, &PLAIN), (MAC, CIPHERTEXT.to_vec()));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        for bit in 0..CIPHERTEXT.len() * 8 {
            let mut changed = CIPHERTEXT;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap(&key(), &NONCE, &MAC, &changed).is_none(), "bit {bit}");
        }
    }
}
