//! The global log: one tree over the hashes of all audit entries of a service, so that nobody's history can be changed
//! without changing everybody's.
//!
//! The tree is the one of RFC 6962. Its leaves are the hashes of audit entries as the accounts' chains name them
//! ([`crate::audit::entry_hash`] is the leaf hash of that document), so the log tells nothing about the entries. Its nodes
//! are served as tiles (C2SP tlog-tiles), its size and root as a checkpoint (C2SP tlog-checkpoint), which is a signed note
//! (C2SP signed-note), and a proof for one entry travels as a text (C2SP tlog-proof).
//!
//! | module | what |
//! |---|---|
//! | `tree` | which nodes make a root or a proof, and checking proofs |
//! | `tile` | where nodes lie, and how the tree grows |
//! | `note` | checkpoints, their signatures, and witnesses' |
//! | `proof` | a proof as text |

mod note;
mod proof;
mod tile;
mod tree;

pub use note::{Checkpoint, Note, NoteError, VerifierKey, note_key_id, signature_line};
pub use proof::{InclusionProof, ProofError};
pub use tile::{Edge, MAX_LEVEL, MAX_SIZE, TILE_ROUTE, TILE_WIDTH, Tile, TileId, Tiles};
pub use tree::{
    Node, Span, consistency_spans, empty_root, inclusion_spans, is_consistent, is_included, node_hash, root_spans,
};

/// A node of the tree.
pub type Hash = [u8; 32];

/// Name of the log of a service: its address without the scheme, and `/log`.
#[must_use]
pub fn log_name(service_origin: &str) -> String {
    let address = service_origin.split_once("://").map_or(service_origin, |(_, address)| address);
    format!("{address}/log")
}
