//! What can go wrong between a request and the medium.

use std::io;

/// An access to storage failed. Positions are bytes from the start of the storage that was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request reaches past the end.
    #[error("access to bytes {offset_bytes}..+{length_bytes} is outside the storage of {storage_bytes} bytes")]
    OutOfRange {
        /// First byte asked for.
        offset_bytes: u64,
        /// Bytes asked for.
        length_bytes: u64,
        /// Where the storage ends.
        storage_bytes: u64,
    },
    /// The storage was opened for reading only.
    #[error("the storage is open for reading only")]
    ReadOnly,
    /// This storage has no right answer there, and says why instead of guessing.
    #[error("access at byte {offset_bytes} refused: {reason}")]
    Refused {
        /// First byte that was refused.
        offset_bytes: u64,
        /// Why, as a fact.
        reason: &'static str,
    },
    /// The operating system or the medium failed.
    #[error("{operation} at byte {offset_bytes} failed")]
    Io {
        /// What was tried: `read`, `write`, `flush`, `open`, `size`.
        operation: &'static str,
        /// Where.
        offset_bytes: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } if source.raw_os_error().is_some() => source,
            Error::OutOfRange { .. } => Self::new(io::ErrorKind::UnexpectedEof, error),
            Error::ReadOnly => Self::new(io::ErrorKind::PermissionDenied, error),
            other => Self::other(other),
        }
    }
}
