//! The audit log of one account: entries chained by hash, and the head that advances one entry at a time.

use async_trait::async_trait;

use crate::{AccountId, Digest, Error, OutgoingMail};

/// The last entry of an account's chain; `seq` 0 and a zero hash before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// Number of the last entry.
    pub seq: i64,
    /// Its hash.
    pub hash: Digest,
}

/// The next entry of a chain.
#[derive(Debug, Clone)]
pub struct Link {
    /// One more than the head's.
    pub seq: i64,
    /// The head's hash.
    pub prev: Digest,
    /// Hash of `body`.
    pub hash: Digest,
    /// The entry, as bytes.
    pub body: Vec<u8>,
    /// A notice to the owner that is put into the outbox together with the entry.
    pub mail: Option<OutgoingMail>,
}

/// Makes the next entry from the head. Called inside the transaction that needs the entry, and again when that
/// transaction has to be tried once more: it must not have effects of its own.
pub type LinkMaker<'a> = &'a (dyn Fn(&ChainHead) -> Link + Send + Sync);

/// One row of `audit`.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// The entry.
    pub link: Link,
    /// Its place in the global log, once there is one.
    pub log_index: Option<i64>,
}

/// The chains.
#[async_trait]
pub trait Audit {
    /// The head of an account's chain.
    ///
    /// # Errors
    /// Refusal [`NotFound`](crate::Refusal::NotFound) when there is no such account.
    async fn audit_head(&self, account: AccountId) -> Result<ChainHead, Error>;

    /// Adds one entry that goes with no other change. Durable when it returns.
    ///
    /// # Errors
    /// Refusal [`NotFound`](crate::Refusal::NotFound) when there is no such account.
    async fn append_audit(&self, account: AccountId, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Entries with a number above `after`, in order, at most `limit`.
    async fn audit_page(&self, account: AccountId, after: i64, limit: i64) -> Result<Vec<AuditRow>, Error>;
}
