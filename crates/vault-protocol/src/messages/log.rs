//! Proofs that entries are in the global log. Checkpoints and tiles are not JSON: see [`crate::log`].

use serde::{Deserialize, Serialize};

use crate::{AccountId, DeviceId, FixedBytes, Millis, RecordId};

/// Where an entry lies in the global log, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryProof {
    /// Number of the entry in its account's chain.
    pub seq: u64,
    /// Its number in the log, from 0.
    pub index: u64,
    /// Nearest sibling first.
    pub path: Vec<FixedBytes<32>>,
}

/// Answer of `GET /v1/audit/proofs?after=&limit=&size=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditProofs {
    /// Size of the log that the proofs are for.
    pub size: u64,
    /// Number of the last entry that was looked at; `after` when there is none.
    pub last: u64,
    /// For those of them that are in a log of that size.
    pub proofs: Vec<EntryProof>,
}

/// What a device signs to ask where the save of a record of its own lies in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProofQuestion {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose.
    pub account_id: AccountId,
    /// Who asks.
    pub device_id: DeviceId,
    /// About which record.
    pub record_id: RecordId,
    /// When.
    pub at: Millis,
}

impl ProofQuestion {
    /// Type of the signed object.
    pub const KIND: &'static str = "proof";
}

/// Answer of `POST /v1/records/{id}/proof`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordProof {
    /// A text that proves it, with the checkpoint (C2SP tlog-proof); `None` while the entry is not in the log.
    pub proof: Option<String>,
}
