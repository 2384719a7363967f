//! What clients may ask for.

use std::time::Duration;

/// Connections at the same time; others wait.
pub(crate) const CONNECTIONS: usize = 64;
/// The longest body of a request: a list of properties.
pub(crate) const BODY_BYTES: usize = 64 * 1024;
/// Properties of one request.
pub(crate) const PROPERTIES: usize = 64;
/// The longest path, decoded.
pub(crate) const PATH_BYTES: usize = 32 * 1024;
/// Head and body of a request must be here in so long.
pub(crate) const REQUEST: Duration = Duration::from_secs(20);
/// Piece of a file that is read and sent at once.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that wait to be sent.
pub(crate) const PIECES: usize = 2;
/// At the end, answers under way get so long.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// A digest is good for so long; clients make a new one without asking anybody.
pub(crate) const NONCE: Duration = Duration::from_secs(600);
