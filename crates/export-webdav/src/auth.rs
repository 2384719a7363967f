//! Who asks: Basic and Digest.
//!
//! Windows sends Basic over TLS only, so it is offered the digest of RFC 7616, with the MD5 that it knows. The password is
//! random and used for one server, so that nothing is gained by guessing from a digest that somebody overheard.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::limits;
use crate::password::{Password, USER};

const REALM: &str = "Keyhaven";
/// The longest header that is looked at.
const HEADER_BYTES: usize = 4096;

/// What became of a request's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are right.
    Known,
    /// There are none, or they are wrong.
    Unknown,
    /// They are right, but made for a nonce that is too old.
    Stale,
}

/// Checks credentials and asks for them.
pub(crate) struct Guard {
    password: Password,
    /// Makes nonces that no one else can make.
    secret: Zeroizing<[u8; 32]>,
    started: Instant,
}

impl Guard {
    pub(crate) fn new(password: Password) -> std::io::Result<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(std::io::Error::other)?;
        Ok(Self { password, secret, started: Instant::now() })
    }

    /// Checks an `Authorization` header of a request of `method` for `target`.
    pub(crate) fn check(&self, header: Option<&str>, method: &str, target: &str) -> Verdict {
        let Some((scheme, rest)) = header.filter(|header| header.len() <= HEADER_BYTES).and_then(|h| h.split_once(' '))
        else {
            return Verdict::Unknown;
        };
        match scheme.to_ascii_lowercase().as_str() {
            "basic" if self.basic(rest.trim()) => Verdict::Known,
            "digest" => self.digest(&parameters(rest), method, target),
            _ => Verdict::Unknown,
        }
    }

    /// What to answer when credentials are missing: one value of `WWW-Authenticate` each.
    pub(crate) fn challenges(&self, stale: bool) -> [String; 2] {
        let nonce = self.nonce(self.started.elapsed());
        let stale = if stale { ", stale=true" } else { "" };
        [
            format!("Digest realm=\"{REALM}\", qop=\"auth\", algorithm=MD5, nonce=\"{nonce}\"{stale}"),
            format!("Basic realm=\"{REALM}\", charset=\"UTF-8\""),
        ]
    }

    fn basic(&self, encoded: &str) -> bool {
        let Ok(decoded) = BASE64.decode(encoded.as_bytes()).map(Zeroizing::new) else { return false };
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { return false };
        decoded[..colon] == *USER.as_bytes() && self.password.is(&decoded[colon + 1..])
    }

    fn digest(&self, given: &HashMap<String, String>, method: &str, target: &str) -> Verdict {
        let value = |name: &str| given.get(name).map_or("", String::as_str);
        let algorithm = value("algorithm");
        let fits = value("username") == USER
            && value("realm") == REALM
            && value("qop") == "auth"
            && value("uri") == target
            && (algorithm.is_empty() || algorithm.eq_ignore_ascii_case("MD5"));
        let Some(age) = fits.then(|| self.age(value("nonce"))).flatten() else { return Verdict::Unknown };
        let user = Zeroizing::new(md5_hex(&[USER, REALM, self.password.expose()]));
        let request = md5_hex(&[method, target]);
        let expected = md5_hex(&[&user, value("nonce"), value("nc"), value("cnonce"), "auth", &request]);
        let right: bool = expected.as_bytes().ct_eq(value("response").as_bytes()).into();
        match right {
            false => Verdict::Unknown,
            true if age > limits::NONCE => Verdict::Stale,
            true => Verdict::Known,
        }
    }

    /// The second in which it was made, and what proves that it was made here.
    fn nonce(&self, at: Duration) -> String {
        let seconds = at.as_secs();
        let mut hash = Sha256::new();
        hash.update(*self.secret);
        hash.update(seconds.to_be_bytes());
        // The secret stands in front and its length is fixed; only whole hashes of one length are made.
        let proof = hash.finalize();
        format!("{seconds:x}.{}", HEXLOWER.encode(&proof[..16]))
    }

    /// How old a nonce is; `None` when it was not made here.
    fn age(&self, nonce: &str) -> Option<Duration> {
        let (seconds, _) = nonce.split_once('.')?;
        let made = Duration::from_secs(u64::from_str_radix(seconds, 16).ok()?);
        let same: bool = self.nonce(made).as_bytes().ct_eq(nonce.as_bytes()).into();
        same.then(|| self.started.elapsed().saturating_sub(made))
    }
}

fn md5_hex(parts: &[&str]) -> String {
    HEXLOWER.encode(&Md5::digest(Zeroizing::new(parts.join(":")).as_bytes()))
}

/// `name=value, name="quoted value"`.
fn parameters(text: &str) -> HashMap<String, String> {
    let mut out = HashMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => match after.split_once(',') {
                Some((value, next)) => (value.trim().to_owned(), next),
                None => (after.trim().to_owned(), ""),
            },
        };
        // The first of two stands.
        out.entry(name).or_insert(value);
        rest = next;
    }
    out
}

/// The value up to the closing quote, and what follows.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(Password::random().unwrap()).unwrap()
    }

    fn digest(nonce: &str, method: &str, target: &str, password: &str) -> String {
        let user = md5_hex(&[USER, REALM, password]);
        let request = md5_hex(&[method, target]);
        let response = md5_hex(&[&user, nonce, "00000001", "c", "auth", &request]);
        format!(
            "Digest username=\"{USER}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{target}\", qop=auth, \
             nc=00000001, cnonce=\"c\", response=\"{response}\""
        )
    }

    #[test]
    fn the_example_of_the_standard() {
        // RFC 7616, 3.9.1.
        let user = md5_hex(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
        let request = md5_hex(&["GET", "/dir/index.html"]);
        let (nonce, cnonce) =
            ("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        let response = md5_hex(&[&user, nonce, "00000001", cnonce, "auth", &request]);
        assert_eq!(response, "8ca523f5e9506fed4657c9700eebdbec");
    }

    #[test]
    fn right_and_wrong_credentials() {
        let guard = guard();
        let right = guard.password.expose().to_owned();
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text.as_bytes()));
        let check = |header: &str| guard.check(Some(header), "GET", "/a");
        assert_eq!(check(&basic(&format!("{USER}:{right}"))), Verdict::Known);
        for wrong in [format!("{USER}:"), format!("{USER}:{right}x"), format!("other:{right}"), right.clone()] {
            assert_eq!(check(&basic(&wrong)), Verdict::Unknown);
        }
        let nonce = guard.nonce(guard.started.elapsed());
        assert_eq!(check(&digest(&nonce, "GET", "/a", &right)), Verdict::Known);
        for (nonce, method, target, password) in [
            (nonce.as_str(), "GET", "/a", "wrong"),
            (&nonce, "PUT", "/a", &right),
            (&nonce, "GET", "/b", &right),
            ("0.00", "GET", "/a", &right),
            ("", "GET", "/a", &right),
        ] {
            assert_eq!(check(&digest(nonce, method, target, password)), Verdict::Unknown);
        }
        for nonsense in ["", "Basic", "Basic !", "Digest", "Digest =,=\"", "Bearer x", "Digest nonce=\"\\"] {
            assert_eq!(check(nonsense), Verdict::Unknown, "{nonsense}");
        }
        assert_eq!(guard.check(None, "GET", "/a"), Verdict::Unknown);
    }

    #[test]
    fn an_old_digest_is_made_anew() {
        let mut guard = guard();
        let nonce = guard.nonce(Duration::ZERO);
        let Some(earlier) = guard.started.checked_sub(limits::NONCE + Duration::from_secs(5)) else { return };
        guard.started = earlier;
        let header = digest(&nonce, "GET", "/a", guard.password.expose());
        assert_eq!(guard.check(Some(&header), "GET", "/a"), Verdict::Stale);
        assert!(guard.challenges(true)[0].contains("stale=true"));
    }
}
