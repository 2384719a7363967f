//! Ceremonies: what the server must remember between two calls of one flow. The state is sealed by the server; here it
//! is bytes.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Error, GrantUse, Millis, OutgoingMail, SlotId};

/// One row of `ceremonies`.
#[derive(Debug, Clone)]
pub struct Ceremony {
    /// Given to the client; random.
    pub id: CeremonyId,
    /// Which flow and how far it got.
    pub kind: String,
    /// Whose; a made-up one while a sign-in for an unknown mail is being played through.
    pub account_id: Option<AccountId>,
    /// Sealed state.
    pub state_sealed: Vec<u8>,
    /// End of the ceremony.
    pub expires_at: Millis,
}

/// Ceremonies in progress.
#[async_trait]
pub trait Ceremonies {
    /// Begins one.
    async fn add_ceremony(&self, ceremony: &Ceremony) -> Result<(), Error>;

    /// Begins one together with the mail that belongs to it: a code that the ceremony waits for.
    async fn add_ceremony_with_mail(&self, ceremony: &Ceremony, mail: &OutgoingMail) -> Result<(), Error>;

    /// Begins one that a grant allows, which is spent with it or not at all.
    ///
    /// # Errors
    /// Refusals: [`Grant`](crate::Refusal::Grant), [`IdTaken`](crate::Refusal::IdTaken).
    async fn add_granted_ceremony(&self, ceremony: &Ceremony, grant: &GrantUse) -> Result<(), Error>;

    /// Begins one for whoever proved what opens a slot of the ceremony's account, as long as the slot is in use.
    ///
    /// # Errors
    /// Refusal [`NotFound`](crate::Refusal::NotFound) when it was replaced or retired meanwhile.
    async fn add_ceremony_by_slot(&self, ceremony: &Ceremony, slot: SlotId) -> Result<(), Error>;

    /// Counts a try and returns the ceremony, when it is of this kind, open, and has a try left.
    ///
    /// # Errors
    /// Refusal [`Ceremony`](crate::Refusal::Ceremony), whichever of these fails.
    async fn try_ceremony(&self, id: CeremonyId, kind: &str, now: Millis, max_tries: i64) -> Result<Ceremony, Error>;

    /// Moves an open ceremony of kind `from` on to its next stage, with fresh tries.
    ///
    /// # Errors
    /// Refusal [`Ceremony`](crate::Refusal::Ceremony) when it was moved or ended meanwhile.
    async fn advance_ceremony(&self, next: &Ceremony, from: &str, now: Millis) -> Result<(), Error>;

    /// Ends an open ceremony of this kind; exactly one caller succeeds.
    ///
    /// # Errors
    /// Refusal [`Ceremony`](crate::Refusal::Ceremony).
    async fn end_ceremony(&self, id: CeremonyId, kind: &str, now: Millis) -> Result<(), Error>;
}
