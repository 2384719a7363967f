//! Passkeys: factors with a public key and a counter, and the slots they open.

use async_trait::async_trait;

use crate::{AccountId, AddFactor, Error, Factor, FactorId, GrantUse, LinkMaker, Millis, Slot};

/// Kind of such factors and of their slots.
pub const PASSKEY: &str = "passkey";

/// One row of `factors` that is a passkey.
#[derive(Debug, Clone)]
pub struct Passkey {
    /// What it has in common with other factors. `data_sealed` holds the public key.
    pub factor: Factor,
    /// Chosen by the authenticator; no other factor of any account has it.
    pub credential_id: Vec<u8>,
    /// Signature counter of its last use; stays 0 where the authenticator does not count.
    pub counter: i64,
}

/// What adding a passkey changes.
#[derive(Debug, Clone)]
pub struct AddPasskey {
    /// As for every factor.
    pub add: AddFactor,
    /// Chosen by the authenticator.
    pub credential_id: Vec<u8>,
    /// Its counter when it was made.
    pub counter: i64,
}

/// A slot that a passkey of the account opens.
#[derive(Debug, Clone)]
pub struct AddPasskeySlot {
    /// The new slot; its `credential_id` names the passkey.
    pub slot: Slot,
    /// That passkey.
    pub factor: FactorId,
    /// The grant that is spent; it names account and session.
    pub grant: GrantUse,
}

/// Passkeys.
#[async_trait]
pub trait Passkeys {
    /// Adds a passkey: as [`Factors::add_factor`](crate::Factors::add_factor).
    ///
    /// # Errors
    /// As there, and the refusal [`IdTaken`](crate::Refusal::IdTaken) when any account has this credential already.
    async fn add_passkey(&self, add: &AddPasskey, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The account's passkeys, oldest first.
    async fn passkeys(&self, account: AccountId) -> Result<Vec<Passkey>, Error>;

    /// Marks a use and advances the counter. `false`, and nothing is changed, when the counter did not rise: then the
    /// passkey was copied, or the answer was seen before. A passkey that does not count stays at 0.
    async fn use_passkey(&self, account: AccountId, factor: FactorId, counter: i64, now: Millis)
    -> Result<bool, Error>;

    /// Adds the slot that a passkey opens, in place of an earlier one of the same passkey: spends the grant, adds the
    /// audit entry.
    ///
    /// # Errors
    /// Refusals: [`Grant`](crate::Refusal::Grant), [`NotFound`](crate::Refusal::NotFound) when the factor is not this
    /// passkey, [`PasskeyLeaked`](crate::Refusal::PasskeyLeaked), [`IdTaken`](crate::Refusal::IdTaken).
    async fn add_passkey_slot(&self, add: &AddPasskeySlot, link: LinkMaker<'_>) -> Result<(), Error>;

    /// What these passkeys derive was seen: their slots are wiped, and they get no new ones. Adds the audit entry, also where there
    /// are none. Returns how many slots there were.
    async fn retire_passkey_slots(
        &self,
        account: AccountId,
        credentials: &[Vec<u8>],
        now: Millis,
        link: LinkMaker<'_>,
    ) -> Result<u64, Error>;
}
