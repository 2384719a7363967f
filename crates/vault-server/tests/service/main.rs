//! The real service on a loopback socket, spoken to by the real client, on a clock that is set by hand.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authenticator;
mod authority;
mod backup_codes;
mod enrolment;
mod expiry;
mod export;
mod factors;
mod frame;
mod harness;
mod hostile;
mod limits;
mod main_path;
mod outbox;
mod passkey_refusals;
mod passkeys;
mod password;
mod prf_leak;
mod races;
mod recover;
mod start;
mod strangers;
