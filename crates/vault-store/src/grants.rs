//! Step-up grants: single-use, short-lived, bound to session, purpose and target.

use async_trait::async_trait;

use crate::{AccountId, Digest, Error, FactorId, LinkMaker, Millis};

/// One row of `grants`.
#[derive(Debug, Clone)]
pub struct Grant {
    /// SHA-256 of the grant. The grant itself is not stored.
    pub hash: Digest,
    /// Whose.
    pub account_id: AccountId,
    /// Token hash of the session it was given to.
    pub session_hash: Digest,
    /// What for.
    pub purpose: String,
    /// On what; empty when the purpose has no target.
    pub target: String,
    /// The factor that confirmed the step-up; none for a backup code.
    pub confirmed_by: Option<FactorId>,
    /// When it lapses.
    pub expires_at: Millis,
}

/// A grant as it is presented: all of it must fit the row, which is spent in the same transaction as the act.
#[derive(Debug, Clone)]
pub struct GrantUse {
    /// SHA-256 of the presented grant.
    pub hash: Digest,
    /// The session's account.
    pub account_id: AccountId,
    /// The session's token hash.
    pub session_hash: Digest,
    /// The purpose the act needs.
    pub purpose: String,
    /// What the act is done to.
    pub target: String,
    /// The time now.
    pub now: Millis,
}

/// Grants.
#[async_trait]
pub trait Grants {
    /// Notes a new grant together with the audit entry of the step-up.
    async fn add_grant(&self, grant: &Grant, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Spends a grant for an act that changes no rows of its own.
    ///
    /// # Errors
    /// Refusal [`Grant`](crate::Refusal::Grant).
    async fn spend_grant(&self, presented: &GrantUse) -> Result<(), Error>;
}
