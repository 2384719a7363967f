//! Password and emergency kit are both lost: after a delay, new keys for the account. What was saved stays, sealed to the former
//! ones.

use serde::{Deserialize, Serialize};

use super::{ServerIdentity, SlotUpload};
use crate::{AccountId, Bytes, CeremonyId, FixedBytes, Signed};

/// `POST /v1/renew/start`. A code is mailed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewStartRequest {
    /// Mail address.
    pub email: String,
}

/// Answer of `POST /v1/renew/start`; for an unknown address one of the same form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewStarted {
    /// Names the visit.
    pub renew_id: CeremonyId,
    /// The account.
    pub account_id: AccountId,
    /// The service.
    pub server: ServerIdentity,
}

/// A code of a second factor that is left.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorCode {
    /// `totp` or `backup-code`.
    pub kind: String,
    /// Six digits, or a backup code.
    pub code: String,
}

/// `POST /v1/renew/prove`. While the delay runs it is answered with `recover.waiting`, status 202. Lacks `Debug`, which would
/// print the codes.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewProveRequest {
    /// From the start.
    pub renew_id: CeremonyId,
    /// Whether the delay shall begin where none runs. Who comes back to finish says no, and learns of a cancellation.
    pub begin: bool,
    /// The digits that were mailed.
    pub mailed_code: String,
    /// A second factor that is left. Who begins with one waits half as long, and needs one again to finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<FactorCode>,
    /// OPAQUE registration request with the new password.
    pub registration_request: Bytes,
}

/// Answer of `POST /v1/renew/prove` once the delay is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewProven {
    /// Goes with the next call.
    pub renewal_token: Bytes,
    /// Signed key statement of the present generation: the new one names its hash.
    pub key_statement: Signed,
    /// OPAQUE registration response.
    pub registration_response: Bytes,
    /// Numbers of the stretching profiles the service accepts, preferred first.
    pub kdf_profiles: Vec<u32>,
}

/// `POST /v1/renew/finish`. Every session ends but the one that is the answer: [`LoggedIn`](super::LoggedIn).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RenewFinishRequest {
    /// From the proof.
    pub renewal_token: Bytes,
    /// OPAQUE registration upload.
    pub registration_record: Bytes,
    /// Number of the stretching profile that was used.
    pub kdf_profile: u32,
    /// Signed key statement of the next generation, which names the hash of the one before.
    pub key_statement: Signed,
    /// New slots: one for the password, one for the kit.
    pub slots: Vec<SlotUpload>,
    /// SHA-256 of the new kit's proof.
    pub kit_proof_hash: FixedBytes<32>,
}

/// What a kit of before a new start opens; see [`ExportRequest`](super::ExportRequest).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FormerKeys {
    /// Signed key statement of the generation that the kit is of.
    pub key_statement: Signed,
    /// The slot that it opens, with both roots.
    pub slot: SlotUpload,
}
