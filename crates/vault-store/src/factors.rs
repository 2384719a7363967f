//! Second factors.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Digest, Error, FactorId, GrantUse, LinkMaker, Millis};

/// One row of `factors`.
#[derive(Debug, Clone)]
pub struct Factor {
    /// Chosen by the server.
    pub id: FactorId,
    /// Whose.
    pub account_id: AccountId,
    /// `totp` or `passkey`.
    pub kind: String,
    /// The owner's name for it.
    pub label: String,
    /// The factor's secret, sealed by the server to this row.
    pub data_sealed: Vec<u8>,
    /// Last time step whose code was used, for `totp`.
    pub last_step: Option<i64>,
    /// When it was added.
    pub created_at: Millis,
}

/// What adding a factor changes besides the factor's own row.
#[derive(Debug, Clone)]
pub struct AddFactor {
    /// The new factor.
    pub factor: Factor,
    /// The enrolment ceremony, which ends here.
    pub ceremony: CeremonyId,
    /// Kind of that ceremony.
    pub ceremony_kind: String,
    /// The grant that is spent; `None` only for the first factor of an account.
    pub grant: Option<GrantUse>,
    /// The session that goes on, at level full, in the new epoch. Every other session ends.
    pub keep_session: Digest,
    /// The time now.
    pub now: Millis,
}

/// Second factors.
#[async_trait]
pub trait Factors {
    /// Adds a factor, turns two-factor on, raises the epoch, ends other sessions and adds the audit entry: one
    /// transaction.
    ///
    /// # Errors
    /// Refusals: [`Ceremony`](crate::Refusal::Ceremony), [`Grant`](crate::Refusal::Grant) (also when there is a factor
    /// already and no grant is presented), [`Session`](crate::Refusal::Session).
    async fn add_factor(&self, add: &AddFactor, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The account's factors, oldest first.
    async fn factors(&self, account: AccountId) -> Result<Vec<Factor>, Error>;

    /// Marks a time step as used. `false` when this step, or a later one, was used before: exactly one caller gets
    /// `true` for a step.
    async fn use_totp_step(&self, account: AccountId, factor: FactorId, step: i64, now: Millis) -> Result<bool, Error>;
}
