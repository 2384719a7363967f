//! The outbox of notices: rows appear in the transaction of the act they tell of and go once they are sent.
//!
//! Sending is at least once: a process that dies between handing a notice over and [`Outbox::mail_done`] leaves it to be sent
//! again under the same identifier.

use async_trait::async_trait;

use crate::{Error, Millis};

/// A notice to be sent, sealed by the server.
#[derive(Debug, Clone)]
pub struct OutgoingMail {
    /// Random; stays the same over all tries.
    pub id: [u8; 16],
    /// Address, subject and text, sealed to this row.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Millis,
    /// When it stops being of use.
    pub expires_at: Millis,
}

/// A notice that waits.
#[derive(Debug, Clone)]
pub struct QueuedMail {
    /// As it was put in.
    pub mail: OutgoingMail,
    /// How often it was claimed so far.
    pub tries: i64,
}

/// The outbox.
#[async_trait]
pub trait Outbox {
    /// Adds a notice that goes with no other change.
    async fn add_mail(&self, mail: &OutgoingMail) -> Result<(), Error>;

    /// Notices whose time to be tried has come, oldest first, at most `limit`.
    async fn mail_to_send(&self, now: Millis, limit: i64) -> Result<Vec<QueuedMail>, Error>;

    /// Claims a notice until `until`, when it was claimed exactly `tries` times before and its time has come. `false`:
    /// another process was faster.
    async fn claim_mail(&self, id: [u8; 16], tries: i64, now: Millis, until: Millis) -> Result<bool, Error>;

    /// Forgets a notice that the claim numbered `tries` has sent, or found to be of no use.
    async fn mail_done(&self, id: [u8; 16], tries: i64) -> Result<(), Error>;

    /// Lets a notice that the claim numbered `tries` could not send wait until `next_at`.
    async fn mail_failed(&self, id: [u8; 16], tries: i64, next_at: Millis) -> Result<(), Error>;

    /// How many notices wait.
    async fn mail_waiting(&self) -> Result<i64, Error>;
}
