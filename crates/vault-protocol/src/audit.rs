//! The audit trail: one chain per account.
//!
//! An entry is kept as the exact bytes it was made with; its hash is SHA-256 of a zero byte and those bytes, and the next
//! entry names it. The first entry names 32 zero bytes and has `seq` 1.

use serde::{Deserialize, Serialize};

use crate::{FixedBytes, Millis, sha256};

/// One entry of an account's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub seq: u64,
    /// Hash of the entry before; zeros in the first.
    pub prev: FixedBytes<32>,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: Actor,
    /// What, see [`action`].
    pub action: String,
    /// On what: an identifier, or empty.
    pub target: String,
    /// `done`, `refused`, `started`.
    pub outcome: String,
    /// Why, where a reason was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Network it came from, cut to /24 or /48.
    pub net: String,
    /// Program and version.
    pub client: String,
    /// Random, so that the hash tells nothing about the content.
    pub salt: FixedBytes<16>,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Actor {
    /// `owner`, `device`, `server`, `operator`, `unknown`.
    pub kind: String,
    /// Its identifier, or empty.
    pub id: String,
}

/// Hash of an entry: what the next one names as `prev`.
#[must_use]
pub fn entry_hash(bytes: &[u8]) -> [u8; 32] {
    sha256(&[&[0], bytes])
}

/// Names of actions.
pub mod action {
    /// The account was made.
    pub const SIGNUP: &str = "signup";
    /// A sign-in was finished.
    pub const LOGIN: &str = "login";
    /// A sign-in failed.
    pub const LOGIN_FAILED: &str = "login_failed";
    /// A second factor was added.
    pub const FACTOR_ADDED: &str = "factor_added";
    /// A second factor was removed.
    pub const FACTOR_REMOVED: &str = "factor_removed";
    /// A passkey opens the vault from now on.
    pub const PASSKEY_SLOT_ADDED: &str = "passkey_slot_added";
    /// The counter of a passkey went back: it was copied, or an old answer was played again.
    pub const PASSKEY_COUNTER_BACK: &str = "passkey_counter_back";
    /// New backup codes were made; earlier ones are void.
    pub const BACKUP_CODES_MADE: &str = "backup_codes_made";
    /// A backup code stood in for a second factor.
    pub const BACKUP_CODE_USED: &str = "backup_code_used";
    /// The password was changed by the signed-in owner.
    pub const PASSWORD_CHANGED: &str = "password_changed";
    /// Kit and second factor were proven in place of a lost password.
    pub const RECOVER_PROVEN: &str = "recover_proven";
    /// Such a proof failed.
    pub const RECOVER_FAILED: &str = "recover_failed";
    /// A lost password was replaced, and the kit with it.
    pub const RECOVER_PASSWORD: &str = "recover_password";
    /// The owner had the delay begun after which no second factor is asked for.
    pub const OFF_BEGUN: &str = "factors_off_begun";
    /// From here on the account asks for no second factor.
    pub const OFF_DONE: &str = "factors_off";
    /// Two-factor authentication stays on: what announced its end could not be sent.
    pub const OFF_LAPSED: &str = "factors_off_lapsed";
    /// The delayed reset of lost factors was begun.
    pub const RESET_BEGUN: &str = "recover_reset_begun";
    /// The owner was reminded of a delay that runs.
    pub const WAIT_REMINDED: &str = "recover_reminded";
    /// The delay of a reset is over; it can be finished for a while.
    pub const RESET_DUE: &str = "recover_reset_due";
    /// Password or kit and the mailed code were proven after the delay: a factor may be added.
    pub const RESET_PROVEN: &str = "recover_reset_proven";
    /// A reset that nobody finished is void.
    pub const RESET_LAPSED: &str = "recover_reset_lapsed";
    /// A delay was cancelled, and with it what it delayed.
    pub const WAIT_CANCELLED: &str = "recover_cancelled";
    /// Password and kit are said to be lost: the delay before new keys was begun.
    pub const RENEW_BEGUN: &str = "renew_begun";
    /// The delay before new keys is over; they can be made for a while.
    pub const RENEW_DUE: &str = "renew_due";
    /// A new start that nobody finished is void.
    pub const RENEW_LAPSED: &str = "renew_lapsed";
    /// The account has new keys. What was saved before stays sealed to the former ones.
    pub const RENEW_DONE: &str = "renew_done";
    /// The former emergency kit opened the keys before a new start.
    pub const FORMER_OPENED: &str = "renew_former_opened";
    /// The owner had the delay begun after which a record, or the account, is deleted.
    pub const DELETE_BEGUN: &str = "delete_begun";
    /// The owner was reminded of a deletion that is near.
    pub const DELETE_NEAR: &str = "delete_near";
    /// A record was deleted for good; without a target, the account with all of its records.
    pub const DELETE_DONE: &str = "delete_done";
    /// A deletion does not happen: what announced it could not be sent.
    pub const DELETE_LAPSED: &str = "delete_lapsed";
    /// A new emergency kit was made; the one before is void.
    pub const KIT_REPLACED: &str = "kit_replaced";
    /// A step-up was confirmed.
    pub const STEPUP: &str = "stepup";
    /// A step-up failed.
    pub const STEPUP_FAILED: &str = "stepup_failed";
    /// A device was enrolled.
    pub const DEVICE_ENROLLED: &str = "device_enrolled";
    /// A device was revoked.
    pub const DEVICE_REVOKED: &str = "device_revoked";
    /// A device got another name.
    pub const DEVICE_RENAMED: &str = "device_renamed";
    /// The owner ordered a key to be replaced.
    pub const ROTATE_ORDERED: &str = "rotate_ordered";
    /// A device has begun to replace it.
    pub const ROTATE_TAKEN: &str = "rotate_taken";
    /// It is replaced.
    pub const ROTATE_DONE: &str = "rotate_done";
    /// It could not be replaced.
    pub const ROTATE_FAILED: &str = "rotate_failed";
    /// A device found the key protector of a record gone from its drive.
    pub const KEY_MISSING: &str = "key_missing";
    /// A device removed the key protector of a record from its drive.
    pub const KEY_RETIRED: &str = "key_retired";
    /// A device found a key protector that nothing is saved for.
    pub const KEY_UNKNOWN: &str = "key_unknown";
    /// A device found that the service did not hold a record as it was saved, and sent it again.
    pub const KEY_RESENT: &str = "key_resent";
    /// A stored record that was damaged was stored anew.
    pub const SAVE_REPAIRED: &str = "save_repaired";
    /// A record was saved.
    pub const SAVE: &str = "save";
    /// A record was revealed.
    pub const REVEAL: &str = "reveal";
    /// The owner got a record as part of an export.
    pub const EXPORT: &str = "export";
    /// A client sent what it never may.
    pub const CLIENT_FAULT: &str = "client_fault";
}

/// Beginnings of the names of actions that an owner is told of.
const TOLD: [&str; 12] = [
    "recover_",
    "renew_",
    "factor_",
    "backup_code",
    "two_factor_off",
    "password_",
    "reveal",
    "rotate_",
    "device_",
    "export",
    "delete_",
    "key_",
];

/// Whether an owner is told of an action on their devices.
#[must_use]
pub fn is_told(action: &str) -> bool {
    TOLD.iter().any(|start| action.starts_with(start))
}
