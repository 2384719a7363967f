//! Enrolling, listing and revoking devices.

use serde::{Deserialize, Serialize};

use crate::{Bytes, DeviceId, FixedBytes, Millis, PublicKey, Signed};

/// Program that makes a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// `POST /v1/device/code`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceCodeRequest {
    /// Signs the device's saves.
    pub device_pk: PublicKey,
    /// The device's X-Wing key.
    pub box_pk: Bytes,
    /// Random.
    pub nonce: FixedBytes<16>,
    /// Program and version.
    pub client: ClientInfo,
    /// What the device calls itself.
    pub name: String,
    /// [`crate::device::CAPABILITY_APPEND`].
    pub capability: String,
}

/// Answer of `POST /v1/device/code` (RFC 8628).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceCodeAnswer {
    /// Secret of the device; names the request.
    pub device_code: Bytes,
    /// Eight letters that the owner types.
    pub user_code: String,
    /// Where the owner types them.
    pub verification_uri: String,
    /// Seconds the code lives.
    pub expires_in: u64,
    /// Seconds between polls.
    pub interval: u64,
}

/// `PUT /v1/device/code/{code}/hello`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceHelloRequest {
    /// Shows to the owner's client that device and owner share the enrolment secret.
    pub tag_h: FixedBytes<32>,
}

/// `POST /v1/device/pending`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DevicePendingRequest {
    /// As typed, in its one form.
    pub user_code: String,
}

/// Answer of `POST /v1/device/pending`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DevicePending {
    /// Signs the device's saves.
    pub device_pk: PublicKey,
    /// The device's X-Wing key.
    pub box_pk: Bytes,
    /// Random.
    pub nonce: FixedBytes<16>,
    /// Program and version.
    pub client: ClientInfo,
    /// What the device calls itself.
    pub name: String,
    /// What it asks for.
    pub capability: String,
    /// The device's proof; absent until it has sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_h: Option<FixedBytes<32>>,
}

/// `POST /v1/device/approve`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceApproveRequest {
    /// As typed, in its one form.
    pub user_code: String,
    /// Step-up grant (purpose `enrol-device`, target: the user code).
    pub grant: Bytes,
    /// Signed device certificate.
    pub certificate: Signed,
    /// Shows to the device that the account's keys come from whoever shares the enrolment secret.
    pub tag_a: FixedBytes<32>,
}

/// `POST /v1/device/token`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceTokenRequest {
    /// From the code.
    pub device_code: Bytes,
}

/// Answer of `POST /v1/device/token` once the owner approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceTokenAnswer {
    /// Signed device certificate.
    pub certificate: Signed,
    /// Signed key statement of the account.
    pub key_statement: Signed,
    /// The owner's proof.
    pub tag_a: FixedBytes<32>,
    /// Signs receipts.
    pub receipt_pk: PublicKey,
    /// Signs checkpoints.
    pub log_pk: PublicKey,
}

/// `POST /v1/devices`: enrol the program that is signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceEnrolRequest {
    /// Step-up grant (purpose `enrol-device`, target `self`).
    pub grant: Bytes,
    /// Signed device certificate.
    pub certificate: Signed,
}

/// Answer once a device is enrolled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceEnrolled {
    /// Which device.
    pub device_id: DeviceId,
}

/// A device, as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceView {
    /// Which device.
    pub device_id: DeviceId,
    /// Signed certificate.
    pub certificate: Signed,
    /// `active` or `revoked`.
    pub state: String,
    /// Number of its newest save.
    pub last_seq: u64,
    /// When it last called.
    pub seen_at: Option<Millis>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Millis>,
    /// Another name, sealed by the owner; see [`DeviceRenameRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_sealed: Option<Bytes>,
    /// Rotation orders that wait for it.
    #[serde(default)]
    pub open_orders: u64,
}

/// Answer of `GET /v1/devices`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceList {
    /// All devices, revoked ones included.
    pub devices: Vec<DeviceView>,
    /// Key statements before the present one, newest first: devices that were enrolled before a new start have their
    /// certificates under one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_statements: Vec<Signed>,
}

/// `POST /v1/devices/{id}/revoke`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRevokeRequest {
    /// Step-up grant (purpose `revoke-device`, target: the device's identifier).
    pub grant: Bytes,
}

/// `POST /v1/devices/{id}/rename`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRenameRequest {
    /// The name, sealed under a key of the catalogue root: the service cannot read it.
    pub label_sealed: Bytes,
}
