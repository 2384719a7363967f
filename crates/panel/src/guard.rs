//! Asked of every request before anything else: that it names this very address, and comes from our own page.
//!
//! A name of somebody else that leads to this machine (DNS rebinding) is refused by its `Host`. A page of another origin, another
//! port of this machine among them, is refused by its `Origin` and by what the browser says of its site. Requests that change
//! something must have an `Origin`: browsers always send one.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secret::SecretString;

use crate::app::App;
use crate::failure::{Code, Refused};
use crate::routes;

/// Refuses what is foreign; gives every answer the headers of [`web_assets::POLICY`].
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(code) => refuse(code),
    };
    let headers = response.headers_mut();
    for (name, value) in web_assets::POLICY {
        headers.entry(name).or_insert(value);
    }
    if is_api || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Refuses who has no session.
pub(crate) async fn session(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_in = bearer(request.headers()).is_some_and(|token| app.door.is_session(&token, Instant::now()));
    if is_in { next.run(request).await } else { refuse(Code::Session) }
}

fn refuse(code: Code) -> Response {
    Refused::from(code).into_response()
}

/// The session's token.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = only(headers, header::AUTHORIZATION).ok()??;
    value.strip_prefix("Bearer ").map(SecretString::from)
}

fn check(app: &App, request: &Request) -> Result<(), Code> {
    let (headers, path) = (request.headers(), request.uri().path());
    let has_authority = request.uri().authority().is_some_and(|authority| authority.as_str() != app.host);
    if has_authority || only(headers, header::HOST)? != Some(app.host.as_str()) {
        return Err(Code::Foreign);
    }
    let origin = only(headers, header::ORIGIN)?;
    if origin.is_some_and(|origin| origin != app.origin) {
        return Err(Code::Foreign);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    // Programs of this account have no origin, and a key instead.
    if path == routes::LINK {
        let from_page = origin.is_some() || headers.contains_key("sec-fetch-site");
        return if from_page { Err(Code::Foreign) } else { Ok(()) };
    }
    if !reads && origin.is_none() {
        return Err(Code::Foreign);
    }
    match only(headers, header::HeaderName::from_static("sec-fetch-site"))? {
        None | Some("same-origin" | "none") => Ok(()),
        // A link to the page may stand anywhere: without the token it shows nothing.
        Some(_)
            if path == "/" && only(headers, header::HeaderName::from_static("sec-fetch-mode"))? == Some("navigate") =>
        {
            Ok(())
        }
        Some(_) => Err(Code::Foreign),
    }
}

/// The value of a header that may be there once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Code> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Code::Foreign),
        _ => Err(Code::Foreign),
    }
}
