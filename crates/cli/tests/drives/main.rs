//! Drives from the command line: made, looked at, opened, copied from, and everything that can be wrong with them.

#![allow(clippy::unwrap_used, reason = "tests")]

#[cfg(all(feature = "mount", target_os = "linux"))]
mod archive;
mod bad_input;
mod completions;
mod convert;
mod copy;
mod corpus;
mod create;
#[cfg(target_os = "linux")]
mod created;
mod disks;
mod drives;
mod files;
mod harness;
mod help;
mod judges;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod listing;
mod man;
mod protectors;
mod repair;
#[cfg(all(feature = "mount", target_os = "linux"))]
#[path = "../exports/running.rs"]
#[allow(dead_code, reason = "shared with the tests of exports, which use all of it")]
mod running;
mod solve;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod volumes;
