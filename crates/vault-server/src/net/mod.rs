//! Connections: who may make one, how long it may take, what protects it.

mod acme;
mod hybrid;
mod listener;
mod patient;
mod tls;

pub(crate) use listener::{BodyTime, Listener, Rules};
pub(crate) use tls::Certificates;
pub use tls::TlsError;
pub(crate) use tls::check_files;
