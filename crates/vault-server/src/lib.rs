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
//! - Every audit entry comes into the global log, which only grows, soon after; nothing waits for that.
//! - Answers are problem documents of the catalogue; what went wrong inside goes to the log, which holds no addresses,
//!   no identifiers of people and no secrets.
//! - A notice of an act is stored, sealed, in the transaction of the act; sending it may take its time.
//! - Nobody beyond this computer is answered without protection: by TLS of the service's own, or by a listed proxy.
//!
//! What is not done here: delivering mail (notices go to a mail server or into a folder of files).

mod api;
mod app;
mod audit;
mod authority;
mod backup_codes;
mod clock;
mod config;
mod database;
mod failure;
mod help;
mod http;
mod key_command;
mod keys;
mod limits;
mod log;
mod maintenance;
mod metrics;
mod net;
mod notices;
mod opaque;
mod outbox;
mod passkeys;
mod presence;
mod prf_leak;
mod proxy;
mod ready;
mod routes;
mod seal;
mod secret_field;
mod server;
mod smtp;
mod tokens;
mod totp;
mod waits;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Acme, Config, DatabaseUrl, Delays, KeyCommand, Limits, Network, Smtp, SmtpSecurity, Tls};
pub use key_command::KeyCommandError;
pub use keys::KeyFileError;
pub use maintenance::{back_up, inspect, restore};
pub use net::TlsError;
pub use notices::{Notice, NoticeFolder, Notices};
pub use proxy::{Net, NetError};
pub use seal::OpenError;
pub use server::{Renewal, Server, StartError, begin_reset, create_invite, prepare};
pub use smtp::SmtpError;
pub use vault_store::{BackupError, Holdings};
