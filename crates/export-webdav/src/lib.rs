//! A WebDAV server for the files of a [`export::Tree`]: what a file manager opens when it is given an address.
//!
//! Class 1 of RFC 4918, read-only: `OPTIONS`, `GET`, `HEAD`, and `PROPFIND` of depth 0 and 1. Everything that would change
//! something, and locks, are answered by 405, from which clients learn that they may only read.
//!
//! It listens on loopback and nowhere else, because what it sends is not encrypted. Every request needs the password,
//! which is made anew for each server: by the digest that Windows asks for, or as it is. A request for another host than
//! this one is refused before anything else, so that no web page can reach the files by giving its own name this address.
//! Whatever the files contain, browsers are told to save and not to run them.
//!
//! Links and things that are neither file nor directory are not shown: WebDAV has no word for them, and clients would
//! follow links in circles.
//!
//! Source: RFC 4918 (WebDAV), RFC 9110 (HTTP), RFC 7616 and 7617 (Digest, Basic).

mod auth;
mod content;
mod error;
mod headers;
mod host;
mod limits;
mod password;
mod path;
mod propfind;
mod respond;
mod server;
mod service;
mod xml;

pub use error::Error;
pub use password::{Password, USER};
pub use server::{Server, Stopper};
