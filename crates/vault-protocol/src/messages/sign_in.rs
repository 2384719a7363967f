//! Sign-in with the second factor.

use serde::{Deserialize, Serialize};

use super::{PasskeyAssertion, PasskeyRequest, ServerIdentity, SessionGranted};
use crate::{AccountId, Bytes, CeremonyId, FixedBytes, Signed, SlotId};

/// `POST /v1/login/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginStartRequest {
    /// Mail address.
    pub email: String,
    /// OPAQUE credential request.
    pub credential_request: Bytes,
}

/// Answer of `POST /v1/login/start`; for an unknown address a stable fake of the same form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginStarted {
    /// Names the sign-in.
    pub login_id: CeremonyId,
    /// The account.
    pub account_id: AccountId,
    /// Number of its stretching profile.
    pub kdf_profile: u32,
    /// OPAQUE credential response.
    pub credential_response: Bytes,
    /// The service.
    pub server: ServerIdentity,
}

/// `POST /v1/login/finish`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginFinishRequest {
    /// From the start.
    pub login_id: CeremonyId,
    /// OPAQUE credential finalization.
    pub credential_finalization: Bytes,
}

/// Answer of `POST /v1/login/finish`: the password was right. No slot data yet, unless no factor exists so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginPasswordProven {
    /// As before.
    pub login_id: CeremonyId,
    /// Kinds of factors that will do: `totp`, `passkey`, `backup-code`. Empty only when sign-up stopped before the first factor.
    pub second_factor: Vec<String>,
    /// Random; part of the binding.
    pub challenge: FixedBytes<32>,
    /// For the authenticator, where the account has passkeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyRequest>,
    /// Only for an account without any factor: a session that may enrol one, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionGranted>,
    /// Only for an account that asks for no second factor, by its owner's will: the sign-in is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged_in: Option<LoggedIn>,
}

/// `POST /v1/login/factor`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginFactorRequest {
    /// As before.
    pub login_id: CeremonyId,
    /// `totp`, `passkey` or `backup-code`.
    pub kind: String,
    /// Six digits, or a backup code; empty with a passkey.
    #[serde(default)]
    pub code: String,
    /// What the authenticator answered, with a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<PasskeyAssertion>,
    /// HMAC-SHA-512 under the OPAQUE session key over the 16 bytes of the login identifier and the challenge: a factor
    /// cannot be moved to another run.
    pub binding: Bytes,
}

/// A slot as it is handed out after the second factor: without the vault root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogueSlot {
    /// Which slot.
    pub slot_id: SlotId,
    /// `password`, `kit`, ...
    pub kind: String,
    /// Salt of its key derivation.
    pub salt: FixedBytes<16>,
    /// The catalogue root, wrapped.
    pub wrap_c: Bytes,
    /// Which passkey opens it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Bytes>,
}

/// The newest entry of an account's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditHead {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: FixedBytes<32>,
}

/// Answer of `POST /v1/login/factor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedIn {
    /// The session.
    pub session: SessionGranted,
    /// Signed key statement of the present generation.
    pub key_statement: Signed,
    /// The account's slots.
    pub slots: Vec<CatalogueSlot>,
    /// Head of the audit chain.
    pub audit_head: AuditHead,
    /// After a backup code: how many are left. Then the session may add a factor, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_codes_left: Option<u32>,
}
