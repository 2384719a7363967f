//! One-time backup codes: what stands in for a second factor that is not at hand.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Digest, Error, LinkMaker, Millis, Session};

/// New backup codes in place of all earlier ones.
#[derive(Debug, Clone)]
pub struct ReplaceBackupCodes {
    /// Whose.
    pub account_id: AccountId,
    /// What is kept of each code.
    pub hashes: Vec<Digest>,
    /// The ceremony that ends here.
    pub ceremony: CeremonyId,
    /// Kind of that ceremony.
    pub ceremony_kind: String,
    /// The session that asked. It ends like every other.
    pub from_session: Digest,
    /// The session that goes on in the new epoch; its `epoch` is set here.
    pub session: Session,
    /// The time now.
    pub now: Millis,
}

/// What became of a code that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupCodeUse {
    /// It is spent now; so many are left.
    Spent {
        /// Codes that were never used.
        left: i64,
    },
    /// It is one of the account's, and was used before.
    UsedBefore,
    /// It is none of the account's codes.
    Unknown,
}

/// Backup codes.
#[async_trait]
pub trait BackupCodes {
    /// Replaces the account's codes, raises the epoch, ends other sessions and adds the audit entry: one transaction.
    ///
    /// # Errors
    /// Refusals: [`Ceremony`](crate::Refusal::Ceremony), [`Session`](crate::Refusal::Session).
    async fn replace_backup_codes(&self, replace: &ReplaceBackupCodes, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Spends a code together with the audit entry of its use. Exactly one caller gets
    /// [`Spent`](BackupCodeUse::Spent) for a code; for any other answer nothing is changed.
    async fn use_backup_code(
        &self,
        account: AccountId,
        hash: Digest,
        now: Millis,
        link: LinkMaker<'_>,
    ) -> Result<BackupCodeUse, Error>;

    /// How many codes of the account were never used.
    async fn backup_codes_left(&self, account: AccountId) -> Result<i64, Error>;
}
