//! What all routes share: who calls, the body, the frame around every answer.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
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
use crate::net::BodyTime;
use crate::{api, prf_leak, routes};

/// Header that names the request in the service's log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a body may take where the listener does not say.
const BODY_TIME: Duration = Duration::from_secs(20);
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

impl Caller {
    /// For what no request asked for.
    pub(crate) fn nobody() -> Self {
        Self { net: String::new(), limit_net: String::new(), client: String::new() }
    }
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
        object(&body).map(Self).ok_or_else(|| Code::RequestInvalid.into())
    }
}

/// A JSON object of this type. Nothing else: `serde` would take an array of the members' values for one.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(_) => Failure::from(Fault::Made("an answer")).into_response(),
        }
    }
}

/// An answer in JSON with the status of something new, or of something that was there before.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    /// Whether it is new.
    pub(crate) new: bool,
    /// The answer.
    pub(crate) answer: T,
}

impl<T: Serialize> IntoResponse for Stored<T> {
    fn into_response(self) -> Response {
        let status = if self.new { StatusCode::CREATED } else { StatusCode::OK };
        (status, Json(self.answer)).into_response()
    }
}

/// An answer that is JSON already.
#[derive(Debug)]
pub(crate) struct Verbatim(pub(crate) &'static [u8]);

impl IntoResponse for Verbatim {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// A text for machines.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.0).into_response()
    }
}

/// A page for people: text and one style sheet, nothing else.
#[derive(Debug)]
pub(crate) struct Html {
    /// Whether it is what was asked for.
    pub(crate) status: StatusCode,
    /// The language it is in (BCP 47).
    pub(crate) language: &'static str,
    /// The whole page.
    pub(crate) body: String,
}

impl IntoResponse for Html {
    fn into_response(self) -> Response {
        let style = crate::help::style_hash();
        let policy = format!(
            "default-src 'none'; style-src '{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_LANGUAGE, self.language),
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::VARY, "accept-language"),
        ];
        (self.status, headers, self.body).into_response()
    }
}

/// The words of the query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|_| Code::RequestInvalid.into())
    }
}

/// The placeholder in the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Code::NotFound.into())
    }
}

/// The whole body, which says that it is JSON, within the limit of the router. One with key material of a passkey is refused here,
/// whatever it was sent to.
pub(crate) async fn read_body(request: Request, app: &App) -> Result<Bytes, Failure> {
    if !is_json(request.headers()) {
        return Err(Code::RequestMediaType.into());
    }
    let time = request.extensions().get::<BodyTime>().map_or(BODY_TIME, |time| time.0);
    let (parts, body) = request.into_parts();
    let (caller, token) = (Caller::of(&parts), bearer_token(&parts));
    let request = Request::from_parts(parts, body);
    let read = tokio::time::timeout(time, Bytes::from_request(request, app)).await.map_err(|_| Code::RequestTimeout)?;
    let body = read.map_err(|rejection| {
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

/// A page of another site can make a browser send a form, and cannot make it send this without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (kind, _) = kind.split_once(';').unwrap_or((kind, ""));
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The identifier in the path.
pub(crate) async fn path_id<T: std::str::FromStr>(parts: &mut Parts, unknown: Code) -> Result<T, Failure> {
    let path = axum::extract::Path::<String>::from_request_parts(parts, &()).await;
    path.ok().and_then(|path| path.0.parse().ok()).ok_or_else(|| unknown.into())
}

/// Goes around every request: names it, counts it, logs it without saying on what or by whom, completes its problem document.
pub(crate) async fn frame(State(app): State<App>, request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::new_v4().simple().to_string();
    // The route's pattern: a path may hold a device code.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", %request_id, %method, %route);
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let mut code = None;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        api::check_documented(&method, &route, &problem.code);
        problem.request_id.clone_from(&request_id);
        // Relative in the catalogue; here it is known to whom.
        problem.kind = format!("{}{}", app.origin(), problem.kind);
        response = with_problem(response, &problem);
        code = Some(problem.code);
    }
    let status = response.status().as_u16();
    app.operation().metrics.answered(&method, &route, status, code.as_deref(), begun);
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status, elapsed_ms, "answered"));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
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

/// No such path.
pub(crate) async fn nothing_here() -> Failure {
    Code::NotFound.into()
}

/// Not with this method. The router adds the header `allow`.
pub(crate) async fn not_this_way() -> Failure {
    Code::RequestMethod.into()
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
