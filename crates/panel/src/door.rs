//! Who may come in: links that work once, and sessions.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use secret::{SecretBytes, SecretString};
use zeroize::Zeroizing;

use crate::failure::locked;

/// How long a link may lie about before it is opened.
pub(crate) const LINK_LIFE: Duration = Duration::from_secs(10 * 60);
/// A session that nobody uses ends. Pages that are open ask for the jobs now and then.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Links and sessions at once; the oldest goes.
const MOST: usize = 16;

struct Entry {
    token: SecretBytes<32>,
    /// Until when a link works; when a session was last used.
    time: Instant,
}

/// Links and sessions of one panel.
pub(crate) struct Door {
    /// Gives new links to programs of this account, which find it in a private file.
    key: SecretBytes<32>,
    links: Mutex<Vec<Entry>>,
    sessions: Mutex<Vec<Entry>>,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self { key: SecretBytes::random(), links: Mutex::default(), sessions: Mutex::default() }
    }

    /// The key as text.
    pub(crate) fn key(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(self.key.expose()))
    }

    pub(crate) fn is_key(&self, text: &SecretString) -> bool {
        parse(text).is_some_and(|token| token == self.key)
    }

    /// A new token for a link.
    pub(crate) fn link(&self, now: Instant) -> Zeroizing<String> {
        add(&mut locked(&self.links), now + LINK_LIFE)
    }

    /// Spends a token, and opens a session.
    pub(crate) fn enter(&self, token: &SecretString, now: Instant) -> Option<Zeroizing<String>> {
        let token = parse(token)?;
        let mut links = locked(&self.links);
        links.retain(|link| link.time > now);
        let found = links.iter().position(|link| link.token == token)?;
        links.swap_remove(found);
        drop(links);
        Some(add(&mut locked(&self.sessions), now))
    }

    /// Whether this is a session; it is used now.
    pub(crate) fn is_session(&self, token: &SecretString, now: Instant) -> bool {
        let Some(token) = parse(token) else { return false };
        let mut sessions = locked(&self.sessions);
        sessions.retain(|session| session.time + SESSION_LIFE > now);
        match sessions.iter_mut().find(|session| session.token == token) {
            Some(session) => {
                session.time = now;
                true
            }
            None => false,
        }
    }

    /// Ends a session; tells whether another one is left.
    pub(crate) fn leave(&self, token: &SecretString) -> bool {
        let mut sessions = locked(&self.sessions);
        if let Some(token) = parse(token) {
            sessions.retain(|session| session.token != token);
        }
        !sessions.is_empty()
    }

    /// Whether somebody is in.
    pub(crate) fn has_sessions(&self, now: Instant) -> bool {
        let mut sessions = locked(&self.sessions);
        sessions.retain(|session| session.time + SESSION_LIFE > now);
        !sessions.is_empty()
    }
}

fn add(entries: &mut Vec<Entry>, time: Instant) -> Zeroizing<String> {
    if entries.len() >= MOST {
        entries.remove(0);
    }
    let token = SecretBytes::random();
    let text = Zeroizing::new(BASE64URL_NOPAD.encode(token.expose()));
    entries.push(Entry { token, time });
    text
}

fn parse(text: &SecretString) -> Option<SecretBytes<32>> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.expose().as_bytes()).ok()?);
    SecretBytes::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_link_works_once_and_for_minutes() {
        let (door, now) = (Door::new(), Instant::now());
        let token = door.link(now);
        let session = door.enter(&secret(&token), now).unwrap();
        assert!(door.enter(&secret(&token), now).is_none(), "used");
        assert!(door.is_session(&secret(&session), now));
        assert!(!door.is_session(&secret(&token), now), "a link is no session");
        let old = door.link(now);
        assert!(door.enter(&secret(&old), now + LINK_LIFE).is_none(), "too old");
        for wrong in ["", "AAAA", &*door.link(now).chars().rev().collect::<String>(), &*door.key()] {
            assert!(door.enter(&secret(wrong), now).is_none());
        }
    }

    #[test]
    fn a_session_ends_when_it_is_left_or_not_used() {
        let (door, now) = (Door::new(), Instant::now());
        let enter = || secret(&door.enter(&secret(&door.link(now)), now).unwrap());
        let (one, two) = (enter(), enter());
        assert!(door.leave(&one), "the other one is there");
        assert!(!door.is_session(&one, now) && door.is_session(&two, now));
        assert!(!door.is_session(&two, now + SESSION_LIFE));
        assert!(!door.has_sessions(now));
    }

    #[test]
    fn there_are_never_many() {
        let (door, now) = (Door::new(), Instant::now());
        let first = secret(&door.link(now));
        (0..MOST).for_each(|_| drop(door.link(now)));
        assert!(door.enter(&first, now).is_none());
    }
}
