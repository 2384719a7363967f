//! The panel over HTTP, on real images.

#![allow(clippy::unwrap_used, reason = "tests")]

mod browser;
mod journeys;
mod refusals;
