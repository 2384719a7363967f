//! The control panel's HTTP side: the drives of this machine, for whoever started it.
//!
//! [`Panel::open`] listens on loopback alone and gives a link with a one-time token. The page behind the link exchanges the
//! token for a session, which it keeps in memory and sends in a header: nothing that a browser would send by itself, and nothing
//! that another port of this machine would be sent, as cookies are. Every request is asked for its `Host` and `Origin`, so that
//! neither a name that leads here nor another page of this machine gets an answer (`guard`).
//!
//! Long work belongs to the process and not to a page: a conversion goes on when the page is closed, and stands on the drive
//! itself when the process ends (`jobs`). A drive is encrypted only after its recovery key is saved and that is confirmed
//! (`hands`).
//!
//! What is done to drives is in `drive-ops`; the pages are in `web-assets`; the program prints the link.

mod account;
mod app;
mod archive;
mod chooser;
mod door;
mod download;
mod drives;
mod failure;
mod given;
mod guard;
mod hands;
mod jobs;
mod keep;
mod pages;
mod routes;
mod running;
mod server;
pub mod types;
mod views;

pub use failure::Error;
pub use running::link_of_running;
pub use server::{Config, Link, Panel};
