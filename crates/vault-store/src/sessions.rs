//! Sessions: who is signed in, since when, and how far.

use async_trait::async_trait;

use crate::{AccountId, Digest, Error, Millis};

/// How far a session got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionLevel {
    /// May enrol a factor and nothing else: the account has no second factor yet.
    Enrol,
    /// May add a factor and nothing else: a backup code stood in for a factor that is not at hand.
    FactorsOnly,
    /// Signed in with every factor the account asks for.
    Full,
}

/// One row of `sessions`.
#[derive(Debug, Clone)]
pub struct Session {
    /// SHA-256 of the bearer token. The token itself is not stored.
    pub token_hash: Digest,
    /// Whose session.
    pub account_id: AccountId,
    /// Epoch of the account when the session began.
    pub epoch: i64,
    /// How far it got.
    pub level: SessionLevel,
    /// When it began.
    pub created_at: Millis,
    /// When it was last used.
    pub seen_at: Millis,
    /// When it ends whatever happens.
    pub expires_at: Millis,
    /// Truncated address it began from.
    pub net: String,
}

/// A session and what its account says about it now.
#[derive(Debug, Clone)]
pub struct LiveSession {
    /// The session.
    pub session: Session,
    /// The account's epoch now; a session of another epoch is over.
    pub account_epoch: i64,
    /// Whether the account asks for a second factor now.
    pub two_factor: bool,
}

/// Signed-in sessions.
#[async_trait]
pub trait Sessions {
    /// Adds a session.
    async fn add_session(&self, session: &Session) -> Result<(), Error>;

    /// A session by the hash of its token, whatever its age.
    async fn session(&self, token_hash: Digest) -> Result<Option<LiveSession>, Error>;

    /// Notes that a session was used.
    async fn touch_session(&self, token_hash: Digest, seen_at: Millis) -> Result<(), Error>;

    /// Ends a session.
    async fn end_session(&self, token_hash: Digest) -> Result<(), Error>;
}
