//! Everything the server, and the clients too, must be able to verify. No function here can make or open anything.

use ed25519_dalek::{Signature, VerifyingKey};
use serde::de::DeserializeOwned;

use crate::audit::AuditEntry;
use crate::device::Certificate;
use crate::messages::StatementChange;
use crate::note::Note;
use crate::order::{OrderReport, RotationOrder};
use crate::record::{Receipt, Save, SaveRequest};
use crate::statement::{KeyStatement, statement_hash};
use crate::{AccountId, PublicKey, Signed, VERSION, sha256, signature_input};

/// Why something signed is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The object is of another type than the one expected.
    #[error("the signed object is of another type")]
    Kind,
    /// It was signed by another key than the one expected.
    #[error("signed by another key")]
    Key,
    /// The algorithm is not supported.
    #[error("the signature algorithm is not supported")]
    Algorithm,
    /// The signature does not fit the payload.
    #[error("the signature does not fit")]
    Signature,
    /// The payload is not what its type says.
    #[error("the signed payload is malformed")]
    Payload,
    /// The payload has a version that is not known.
    #[error("the signed payload has an unknown version")]
    Version,
    /// The payload belongs to something else.
    #[error("the signed payload belongs to something else")]
    Subject,
}

/// Checks type, key and signature; gives the payload, parsed.
///
/// # Errors
/// The first check that fails, in that order.
pub fn open<T: DeserializeOwned>(signed: &Signed, kind: &str, key: &PublicKey) -> Result<T, VerifyError> {
    if signed.kind != kind {
        return Err(VerifyError::Kind);
    }
    if signed.key_id != key.key_id() {
        return Err(VerifyError::Key);
    }
    let PublicKey::Ed25519(key) = key else { return Err(VerifyError::Algorithm) };
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_| VerifyError::Key)?;
    let signature = Signature::from_slice(&signed.signature).map_err(|_| VerifyError::Signature)?;
    key.verify_strict(&signature_input(kind, &signed.payload), &signature).map_err(|_| VerifyError::Signature)?;
    serde_json::from_slice(&signed.payload).map_err(|_| VerifyError::Payload)
}

/// A key statement: signed by the identity key it names itself. Who that key belongs to must be known another way.
///
/// # Errors
/// [`VerifyError`].
pub fn key_statement(signed: &Signed, account: AccountId) -> Result<KeyStatement, VerifyError> {
    let claimed: KeyStatement = serde_json::from_slice(&signed.payload).map_err(|_| VerifyError::Payload)?;
    let statement: KeyStatement = open(signed, KeyStatement::KIND, &claimed.identity_pk)?;
    version(statement.v)?;
    subject(statement.account_id == account)?;
    Ok(statement)
}

/// The key statement that follows a known one: signed by its own identity key and by the known one's, and naming it.
///
/// # Errors
/// [`VerifyError::Subject`] when it is not the next generation, or the two signatures are over different statements.
pub fn next_statement(
    known: &Signed,
    change: &StatementChange,
    account: AccountId,
) -> Result<KeyStatement, VerifyError> {
    let before = key_statement(known, account)?;
    let next = key_statement(&change.statement, account)?;
    let _: KeyStatement = open(&change.previous, KeyStatement::KIND, &before.identity_pk)?;
    let follows = before.generation.checked_add(1) == Some(next.generation)
        && next.previous_hash.is_some_and(|hash| hash.0 == statement_hash(known))
        && change.previous.payload == change.statement.payload;
    subject(follows)?;
    Ok(next)
}

/// The key statements before a known one, newest first as they come: each is the one whose hash the one after it names.
///
/// # Errors
/// [`VerifyError::Subject`] for one that is not; [`VerifyError`].
pub fn former_statements(
    present: &KeyStatement,
    former: &[Signed],
    account: AccountId,
) -> Result<Vec<KeyStatement>, VerifyError> {
    let mut found: Vec<KeyStatement> = Vec::with_capacity(former.len());
    for signed in former {
        let next = found.last().unwrap_or(present);
        let statement = key_statement(signed, account)?;
        let precedes = statement.generation.checked_add(1) == Some(next.generation)
            && next.previous_hash.is_some_and(|hash| hash.0 == statement_hash(signed));
        subject(precedes)?;
        found.push(statement);
    }
    Ok(found)
}

/// A rotation order: signed by the account's identity key.
///
/// # Errors
/// [`VerifyError`].
pub fn rotation_order(signed: &Signed, account: AccountId, identity: &PublicKey) -> Result<RotationOrder, VerifyError> {
    let order: RotationOrder = open(signed, RotationOrder::KIND, identity)?;
    version(order.v)?;
    subject(order.account_id == account)?;
    Ok(order)
}

/// A device's note about a record or a key protector.
///
/// # Errors
/// [`VerifyError`].
pub fn note(signed: &Signed, device: &PublicKey) -> Result<Note, VerifyError> {
    let note: Note = open(signed, Note::KIND, device)?;
    version(note.v)?;
    subject(note.is_whole())?;
    Ok(note)
}

/// A device's report on an order.
///
/// # Errors
/// [`VerifyError`].
pub fn order_report(signed: &Signed, device: &PublicKey) -> Result<OrderReport, VerifyError> {
    let report: OrderReport = open(signed, OrderReport::KIND, device)?;
    version(report.v)?;
    Ok(report)
}

/// A device certificate: signed by the account's identity key.
///
/// # Errors
/// [`VerifyError`].
pub fn certificate(signed: &Signed, account: AccountId, identity: &PublicKey) -> Result<Certificate, VerifyError> {
    let certificate: Certificate = open(signed, Certificate::KIND, identity)?;
    version(certificate.v)?;
    subject(certificate.account_id == account)?;
    Ok(certificate)
}

/// A save: signed by its author, and its parts are the ones that were signed.
///
/// # Errors
/// [`VerifyError::Subject`] when a part, or the header's account, record or author, is not the signed one.
pub fn save(request: &SaveRequest, author: &PublicKey) -> Result<Save, VerifyError> {
    let save = save_without_secret(&request.save, &request.header, &request.meta, author)?;
    subject(save.secret_sha256.0 == sha256(&[&request.secret]))?;
    Ok(save)
}

/// As [`save`], for a listing, which does not carry the secret part.
///
/// # Errors
/// As [`save`].
pub fn save_without_secret(
    signed: &Signed,
    header: &[u8],
    meta: &[u8],
    author: &PublicKey,
) -> Result<Save, VerifyError> {
    let save: Save = open(signed, Save::KIND, author)?;
    version(save.v)?;
    subject(save.header_sha256.0 == sha256(&[header]) && save.meta_sha256.0 == sha256(&[meta]))?;
    let header: crate::record::Header = serde_json::from_slice(header).map_err(|_| VerifyError::Payload)?;
    version(header.v)?;
    subject(
        header.account_id == save.account_id
            && header.record_id == save.record_id
            && header.author_id == save.author_id,
    )?;
    Ok(save)
}

/// A receipt: signed by the service's receipt key.
///
/// # Errors
/// [`VerifyError`].
pub fn receipt(signed: &Signed, receipt_pk: &PublicKey) -> Result<Receipt, VerifyError> {
    let receipt: Receipt = open(signed, Receipt::KIND, receipt_pk)?;
    version(receipt.v)?;
    Ok(receipt)
}

/// Replays an account's chain from its first entry; gives the parsed entries and the hash of the last.
///
/// # Errors
/// The sequence number of the first entry that does not fit, counted from 1.
pub fn audit_chain(entries: &[crate::Bytes]) -> Result<(Vec<AuditEntry>, [u8; 32]), u64> {
    let mut head = [0; 32];
    let mut parsed = Vec::with_capacity(entries.len());
    for (bytes, seq) in entries.iter().zip(1_u64..) {
        let entry: AuditEntry = serde_json::from_slice(bytes).map_err(|_| seq)?;
        if entry.seq != seq || entry.prev.0 != head {
            return Err(seq);
        }
        head = crate::audit::entry_hash(bytes);
        parsed.push(entry);
    }
    Ok((parsed, head))
}

fn version(found: u32) -> Result<(), VerifyError> {
    if found == VERSION { Ok(()) } else { Err(VerifyError::Version) }
}

fn subject(fits: bool) -> Result<(), VerifyError> {
    if fits { Ok(()) } else { Err(VerifyError::Subject) }
}
