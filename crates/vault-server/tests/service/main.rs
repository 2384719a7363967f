//! The real service on a loopback socket, spoken to by the real client, on a clock that is set by hand.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authority;
mod backup;
mod backup_codes;
mod browsers;
mod clock_back;
mod connections;
mod devices;
mod disk_full;
mod enrolment;
mod expiry;
mod export;
mod factors;
mod frame;
mod harness;
mod held;
mod help;
mod hostile;
mod kit;
mod limits;
mod links;
mod log;
mod mail;
mod main_path;
mod matrix;
mod metrics;
mod openapi;
mod orders;
mod outbox;
mod password;
mod postgres;
mod proxied;
mod races;
mod recover;
mod reset;
mod schemathesis;
mod shutdown;
mod start;
mod strangers;
mod tls;
mod two_processes;
mod waits;
