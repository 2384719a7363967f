//! Wrapped entries: a metadata entry as the plaintext of an AES-CCM entry.

use secret::{SecretBytes, SecretVec};
use zeroize::Zeroizing;

use fve_crypto::key_wrap;
use fve_format::{Filetime, MetadataEntry, Value, key_type};

/// The nonces of one batch of changes: one time stamp, rising counters.
pub(crate) struct NonceSource {
    time: Filetime,
    next: u32,
}

impl NonceSource {
    /// `next` is the volume's next nonce counter; new volumes start at 2, as Windows does.
    pub(crate) fn new(time: Filetime, next: u32) -> Self {
        Self { time, next }
    }

    /// Twelve bytes that were never given before: time stamp, counter.
    pub(crate) fn take(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.time.0.to_le_bytes());
        nonce[8..].copy_from_slice(&self.next.to_le_bytes());
        self.next += 1;
        nonce
    }

    /// The counter that the metadata header must name: above every one in use.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }
}

/// Wraps `key` as a key entry of `key_type`, and gives the AES-CCM entry to store.
pub(crate) fn wrap_key(
    wrapping_key: &SecretBytes<32>,
    nonces: &mut NonceSource,
    entry_type: u16,
    key_type: u16,
    key: &[u8],
) -> MetadataEntry {
    let mut inner = MetadataEntry::key(0, key_type, key);
    inner.flags = 0;
    let mut plain = Zeroizing::new(Vec::with_capacity(inner.encoded_bytes()));
    // A key entry is at most 76 bytes: encoding cannot fail. An empty plaintext would be noticed by every reader.
    if inner.encode(&mut plain).is_err() {
        plain.clear();
    }
    wrap_plain(wrapping_key, nonces, entry_type, &plain)
}

/// Wraps the encoded entry `plain`, and gives the AES-CCM entry to store.
pub(crate) fn wrap_plain(
    wrapping_key: &SecretBytes<32>,
    nonces: &mut NonceSource,
    entry_type: u16,
    plain: &[u8],
) -> MetadataEntry {
    let nonce = nonces.take();
    let (mac, ciphertext) = key_wrap::wrap(wrapping_key, &nonce, plain);
    MetadataEntry::aes_ccm(entry_type, &nonce, &mac, &ciphertext)
}

/// What became of an attempt to unwrap.
pub(crate) enum Unwrapped {
    /// A key of the type that was asked for.
    Key(SecretVec),
    /// The MAC does not fit: another key, or changed data.
    WrongKey,
    /// The MAC fits and the content is not what it should be, or the entry is not a wrapped one.
    Malformed(&'static str),
}

/// Unwraps an AES-CCM entry that holds a key, whose type `accepts` judges.
pub(crate) fn unwrap_key(
    wrapping_key: &SecretBytes<32>,
    entry: &MetadataEntry,
    accepts: impl Fn(u16) -> bool,
) -> Unwrapped {
    let Ok(Value::AesCcm(wrapped)) = entry.value() else {
        return Unwrapped::Malformed("the entry is not wrapped");
    };
    let Some(plain) = key_wrap::unwrap(wrapping_key, &wrapped.nonce, &wrapped.mac, wrapped.ciphertext) else {
        return Unwrapped::WrongKey;
    };
    let Ok(inner) = MetadataEntry::parse_exact(plain.expose()) else {
        return Unwrapped::Malformed("the wrapped entry has another length");
    };
    match inner.value() {
        Ok(Value::Key(key)) if accepts(key.key_type) => Unwrapped::Key(SecretVec::new(key.key.to_vec())),
        Ok(Value::Key(_)) => Unwrapped::Malformed("the wrapped key is of another type"),
        _ => Unwrapped::Malformed("the wrapped entry is not a key"),
    }
}

/// Unwraps the VMK from a protector's final entry.
pub(crate) fn unwrap_vmk(wrapping_key: &SecretBytes<32>, entry: &MetadataEntry) -> Unwrapped {
    unwrap_key(wrapping_key, entry, |found| found == key_type::VMK)
}
