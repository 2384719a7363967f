//! The transport over HTTPS. Plain HTTP goes to loopback addresses only.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use vault_protocol::limits::MAX_ANSWER_BYTES;

use crate::{Method, Request, Response, Transport, TransportError};

const TIMEOUT: Duration = Duration::from_secs(30);

/// HTTP to one service.
pub struct HttpTransport {
    agent: Agent,
    origin: String,
}

impl HttpTransport {
    /// A transport to the service at `address`, for instance `https://keys.example.org`.
    ///
    /// # Errors
    /// [`TransportError`] for an address that is not one, or plain HTTP to anything but this computer.
    pub fn new(address: &str) -> Result<Self, TransportError> {
        let origin = origin_of(address)?;
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("keyhaven/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, origin })
    }
}

/// Scheme, host and port; refuses what would travel unprotected.
fn origin_of(address: &str) -> Result<String, TransportError> {
    let bad = |why: &str| TransportError(format!("{address} {why}"));
    let uri: Uri = address.parse().map_err(|_| bad("is not the address of a service"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(bad("is not the address of a service; it starts with https://"));
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
        return Err(bad("holds more than the address of a service"));
    }
    let local = matches!(authority.host(), "localhost" | "[::1]")
        || authority.host().parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => {}
        "http" if local => {}
        "http" => return Err(bad("would not be protected on the way; use https://")),
        _ => return Err(bad("is not the address of a service; it starts with https://")),
    }
    Ok(format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}

impl Transport for HttpTransport {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        let url = format!("{}{}", self.origin, request.path);
        let failed = |error: ureq::Error| TransportError(format!("{}: {error}", self.origin));
        let bearer = request.bearer.map(|token| format!("Bearer {token}"));
        let answer = if request.method == Method::Get {
            let mut call = self.agent.get(&url);
            if let Some(bearer) = &bearer {
                call = call.header("authorization", bearer);
            }
            call.call()
        } else {
            let mut call = if request.method == Method::Put { self.agent.put(&url) } else { self.agent.post(&url) };
            if let Some(bearer) = &bearer {
                call = call.header("authorization", bearer);
            }
            call.header("content-type", "application/json").send(request.body.expose())
        };
        let mut answer = answer.map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(failed)?;
        Ok(Response { status, body })
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_travels_unprotected() {
        for good in [
            "https://keys.example.org",
            "https://keys.example.org/",
            "http://127.0.0.1:8443",
            "http://[::1]:1",
            "http://localhost:9",
        ] {
            assert!(origin_of(good).is_ok(), "{good}");
        }
        for bad in [
            "http://keys.example.org",
            "http://10.0.0.1",
            "keys.example.org",
            "ftp://127.0.0.1",
            "https://user@keys.example.org",
            "https://keys.example.org/path",
            "http://127.0.0.1.example.org",
            "",
        ] {
            assert!(origin_of(bad).is_err(), "{bad}");
        }
        assert_eq!(origin_of("HTTPS://Keys.Example.ORG/").ok().as_deref(), Some("https://keys.example.org"));
    }
}
