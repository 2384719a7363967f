//! Whatever is killed, and whenever: who was told "saved" finds it. The real program, the real client, real databases.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests; the counts are worth reading")]

mod check;
mod failover;
mod killed;
mod nodes;
mod people;
