//! Drives that other programs use: mounted, and over the network.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod bad;
mod encrypt;
mod every_way;
mod files;
#[path = "../drives/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of drives, which use all of it")]
mod harness;
mod inner;
mod mount;
mod nbd;
mod ntfs;
mod running;
