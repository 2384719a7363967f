//! The vault service: accounts, second factors, devices, sealed records, audit trails, over HTTP.
//!
//! The service keeps what it cannot read. It links nothing that opens an envelope (`vault-crypto` is not among its
//! dependencies), verifies every signature it relies on, and decides who may do what by the type of a handler's
//! parameter (`authority`).
//!
//! # Contract
//! - A receipt leaves only after record, audit entry and chain head are committed together.
//! - A secret part leaves only in `reveal`, for a grant that is spent in the transaction that commits the audit entry.
//! - Saving never asks for a session or a second factor.
//! - Answers are problem documents of the catalogue; what went wrong inside goes to the log, which holds no addresses,
//!   no identifiers of people and no secrets.
//!
//! What is not done here: TLS (a proxy does it; without one the service listens on loopback only), sending mail
//! (notices go to [`Notices`], of which there is a folder of files).

mod app;
mod audit;
mod authority;
mod backup_codes;
mod clock;
mod config;
mod failure;
mod http;
mod keys;
mod limits;
mod notices;
mod opaque;
mod passkeys;
mod presence;
mod prf_leak;
mod routes;
mod seal;
mod secret_field;
mod server;
mod tokens;
mod totp;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Config, Limits};
pub use keys::KeyFileError;
pub use notices::{Notice, NoticeFolder, Notices};
pub use seal::OpenError;
pub use server::{Server, StartError, create_invite};
