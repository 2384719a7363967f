//! Limits that both sides know.

/// Longest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest record (header and both parts), in bytes.
pub const MAX_RECORD_BYTES: usize = 32 * 1024;
/// Longest answer a client reads, in bytes: a page of a listing.
pub const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;
/// Records in a page of a listing, at most.
pub const MAX_PAGE: u32 = 200;
/// Records that one grant releases for an export, at most: their answer stays below [`MAX_ANSWER_BYTES`].
pub const MAX_EXPORT: usize = 128;
/// Audit entries in a page, at most.
pub const MAX_AUDIT_PAGE: u32 = 1000;
/// Entries that one answer has proofs for, at most.
pub const MAX_PROOF_PAGE: u32 = 100;
/// Rotation orders in one answer to a device, at most.
pub const MAX_ORDERS: u32 = 50;
/// How long a rotation order is good, in seconds.
pub const ORDER_SECONDS: u64 = 30 * 24 * 3600;
/// How long an enrolment code lives, in seconds.
pub const DEVICE_CODE_SECONDS: u64 = 600;
/// How long a grant lives, in seconds.
pub const GRANT_SECONDS: u64 = 300;
/// Seconds between polls of an enrolling device.
pub const POLL_SECONDS: u64 = 5;
/// Looks at a pending enrolment that do not end in approval.
pub const MAX_DEVICE_TRIES: u32 = 3;
/// Seconds of one TOTP step.
pub const TOTP_STEP_SECONDS: u64 = 30;
/// Steps before and after the present one in which a code counts.
pub const TOTP_DRIFT_STEPS: u64 = 1;
/// Second factors of an account: with each one a guess at a code gets likelier to fit. One more may be added after a
/// sign-in with a backup code, so that nobody is locked out by factors that are all lost.
pub const MAX_FACTORS: usize = 5;
/// Backup codes of an account.
pub const BACKUP_CODES: usize = 10;
/// Letters of the code that cancels a delay.
pub const CANCEL_LETTERS: usize = 26;
/// Longest mail address.
pub const MAX_EMAIL_BYTES: usize = 254;
