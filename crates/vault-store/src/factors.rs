//! Second factors.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Digest, Error, FactorId, GrantUse, LinkMaker, Millis, Session};

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
    /// When it was last used.
    pub used_at: Option<Millis>,
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
    /// Whether this may only be the account's first factor: no step-up came before it.
    pub first: bool,
    /// Factors that the account may have, this one included.
    pub max_factors: i64,
    /// The session that asked. It ends like every other.
    pub from_session: Digest,
    /// The session that goes on in the new epoch; its `epoch` is set here.
    pub session: Session,
    /// The time now.
    pub now: Millis,
}

/// What removing a factor changes besides the factor's own row.
#[derive(Debug, Clone)]
pub struct RemoveFactor {
    /// Which factor.
    pub factor: FactorId,
    /// The grant that is spent; it names account and session.
    pub grant: GrantUse,
    /// The session that goes on in the new epoch; its `epoch` is set here.
    pub session: Session,
}

/// Second factors.
#[async_trait]
pub trait Factors {
    /// Adds a factor, turns two-factor on, raises the epoch, ends other sessions and adds the audit entry: one
    /// transaction.
    ///
    /// # Errors
    /// Refusals: [`Ceremony`](crate::Refusal::Ceremony), [`Grant`](crate::Refusal::Grant) (it had to be the first factor
    /// and is not), [`Session`](crate::Refusal::Session), [`LabelTaken`](crate::Refusal::LabelTaken),
    /// [`FactorQuota`](crate::Refusal::FactorQuota).
    async fn add_factor(&self, add: &AddFactor, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Removes a factor that is not the last one: spends the grant, raises the epoch, ends other sessions, adds the
    /// audit entry.
    ///
    /// # Errors
    /// Refusals: [`Grant`](crate::Refusal::Grant), [`NotFound`](crate::Refusal::NotFound),
    /// [`LastFactor`](crate::Refusal::LastFactor), [`SameFactor`](crate::Refusal::SameFactor) when the factor itself
    /// confirmed the step-up, [`Session`](crate::Refusal::Session).
    async fn remove_factor(&self, remove: &RemoveFactor, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The account's factors, oldest first.
    async fn factors(&self, account: AccountId) -> Result<Vec<Factor>, Error>;

    /// Marks a time step as used. `false` when this step, or a later one, was used before: exactly one caller gets
    /// `true` for a step.
    async fn use_totp_step(&self, account: AccountId, factor: FactorId, step: i64, now: Millis) -> Result<bool, Error>;
}
