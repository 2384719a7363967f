//! A new password.

use serde::{Deserialize, Serialize};

use super::{SessionGranted, SlotUpload};
use crate::{Bytes, CeremonyId};

/// What a step-up for a new password names as its target.
pub const PASSWORD_TARGET: &str = "password";

/// `POST /v1/account/password/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordStartRequest {
    /// Step-up grant (purpose `password`, target `password`).
    pub grant: Bytes,
    /// OPAQUE registration request with the new password.
    pub registration_request: Bytes,
}

/// Answer of `POST /v1/account/password/start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordStarted {
    /// Names the change.
    pub ceremony_id: CeremonyId,
    /// OPAQUE registration response.
    pub registration_response: Bytes,
    /// Numbers of the stretching profiles the service accepts, preferred first.
    pub kdf_profiles: Vec<u32>,
}

/// `POST /v1/account/password/finish`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordFinishRequest {
    /// From the start.
    pub ceremony_id: CeremonyId,
    /// OPAQUE registration upload.
    pub registration_record: Bytes,
    /// Number of the stretching profile that was used.
    pub kdf_profile: u32,
    /// The slot that the new password opens.
    pub slot: SlotUpload,
}

/// Answer of `POST /v1/account/password/finish`: other sessions ended, this one goes on under a new token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PasswordChanged {
    /// The session from now on.
    pub session: SessionGranted,
}
