//! What keeps a server from starting or from ending well.

use std::io;

/// Serving failed. What clients do wrong is told to them and ends at most their connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address or the path of the socket cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another server answers on this socket.
    #[error("another server listens on {address}")]
    InUse {
        /// Where.
        address: String,
    },
    /// Something is at the path of the socket that is no socket, and is left alone.
    #[error("{address} exists and is not a socket")]
    NotASocket {
        /// Where.
        address: String,
    },
    /// Certificate, key or list of authorities cannot be used.
    #[error("{what} cannot be used")]
    Tls {
        /// Which of them.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No more clients can be accepted.
    #[error("accepting clients failed")]
    Accept {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The last flush failed: what was written since the last completed flush may be lost.
    #[error("what was written last may not be on the medium")]
    Flush {
        /// Why.
        #[source]
        source: block_io::Error,
    },
}
