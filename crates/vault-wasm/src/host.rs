//! What the page gives to the client: the network, and answers of the person.

use std::sync::Arc;

use serde_json::Value;
use vault_client::{Method, Request, Response, Transport, TransportError};
use zeroize::Zeroizing;

/// An answer of the network.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// The joint to what surrounds the client.
pub trait Host: Send + Sync + 'static {
    /// One exchange with the service. `path` begins with `/v1/`.
    ///
    /// # Errors
    /// Why there is no answer, in words for a log.
    fn http(&self, method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Result<Answer, String>;

    /// Asks the page; JSON either way. `null` is the answer of somebody who breaks off.
    fn ask(&self, question: &str, about: &str) -> Zeroizing<String>;
}

/// The service, reached through the host.
pub(crate) struct ByHost<H> {
    pub(crate) host: Arc<H>,
    pub(crate) origin: String,
}

impl<H: Host> Transport for ByHost<H> {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        let answer =
            self.host.http(method, request.path, request.bearer, request.body.expose()).map_err(TransportError)?;
        Ok(Response { status: answer.status, body: answer.body })
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// Asks, and reads the answer; anything that is not one counts as breaking off.
pub(crate) fn ask<H: Host>(host: &H, question: &str, about: &Value) -> Zeroizing<String> {
    let about = Zeroizing::new(about.to_string());
    host.ask(question, &about)
}
