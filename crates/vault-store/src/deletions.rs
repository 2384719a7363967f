//! Deletions at the end of their delay: the only way in which a saved record goes.

use async_trait::async_trait;

use crate::{AccountId, Error, LinkMaker, Millis, RecordId, Wait};

/// What deletes, and what is known of it afterwards.
#[async_trait]
pub trait Deletions {
    /// The delay of [`WaitKind::DeleteRecord`](crate::WaitKind::DeleteRecord) or
    /// [`WaitKind::DeleteAccount`](crate::WaitKind::DeleteAccount) is over: the record and everything that belongs to it goes, or every
    /// record and everything that opens the account; the account is closed then, and its address is free. The trail stays.
    ///
    /// # Errors
    /// Refusals: [`Wait`](crate::Refusal::Wait) when it does not run, is of another kind, or its time has not come;
    /// [`Unannounced`](crate::Refusal::Unannounced) while a notice under the delay's own identifier waits in the outbox.
    async fn finish_deletion(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Whether the owner had this record deleted.
    async fn is_purged(&self, account: AccountId, id: RecordId) -> Result<bool, Error>;
}
