//! Checkpoints: size and root of the log, signed (C2SP tlog-checkpoint, signed-note, tlog-cosignature).
//!
//! ```text
//! keys.example.org/log
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — keys.example.org/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```
//!
//! Further signatures, of witnesses for instance, may follow; whoever does not know their keys leaves them alone.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};

use super::{Hash, MAX_SIZE};
use crate::{PublicKey, sha256};

/// Longest note that is read, in bytes.
const MAX_NOTE_BYTES: usize = 16 * 1024;
/// Most signatures that are read.
const MAX_SIGNATURES: usize = 32;
const SIGNATURE_START: &str = "\u{2014} ";
/// Kinds of keys in signed notes: Ed25519, and timestamped Ed25519 cosignatures of checkpoints.
const ED25519: u8 = 1;
const COSIGNATURE: u8 = 4;

/// Why a note is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It is not a signed note, or not of a checkpoint.
    #[error("not a signed checkpoint")]
    Malformed,
    /// It is of another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// The key that is asked for did not sign it.
    #[error("the checkpoint is not signed by the expected key")]
    Unsigned,
    /// Its signature does not fit.
    #[error("the signature of the checkpoint does not fit")]
    Signature,
}

/// Size and root of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
}

impl Checkpoint {
    /// What is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }

    /// Reads the text of a note. Lines behind the third mean nothing here.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, number, root) = (lines.next()?, lines.next()?, lines.next()?);
        let size: u64 = number.parse().ok().filter(|size: &u64| *size <= MAX_SIZE && size.to_string() == number)?;
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?;
        let fits = !origin.is_empty() && lines.all(|line| !line.is_empty());
        fits.then(|| Self { origin: origin.to_owned(), size, root })
    }
}

/// A signature of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

/// A signed note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Splits a note into text and signatures; checks no signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let plain = note.chars().all(|letter| letter == '\n' || !letter.is_control());
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines: Vec<&str> = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?.split('\n').collect();
        if !plain || text.is_empty() || note.len() > MAX_NOTE_BYTES || lines.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed);
        }
        let signatures = lines.into_iter().map(NoteSignature::parse).collect::<Option<_>>();
        Ok(Self { text: format!("{text}\n"), signatures: signatures.ok_or(NoteError::Malformed)? })
    }

    /// The checkpoint in it, once it is the one of `origin` and signed by its key.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn checkpoint(&self, origin: &str, log_pk: &PublicKey) -> Result<Checkpoint, NoteError> {
        let checkpoint = Checkpoint::parse(&self.text).ok_or(NoteError::Malformed)?;
        if checkpoint.origin != origin {
            return Err(NoteError::Origin);
        }
        let PublicKey::Ed25519(key) = log_pk else { return Err(NoteError::Unsigned) };
        self.verify(&VerifierKey { name: origin.to_owned(), kind: ED25519, key: key.0 })?;
        Ok(checkpoint)
    }

    /// Whether this key signed it. Gives the time, in seconds since 1970, that a witness says it saw it at; 0 for other keys.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::Signature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<u64, NoteError> {
        let key_id = key.key_id();
        let mut by_key = self.signatures.iter().filter(|by| by.name == key.name && by.key_id == key_id);
        let found = by_key.next().ok_or(NoteError::Unsigned)?;
        if by_key.next().is_some() {
            return Err(NoteError::Malformed);
        }
        key.check(&self.text, &found.signature).ok_or(NoteError::Signature)
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
        let bytes = BASE64.decode(signature.as_bytes()).ok()?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        let fits = is_key_name(name) && !signature.is_empty();
        fits.then(|| Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter == '+')
}

/// A key that signs notes, under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: u8,
    key: [u8; 32],
}

impl VerifierKey {
    /// The key of a log.
    #[must_use]
    pub fn of_log(origin: &str, log_pk: &PublicKey) -> Option<Self> {
        let PublicKey::Ed25519(key) = log_pk else { return None };
        is_key_name(origin).then(|| Self { name: origin.to_owned(), kind: ED25519, key: key.0 })
    }

    /// Reads `name+0123abcd+base64`: the form in which keys of logs and witnesses are given.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (key_id, key) = rest.split_once('+')?;
        let bytes = BASE64.decode(key.as_bytes()).ok()?;
        let (kind, key) = bytes.split_first()?;
        let key = Self { name: name.to_owned(), kind: *kind, key: key.try_into().ok()? };
        let fits =
            is_key_name(name) && matches!(*kind, ED25519 | COSIGNATURE) && HEXLOWER.encode(&key.key_id()) == key_id;
        fits.then_some(key)
    }

    /// The same form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let key = [&[self.kind][..], &self.key].concat();
        format!("{}+{}+{}", self.name, HEXLOWER.encode(&self.key_id()), BASE64.encode(&key))
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> [u8; 4] {
        note_key_id(&self.name, self.kind, &self.key)
    }

    /// The time that is part of the signature, 0 where there is none; `None` when it does not fit.
    fn check(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let (time, signature, signed) = if self.kind == COSIGNATURE {
            let (time, signature) = signature.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*time);
            (time, signature, format!("cosignature/v1\ntime {time}\n{text}"))
        } else {
            (0, signature, text.to_owned())
        };
        let key = VerifyingKey::from_bytes(&self.key).ok()?;
        let signature = Signature::from_slice(signature).ok()?;
        key.verify_strict(signed.as_bytes(), &signature).ok().map(|()| time)
    }
}

/// First four bytes of SHA-256 of name, newline, kind and key: how a note names the key of a signature.
#[must_use]
pub fn note_key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[kind], key]);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The line of a log's Ed25519 signature in a note.
#[must_use]
pub fn signature_line(name: &str, log_pk: &[u8], signature: &[u8]) -> String {
    let bytes = [&note_key_id(name, ED25519, log_pk)[..], signature].concat();
    format!("{SIGNATURE_START}{name} {}\n", BASE64.encode(&bytes))
}
