//! One request.

use std::net::SocketAddr;
use std::sync::Arc;

use export::{Error, Tree};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};

use crate::auth::{Guard, Verdict};
use crate::headers::text;
use crate::respond::{self, Body, METHODS};
use crate::{content, host, limits, path, propfind, xml};

/// What all connections share.
pub(crate) struct Service {
    pub(crate) tree: Arc<dyn Tree>,
    pub(crate) guard: Guard,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Answers a request: first for whom it is, then from whom, then what it wants.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if !self.is_for_us(&request) {
            return respond::words(StatusCode::MISDIRECTED_REQUEST, "This server has another name.\n");
        }
        if is_sent_by_another_site(&request) {
            return respond::words(StatusCode::FORBIDDEN, "Other sites may not use this server.\n");
        }
        if let Some(refusal) = self.check(&request) {
            return refusal;
        }
        let Some(path) = path::decode(request.uri().path()) else {
            // For the server as a whole, where no path is meant.
            let whole = request.method() == Method::OPTIONS && request.uri().path() == "*";
            return if whole { options() } else { respond::words(StatusCode::NOT_FOUND, "There is no such file.\n") };
        };
        match request.method().as_str() {
            "OPTIONS" => options(),
            "GET" | "HEAD" => {
                let head_only = request.method() == Method::HEAD;
                let headers = request.headers().clone();
                self.blocking(move |service| content::get(&service.tree, &path, &headers, head_only)).await
            }
            "PROPFIND" => self.propfind(request, path).await,
            _ => respond::words(StatusCode::METHOD_NOT_ALLOWED, "This server is for reading.\n"),
        }
    }

    fn is_for_us(&self, request: &Request<Incoming>) -> bool {
        let named = request.headers().get_all(HOST);
        // One name, the same wherever it stands.
        let header = named.iter().count() == 1 && text(request.headers(), HOST).is_some_and(|it| self.is_our(it));
        header && request.uri().authority().is_none_or(|authority| self.is_our(authority.as_str()))
    }

    fn is_our(&self, name: &str) -> bool {
        host::is_ours(name, self.address)
    }

    /// The answer to a request that lacks the password.
    fn check(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let target = request.uri().path_and_query().map_or("*", |target| target.as_str());
        let verdict = self.guard.check(text(request.headers(), AUTHORIZATION), request.method().as_str(), target);
        if verdict == Verdict::Known {
            return None;
        }
        let mut response = respond::words(StatusCode::UNAUTHORIZED, "The password is needed.\n");
        for challenge in self.guard.challenges(verdict == Verdict::Stale) {
            // Letters, digits and quotes alone.
            if let Ok(value) = HeaderValue::from_str(&challenge) {
                response.headers_mut().append(WWW_AUTHENTICATE, value);
            }
        }
        Some(response)
    }

    async fn propfind(self: Arc<Self>, request: Request<Incoming>, path: String) -> Response<Body> {
        let children = match request.headers().get("depth").map(HeaderValue::as_bytes) {
            Some(b"0") => false,
            Some(b"1") => true,
            _ => return propfind::too_deep(),
        };
        let body = Limited::new(request.into_body(), limits::BODY_BYTES).collect();
        let body = match tokio::time::timeout(limits::REQUEST, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return respond::words(StatusCode::PAYLOAD_TOO_LARGE, "The request is too long.\n"),
            Err(_) => return respond::words(StatusCode::REQUEST_TIMEOUT, "The request did not come.\n"),
        };
        match xml::parse(&body) {
            Some(wish) => self.blocking(move |service| propfind::find(&service.tree, &path, children, wish)).await,
            None => respond::words(StatusCode::BAD_REQUEST, "The request is not a PROPFIND.\n"),
        }
    }

    /// Does something that waits for the medium.
    async fn blocking(self: Arc<Self>, work: impl FnOnce(&Self) -> Response<Body> + Send + 'static) -> Response<Body> {
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|_| respond::words(StatusCode::INTERNAL_SERVER_ERROR, "The request failed.\n"))
    }
}

/// Whether a browser asks for a page of somebody else, with the password that it remembers.
fn is_sent_by_another_site(request: &Request<Incoming>) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

/// What this server can do, in the words that Windows looks for, too.
fn options() -> Response<Body> {
    let mut response = respond::words(StatusCode::OK, "");
    response.headers_mut().insert("allow", HeaderValue::from_static(METHODS));
    response.headers_mut().insert("ms-author-via", HeaderValue::from_static("DAV"));
    response
}

/// The answer to a request that the tree refused.
pub(crate) fn failed(error: &Error) -> Response<Body> {
    match error {
        Error::NotFound { .. } | Error::NotADirectory { .. } | Error::NotALink { .. } | Error::NotAFile { .. } => {
            respond::words(StatusCode::NOT_FOUND, "There is no such file.\n")
        }
        Error::Unsupported { .. } => {
            respond::words(StatusCode::FORBIDDEN, "The file is stored in a way that cannot be read here.\n")
        }
        _ => respond::words(StatusCode::INTERNAL_SERVER_ERROR, "The drive is damaged there.\n"),
    }
}
