//! Derivation: HKDF-SHA-256 (RFC 5869) with the info `vault/1/<purpose>`.

use hkdf::Hkdf;
use secret::SecretBytes;
use sha2::Sha256;

/// Derives a key for one purpose. `salt` is empty for keys that come from a uniformly random root.
///
/// # Panics
/// For more than 8160 bytes, which no key has.
#[allow(clippy::expect_used, reason = "no key is longer than HKDF can give")]
pub(crate) fn derive<const N: usize>(key_material: &[u8], salt: &[u8], purpose: &str) -> SecretBytes<N> {
    let hkdf = Hkdf::<Sha256>::new(Some(salt), key_material);
    SecretBytes::from_fn(|out| {
        hkdf.expand_multi_info(&[b"vault/1/", purpose.as_bytes()], out).expect("a key is short");
    })
}
