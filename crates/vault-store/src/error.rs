//! What a store call can answer besides its result.

use std::sync::Arc;

/// Why a store call did not do what it was asked to.
///
/// [`Error::Refused`] is the well-formed no: the rows say it must not happen, and nothing was changed. Everything else
/// means that the database could not be asked, or that what it holds cannot be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The rows forbid it. Nothing was changed.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The database failed, is busy for longer than the timeout, or broke one of its own rules.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// What was written could not be committed; nothing of it is there.
    #[error("the database could not commit")]
    Commit(#[source] Arc<sqlx::Error>),
    /// The address of the database is not one. Nothing of it is repeated: it may hold a password.
    #[error("the address of the database cannot be used: {0}")]
    Address(&'static str),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The schema could not be brought up to date, or is newer than this program.
    #[error("the schema could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A stored value has a length or a word that this version never writes.
    #[error("table {table}, column {column}: a value that cannot be right")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The database would not confirm that a commit is on the disk. Nothing may be promised on it.
    #[error("durable commits are not in force: {pragma} is {found}, expected {expected}")]
    NotDurable {
        /// The setting.
        pragma: &'static str,
        /// What the database answered.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// The well-formed no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The grant is spent, expired, or was given for another session, purpose or target.
    #[error("the grant is spent, expired or for something else")]
    Grant,
    /// The ceremony is spent, expired, out of tries, or of another kind.
    #[error("the ceremony is over")]
    Ceremony,
    /// An account with this mail exists.
    #[error("the mail has an account")]
    EmailTaken,
    /// The invite is unknown, spent or expired.
    #[error("the invite is not valid")]
    Invite,
    /// The session ended meanwhile.
    #[error("the session is over")]
    Session,
    /// The code was used in this time step.
    #[error("the code was used")]
    CodeUsed,
    /// No such row for this account.
    #[error("no such row for this account")]
    NotFound,
    /// The account would be left without a factor.
    #[error("it is the last factor")]
    LastFactor,
    /// The factor to be removed confirmed its own removal.
    #[error("the factor confirmed its own removal")]
    SameFactor,
    /// Another factor of the account has this name.
    #[error("another factor has this name")]
    LabelTaken,
    /// The account has as many factors as it may.
    #[error("the account has as many factors as it may")]
    FactorQuota,
    /// What the passkey derives was seen outside its client: it opens no vault any more.
    #[error("what the passkey derives was seen")]
    PasskeyLeaked,
    /// The owner had the record deleted.
    #[error("the owner had the record deleted")]
    Purged,
    /// The record exists with other content.
    #[error("the record exists with other content")]
    IdConflict,
    /// A row with this identifier exists.
    #[error("the identifier is taken")]
    IdTaken,
    /// The device is unknown to this account or was revoked.
    #[error("the device is revoked")]
    DeviceRevoked,
    /// The account holds as many records as it may.
    #[error("the account is full")]
    Quota,
    /// A window of an abuse limit has no place left.
    #[error("no place is left until {until}")]
    Limit {
        /// When the window ends.
        until: vault_protocol::Millis,
    },
    /// Another process let the log grow meanwhile.
    #[error("the log has grown meanwhile")]
    LogMoved,
    /// A delay of this kind runs already.
    #[error("such a delay runs already")]
    WaitRuns,
    /// There is no such delay, it has ended, or its time has not come.
    #[error("no such delay, or not now")]
    Wait,
    /// What announces the delay was not sent so far.
    #[error("the delay was not announced")]
    Unannounced,
    /// So many delays of this kind were begun that no other one may be for now.
    #[error("too many delays of this kind were begun")]
    WaitQuota,
    /// The record has a rotation order that is not done.
    #[error("the record has an order that is not done")]
    OrderOpen,
    /// The rotation order is not the device's, or has ended.
    #[error("the order is over")]
    OrderOver,
    /// The enrolment code is expired, out of tries, answered, or claimed by another account.
    #[error("the enrolment code is over")]
    DeviceCode,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
