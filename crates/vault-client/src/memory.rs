//! State where there are no files: names and contents in memory, of which the caller keeps what may be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::state::Profile;

/// What a state keeps, by name. Clones share it.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    held: BTreeMap<String, Zeroizing<Vec<u8>>>,
    changed: BTreeMap<String, Option<Vec<u8>>>,
}

/// The pins of an account.
const PROFILE: &str = "profile.json";
/// What may outlive the page: pins, what was seen, and what is sealed or public. Everything else is gone with it.
const KEPT: [&str; 4] = [PROFILE, "log.json", "reveals.json", "former.json"];
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

    /// Takes over what another page of the same person kept meanwhile, given whole. What changed here and was not handed out so far
    /// stays; pins of another account are not taken, and of the same account's trail the head that is further on counts.
    pub fn take_over(&self, kept: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mut entries = self.entries();
        let mut kept: BTreeMap<String, Vec<u8>> = kept.into_iter().filter(|(name, _)| may_be_kept(name)).collect();
        if let Some(here) = entries.held.get(PROFILE)
            && !kept.get(PROFILE).is_some_and(|there| continues(here, there))
        {
            kept.insert(PROFILE.to_owned(), here.to_vec());
        }
        let Entries { held, changed } = &mut *entries;
        held.retain(|name, _| !may_be_kept(name) || changed.contains_key(name) || kept.contains_key(name));
        for (name, bytes) in kept {
            if !changed.contains_key(&name) {
                held.insert(name, Zeroizing::new(bytes));
            }
        }
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

/// Whether these pins are of the same account and have seen no less.
fn continues(here: &[u8], there: &[u8]) -> bool {
    let read = |bytes| serde_json::from_slice::<Profile>(bytes).ok();
    let (Some(here), Some(there)) = (read(here), read(there)) else { return false };
    here.account_id == there.account_id && here.audit_head.seq <= there.audit_head.seq
}

fn may_be_kept(name: &str) -> bool {
    KEPT.contains(&name) || name.split_once('/').is_some_and(|(folder, _)| KEPT_FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use vault_protocol::messages::AuditHead;
    use vault_protocol::{AccountId, Bytes, FixedBytes, PublicKey, Signed};

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

    fn pins(account: u8, seq: u64) -> Vec<u8> {
        let key = PublicKey::Ed25519(FixedBytes([0; 32]));
        let nothing = || Bytes(Vec::new());
        let profile = Profile {
            origin: "https://keys.example.org".to_owned(),
            email: "ada@example.org".to_owned(),
            account_id: AccountId::from_bytes([account; 16]),
            key_statement: Signed {
                kind: String::new(),
                payload: nothing(),
                key_id: FixedBytes([0; 8]),
                signature: nothing(),
            },
            receipt_pk: key.clone(),
            log_pk: key,
            audit_head: AuditHead { seq, hash: FixedBytes([0; 32]) },
        };
        serde_json::to_vec(&profile).unwrap()
    }

    #[test]
    fn what_another_page_saw_is_taken_over_and_nothing_is_forgotten_for_it() {
        let kept = |pins: Vec<u8>, receipts: &[&str]| {
            let receipts = receipts.iter().map(|name| (format!("receipts/{name}.json"), b"1".to_vec()));
            receipts.chain([("profile.json".to_owned(), pins)]).collect::<Vec<_>>()
        };
        let seen = |memory: &Memory| memory.get("profile.json").map(|bytes| bytes.to_vec()).unwrap();
        let memory = Memory::new(kept(pins(1, 5), &["a", "b"]));
        memory.put("session.json", Zeroizing::new(b"token".to_vec()));
        memory.take_over(kept(pins(1, 9), &["b", "c"]));
        assert_eq!(seen(&memory), pins(1, 9));
        assert_eq!(memory.names("receipts"), ["receipts/b.json", "receipts/c.json"], "one was removed there");
        assert!(memory.get("session.json").is_some() && memory.changes().is_empty());
        // A page that saw less, one of another account, one without pins.
        for behind in [kept(pins(1, 7), &["b"]), kept(pins(2, 20), &["b"]), Vec::new()] {
            memory.take_over(behind);
            assert_eq!(seen(&memory), pins(1, 9));
        }
        // What changed here is not lost before it was handed out.
        memory.put("receipts/d.json", Zeroizing::new(b"1".to_vec()));
        memory.take_over(kept(pins(1, 9), &[]));
        assert_eq!(memory.names("receipts"), ["receipts/d.json"]);
    }
}
