//! Safety delays: what is announced first and happens later, unless somebody cancels it.

use async_trait::async_trait;
use vault_protocol::messages::wait_kind;

use crate::{AccountId, CeremonyId, Digest, Error, GrantUse, LinkMaker, Millis, Session, WaitId};

/// What a delay is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitKind {
    /// The account stops asking for a second factor.
    Off,
    /// Lost factors are replaced by a new one.
    Reset,
    /// Lost password and kit are replaced, and the account's keys with them.
    NewKeys,
    /// A record is deleted.
    DeleteRecord,
    /// The account is deleted.
    DeleteAccount,
}

impl WaitKind {
    /// Its name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => wait_kind::OFF,
            Self::Reset => wait_kind::RESET,
            Self::NewKeys => wait_kind::NEW_KEYS,
            Self::DeleteRecord => wait_kind::DELETE_RECORD,
            Self::DeleteAccount => wait_kind::DELETE_ACCOUNT,
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Off, Self::Reset, Self::NewKeys, Self::DeleteRecord, Self::DeleteAccount]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Who had a delay begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitBegunBy {
    /// The owner, after a step-up.
    Owner,
    /// Whoever runs the service.
    Operator,
    /// Somebody who proved less than a sign-in.
    Unknown,
}

impl WaitBegunBy {
    /// Its name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Owner, Self::Operator, Self::Unknown].into_iter().find(|by| by.name() == name)
    }
}

/// One row of `waits` that runs.
#[derive(Debug, Clone)]
pub struct Wait {
    /// Which one.
    pub id: WaitId,
    /// Whose.
    pub account_id: AccountId,
    /// What for.
    pub kind: WaitKind,
    /// On what, where it is on less than the account.
    pub target: String,
    /// Who had it begun.
    pub begun_by: WaitBegunBy,
    /// When it began.
    pub begun_at: Millis,
    /// When what it delays may happen. The database refuses to change it.
    pub due_at: Millis,
    /// When the service looks at it next.
    pub next_at: Millis,
}

/// A delay that begins.
#[derive(Debug, Clone)]
pub struct NewWait {
    /// The row. Its times have to come from [`Waits::latest_time`].
    pub wait: Wait,
    /// SHA-256 of the code that cancels it.
    pub cancel_hash: Digest,
    /// At most so many of the kind since this moment, for the account; those that were cancelled count.
    pub limit: Option<(Millis, i64)>,
    /// The grant that is spent with it.
    pub grant: Option<GrantUse>,
    /// The ceremony that ends with it, and its kind.
    pub ceremony: Option<(CeremonyId, String)>,
    /// The time now.
    pub now: Millis,
}

/// The delays. Each ends once: by its act, cancelled, or lapsed.
#[async_trait]
pub trait Waits {
    /// The later of `now` and the latest time that was ever given here, which is kept.
    async fn latest_time(&self, now: Millis) -> Result<Millis, Error>;

    /// Begins a delay, with its audit entry.
    ///
    /// # Errors
    /// Refusals: [`WaitRuns`](crate::Refusal::WaitRuns), [`WaitQuota`](crate::Refusal::WaitQuota),
    /// [`Grant`](crate::Refusal::Grant), [`Ceremony`](crate::Refusal::Ceremony), [`NotFound`](crate::Refusal::NotFound)
    /// when the account asks for no second factor and the delay is about one.
    async fn begin_wait(&self, new: &NewWait, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The account's delays that run, oldest first.
    async fn waits(&self, account: AccountId) -> Result<Vec<Wait>, Error>;

    /// The delay that this code cancels, when it runs.
    async fn wait_by_cancel(&self, hash: Digest) -> Result<Option<Wait>, Error>;

    /// Cancels a delay that runs, and with it what it delayed; a session that was to finish it ends.
    ///
    /// # Errors
    /// Refusal [`Wait`](crate::Refusal::Wait).
    async fn cancel_wait(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Delays that the service has to look at.
    async fn waits_to_attend(&self, now: Millis, limit: i64) -> Result<Vec<Wait>, Error>;

    /// Notes that a delay was looked at, and when to look again.
    ///
    /// # Errors
    /// Refusal [`Wait`](crate::Refusal::Wait) when it ended, or another process was faster.
    async fn attended(&self, wait: &Wait, next_at: Millis, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Ends a delay that nobody made use of, or that nobody was told of.
    ///
    /// # Errors
    /// Refusal [`Wait`](crate::Refusal::Wait).
    async fn lapse_wait(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The delay of [`WaitKind::Off`] is over: factors and backup codes go, every session ends, and the account asks for no
    /// second factor.
    ///
    /// # Errors
    /// Refusals: [`Wait`](crate::Refusal::Wait) when it does not run, or its time has not come;
    /// [`Unannounced`](crate::Refusal::Unannounced) while a notice under the delay's own identifier waits in the outbox.
    async fn finish_off(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The delay of [`WaitKind::Reset`] is over and its person has come back: `session`, which may add a factor only,
    /// begins, and one that was to finish it before ends. With the new factor the lost ones go and the delay is done
    /// ([`Factors::add_factor`](crate::Factors::add_factor)).
    ///
    /// # Errors
    /// Refusals: [`Wait`](crate::Refusal::Wait), [`Ceremony`](crate::Refusal::Ceremony),
    /// [`Session`](crate::Refusal::Session) when the account's epoch is another one than the session's.
    async fn claim_reset(
        &self,
        wait: &Wait,
        ceremony: Option<(CeremonyId, &str)>,
        session: &Session,
        link: LinkMaker<'_>,
    ) -> Result<(), Error>;

    /// Whether the session is the one that finishes a reset.
    async fn finishes_reset(&self, session: Digest) -> Result<bool, Error>;
}
