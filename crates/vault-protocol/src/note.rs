//! Notes: what a device found out about saved keys and the drives they open.

use serde::{Deserialize, Serialize};

use crate::{AccountId, DeviceId, FixedBytes, Millis, RecordId};

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// The drive has the key protector that the record is for.
    Verified,
    /// The drive has it no longer, and this device did not remove it.
    Missing,
    /// This device removed it from the drive, after another key was saved.
    Retired,
    /// The drive has a key protector that nothing is saved for.
    Unknown,
    /// The service did not hold the record as it was saved; it was sent again.
    Resent,
}

impl Finding {
    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Missing => "missing",
            Self::Retired => "retired",
            Self::Unknown => "unknown",
            Self::Resent => "resent",
        }
    }
}

/// What a device signs about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Note {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose.
    pub account_id: AccountId,
    /// Who found it.
    pub device_id: DeviceId,
    /// About which record; none when nothing is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<RecordId>,
    /// Blind index of the key's identifier.
    pub key_index: FixedBytes<16>,
    /// How it stands.
    pub finding: Finding,
    /// When.
    pub at: Millis,
}

impl Note {
    /// Type of the signed object.
    pub const KIND: &'static str = "note";

    /// A note is about a record exactly when there is one to be about.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.record_id.is_some() != (self.finding == Finding::Unknown)
    }
}
