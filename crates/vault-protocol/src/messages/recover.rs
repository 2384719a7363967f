//! A lost password: kit and second factor in its place.

use serde::{Deserialize, Serialize};

use super::{ServerIdentity, SlotUpload};
use crate::{AccountId, Bytes, CeremonyId, FixedBytes, Signed};

/// `POST /v1/recover/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoverStartRequest {
    /// Mail address.
    pub email: String,
}

/// Answer of `POST /v1/recover/start`; for an unknown address one of the same form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoverStarted {
    /// Names the recovery.
    pub recovery_id: CeremonyId,
    /// The account.
    pub account_id: AccountId,
    /// Whether a mailed code is wanted next.
    pub code_mailed: bool,
    /// The service.
    pub server: ServerIdentity,
}

/// `POST /v1/recover/prove`. Lacks `Debug`, which would print the proof.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoverProveRequest {
    /// From the start.
    pub recovery_id: CeremonyId,
    /// The digits that were mailed, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailed_code: Option<String>,
    /// Proof of the kit: derived from its code, and good for nothing else.
    pub kit_proof: FixedBytes<32>,
    /// `totp` or `backup-code`.
    pub kind: String,
    /// Six digits, or a backup code.
    pub code: String,
    /// OPAQUE registration request with the new password.
    pub registration_request: Bytes,
}

/// Answer of `POST /v1/recover/prove`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoverProven {
    /// Goes with the next call.
    pub recovery_token: Bytes,
    /// Signed key statement of the present generation.
    pub key_statement: Signed,
    /// The slot that the kit opens, with both roots.
    pub slot: SlotUpload,
    /// OPAQUE registration response.
    pub registration_response: Bytes,
    /// Numbers of the stretching profiles the service accepts, preferred first.
    pub kdf_profiles: Vec<u32>,
    /// After a backup code: how many are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_codes_left: Option<u32>,
}

/// `POST /v1/recover/finish`. Every session ends; nobody is signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoverFinishRequest {
    /// From the proof.
    pub recovery_token: Bytes,
    /// OPAQUE registration upload.
    pub registration_record: Bytes,
    /// Number of the stretching profile that was used.
    pub kdf_profile: u32,
    /// New slots: one for the password, one for the kit.
    pub slots: Vec<SlotUpload>,
    /// SHA-256 of the new kit's proof.
    pub kit_proof_hash: FixedBytes<32>,
}
