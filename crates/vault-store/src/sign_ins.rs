//! Sign-ins: what belongs together in one transaction each, so that a sign-in costs four of them.

use async_trait::async_trait;

use crate::{Ceremony, CeremonyId, Error, FactorId, LinkMaker, Millis, Place, Session};

/// Everything was proven: what changes with that.
#[derive(Debug, Clone)]
pub struct SignInDone {
    /// Ends.
    pub ceremony: CeremonyId,
    /// Its kind.
    pub kind: String,
    /// Authenticators whose code this is, each with the time step: the first one that has not used it uses it. Empty where
    /// something else was proven.
    pub steps: Vec<(FactorId, i64)>,
    /// Bucket and window of a place that is given back.
    pub give_back: Option<(String, Millis)>,
    /// Bucket that is cleared.
    pub clear: String,
    /// Begins.
    pub session: Session,
    /// The time now.
    pub now: Millis,
}

/// The steps of a sign-in.
#[async_trait]
pub trait SignIns {
    /// Begins a ceremony that takes a place in each of these windows.
    ///
    /// # Errors
    /// Refusal [`Limit`](crate::Refusal::Limit) when one of them is full: nothing is changed then.
    async fn begin_in_places(&self, ceremony: &Ceremony, places: &[Place]) -> Result<(), Error>;

    /// A ceremony that has tries left, without taking one.
    async fn ceremony(
        &self,
        id: CeremonyId,
        kind: &str,
        now: Millis,
        max_tries: i64,
    ) -> Result<Option<Ceremony>, Error>;

    /// Takes a try of a ceremony and a place in a window.
    ///
    /// # Errors
    /// Refusals [`Ceremony`](crate::Refusal::Ceremony), [`Limit`](crate::Refusal::Limit): nothing is changed then.
    async fn try_in_place(
        &self,
        id: CeremonyId,
        kind: &str,
        now: Millis,
        max_tries: i64,
        place: &Place,
    ) -> Result<(), Error>;

    /// Ends a sign-in: its ceremony ends, its code is used, its session begins, and the trail says so.
    ///
    /// # Errors
    /// Refusals [`Ceremony`](crate::Refusal::Ceremony), [`CodeUsed`](crate::Refusal::CodeUsed): nothing is changed then.
    async fn complete_sign_in(&self, done: &SignInDone, link: LinkMaker<'_>) -> Result<(), Error>;
}
