//! Counters behind the abuse limits. They live in the database, so that a restart does not forget them and every node
//! shares them.

use async_trait::async_trait;

use crate::{Error, Millis};

/// Counters, settings, and the sweep that forgets what is over.
#[async_trait]
pub trait Counters {
    /// Adds `amount` to a counter and returns its new value.
    async fn count(&self, bucket: &str, window: Millis, amount: i64) -> Result<i64, Error>;

    /// The value of a counter; 0 when it was never counted.
    async fn counted(&self, bucket: &str, window: Millis) -> Result<i64, Error>;

    /// The newest window of a bucket and its value.
    async fn newest_window(&self, bucket: &str) -> Result<Option<(Millis, i64)>, Error>;

    /// Sets a counter and forgets the bucket's other windows.
    async fn set_counter(&self, bucket: &str, window: Millis, n: i64) -> Result<(), Error>;

    /// Forgets a bucket.
    async fn clear_counter(&self, bucket: &str) -> Result<(), Error>;

    /// A setting of the service; when it is not there yet, it becomes `initial`, if there is one.
    async fn setting(&self, name: &str, initial: Option<&str>) -> Result<Option<String>, Error>;

    /// Makes a durable write that changes nothing, after asking the database whether commits are still written through to the disk.
    ///
    /// # Errors
    /// [`Error::NotDurable`] when they are not; any other error when the database cannot take a write.
    async fn confirm_durable(&self, now: Millis) -> Result<(), Error>;

    /// Deletes sessions, ceremonies, grants and codes that ended before `now`, and counters older than two days.
    async fn sweep(&self, now: Millis) -> Result<(), Error>;
}
