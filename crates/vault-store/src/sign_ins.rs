//! Sign-ins and step-ups: what belongs together in one transaction each, so that a sign-in costs four of them and a step-up three.

use async_trait::async_trait;

use crate::{AccountId, Ceremony, CeremonyId, Error, FactorId, Grant, LinkMaker, Millis, Place, Session};

/// What comes of a proof.
#[derive(Debug, Clone)]
pub enum Gives {
    /// A session: it was a sign-in.
    Session(Session),
    /// A grant: it was a step-up. An authenticator whose code was used stands in it as what confirmed it.
    Grant(Grant),
}

/// Everything was proven: what changes with that.
#[derive(Debug, Clone)]
pub struct Proven {
    /// Whose.
    pub account_id: AccountId,
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
    pub clear: Option<String>,
    /// Begins.
    pub gives: Gives,
    /// The time now.
    pub now: Millis,
}

/// The steps of a sign-in and of a step-up.
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

    /// Ends a proof: its ceremony ends, its code is used, its session or grant begins, and the trail says so.
    ///
    /// # Errors
    /// Refusals [`Ceremony`](crate::Refusal::Ceremony), [`CodeUsed`](crate::Refusal::CodeUsed): nothing is changed then.
    async fn complete(&self, proven: &Proven, link: LinkMaker<'_>) -> Result<(), Error>;
}
