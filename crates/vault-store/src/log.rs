//! The global log: a tree over the hashes of all audit entries, which only grows.

use async_trait::async_trait;
use vault_protocol::log::TileId;

use crate::{Digest, Error};

/// The log as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// Entries in it.
    pub size: i64,
    /// Root of the tree.
    pub root: Digest,
    /// The signed checkpoint that says so.
    pub note: String,
}

/// Makes the signed checkpoint of a log with this size and root. Called inside the transaction that lets the log grow, and again
/// when that transaction has to be tried once more; what it made counts only once the transaction is committed.
pub type LogSigner<'a> = &'a (dyn Fn(u64, &Digest) -> String + Send + Sync);

/// The tree.
#[async_trait]
pub trait Log {
    /// The log; `None` before the first [`Log::begin_log`].
    async fn log_head(&self) -> Result<Option<LogHead>, Error>;

    /// Makes the empty log where there is none.
    async fn begin_log(&self, sign: LogSigner<'_>) -> Result<(), Error>;

    /// Puts up to `most` audit entries into the log that are not in it, notes their places, and advances the head, all in one
    /// transaction. Gives how many. Any number of processes may do so at once: each entry gets one place.
    ///
    /// # Errors
    /// Refusal [`LogMoved`](crate::Refusal::LogMoved) when another one was faster; [`Error::Corrupt`] when tiles and head do not
    /// belong together: then nothing is signed.
    async fn extend_log(&self, most: i64, sign: LogSigner<'_>) -> Result<usize, Error>;

    /// The hashes of a tile, as many as there are by now.
    async fn log_tile(&self, tile: TileId) -> Result<Option<Vec<u8>>, Error>;
}
