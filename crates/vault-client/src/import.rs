//! Keys that come from elsewhere: which of them the account has already, and saving the others in the owner's name.
//!
//! The owner's signature is enough to append, as a device's is; the person who imports has to be signed in, and is asked
//! nothing.

use std::collections::BTreeSet;

use vault_crypto::IndexKey;
use vault_crypto::record::{Draft, seal};
use vault_protocol::record::{AuthorKind, Save};
use vault_protocol::{AuthorId, Signed};

use crate::client::Owner;
use crate::reveal::summary;
use crate::save::outbox_name;
use crate::state::OutboxItem;
use crate::{Client, Error, Outcome, ToSave, Transport};

/// The keys of an account and of this computer's outbox, by blind index.
pub struct KnownKeys {
    index: IndexKey,
    whole: BTreeSet<[u8; 16]>,
    start: BTreeSet<[u8; 16]>,
    /// Number of the owner's newest save.
    last_seq: u64,
    /// Why only the outbox could be looked at.
    pub unreachable: Option<Error>,
}

impl KnownKeys {
    /// Whether there is a key with this identifier; of its first eight characters only, whether one begins like that.
    #[must_use]
    pub fn has(&self, key_id: &str) -> bool {
        let entry = self.index.entry(key_id);
        let short = key_id.chars().count() <= 8;
        self.whole.contains(&entry.full.0) || (short && self.start.contains(&entry.prefix.0))
    }

    /// Counts a key as known that is about to be saved.
    pub fn note(&mut self, key_id: &str) {
        let entry = self.index.entry(key_id);
        self.whole.insert(entry.full.0);
        self.start.insert(entry.prefix.0);
    }

    fn add(&mut self, save: &Save, owner: AuthorId) {
        for entry in &save.index {
            self.whole.insert(entry.full.0);
            self.start.insert(entry.prefix.0);
        }
        if save.author_id == owner {
            self.last_seq = self.last_seq.max(save.seq);
        }
    }
}

impl<T: Transport> Client<T> {
    /// What the account has already. Records whose author cannot be verified do not count. Where the service cannot be
    /// reached, only what waits here is known.
    ///
    /// # Errors
    /// [`Error`].
    pub fn known_keys(&self) -> Result<KnownKeys, Error> {
        let owner = self.owner()?;
        let account = AuthorId::from(owner.profile.account_id);
        let mut known = KnownKeys {
            index: owner.catalogue.index_key(),
            whole: BTreeSet::new(),
            start: BTreeSet::new(),
            last_seq: 0,
            unreachable: None,
        };
        for item in self.state.outbox()? {
            known.add(&payload(&item.request.save)?, account);
        }
        match self.saves(&owner) {
            Ok(saves) => saves.iter().for_each(|save| known.add(save, account)),
            Err(error @ Error::Transport(_)) => known.unreachable = Some(error),
            Err(other) => return Err(other),
        }
        Ok(known)
    }

    fn saves(&self, owner: &Owner) -> Result<Vec<Save>, Error> {
        let authors = self.authors(owner)?;
        let views = self.record_views(owner)?;
        let counts = |view: &&_| {
            let summary = summary(owner, &authors, view);
            summary.verified && summary.state != "hidden"
        };
        views.iter().filter(counts).map(|view| payload(&view.save)).collect()
    }

    /// Seals these keys in the owner's name, makes all of them durable in the outbox, and then delivers. What became of
    /// each stands at its place.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`]; [`Error::State`] when the outbox could not be written: keys that are in it by then are
    /// delivered another time. A service that cannot be reached is [`Outcome::Waiting`].
    pub fn import<K: ToSave>(&self, keys: &[K], known: &KnownKeys) -> Result<Vec<Outcome>, Error> {
        let _lock = self.state.lock()?;
        let owner = self.owner()?;
        let mut seq = known.last_seq;
        let mut records = Vec::with_capacity(keys.len());
        for key in keys {
            seq += 1;
            let item = self.seal_as_owner(&owner, key, seq)?;
            self.state.write(&outbox_name(item.record_id), &item)?;
            records.push(item.record_id);
        }
        let mut delivery = self.deliver()?;
        let outcome = |record_id| {
            if let Some((_, audit_seq)) = delivery.saved.iter().find(|(saved, _)| *saved == record_id) {
                return Outcome::Saved { record_id, audit_seq: *audit_seq };
            }
            let why = delivery.waiting.iter().position(|(waiting, _)| *waiting == record_id);
            let why = why.map_or(Error::Answer("no receipt"), |index| delivery.waiting.swap_remove(index).1);
            Outcome::Waiting { record_id, why }
        };
        Ok(records.into_iter().map(outcome).collect())
    }

    fn seal_as_owner(&self, owner: &Owner, key: &impl ToSave, seq: u64) -> Result<OutboxItem, Error> {
        let draft = Draft {
            statement: &owner.statement,
            author_id: owner.profile.account_id.into(),
            author_kind: AuthorKind::Account,
            author_key: &owner.catalogue.author_key(),
            seq,
            created_at: self.now(),
            supersedes: key.supersedes(),
            meta: key.meta(),
            index: owner.catalogue.index_key().entry(&key.meta().key_id),
        };
        let request = seal(&draft, key.secret())?;
        let record_id = payload(&request.save)?.record_id;
        Ok(OutboxItem { record_id, seq, request })
    }
}

fn payload(save: &Signed) -> Result<Save, Error> {
    serde_json::from_slice(&save.payload).map_err(|_| Error::Answer("a save that cannot be read"))
}
