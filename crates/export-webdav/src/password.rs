//! The password of one server.

use std::io;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The user name that goes with it.
pub const USER: &str = "keyhaven";

/// 120 bits.
const RANDOM_BYTES: usize = 15;
/// Letters between two hyphens.
const GROUP: usize = 6;

/// A password that was made for one server. It cannot be printed by accident.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A new one: letters and digits that cannot be mistaken for each other, in groups.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
        getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
        let plain = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(&*bytes).to_ascii_lowercase());
        let mut text = Zeroizing::new(String::with_capacity(plain.len() + plain.len() / GROUP));
        for (index, letter) in plain.chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        Ok(Self(text))
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its time where they differ.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_do_not_show() {
        let (one, two) = (Password::random().unwrap(), Password::random().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().split('-').map(str::len).collect::<Vec<_>>(), [6, 6, 6, 6]);
        assert!(one.is(one.expose().as_bytes()) && !one.is(two.expose().as_bytes()) && !one.is(b""));
        assert_eq!(format!("{one:?}"), "Password");
    }
}
