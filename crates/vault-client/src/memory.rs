//! State where there are no files: names and contents in memory, of which the caller keeps what may be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

/// What a state keeps, by name. Clones share it.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    held: BTreeMap<String, Zeroizing<Vec<u8>>>,
    changed: BTreeMap<String, Option<Vec<u8>>>,
}

/// What may outlive the page: pins, what was seen, and what is sealed or public. Everything else is gone with it.
const KEPT: [&str; 4] = ["profile.json", "log.json", "reveals.json", "former.json"];
const KEPT_FOLDERS: [&str; 3] = ["receipts", "outbox", "evidence"];

impl Memory {
    /// One that begins with what [`changes`](Self::changes) gave before.
    #[must_use]
    pub fn new(kept: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let held = kept.into_iter().filter(|(name, _)| may_be_kept(name));
        let held = held.map(|(name, bytes)| (name, Zeroizing::new(bytes))).collect();
        Self(Arc::new(Mutex::new(Entries { held, changed: BTreeMap::new() })))
    }

    /// What changed since the last call and may be kept: pins, receipts, what was seen. `None`: it was removed. Never a secret.
    #[must_use]
    pub fn changes(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        std::mem::take(&mut self.entries().changed)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.entries().held.get(name).cloned()
    }

    pub(crate) fn put(&self, name: &str, bytes: Zeroizing<Vec<u8>>) {
        let mut entries = self.entries();
        if may_be_kept(name) {
            entries.changed.insert(name.to_owned(), Some(bytes.to_vec()));
        }
        entries.held.insert(name.to_owned(), bytes);
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut entries = self.entries();
        if entries.held.remove(name).is_some() && may_be_kept(name) {
            entries.changed.insert(name.to_owned(), None);
        }
    }

    /// Names in a subfolder, in order.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.entries();
        let names = entries.held.keys().filter(|name| name.split_once('/').is_some_and(|(first, _)| first == folder));
        names.cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").finish_non_exhaustive()
    }
}

fn may_be_kept(name: &str) -> bool {
    KEPT.contains(&name) || name.split_once('/').is_some_and(|(folder, _)| KEPT_FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    #[test]
    fn what_is_kept_comes_back_and_secrets_are_never_handed_out() {
        let memory = Memory::default();
        let state = State::in_memory(memory.clone());
        state.write("profile.json", &"pins").unwrap();
        state.write("receipts/b.json", &"two").unwrap();
        state.write("receipts/a.json", &"one").unwrap();
        state.write("session.json", &"token").unwrap();
        state.write("something-new.json", &"not known to be harmless").unwrap();
        state.write("reveals.json", &"gone").unwrap();
        state.remove("reveals.json").unwrap();
        assert_eq!(state.names("receipts").unwrap(), ["receipts/a.json", "receipts/b.json"]);
        let changes = memory.changes();
        let names: Vec<_> = changes.keys().map(String::as_str).collect();
        assert_eq!(names, ["profile.json", "receipts/a.json", "receipts/b.json", "reveals.json"]);
        assert_eq!(changes["reveals.json"], None);
        assert!(memory.changes().is_empty(), "told once");

        let kept = changes.into_iter().filter_map(|(name, bytes)| Some((name, bytes?)));
        let later = State::in_memory(Memory::new(kept.chain([("session.json".to_owned(), b"\"old\"".to_vec())])));
        assert_eq!(later.read::<String>("receipts/b.json").unwrap().as_deref(), Some("two"));
        assert_eq!(later.read::<String>("session.json").unwrap(), None, "a session does not outlive its page");
        assert!(state.lock().is_ok());
    }
}
