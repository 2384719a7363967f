//! The real service on a loopback socket, spoken to by the real client, on a clock that is set by hand.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authority;
mod backup;
mod backup_codes;
mod clock_back;
mod connections;
mod disk_full;
mod enrolment;
mod expiry;
mod export;
mod factors;
mod frame;
mod harness;
mod hostile;
mod limits;
mod main_path;
mod metrics;
mod outbox;
mod password;
mod proxied;
mod races;
mod recover;
mod shutdown;
mod start;
mod strangers;
mod tls;
