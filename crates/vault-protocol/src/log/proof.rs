//! A proof that one leaf is in the log, as text that can be kept and checked anywhere (C2SP tlog-proof).

use data_encoding::BASE64;

use super::note::{Note, NoteError};
use super::{Checkpoint, Hash, is_included};
use crate::PublicKey;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// A path has a hash for each row of the tree at most.
const MAX_PATH: usize = 64;

/// Leaf number, path to the root, checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Number of the leaf.
    pub index: u64,
    /// Nearest sibling first.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub note: String,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// It is not a proof.
    #[error("not a proof")]
    Malformed,
    /// The checkpoint in it is not accepted.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The path does not lead from the leaf to the root.
    #[error("the path does not lead to the root of the checkpoint")]
    Path,
}

impl InclusionProof {
    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nindex {}\n", self.index);
        for hash in &self.path {
            text.push_str(&BASE64.encode(hash));
            text.push('\n');
        }
        format!("{text}\n{}", self.note)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        Self::read(text).ok_or(ProofError::Malformed)
    }

    fn read(text: &str) -> Option<Self> {
        let (proof, note) = text.split_once("\n\n")?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut line = lines.next()?;
        // What a service adds for itself means nothing here.
        if line.starts_with("extra ") {
            line = lines.next()?;
        }
        let number = line.strip_prefix("index ")?;
        let index: u64 = number.parse().ok().filter(|index: &u64| index.to_string() == number)?;
        let hash = |line: &str| BASE64.decode(line.as_bytes()).ok()?.try_into().ok();
        let path = lines.map(hash).take(MAX_PATH + 1).collect::<Option<Vec<Hash>>>()?;
        (path.len() <= MAX_PATH).then(|| Self { index, path, note: note.to_owned() })
    }

    /// The checkpoint, once it is signed by the log and the path leads from `leaf` to its root.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, leaf: &Hash, origin: &str, log_pk: &PublicKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Note::parse(&self.note)?.checkpoint(origin, log_pk)?;
        let fits = is_included(leaf, self.index, checkpoint.size, &self.path, &checkpoint.root);
        if fits { Ok(checkpoint) } else { Err(ProofError::Path) }
    }
}
