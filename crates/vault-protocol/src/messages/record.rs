//! Saving, listing and releasing records; the audit trail.

use serde::{Deserialize, Serialize};

use super::AuditHead;
use crate::record::SaveRequest;
use crate::{AccountId, Bytes, DeviceId, FixedBytes, Millis, RecordId, Signed};

/// Answer of `PUT /v1/records/{id}`: 201 when it is new, 200 when the same bytes were saved before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SaveAnswer {
    /// Signed receipt.
    pub receipt: Signed,
}

/// A record in a listing: no secret part.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordView {
    /// Which record.
    pub record_id: RecordId,
    /// Signed save.
    pub save: Signed,
    /// Bytes of the header.
    pub header: Bytes,
    /// Bytes of the metadata part.
    pub meta: Bytes,
    /// `live`, `superseded`, `retired`, `hidden`.
    pub state: String,
    /// When it was committed.
    pub received_at: Millis,
    /// When it was last revealed.
    pub revealed_at: Option<Millis>,
    /// The newest signed [`Note`](crate::note::Note) of a device about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Signed>,
}

/// Answer of `GET /v1/records?after=&limit=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordPage {
    /// In the order of their identifiers.
    pub records: Vec<RecordView>,
    /// Whether there are more.
    pub more: bool,
}

/// `POST /v1/records/{id}/reveal`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevealRequest {
    /// Step-up grant (purpose `reveal`, target: the record's identifier).
    pub grant: Bytes,
    /// Why, one of [`REVEAL_REASONS`].
    pub reason: String,
}

/// Reasons for a reveal.
pub const REVEAL_REASONS: [&str; 12] = [
    "pin_forgotten",
    "password_forgotten",
    "startup_key_lost",
    "boot_order_changed",
    "firmware_changed",
    "os_files_changed",
    "tpm_reset",
    "tpm_lockout",
    "hardware_moved",
    "drive_access",
    "drill",
    "other",
];

/// Answer of `POST /v1/records/{id}/reveal`: given after the audit entry is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Revealed {
    /// The record as it was saved.
    pub record: SaveRequest,
    /// Receipt of its save.
    pub receipt: Signed,
}

/// `POST /v1/records/export`. Lacks `Debug`, which would print the proof.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportRequest {
    /// Step-up grant (purpose `export`, target: [`export_target`] of the records).
    pub grant: Bytes,
    /// Which ones; at most [`crate::limits::MAX_EXPORT`].
    pub records: Vec<RecordId>,
    /// Proof of a kit of before a new start: what that kit opens comes along, so that records of that time can be read. Derived
    /// from its code, and good for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_kit_proof: Option<FixedBytes<32>>,
}

/// What a grant to export these records, in this order, is bound to: SHA-256 of their identifiers in hexadecimal digits.
#[must_use]
pub fn export_target(records: &[RecordId]) -> String {
    let ids: Vec<u8> = records.iter().flat_map(|id| *id.as_bytes()).collect();
    data_encoding::HEXLOWER.encode(&crate::sha256(&[&ids]))
}

/// Answer of `POST /v1/records/export`: given after an audit entry for each record is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exported {
    /// In the order asked for.
    pub records: Vec<Revealed>,
    /// What the former kit opens, where one was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<super::FormerKeys>,
}

/// What a device signs to ask about a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Held {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose.
    pub account_id: AccountId,
    /// Who asks.
    pub device_id: DeviceId,
    /// About which record.
    pub record_id: RecordId,
    /// Random.
    pub nonce: FixedBytes<16>,
    /// When.
    pub at: Millis,
}

impl Held {
    /// Type of the signed object.
    pub const KIND: &'static str = "held";
}

/// Answer of `POST /v1/records/{id}/held`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldAnswer {
    /// SHA-256 of the nonce, the signed payload, header, meta and secret as they are stored.
    pub digest: FixedBytes<32>,
}

/// Answer of `GET /v1/audit?after=&limit=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// Exact bytes of the entries, in order.
    pub entries: Vec<Bytes>,
    /// The newest entry of the chain.
    pub head: AuditHead,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_to_export_is_bound_to_the_records_and_their_order() {
        let id = |n: u8| RecordId::from_bytes([n; 16]);
        let target = export_target(&[id(1), id(2)]);
        assert_eq!(target.len(), 64, "as long as a target may be");
        for other in [vec![], vec![id(1)], vec![id(2), id(1)], vec![id(1), id(2), id(3)]] {
            assert_ne!(export_target(&other), target);
        }
    }
}
