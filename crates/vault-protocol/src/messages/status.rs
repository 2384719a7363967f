//! What a device asks for when it has nothing to save: orders, changes of the account's keys, what its owner should know.

use serde::{Deserialize, Serialize};

use crate::{AccountId, DeviceId, FixedBytes, Millis, OrderId, RecordId, Signed};

/// What a device signs to ask, `POST /v1/device/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusQuestion {
    /// [`crate::VERSION`].
    pub v: u32,
    /// Whose.
    pub account_id: AccountId,
    /// Who asks.
    pub device_id: DeviceId,
    /// Generation of the key statement that the device has.
    pub generation: u32,
    /// Number of the newest audit entry it was told of; none at first, which tells it where to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_after: Option<u64>,
    /// Random.
    pub nonce: FixedBytes<16>,
    /// When.
    pub at: Millis,
}

impl StatusQuestion {
    /// Type of the signed object.
    pub const KIND: &'static str = "device-status";
}

/// Answer of `POST /v1/device/status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceStatusAnswer {
    /// The service's time.
    pub now: Millis,
    /// Signed rotation orders for this device that are not done.
    pub orders: Vec<Signed>,
    /// Key statements after the one that the device has, in order.
    #[serde(default)]
    pub statements: Vec<StatementChange>,
    /// The account's present key statement, where it began again with new keys that the ones before did not sign: nothing that
    /// the device could believe, but reason enough to have it enrolled again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_start: Option<Signed>,
    /// What happened to the account that its owner should know, in order.
    pub notices: Vec<DeviceNotice>,
    /// To be sent as `audit_after` next time.
    pub audit_seq: u64,
    /// Whether there are more notices.
    pub more: bool,
}

/// A key statement together with the same statement signed by the identity key before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatementChange {
    /// Signed by the identity key it names.
    pub statement: Signed,
    /// The same payload signed by the identity key of the generation before.
    pub previous: Signed,
}

/// Something that happened to an account: what and when, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceNotice {
    /// Number of its audit entry.
    pub seq: u64,
    /// See [`crate::audit::action`].
    pub action: String,
    /// `done`, `refused`, `started`.
    pub outcome: String,
    /// When.
    pub at: Millis,
}

/// `POST /v1/orders`: a rotation order, signed by the account's identity key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderRequest {
    /// Signed [`RotationOrder`](crate::order::RotationOrder).
    pub order: Signed,
}

/// An order as its owner sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderView {
    /// Which order.
    pub order_id: OrderId,
    /// For which device.
    pub device_id: DeviceId,
    /// About which record.
    pub record_id: RecordId,
    /// Signed order.
    pub order: Signed,
    /// `open`, `taken`, `done`, `failed`.
    pub state: String,
    /// The device's signed report, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Signed>,
    /// When its state changed last.
    pub at: Millis,
}

/// Answer of `GET /v1/orders`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderList {
    /// The newest ones, newest first.
    pub orders: Vec<OrderView>,
}
