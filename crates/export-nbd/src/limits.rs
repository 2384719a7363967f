//! What one client may ask for.

use std::time::Duration;

/// Clients at the same time.
pub(crate) const CONNECTIONS: usize = 32;
/// Requests of one client that are worked on at the same time, each by one thread.
pub(crate) const REQUESTS: usize = 4;
/// The longest read or write.
pub(crate) const REQUEST_BYTES: u32 = 32 << 20;
/// Data of a request that is in memory at once: longer ones are done in pieces of this length.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// Options of one handshake.
pub(crate) const OPTIONS: usize = 64;
/// The longest option: a name of 4096 bytes, the longest that the protocol knows, and some wishes.
pub(crate) const OPTION_BYTES: u32 = 8192;
/// A handshake that takes longer is broken off.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(20);
/// A client that stops in the middle of a message, or does not read its replies, for so long has gone.
pub(crate) const STALL: Duration = Duration::from_secs(60);
/// At the end, requests under way get so long.
pub(crate) const LAST_REQUESTS: Duration = Duration::from_secs(10);
