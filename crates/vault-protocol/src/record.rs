//! Saved records: header, two sealed parts, index, and what is signed about them.
//!
//! Header and parts travel and are stored as the exact bytes the author made. The signature is over their hashes, so a
//! listing can be verified without the secret part, and no part can be swapped or moved to another record or account.

use serde::{Deserialize, Serialize};

use crate::{AccountId, AuthorId, Bytes, FixedBytes, Millis, RecordId, Signed};

/// X-Wing, HKDF-SHA-256, AES-256-GCM: the only suite of this version.
pub const SUITE: &str = "xwing-hkdfsha256-aes256gcm";
/// A recovery password of a BitLocker volume.
pub const KIND_RECOVERY_PASSWORD: &str = "bitlocker-recovery-password";
/// The key of a `.BEK` file.
pub const KIND_EXTERNAL_KEY: &str = "bitlocker-external-key";
/// Name of the part with titles, sealed to the catalogue key.
pub const PART_META: &str = "meta";
/// Name of the part with the key, sealed to the vault key.
pub const PART_SECRET: &str = "secret";

/// What the server reads of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Header {
    /// [`crate::VERSION`].
    pub v: u32,
    /// [`SUITE`].
    pub suite: String,
    /// Whose record.
    pub account_id: AccountId,
    /// Which record.
    pub record_id: RecordId,
    /// Who made it.
    pub author_id: AuthorId,
    /// `device` or `account`.
    pub author_kind: AuthorKind,
    /// What it keeps; unknown kinds are stored and listed.
    pub kind: String,
    /// When it was made.
    pub created_at: Millis,
    /// Generation of the account's keys it is sealed to.
    pub generation: u32,
    /// The record it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<RecordId>,
    /// Organisation that is a recipient, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
}

/// Who may author a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AuthorKind {
    /// An enrolled device.
    Device,
    /// The owner.
    Account,
}

/// A sealed part: content under a key of its own, and that key sealed to each recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Part {
    /// Who can open it.
    pub recipients: Vec<Recipient>,
    /// AES-256-GCM nonce of the content.
    pub nonce: FixedBytes<12>,
    /// Padded content and tag.
    pub ct: Bytes,
}

/// The content key, sealed to one public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recipient {
    /// First eight bytes of SHA-256 of the recipient's public key.
    pub kid: FixedBytes<8>,
    /// HPKE encapsulated key, 1120 bytes.
    pub enc: Bytes,
    /// Sealed content key and tag, 48 bytes.
    pub ct: Bytes,
}

/// How somebody who knows a key identifier finds the record without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexEntry {
    /// `account` or `org`.
    pub scope: String,
    /// Keyed hash of the whole key identifier.
    pub full: FixedBytes<16>,
    /// Keyed hash of its first eight characters.
    pub prefix: FixedBytes<16>,
}

/// What the author signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Save {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose record.
    pub account_id: AccountId,
    /// Which record.
    pub record_id: RecordId,
    /// Who signs.
    pub author_id: AuthorId,
    /// Number of this save among the author's, from 1: a gap shows a missing save.
    pub seq: u64,
    /// SHA-256 of the header's bytes.
    pub header_sha256: FixedBytes<32>,
    /// SHA-256 of the metadata part's bytes.
    pub meta_sha256: FixedBytes<32>,
    /// SHA-256 of the secret part's bytes.
    pub secret_sha256: FixedBytes<32>,
    /// Index entries, in the clear for whoever holds the index key only.
    pub index: Vec<IndexEntry>,
}

impl Save {
    /// Type of the signed object.
    pub const KIND: &'static str = "save";
}

/// Body of `PUT /v1/records/{record_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SaveRequest {
    /// Signed [`Save`].
    pub save: Signed,
    /// Bytes of the [`Header`].
    pub header: Bytes,
    /// Bytes of the metadata [`Part`].
    pub meta: Bytes,
    /// Bytes of the secret [`Part`].
    pub secret: Bytes,
}

/// What the service signs once a save is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Which record.
    pub record_id: RecordId,
    /// SHA-256 of the signed save's payload.
    pub body_sha256: FixedBytes<32>,
    /// Whose record.
    pub account_id: AccountId,
    /// Number of its audit entry.
    pub audit_seq: u64,
    /// Hash of its audit entry.
    pub audit_hash: FixedBytes<32>,
    /// When it was committed.
    pub committed_at: Millis,
    /// Name of the service.
    pub log_origin: String,
}

impl Receipt {
    /// Type of the signed object.
    pub const KIND: &'static str = "receipt";
}
