//! The one joint to the network.

use secret::SecretVec;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Stores under a known name.
    Put,
}

/// A request to the service.
pub struct Request<'a> {
    /// What it does.
    pub method: Method,
    /// Path and query, `/v1/...`.
    pub path: &'a str,
    /// Session token, base64url.
    pub bearer: Option<&'a str>,
    /// JSON, empty for reads. Wiped after sending: some bodies hold codes.
    pub body: SecretVec,
}

/// The service's answer.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

/// The service could not be asked, or its answer did not arrive. Whether it acted is not known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// Brings a request to the service and its answer back.
pub trait Transport {
    /// One exchange.
    ///
    /// # Errors
    /// [`TransportError`] when there is no answer. An answer of any status is `Ok`.
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError>;

    /// Scheme, host and port of the service, without a slash at the end.
    fn origin(&self) -> &str;
}

impl<T: Transport + ?Sized> Transport for &T {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        (**self).send(request)
    }
    fn origin(&self) -> &str {
        (**self).origin()
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        (**self).send(request)
    }
    fn origin(&self) -> &str {
        (**self).origin()
    }
}
