//! Fixed-length, variable-length and textual secrets.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret of exactly `N` bytes: a key, a salted hash that acts as a key, a random root.
///
/// Has no `Debug` and no `Display`: a struct that derives them cannot hold one by accident.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes<const N: usize>(Box<[u8; N]>);

impl<const N: usize> SecretBytes<N> {
    /// Takes over `bytes`; the caller's copy is wiped.
    #[must_use]
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let mut boxed = Box::new([0; N]);
        boxed.copy_from_slice(bytes);
        bytes.zeroize();
        Self(boxed)
    }

    /// Copies a slice of exactly `N` bytes; `None` when the length differs.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != N {
            return None;
        }
        let mut boxed = Box::new([0; N]);
        boxed.copy_from_slice(bytes);
        Some(Self(boxed))
    }

    /// Fills the secret in place, so that no copy of it is left on the stack.
    #[must_use]
    pub fn from_fn(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut boxed = Box::new([0; N]);
        fill(&mut boxed);
        Self(boxed)
    }

    /// `N` bytes from the operating system's generator.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; no key can be made then.
    #[must_use]
    pub fn random() -> Self {
        Self::from_fn(|out| random_bytes(out))
    }

    /// The bytes, for the one operation that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> ConstantTimeEq for SecretBytes<N> {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl<const N: usize> PartialEq for SecretBytes<N> {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl<const N: usize> Eq for SecretBytes<N> {}

/// A secret whose length is known only at run time, such as a full volume encryption key of 16 to 64 bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretVec(Vec<u8>);

impl SecretVec {
    /// Takes over a buffer.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// `length` bytes from the operating system's generator.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random(length: usize) -> Self {
        let mut bytes = vec![0; length];
        random_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes, for the one operation that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for SecretVec {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretVec {}

/// Secret text: a password, a one-time code, a printed kit code.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretString(String);

impl SecretString {
    /// Takes over a string.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one operation that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text as UTF-16LE bytes without a terminator, the form in which BitLocker hashes a password.
    #[must_use]
    pub fn to_utf16le(&self) -> Zeroizing<Vec<u8>> {
        // At most two bytes of UTF-16 per byte of UTF-8: the buffer never grows, so no stale copy is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.len() * 2));
        for unit in self.0.encode_utf16() {
            bytes.extend_from_slice(&unit.to_le_bytes());
        }
        bytes
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl PartialEq for SecretString {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretString {}

/// Fills `out` from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give; going on would make guessable keys.
#[allow(clippy::expect_used, reason = "without randomness there is nothing safe left to do")]
pub fn random_bytes(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system's random generator works");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_wipes_the_source() {
        let mut source = [7_u8; 4];
        let secret = SecretBytes::take(&mut source);
        assert_eq!(source, [0; 4]);
        assert_eq!(secret.expose(), &[7; 4]);
    }

    #[test]
    fn equality_compares_content() {
        assert!(SecretVec::new(vec![1, 2]) == SecretVec::new(vec![1, 2]));
        assert!(SecretVec::new(vec![1, 2]) != SecretVec::new(vec![1, 3]));
        assert!(SecretBytes::<2>::from_slice(&[1, 2, 3]).is_none());
    }

    #[test]
    fn utf16le_of_a_pound_sign() {
        assert_eq!(*SecretString::from("a£").to_utf16le(), [0x61, 0, 0xA3, 0]);
    }

    #[test]
    fn random_differs() {
        assert!(SecretBytes::<16>::random() != SecretBytes::<16>::random());
    }
}
