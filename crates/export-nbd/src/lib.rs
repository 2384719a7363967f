//! An NBD server: a disk that clients of the network block device protocol read and write.
//!
//! What is spoken: the fixed newstyle handshake with `GO`, `INFO`, `LIST`, `EXPORT_NAME`, `ABORT`, `STRUCTURED_REPLY` and,
//! with feature `tls`, `STARTTLS`; then `READ`, `WRITE`, `WRITE_ZEROES`, `FLUSH` and `DISC`, with `FUA`. `TRIM` is
//! refused: it would tell which sectors hold nothing. Several clients may be connected, a flush by one covers the writes
//! of all, and several requests of each are worked on at once.
//!
//! What a client can hold up is its own connection: lengths, options, threads and memory are bounded for each, and the
//! number of connections, too.
//!
//! Source: the protocol's own text, `doc/proto.md` of the NBD project.

mod channel;
mod connection;
mod error;
mod handshake;
mod limits;
mod reply;
mod request;
mod server;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use error::Error;
pub use server::{Address, Options, Server, Stopper};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsFiles};
