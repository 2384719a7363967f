//! The account and its factors.

use serde::{Deserialize, Serialize};

use super::{AuditHead, PasskeyView, SessionGranted};
use crate::{AccountId, Bytes, CeremonyId, FactorId, Millis, Signed};

/// Answer of `GET /v1/account`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountView {
    /// Which account.
    pub account_id: AccountId,
    /// Its mail address.
    pub email: String,
    /// Whether a second factor is asked for.
    pub two_factor: bool,
    /// With two-factor on: when it goes off. With two-factor off: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// Signed key statement of the present generation.
    pub key_statement: Signed,
    /// Head of the audit chain.
    pub audit_head: AuditHead,
}

/// A second factor, as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorView {
    /// Which factor.
    pub factor_id: FactorId,
    /// `totp` or `passkey`.
    pub kind: String,
    /// What the owner calls it.
    pub label: String,
    /// When it was added.
    pub created_at: Millis,
    /// When it was last used.
    pub used_at: Option<Millis>,
}

/// Answer of `GET /v1/factors`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorList {
    /// All factors.
    pub factors: Vec<FactorView>,
    /// Backup codes that were never used.
    #[serde(default)]
    pub backup_codes_left: u32,
    /// Which of them are passkeys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<PasskeyView>,
    /// Whether this session adds a factor only after a step-up.
    #[serde(default)]
    pub add_needs_step_up: bool,
}

/// `POST /v1/factors/totp/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TotpStartRequest {
    /// What the owner calls it.
    pub label: String,
    /// Step-up grant (purpose `factors`, target `totp`); not for the first factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Bytes>,
}

/// Answer of `POST /v1/factors/totp/start`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TotpStarted {
    /// Names the enrolment.
    pub ceremony_id: CeremonyId,
    /// The secret in base32, for typing into an authenticator. Never printed by `Debug`, which this type lacks.
    pub secret: String,
    /// The same as an `otpauth://` link, for a QR code.
    pub uri: String,
}

/// `POST /v1/factors/totp/finish`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TotpFinishRequest {
    /// From the start.
    pub ceremony_id: CeremonyId,
    /// Two consecutive codes.
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 2))]
    pub codes: [String; 2],
}

/// `POST /v1/factors/backup-codes/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupCodesStartRequest {
    /// Step-up grant (purpose `factors`, target `backup-codes`).
    pub grant: Bytes,
}

/// Answer of `POST /v1/factors/backup-codes/start`. Lacks `Debug`, which would print the codes.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupCodesStarted {
    /// Names the change.
    pub ceremony_id: CeremonyId,
    /// The codes. The service keeps none of them in readable form.
    pub codes: Vec<String>,
}

/// `POST /v1/factors/backup-codes/finish`: the codes are kept. Answered with [`FactorsChanged`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupCodesFinishRequest {
    /// From the start.
    pub ceremony_id: CeremonyId,
}

/// `POST /v1/factors/{id}/remove`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorRemoveRequest {
    /// Step-up grant (purpose `factors`, target: the factor's identifier).
    pub grant: Bytes,
}

/// Answer after factors changed: other sessions ended, this one goes on under a new token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorsChanged {
    /// The session from now on.
    pub session: SessionGranted,
    /// The factor that was added, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor_id: Option<FactorId>,
}
