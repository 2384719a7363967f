//! The server against clients that speak the protocol byte by byte, well and badly.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod handshakes;
mod hostile;
mod requests;
