//! Safety delays: two-factor that is to go off, lost factors that are to be reset, deletions; and how each is cancelled.

use serde::{Deserialize, Serialize};

use super::{LoggedIn, RecoverProven, ServerIdentity};
use crate::{AccountId, Bytes, CeremonyId, FixedBytes, Millis, WaitId};

/// What a step-up for the end of two-factor names as its target.
pub const OFF_TARGET: &str = "off";

/// What a step-up for the deletion of the account names as its target.
pub const ACCOUNT_TARGET: &str = "account";

/// Kinds of delays.
pub mod wait_kind {
    /// The account is to stop asking for a second factor.
    pub const OFF: &str = "two-factor-off";
    /// Lost factors are to be replaced by a new one.
    pub const RESET: &str = "factor-reset";
    /// A record is to be deleted.
    pub const DELETE_RECORD: &str = "delete-record";
    /// The account is to get new keys: password and kit are lost.
    pub const NEW_KEYS: &str = "new-keys";
    /// The account is to be deleted.
    pub const DELETE_ACCOUNT: &str = "delete-account";
}

/// A delay as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitView {
    /// Which one.
    pub wait_id: WaitId,
    /// One of [`wait_kind`].
    pub kind: String,
    /// On what, where it is on less than the account.
    pub target: String,
    /// `owner`, `operator`, or `unknown` for somebody who proved less than a sign-in.
    pub begun_by: String,
    /// When it began.
    pub begun_at: Millis,
    /// When what it delays may happen. Never changes.
    pub due_at: Millis,
}

/// Answer of `GET /v1/waits`: the delays that run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitList {
    /// Oldest first.
    pub waits: Vec<WaitView>,
}

/// `POST /v1/waits/cancel`: by a session with `wait_id`, or without one by the code of the mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitCancelRequest {
    /// Which one, of the session's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_id: Option<WaitId>,
    /// The code of the mail. Good for cancelling, and for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A delay that began, or ran already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitBegun {
    /// Which one.
    pub wait_id: WaitId,
    /// When what it delays may happen.
    pub due_at: Millis,
}

/// `POST /v1/factors/off`. Answered with [`WaitBegun`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FactorsOffRequest {
    /// Step-up grant (purpose `factors`, target [`OFF_TARGET`]).
    pub grant: Bytes,
}

/// `POST /v1/records/{id}/delete`: after the hold, the record goes for good. Answered with [`WaitBegun`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordDeleteRequest {
    /// Step-up grant (purpose `delete`, target: the record's identifier).
    pub grant: Bytes,
}

/// `POST /v1/account/delete`: after the hold, every record and the account go for good. Answered with [`WaitBegun`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountDeleteRequest {
    /// Step-up grant (purpose `delete`, target [`ACCOUNT_TARGET`]).
    pub grant: Bytes,
}

/// `POST /v1/reset/start`: every factor is lost. A code is mailed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResetStartRequest {
    /// Mail address.
    pub email: String,
    /// OPAQUE credential request; left out by somebody who has the emergency kit in place of the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_request: Option<Bytes>,
}

/// Answer of `POST /v1/reset/start`; for an unknown address one of the same form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResetStarted {
    /// Names the visit.
    pub reset_id: CeremonyId,
    /// The account.
    pub account_id: AccountId,
    /// Number of its stretching profile.
    pub kdf_profile: u32,
    /// OPAQUE credential response, where a request was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_response: Option<Bytes>,
    /// The service.
    pub server: ServerIdentity,
}

/// `POST /v1/reset/prove`. While the delay runs it is answered with `recover.waiting`, status 202. Lacks `Debug`, which
/// would print the proof.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResetProveRequest {
    /// From the start.
    pub reset_id: CeremonyId,
    /// Whether the delay shall begin where none runs. Who comes back to finish says no, and learns of a cancellation.
    pub begin: bool,
    /// The digits that were mailed.
    pub mailed_code: String,
    /// OPAQUE credential finalization, where the password is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_finalization: Option<Bytes>,
    /// Proof of the kit, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit_proof: Option<FixedBytes<32>>,
    /// With the proof of the kit: OPAQUE registration request with the new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_request: Option<Bytes>,
}

/// Answer of `POST /v1/reset/prove` once the delay is over; one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResetProven {
    /// The password was proven: a session that may add a factor, and nothing else. With the new factor the lost ones go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoggedIn>,
    /// The kit was proven: what sets a new password and a new kit with `POST /v1/reset/password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoverProven>,
}

/// `POST /v1/account/kit/start`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KitStartRequest {
    /// Step-up grant (purpose `password`, target [`KIT_TARGET`]).
    pub grant: Bytes,
}

/// What a step-up for a new kit names as its target.
pub const KIT_TARGET: &str = "kit";

/// Answer of `POST /v1/account/kit/start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KitStarted {
    /// Names the change.
    pub ceremony_id: CeremonyId,
}

/// `POST /v1/account/kit/finish`: the new kit is kept, and from now on it counts. Answered with
/// [`PasswordChanged`](super::PasswordChanged).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KitFinishRequest {
    /// From the start.
    pub ceremony_id: CeremonyId,
    /// The slot that the new kit opens.
    pub slot: super::SlotUpload,
    /// SHA-256 of the new kit's proof.
    pub kit_proof_hash: FixedBytes<32>,
}
