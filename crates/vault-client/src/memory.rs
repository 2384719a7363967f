//! State where there are no files: names and contents in memory, of which the caller keeps what may be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::bundle::RememberedReveal;
use crate::log::PinnedLog;
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
/// What was seen of the service's log.
const LOG: &str = "log.json";
/// Releases that were asked for: a list that only grows.
const REVEALS: &str = "reveals.json";
/// What may outlive the page: pins, what was seen, and what is sealed or public. Everything else is gone with it.
const KEPT: [&str; 4] = [PROFILE, LOG, REVEALS, "former.json"];
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

    /// Takes over what another page of the same person kept meanwhile. Nothing is forgotten for it: what changed here and was not
    /// handed out so far stays, pins of another account are not taken, and where this page has seen more, that is handed out again.
    pub fn take_over(&self, kept: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mut entries = self.entries();
        let Entries { held, changed } = &mut *entries;
        for (name, there) in kept.into_iter().filter(|(name, _)| may_be_kept(name)) {
            if changed.contains_key(&name) {
                continue;
            }
            match held.get(&name).map_or(Newer::There, |here| newer(&name, here, &there)) {
                Newer::There => drop(held.insert(name, Zeroizing::new(there))),
                Newer::Neither => {}
                Newer::Here(whole) => {
                    changed.insert(name.clone(), Some(whole.clone()));
                    held.insert(name, Zeroizing::new(whole));
                }
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

/// Which of two pages has seen more.
enum Newer {
    There,
    /// They tell of different accounts.
    Neither,
    /// This one, or both something: what is to be kept.
    Here(Vec<u8>),
}

fn newer(name: &str, here: &[u8], there: &[u8]) -> Newer {
    let keep_if = |more: bool| if more { Newer::Here(here.to_vec()) } else { Newer::There };
    match name {
        PROFILE => match (read::<Profile>(here), read::<Profile>(there)) {
            (Some(here), Some(there)) if here.account_id == there.account_id => {
                keep_if(here.audit_head.seq > there.audit_head.seq)
            }
            (Some(_), _) => Newer::Neither,
            (None, _) => Newer::There,
        },
        LOG => match (read::<PinnedLog>(here), read::<PinnedLog>(there)) {
            (Some(here), Some(there)) => keep_if(here.size > there.size),
            (here, _) => keep_if(here.is_some()),
        },
        REVEALS => united(here, there),
        _ => Newer::There,
    }
}

/// Releases that one page or the other remembers.
fn united(here: &[u8], there: &[u8]) -> Newer {
    let (here, there) = (read::<Vec<RememberedReveal>>(here), read::<Vec<RememberedReveal>>(there));
    let (here, mut all) = (here.unwrap_or_default(), there.unwrap_or_default());
    let before = all.len();
    for reveal in here {
        if !all.contains(&reveal) {
            all.push(reveal);
        }
    }
    if all.len() == before { Newer::There } else { serde_json::to_vec(&all).map_or(Newer::There, Newer::Here) }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn may_be_kept(name: &str) -> bool {
    KEPT.contains(&name) || name.split_once('/').is_some_and(|(folder, _)| KEPT_FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use vault_protocol::messages::AuditHead;
    use vault_protocol::{AccountId, Bytes, FixedBytes, PublicKey, RecordId, Signed};

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
        let seen = |memory: &Memory, name: &str| memory.get(name).map(|bytes| bytes.to_vec()).unwrap();
        let memory = Memory::new(kept(pins(1, 5), &["a", "b"]));
        memory.put("session.json", Zeroizing::new(b"token".to_vec()));
        memory.take_over(kept(pins(1, 9), &["b", "c"]));
        assert_eq!(seen(&memory, PROFILE), pins(1, 9));
        assert_eq!(memory.names("receipts").len(), 3);
        assert!(memory.get("session.json").is_some() && memory.changes().is_empty());
        // Pins of another account, or none, change nothing; of one that saw less, the more is handed out again.
        for other in [kept(pins(2, 20), &[]), Vec::new(), vec![("session.json".to_owned(), b"theirs".to_vec())]] {
            memory.take_over(other);
            assert_eq!(seen(&memory, PROFILE), pins(1, 9));
            assert!(memory.changes().is_empty());
        }
        assert_eq!(seen(&memory, "session.json"), b"token");
        memory.take_over(kept(pins(1, 7), &[]));
        assert_eq!((seen(&memory, PROFILE), memory.changes()[PROFILE].clone()), (pins(1, 9), Some(pins(1, 9))));
        // What changed here is not lost before it was handed out.
        memory.put(PROFILE, Zeroizing::new(pins(1, 10)));
        memory.take_over(kept(pins(1, 12), &[]));
        assert_eq!(memory.changes()[PROFILE], Some(pins(1, 10)));
    }

    #[test]
    fn of_logs_the_larger_counts_and_of_releases_every_one() {
        let log = |size: u64| {
            let root = FixedBytes([0; 32]);
            serde_json::json!({ "size": size, "root": root, "note": "", "checked_at": 1 }).to_string().into_bytes()
        };
        let reveals = |times: &[i64]| {
            let reveal = |at: &i64| RememberedReveal {
                account_id: AccountId::from_bytes([1; 16]),
                record_id: RecordId::from_bytes([1; 16]),
                at: *at,
                entry: None,
            };
            serde_json::to_vec(&times.iter().map(reveal).collect::<Vec<_>>()).unwrap()
        };
        let memory = Memory::new([(LOG.to_owned(), log(9)), (REVEALS.to_owned(), reveals(&[1, 2]))]);
        let held = |name: &str| memory.get(name).map(|bytes| bytes.to_vec()).unwrap();
        memory.take_over([(LOG.to_owned(), log(8)), (REVEALS.to_owned(), reveals(&[2, 3]))]);
        assert_eq!((held(LOG), held(REVEALS)), (log(9), reveals(&[2, 3, 1])));
        let changes = memory.changes();
        assert_eq!((&changes[LOG], &changes[REVEALS]), (&Some(log(9)), &Some(reveals(&[2, 3, 1]))));
        memory.take_over([(LOG.to_owned(), log(11)), (REVEALS.to_owned(), reveals(&[2, 3, 1]))]);
        assert_eq!(held(LOG), log(11));
        assert!(memory.changes().is_empty(), "both pages come to rest");
    }
}
