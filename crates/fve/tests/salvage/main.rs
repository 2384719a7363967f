//! Damaged volumes: found, opened, read around what cannot be read, mended.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod drive;
mod mending;
mod package;
mod rescue;
mod search;
mod windows;
