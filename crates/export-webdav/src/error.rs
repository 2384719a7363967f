//! What keeps a server from starting.

use std::io;
use std::net::SocketAddr;

/// Serving failed. What clients do wrong is told to them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one of loopback: passwords and files would go over the network for everybody to read.
    #[error("{address} can be reached from other computers")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no threads, or no random numbers.
    #[error("the server cannot start")]
    Start {
        /// Why.
        #[source]
        source: io::Error,
    },
}
