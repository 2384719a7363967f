//! Sign-up.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Bytes, CeremonyId, FixedBytes, Millis, PublicKey, Signed, SlotId};

/// Who a service is. Clients pin the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerIdentity {
    /// Scheme, host and port under which clients reach it; part of every password proof.
    pub origin: String,
    /// Signs receipts.
    pub receipt_pk: PublicKey,
    /// Signs checkpoints of the log.
    pub log_pk: PublicKey,
    /// Version of the service.
    pub version: String,
}

/// `POST /v1/signup/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupStartRequest {
    /// Mail address of the new account.
    pub email: String,
    /// Invite, where the service asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
}

/// Answer of `POST /v1/signup/start`, whether or not the address has an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupStarted {
    /// Names the sign-up.
    pub signup_id: CeremonyId,
    /// Whether a mailed code is wanted next; with an invite none is.
    pub code_mailed: bool,
}

/// `POST /v1/signup/verify`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupVerifyRequest {
    /// From the start.
    pub signup_id: CeremonyId,
    /// The six digits that were mailed, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Answer of `POST /v1/signup/verify`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupVerified {
    /// Goes with the next two calls.
    pub signup_token: Bytes,
    /// The new account's identifier.
    pub account_id: AccountId,
    /// Numbers of the stretching profiles the service accepts, preferred first.
    pub kdf_profiles: Vec<u32>,
    /// The service.
    pub server: ServerIdentity,
}

/// `POST /v1/signup/opaque`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupOpaqueRequest {
    /// From the verification.
    pub signup_token: Bytes,
    /// OPAQUE registration request.
    pub registration_request: Bytes,
}

/// Answer of `POST /v1/signup/opaque`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupOpaqueAnswer {
    /// OPAQUE registration response.
    pub registration_response: Bytes,
}

/// A slot as the client makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlotUpload {
    /// Chosen by the client.
    pub slot_id: SlotId,
    /// `password`, `kit`; later kinds are stored like these.
    pub kind: String,
    /// Salt of the slot's key derivation, 16 bytes.
    pub salt: FixedBytes<16>,
    /// The catalogue root, wrapped.
    pub wrap_c: Bytes,
    /// The vault root, wrapped.
    pub wrap_v: Bytes,
    /// Which passkey opens it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Bytes>,
}

/// `POST /v1/signup/finish`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupFinishRequest {
    /// From the verification.
    pub signup_token: Bytes,
    /// OPAQUE registration upload.
    pub registration_record: Bytes,
    /// Number of the stretching profile that was used.
    pub kdf_profile: u32,
    /// Signed key statement of generation 1.
    pub key_statement: Signed,
    /// Two at least, one of them not a password.
    pub slots: Vec<SlotUpload>,
    /// SHA-256 of the kit's proof.
    pub kit_proof_hash: FixedBytes<32>,
}

/// A session that was given out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionGranted {
    /// Bearer token.
    pub token: Bytes,
    /// When it ends at the latest.
    pub expires_at: Millis,
}

/// Answer of `POST /v1/signup/finish`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignupFinished {
    /// May enrol a factor, nothing else.
    pub session: SessionGranted,
    /// What must be done next: `enrol_factor`.
    pub must: Vec<String>,
}
