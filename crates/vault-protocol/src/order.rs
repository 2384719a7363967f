//! Rotation orders: the owner's word to a device that a key was shown to somebody and shall be replaced.
//!
//! An order is signed by the account's identity key while the vault is open for a reveal. It names the key by its blind
//! index, which the device can compute and the service cannot turn into a key identifier. It is good once, for one device,
//! for a limited time.

use serde::{Deserialize, Serialize};

use crate::{AccountId, DeviceId, FixedBytes, Millis, OrderId, RecordId};

/// Replace this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationOrder {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose key.
    pub account_id: AccountId,
    /// Which order.
    pub order_id: OrderId,
    /// The device that is to carry it out.
    pub device_id: DeviceId,
    /// The record that was shown.
    pub record_id: RecordId,
    /// Blind index of the key's identifier, as in the record's save.
    pub key_index: FixedBytes<16>,
    /// When it was signed.
    pub issued_at: Millis,
    /// Not to be carried out earlier,
    pub not_before: Millis,
    /// nor after this.
    pub expires_at: Millis,
    /// Random.
    pub nonce: FixedBytes<16>,
}

impl RotationOrder {
    /// Type of the signed object.
    pub const KIND: &'static str = "rotation-order";
}

/// How far a device got with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Given, and not seen by its device.
    Open,
    /// The device has begun.
    Taken,
    /// The old key opens the drive no longer.
    Done,
    /// It cannot be carried out.
    Failed,
}

impl OrderState {
    /// Its name on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// By that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Taken, Self::Done, Self::Failed].into_iter().find(|state| state.name() == name)
    }
}

/// What a device signs about an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderReport {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose.
    pub account_id: AccountId,
    /// Who reports.
    pub device_id: DeviceId,
    /// On which order.
    pub order_id: OrderId,
    /// How far it is.
    pub state: OrderState,
    /// The record of the new key, once done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<RecordId>,
    /// A word for why it failed: lower-case letters and `_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    pub at: Millis,
}

impl OrderReport {
    /// Type of the signed object.
    pub const KIND: &'static str = "order-report";
    /// Longest word for why.
    pub const WHY_BYTES: usize = 32;
}
