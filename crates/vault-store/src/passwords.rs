//! A new password in place of the one before, with the slots it opens.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Digest, Error, LinkMaker, Millis, Session, Slot, Wait};

/// What changing the password changes.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// Whose.
    pub account_id: AccountId,
    /// The account's epoch when the change began. A password or factor that was changed meanwhile ends it.
    pub epoch: i64,
    /// OPAQUE registration record of the new password.
    pub opaque_record: Vec<u8>,
    /// Its stretching profile.
    pub kdf_profile: i64,
    /// New slots. Each takes the place of the slots of its kind, whose wraps are wiped: the password before, or the kit
    /// before, opens nothing any more, not even with a copy of these rows.
    pub slots: Vec<Slot>,
    /// The ceremony that ends here.
    pub ceremony: CeremonyId,
    /// Kind of that ceremony.
    pub ceremony_kind: String,
    /// The session that asked and the one that goes on in the new epoch. Without, somebody came back with the kit: every session
    /// ends, and so does a running [`crate::WaitKind::Off`].
    pub session: Option<(Digest, Session)>,
    /// The reset that this is a part of: it must run, and its time must have come.
    pub reset: Option<Wait>,
    /// The time now.
    pub now: Millis,
}

/// A new emergency kit in place of the one before.
#[derive(Debug, Clone)]
pub struct NewKit {
    /// Whose.
    pub account_id: AccountId,
    /// The slot that the new kit opens.
    pub slot: Slot,
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

/// Passwords.
#[async_trait]
pub trait Passwords {
    /// Replaces the password record and the slots, raises the epoch, ends other sessions and adds the audit entry: one
    /// transaction.
    ///
    /// # Errors
    /// Refusals: [`Ceremony`](crate::Refusal::Ceremony), [`Session`](crate::Refusal::Session) (also when the epoch is
    /// over), [`Wait`](crate::Refusal::Wait) when the reset does not run or is not due, [`IdTaken`](crate::Refusal::IdTaken).
    async fn replace_password(&self, new: &NewPassword, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Replaces the slots of the kit, raises the epoch, which ends other sessions and what was begun with the kit before,
    /// and adds the audit entry: one transaction.
    ///
    /// # Errors
    /// Refusals: [`Ceremony`](crate::Refusal::Ceremony), [`Session`](crate::Refusal::Session),
    /// [`IdTaken`](crate::Refusal::IdTaken).
    async fn replace_kit(&self, new: &NewKit, link: LinkMaker<'_>) -> Result<(), Error>;
}
