//! New keys for an account whose password and kit are lost; and what its former keys leave behind.

use async_trait::async_trait;

use crate::{AccountId, CeremonyId, Digest, Error, KeyStatement, LinkMaker, Millis, Session, Slot, Wait};

/// What a new generation of keys changes, all at once.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// The account's epoch when the visit began. A password or factor that was changed meanwhile ends it.
    pub epoch: i64,
    /// The delay of [`WaitKind::NewKeys`](crate::WaitKind::NewKeys): it must run, and its time must have come.
    pub wait: Wait,
    /// OPAQUE registration record of the new password.
    pub opaque_record: Vec<u8>,
    /// Its stretching profile.
    pub kdf_profile: i64,
    /// The next generation's statement.
    pub statement: KeyStatement,
    /// What opens the new keys. The slots before are retired, and keep what they hold: who finds the former kit can still read
    /// what was saved before.
    pub slots: Vec<Slot>,
    /// The ceremony that ends here, and its kind.
    pub ceremony: (CeremonyId, String),
    /// The session that begins; its `epoch` is set here. Every other one ends.
    pub session: Session,
    /// The time now.
    pub now: Millis,
}

/// Generations of an account's keys.
#[async_trait]
pub trait Generations {
    /// The next generation begins, with its audit entry: one transaction. Every other delay but deletions ends.
    ///
    /// # Errors
    /// Refusals: [`Ceremony`](crate::Refusal::Ceremony), [`Wait`](crate::Refusal::Wait),
    /// [`Session`](crate::Refusal::Session) when the epoch is over or the generation is not the next one,
    /// [`IdTaken`](crate::Refusal::IdTaken).
    async fn begin_generation(&self, new: &NewGeneration, link: LinkMaker<'_>) -> Result<(), Error>;

    /// The key statements before the present one, newest first.
    async fn former_statements(&self, account: AccountId) -> Result<Vec<KeyStatement>, Error>;

    /// The slot of a kit that a new generation retired, by the hash of the kit's proof.
    async fn former_kit(&self, account: AccountId, proof_hash: Digest) -> Result<Option<Slot>, Error>;
}
