//! Drives from the command line: made, looked at, opened, copied from, and everything that can be wrong with them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod copy;
mod corpus;
mod create;
mod disks;
mod drives;
mod files;
mod harness;
mod help;
mod judges;
