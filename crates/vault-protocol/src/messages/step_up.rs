//! Step-up: fresh proof of presence for one act.

use serde::{Deserialize, Serialize};

use super::{PasskeyAssertion, PasskeyRequest};
use crate::{Bytes, CeremonyId, FixedBytes, SlotId};

/// Kind of a proof of presence that stands in where an account asks for no second factor: a code that was mailed.
pub const MAILED_CODE: &str = "mailed-code";

/// What a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Release one record; target: its identifier.
    Reveal,
    /// Enrol a device; target: the user code, or `self` for the program that is signed in.
    EnrolDevice,
    /// Revoke a device; target: its identifier.
    RevokeDevice,
    /// Change factors; target: a factor's identifier, the kind of a new one, or `backup-codes`.
    Factors,
    /// Change the password; target: `password`.
    Password,
    /// Let a passkey open the vault; target: the factor's identifier.
    PasskeySlot,
    /// Release several records at once; target: [`export_target`](super::export_target) of them.
    Export,
    /// Delete one record, or the account; target: the record's identifier, or [`ACCOUNT_TARGET`](super::ACCOUNT_TARGET).
    Delete,
}

impl Purpose {
    /// Its name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reveal => "reveal",
            Self::EnrolDevice => "enrol-device",
            Self::RevokeDevice => "revoke-device",
            Self::Factors => "factors",
            Self::Password => "password",
            Self::PasskeySlot => "passkey-slot",
            Self::Export => "export",
            Self::Delete => "delete",
        }
    }

    /// Whether the vault root is needed for it: then the password is proven again, or a passkey that opens the vault, and the wraps
    /// are handed out.
    #[must_use]
    pub fn opens_vault(self) -> bool {
        matches!(self, Self::Reveal | Self::EnrolDevice | Self::Password | Self::PasskeySlot | Self::Export)
    }
}

/// `POST /v1/step-up/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepUpStartRequest {
    /// What for.
    pub purpose: Purpose,
    /// On what.
    pub target: String,
    /// OPAQUE credential request with the password typed again; wanted where the purpose opens the vault, unless a passkey opens
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_request: Option<Bytes>,
}

/// Answer of `POST /v1/step-up/start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepUpStarted {
    /// Names the step-up.
    pub step_id: CeremonyId,
    /// Kinds of factors that will do.
    pub kinds: Vec<String>,
    /// OPAQUE credential response, where a request was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response: Option<Bytes>,
    /// Number of the account's stretching profile.
    pub kdf_profile: u32,
    /// For the authenticator, where the account has passkeys that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyRequest>,
}

/// `POST /v1/step-up/finish`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepUpFinishRequest {
    /// From the start.
    pub step_id: CeremonyId,
    /// `totp`, `passkey` or `backup-code`.
    pub kind: String,
    /// Six digits, or a backup code; empty with a passkey.
    #[serde(default)]
    pub code: String,
    /// What the authenticator answered, with a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<PasskeyAssertion>,
    /// OPAQUE credential finalization, where a request was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_finalization: Option<Bytes>,
}

/// The vault root of a slot, wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultSlot {
    /// Which slot.
    pub slot_id: SlotId,
    /// `password`, `kit`, ...
    pub kind: String,
    /// Salt of its key derivation.
    pub salt: FixedBytes<16>,
    /// The vault root, wrapped.
    pub wrap_v: Bytes,
    /// Which passkey opens it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Bytes>,
}

/// Answer of `POST /v1/step-up/finish`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SteppedUp {
    /// Single-use; bound to session, purpose and target.
    pub grant: Bytes,
    /// Seconds it lives.
    pub expires_in: u64,
    /// For purposes that open the vault.
    #[serde(default)]
    pub slots: Vec<VaultSlot>,
    /// After a backup code: how many are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_codes_left: Option<u32>,
}
