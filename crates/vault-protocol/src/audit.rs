//! The audit trail: one chain per account.
//!
//! An entry is kept as the exact bytes it was made with; its hash is SHA-256 of a zero byte and those bytes, and the next
//! entry names it. The first entry names 32 zero bytes and has `seq` 1.

use serde::{Deserialize, Serialize};

use crate::{FixedBytes, Millis, sha256};

/// One entry of an account's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A step-up was confirmed.
    pub const STEPUP: &str = "stepup";
    /// A step-up failed.
    pub const STEPUP_FAILED: &str = "stepup_failed";
    /// A device was enrolled.
    pub const DEVICE_ENROLLED: &str = "device_enrolled";
    /// A device was revoked.
    pub const DEVICE_REVOKED: &str = "device_revoked";
    /// A record was saved.
    pub const SAVE: &str = "save";
    /// A record was revealed.
    pub const REVEAL: &str = "reveal";
    /// The owner got a record as part of an export.
    pub const EXPORT: &str = "export";
    /// A client sent what it never may.
    pub const CLIENT_FAULT: &str = "client_fault";
}
