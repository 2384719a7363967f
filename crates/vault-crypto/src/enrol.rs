//! Authenticating both sides of a device enrolment by a secret that the service never sees.
//!
//! The device shows the secret E behind its user code (eight letters, stretched by Argon2id) or carries it in a link's
//! fragment (128 bits). Both sides derive `K` from it; `tag_h` shows the owner that the request is the device's, `tag_a`
//! shows the device that the account's keys and the service's receipt key are the ones the owner saw.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use secret::{SecretBytes, SecretString, random_bytes};
use sha2::Sha256;
use subtle_eq::equal;
use vault_protocol::device::{CODE_ALPHABET, CODE_LETTERS, normalise_code};
use vault_protocol::{FixedBytes, PublicKey, Signed, sha256};

use crate::kdf::derive;
use crate::{Error, password};

/// The secret E.
pub enum EnrolmentSecret {
    /// Eight letters, typed.
    Typed(SecretString),
    /// 128 bits, carried by a link or QR code.
    Link(SecretBytes<16>),
}

/// What a link or QR code carries: `https://origin/enrol#USERCODE.SECRET`. Browsers do not send what stands behind `#`.
pub struct EnrolmentLink {
    /// The service's origin.
    pub origin: String,
    /// The user code, in its one form.
    pub user_code: String,
    /// The secret E.
    pub secret: EnrolmentSecret,
}

impl EnrolmentLink {
    const PATH: &'static str = "/enrol#";

    /// As text; `None` for a typed secret, which no link carries.
    #[must_use]
    pub fn text(origin: &str, user_code: &str, secret: &EnrolmentSecret) -> Option<SecretString> {
        let EnrolmentSecret::Link(bits) = secret else { return None };
        let mut text = String::with_capacity(origin.len() + 64);
        text.push_str(origin);
        text.push_str(Self::PATH);
        text.push_str(user_code);
        text.push('.');
        BASE64URL_NOPAD.encode_append(bits.expose(), &mut text);
        Some(SecretString::new(text))
    }

    /// Reads a link; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, fragment) = text.trim().split_once(Self::PATH)?;
        let (user_code, secret) = fragment.split_once('.')?;
        // 16 bytes are 22 characters; the decoder wants its output to be of the right length.
        let mut bits = zeroize::Zeroizing::new([0; 16]);
        let fits = BASE64URL_NOPAD.decode_len(secret.len()) == Ok(bits.len());
        if !fits || BASE64URL_NOPAD.decode_mut(secret.as_bytes(), &mut *bits) != Ok(bits.len()) {
            return None;
        }
        let secret = EnrolmentSecret::Link(SecretBytes::from_slice(&*bits)?);
        Some(Self { origin: origin.to_owned(), user_code: normalise_code(user_code)?, secret })
    }
}

/// What a device asks to have enrolled; both sides see it.
pub struct Request<'a> {
    /// The service's origin.
    pub origin: &'a str,
    /// The user code, in its one form.
    pub user_code: &'a str,
    /// The device's signing key.
    pub device_pk: &'a PublicKey,
    /// The device's box key.
    pub box_pk: &'a [u8],
    /// The device's nonce.
    pub nonce: &'a [u8; 16],
    /// What the device calls itself.
    pub name: &'a str,
}

/// The key K that both sides share.
pub struct EnrolmentKey(SecretBytes<32>);

impl EnrolmentSecret {
    /// Eight random letters.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random_typed() -> Self {
        let mut letters = String::with_capacity(CODE_LETTERS);
        while letters.len() < CODE_LETTERS {
            let mut byte = [0];
            random_bytes(&mut byte);
            // 240 is a multiple of 20: no letter is likelier than another.
            if byte[0] < 240 {
                letters.push(char::from(CODE_ALPHABET[usize::from(byte[0] % 20)]));
            }
        }
        Self::Typed(SecretString::new(letters))
    }

    /// 128 random bits.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random_link() -> Self {
        Self::Link(SecretBytes::random())
    }

    /// Reads typed letters; `None` when they cannot be a check code.
    #[must_use]
    pub fn parse_typed(typed: &str) -> Option<Self> {
        normalise_code(typed).map(|code| Self::Typed(SecretString::new(code)))
    }

    /// The key for one request.
    ///
    /// # Errors
    /// [`Error::Malformed`], never for these parameters.
    pub fn key(&self, request: &Request<'_>) -> Result<EnrolmentKey, Error> {
        let salt = sha256(&[
            request.origin.as_bytes(),
            request.user_code.as_bytes(),
            request.device_pk.bytes(),
            request.box_pk,
            request.nonce,
        ]);
        match self {
            Self::Link(bits) => Ok(EnrolmentKey(derive(bits.expose(), &salt, "enrol"))),
            Self::Typed(letters) => {
                let stretching = password::stretching(1)?;
                let mut failed = false;
                let key = SecretBytes::from_fn(|out| {
                    failed = stretching.hash_password_into(letters.expose().as_bytes(), &salt, out).is_err();
                });
                if failed { Err(Error::Malformed { what: "the check code" }) } else { Ok(EnrolmentKey(key)) }
            }
        }
    }
}

impl EnrolmentKey {
    /// The device's proof over its own request.
    #[must_use]
    pub fn tag_h(&self, request: &Request<'_>) -> FixedBytes<32> {
        // The name last: everything before it has one length.
        self.mac(&[
            b"hello",
            request.device_pk.bytes(),
            request.box_pk,
            request.nonce,
            request.user_code.as_bytes(),
            request.name.as_bytes(),
        ])
    }

    /// The owner's proof over the account's keys, the certificate and the service's keys.
    #[must_use]
    pub fn tag_a(
        &self,
        statement: &Signed,
        certificate: &Signed,
        receipt_pk: &PublicKey,
        log_pk: &PublicKey,
    ) -> FixedBytes<32> {
        self.mac(&[
            b"account",
            &statement.payload_sha256(),
            &certificate.payload_sha256(),
            receipt_pk.bytes(),
            log_pk.bytes(),
        ])
    }

    /// Compares a tag in constant time.
    #[must_use]
    pub fn matches(expected: &FixedBytes<32>, found: &FixedBytes<32>) -> bool {
        equal(&expected.0, &found.0)
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, parts: &[&[u8]]) -> FixedBytes<32> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("any length will do");
        for part in parts {
            mac.update(part);
        }
        FixedBytes(mac.finalize().into_bytes().into())
    }
}

mod subtle_eq {
    use secret::SecretBytes;

    /// Equality without an early exit.
    pub(super) fn equal(first: &[u8; 32], second: &[u8; 32]) -> bool {
        SecretBytes::<32>::from_slice(first) == SecretBytes::<32>::from_slice(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceKeys;

    #[test]
    fn a_link_carries_origin_code_and_secret() {
        let secret = EnrolmentSecret::Link(SecretBytes::from_fn(|out| out.fill(0xFB)));
        let text = EnrolmentLink::text("https://keys.example.org", "BCDFGHJK", &secret).expect("a link");
        assert_eq!(text.expose(), "https://keys.example.org/enrol#BCDFGHJK.-_v7-_v7-_v7-_v7-_v7-w");
        let read = EnrolmentLink::parse(&format!(" {}\n", text.expose())).expect("a link");
        assert_eq!((read.origin.as_str(), read.user_code.as_str()), ("https://keys.example.org", "BCDFGHJK"));
        let EnrolmentSecret::Link(bits) = read.secret else { panic!("another secret") };
        assert!(bits.expose() == &[0xFB; 16]);
        assert!(EnrolmentLink::text("https://a", "BCDFGHJK", &EnrolmentSecret::random_typed()).is_none());
        for bad in [
            "",
            "https://keys.example.org/enrol#BCDFGHJK",
            "https://keys.example.org/enrol#BCDFGHJK.",
            "https://keys.example.org/enrol#BCDFGHJK.-_v7-_v7-_v7-_v7-_v7",
            "https://keys.example.org/enrol#BCDFGHJK.-_v7-_v7-_v7-_v7-_v7-_v7",
            "https://keys.example.org/enrol#BCDFGHJK.-_v7-_v7-_v7-_v7-_v7!w",
            "https://keys.example.org/enrol#BCDFGHJ.-_v7-_v7-_v7-_v7-_v7-w",
            "https://keys.example.org/enrol?BCDFGHJK.-_v7-_v7-_v7-_v7-_v7-w",
        ] {
            assert!(EnrolmentLink::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn both_sides_agree_and_any_difference_shows() {
        let keys = DeviceKeys::random();
        let (device_pk, box_key) = (keys.signing_key().public(), keys.box_key());
        let request = Request {
            origin: "http://127.0.0.1:1",
            user_code: "BCDFGHJK",
            device_pk: &device_pk,
            box_pk: box_key.public(),
            nonce: &[7; 16],
            name: "laptop",
        };
        let secret = EnrolmentSecret::Link(SecretBytes::from_fn(|out| out.fill(3)));
        let tag = secret.key(&request).map(|key| key.tag_h(&request)).expect("a key");
        let again = secret.key(&request).map(|key| key.tag_h(&request)).expect("a key");
        assert!(EnrolmentKey::matches(&tag, &again));

        let other_device = DeviceKeys::random().signing_key().public();
        for changed in [
            Request { origin: "http://127.0.0.1:2", ..request },
            Request { user_code: "BCDFGHJL", ..request },
            Request { device_pk: &other_device, ..request },
            Request { nonce: &[8; 16], ..request },
            Request { name: "tablet", ..request },
        ] {
            let other = secret.key(&changed).map(|key| key.tag_h(&changed)).expect("a key");
            assert!(!EnrolmentKey::matches(&tag, &other));
        }
        let guess = EnrolmentSecret::random_link().key(&request).map(|key| key.tag_h(&request)).expect("a key");
        assert!(!EnrolmentKey::matches(&tag, &guess));
    }
}
