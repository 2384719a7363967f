//! Paths of the service. `{id}` is the identifier in text form, `{code}` a device code in base64url or a code of the error
//! catalogue.
//!
//! The comment on each names its methods, in the form that the first one has: the service's tests read it.

/// `GET`: liveness.
pub const HEALTH: &str = "/health";
/// `GET`: whether the service can do its work now.
pub const READY: &str = "/ready";
/// `GET`: this interface, described (OpenAPI).
pub const OPENAPI: &str = "/openapi.json";
/// `GET`: the error catalogue, for people.
pub const HELP: &str = "/help";
/// `GET`: what happened and what to do next, for one code.
pub const HELP_PAGE: &str = "/help/{code}";
/// `GET`: who this service is.
pub const SERVER: &str = "/v1/server";
/// `POST`: begin a sign-up.
pub const SIGNUP_START: &str = "/v1/signup/start";
/// `POST`: prove the mail address or the invite.
pub const SIGNUP_VERIFY: &str = "/v1/signup/verify";
/// `POST`: OPAQUE registration.
pub const SIGNUP_OPAQUE: &str = "/v1/signup/opaque";
/// `POST`: make the account.
pub const SIGNUP_FINISH: &str = "/v1/signup/finish";
/// `POST`: begin a sign-in.
pub const LOGIN_START: &str = "/v1/login/start";
/// `POST`: prove the password.
pub const LOGIN_FINISH: &str = "/v1/login/finish";
/// `POST`: prove the second factor.
pub const LOGIN_FACTOR: &str = "/v1/login/factor";
/// `POST`: begin a sign-in by passkey alone.
pub const LOGIN_PASSKEY_START: &str = "/v1/login/passkey/start";
/// `POST`: prove the passkey; it counts as both factors.
pub const LOGIN_PASSKEY_FINISH: &str = "/v1/login/passkey/finish";
/// `POST`: end the session.
pub const LOGOUT: &str = "/v1/logout";
/// `POST`: the password is lost; begin.
pub const RECOVER_START: &str = "/v1/recover/start";
/// `POST`: prove the emergency kit and a second factor.
pub const RECOVER_PROVE: &str = "/v1/recover/prove";
/// `POST`: set a new password and a new kit.
pub const RECOVER_FINISH: &str = "/v1/recover/finish";
/// `GET`: the account.
pub const ACCOUNT: &str = "/v1/account";
/// `POST`: begin to change the password.
pub const PASSWORD_START: &str = "/v1/account/password/start";
/// `POST`: set the new password.
pub const PASSWORD_FINISH: &str = "/v1/account/password/finish";
/// `GET`: the second factors.
pub const FACTORS: &str = "/v1/factors";
/// `POST`: begin to add a TOTP factor.
pub const TOTP_START: &str = "/v1/factors/totp/start";
/// `POST`: prove two codes.
pub const TOTP_FINISH: &str = "/v1/factors/totp/finish";
/// `POST`: begin to add a passkey.
pub const PASSKEY_START: &str = "/v1/factors/passkey/start";
/// `POST`: what the authenticator made.
pub const PASSKEY_FINISH: &str = "/v1/factors/passkey/finish";
/// `POST`: let a passkey open the vault.
pub const PASSKEY_SLOT: &str = "/v1/factors/{id}/slot";
/// `POST`: have new backup codes made; the old ones stay good until the finish.
pub const BACKUP_CODES_START: &str = "/v1/factors/backup-codes/start";
/// `POST`: they are kept; from now on they count.
pub const BACKUP_CODES_FINISH: &str = "/v1/factors/backup-codes/finish";
/// `POST`: remove a factor.
pub const FACTOR_REMOVE: &str = "/v1/factors/{id}/remove";
/// `POST`: begin the delay after which no second factor is asked for.
pub const FACTORS_OFF: &str = "/v1/factors/off";
/// `POST`: begin the delay after which the account is deleted.
pub const ACCOUNT_DELETE: &str = "/v1/account/delete";
/// `GET`: the safety delays that run.
pub const WAITS: &str = "/v1/waits";
/// `POST`, by a session or with the code of a mail: cancel one.
pub const WAIT_CANCEL: &str = "/v1/waits/cancel";
/// `POST`: every factor is lost; have a code mailed.
pub const RESET_START: &str = "/v1/reset/start";
/// `POST`: prove password or kit, and the code; begins the delay, or ends it.
pub const RESET_PROVE: &str = "/v1/reset/prove";
/// `POST`: after the delay, when the password is lost too: set a new one and a new kit.
pub const RESET_PASSWORD: &str = "/v1/reset/password";
/// `POST`: password and kit are lost; have a code mailed.
pub const RENEW_START: &str = "/v1/renew/start";
/// `POST`: prove the code, and a second factor where one is left; begins the delay, or ends it.
pub const RENEW_PROVE: &str = "/v1/renew/prove";
/// `POST`: after the delay, the account's new keys with a new password and a new kit.
pub const RENEW_FINISH: &str = "/v1/renew/finish";
/// `POST`: begin to make a new emergency kit.
pub const KIT_START: &str = "/v1/account/kit/start";
/// `POST`: it is kept, and counts.
pub const KIT_FINISH: &str = "/v1/account/kit/finish";
/// `POST`: begin a step-up.
pub const STEP_UP_START: &str = "/v1/step-up/start";
/// `POST`: prove presence.
pub const STEP_UP_FINISH: &str = "/v1/step-up/finish";
/// `POST`, device: ask for an enrolment code.
pub const DEVICE_CODE: &str = "/v1/device/code";
/// `PUT`, device: authenticate the request.
pub const DEVICE_HELLO: &str = "/v1/device/code/{code}/hello";
/// `POST`, owner: look at a pending request.
pub const DEVICE_PENDING: &str = "/v1/device/pending";
/// `POST`, owner: approve it.
pub const DEVICE_APPROVE: &str = "/v1/device/approve";
/// `POST`, device: poll for the answer.
pub const DEVICE_TOKEN: &str = "/v1/device/token";
/// `GET`: list; `POST`: enrol directly, by an owner who is signed in.
pub const DEVICES: &str = "/v1/devices";
/// `POST`: revoke a device.
pub const DEVICE_REVOKE: &str = "/v1/devices/{id}/revoke";
/// `POST`: give a device another name.
pub const DEVICE_RENAME: &str = "/v1/devices/{id}/rename";
/// `POST`, device: orders, changes of the account's keys, what the owner should know.
pub const DEVICE_STATUS: &str = "/v1/device/status";
/// `POST`, device: what it found out about a key.
pub const DEVICE_NOTE: &str = "/v1/device/note";
/// `GET`: list rotation orders; `POST`: give one.
pub const ORDERS: &str = "/v1/orders";
/// `POST`, device: how far an order is.
pub const ORDER_REPORT: &str = "/v1/orders/{id}/report";
/// `GET`: list records.
pub const RECORDS: &str = "/v1/records";
/// `PUT`: save a record.
pub const RECORD: &str = "/v1/records/{id}";
/// `POST`: begin the delay after which the record is deleted.
pub const RECORD_DELETE: &str = "/v1/records/{id}/delete";
/// `POST`: release a record.
pub const REVEAL: &str = "/v1/records/{id}/reveal";
/// `POST`: release several records at once.
pub const EXPORT: &str = "/v1/records/export";
/// `POST`, device: does the service still hold it?
pub const HELD: &str = "/v1/records/{id}/held";
/// `GET`: the audit trail.
pub const AUDIT: &str = "/v1/audit";

/// `GET`: proofs that entries of the trail are in the global log.
pub const AUDIT_PROOFS: &str = "/v1/audit/proofs";
/// `POST`, device: proof that a save is in the global log.
pub const RECORD_PROOF: &str = "/v1/records/{id}/proof";
/// `GET`, anybody: size and root of the global log, signed.
pub const LOG_CHECKPOINT: &str = "/log/checkpoint";
/// The path of a tile of the global log, in a tree where it has this width; anybody may `GET` it.
#[must_use]
pub fn log_tile(tile: crate::log::TileId, width: u64) -> String {
    format!("/log/{}", tile.path(width))
}

/// The path with its placeholder filled in.
#[must_use]
pub fn with_id(route: &str, id: &str) -> String {
    route.replace("{id}", id).replace("{code}", id)
}
