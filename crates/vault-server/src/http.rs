//! What all routes share: who calls, the body, the frame around every answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;
use vault_protocol::problem::{Code, MEDIA_TYPE, Problem};
use vault_store::AccountId;

use crate::app::App;
use crate::authority::{self, bearer_token};
use crate::failure::{Failure, Fault};
use crate::{prf_leak, routes};

/// Header that names the request in the service's log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest client name that is kept in an audit entry.
const CLIENT_NAME_BYTES: usize = 64;

/// Where a request came from. Not an authority: nothing here is proven.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Address cut to /24 or /48, for audit entries.
    pub(crate) net: String,
    /// Address cut to /24 or /56, for limits.
    pub(crate) limit_net: String,
    /// Program, as it calls itself.
    pub(crate) client: String,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::of(parts))
    }
}

impl Caller {
    fn of(parts: &Parts) -> Self {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let client = parts.headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
        Self {
            net: cut(address, 48),
            limit_net: cut(address, 56),
            client: client.chars().filter(|letter| !letter.is_control()).take(CLIENT_NAME_BYTES).collect(),
        }
    }
}

/// An address cut to its network: /24, or `v6_bits` for IPv6.
fn cut(address: Option<IpAddr>, v6_bits: u32) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Some(IpAddr::V6(address)) => {
            let net = address.to_bits() & (u128::MAX << (128 - v6_bits));
            format!("{}/{v6_bits}", std::net::Ipv6Addr::from_bits(net))
        }
        None => "unknown".to_owned(),
    }
}

/// A JSON body, or an answer in JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let body = read_body(request, app).await?;
        serde_json::from_slice(&body).map(Self).map_err(|_| Code::RequestInvalid.into())
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(_) => Failure::from(Fault::Made("an answer")).into_response(),
        }
    }
}

/// The whole body, within the limit of the router. One with key material of a passkey is refused here, whatever it was sent to.
pub(crate) async fn read_body(request: Request, app: &App) -> Result<Bytes, Failure> {
    let (parts, body) = request.into_parts();
    let (caller, token) = (Caller::of(&parts), bearer_token(&parts));
    let body = Bytes::from_request(Request::from_parts(parts, body), app).await.map_err(|rejection| {
        let status = rejection.into_response().status();
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE;
        if too_large { Failure::from(Code::RequestTooLarge) } else { Code::RequestInvalid.into() }
    })?;
    if prf_leak::carries_prf(&body) {
        if let Some(account) = leaking_account(app, &caller, token.as_deref(), &body).await? {
            prf_leak::note(app, account, &caller, &body).await?;
        }
        return Err(Code::FactorPrfLeaked.into());
    }
    Ok(body)
}

/// Whose key material it is, as far as that is proven: by a session, or by the rest of a sign-in that would have been a good one.
/// Somebody who proves neither must not be able to retire another person's slot.
async fn leaking_account(
    app: &App,
    caller: &Caller,
    token: Option<&[u8]>,
    body: &[u8],
) -> Result<Option<AccountId>, Failure> {
    let session = match token {
        Some(token) => authority::session_of(app, token).await,
        None => Err(Code::AuthSessionExpired.into()),
    };
    match session {
        Ok(session) => Ok(Some(session.account())),
        Err(Failure::Said(_)) => routes::proven_sign_in(app, caller, body).await,
        Err(failure) => Err(failure),
    }
}

/// The identifier in the path.
pub(crate) async fn path_id<T: std::str::FromStr>(parts: &mut Parts, unknown: Code) -> Result<T, Failure> {
    let path = axum::extract::Path::<String>::from_request_parts(parts, &()).await;
    path.ok().and_then(|path| path.0.parse().ok()).ok_or_else(|| unknown.into())
}

/// Goes around every request: names it, logs it without saying on what or by whom, completes its problem document.
pub(crate) async fn frame(request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::new_v4().simple().to_string();
    // The route's pattern: a path may hold a device code.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", %request_id, %method, %route);
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.request_id.clone_from(&request_id);
        response = with_problem(response, &problem);
    }
    let status = response.status().as_u16();
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status, elapsed_ms, "answered"));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn with_problem(response: Response, problem: &Problem) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Some(seconds) = problem.retry_after {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if parts.status == StatusCode::UNAUTHORIZED {
        parts.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Response::from_parts(parts, Body::from(serde_json::to_vec(problem).unwrap_or_default()))
}

/// No such path, or not with this method.
pub(crate) async fn nothing_here() -> Failure {
    Code::NotFound.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut() {
        let check = |address: &str, bits, expected: &str| {
            assert_eq!(cut(Some(address.parse().unwrap()), bits), expected, "{address}");
        };
        check("192.0.2.77", 48, "192.0.2.0/24");
        check("::ffff:192.0.2.77", 48, "192.0.2.0/24");
        check("2001:db8:1:2ff:3::4", 48, "2001:db8:1::/48");
        check("2001:db8:1:2ff:3::4", 56, "2001:db8:1:200::/56");
        assert_eq!(cut(None, 48), "unknown");
    }
}
