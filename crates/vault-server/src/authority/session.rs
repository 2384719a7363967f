//! Sessions: from a bearer token to an account.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use vault_protocol::messages::SessionGranted;
use vault_protocol::problem::Code;
use vault_store::{AccountId, Digest, LiveSession, SessionLevel};

use crate::app::{App, Inner};
use crate::clock::{HOUR, MINUTE};
use crate::failure::Failure;
use crate::http::Caller;
use crate::tokens;

/// A session ends when it was not used for this long,
const IDLE: i64 = 30 * MINUTE;
/// or when it is this old, whatever happened.
const ABSOLUTE: i64 = 12 * HOUR;
/// How stale `seen_at` may be: not every request writes.
const SEEN_STEP: i64 = MINUTE;

/// Signed in with the password. The account may have no second factor so far, or a backup code stood in for one: enough to
/// add one, and for nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnySession {
    account: AccountId,
    token_hash: Digest,
    level: SessionLevel,
}

/// Signed in with everything the account asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    account: AccountId,
    token_hash: Digest,
}

impl AnySession {
    /// Whose session.
    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    /// What the database knows the session by.
    pub(crate) fn token_hash(&self) -> Digest {
        self.token_hash
    }

    /// How far it got.
    pub(crate) fn level(&self) -> SessionLevel {
        self.level
    }

    /// The same session where it got through every factor.
    pub(crate) fn full(&self) -> Result<Session, Failure> {
        match self.level {
            SessionLevel::Full => Ok(Session { account: self.account, token_hash: self.token_hash }),
            SessionLevel::Enrol | SessionLevel::FactorsOnly => Err(Code::FactorEnrolNeeded.into()),
        }
    }
}

impl Session {
    /// Whose session.
    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    /// What the database knows the session by.
    pub(crate) fn token_hash(&self) -> Digest {
        self.token_hash
    }
}

impl FromRequestParts<App> for AnySession {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let token = bearer_token(parts).ok_or(Code::AuthSessionExpired)?;
        session_of(app, &token).await
    }
}

/// The session of a token that was presented.
pub(crate) async fn session_of(app: &App, token: &[u8]) -> Result<AnySession, Failure> {
    let token_hash = tokens::hash(token);
    let live = app.store.session(token_hash).await?.ok_or(Code::AuthSessionExpired)?;
    let now = app.now();
    if !is_running(&live, now) {
        app.store.end_session(token_hash).await?;
        return Err(Code::AuthSessionExpired.into());
    }
    if now - live.session.seen_at >= SEEN_STEP {
        app.store.touch_session(token_hash, now).await?;
    }
    Ok(AnySession { account: live.session.account_id, token_hash, level: live.session.level })
}

impl FromRequestParts<App> for Session {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        AnySession::from_request_parts(parts, app).await?.full()
    }
}

fn is_running(live: &LiveSession, now: i64) -> bool {
    let session = &live.session;
    // An account that got its second factor meanwhile is not entered with the password alone.
    let level_fits = session.level != SessionLevel::Enrol || !live.two_factor;
    session.epoch == live.account_epoch && now < session.expires_at && now - session.seen_at < IDLE && level_fits
}

/// The token that a request presents, whatever it is worth.
pub(crate) fn bearer_token(parts: &Parts) -> Option<Vec<u8>> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    BASE64URL_NOPAD.decode(token.as_bytes()).ok()
}

impl Inner {
    /// A new session row and what its client gets. Storing the row is the caller's act.
    pub(crate) fn new_session(
        &self,
        account_id: AccountId,
        epoch: i64,
        level: SessionLevel,
        caller: &Caller,
    ) -> (vault_store::Session, SessionGranted) {
        let (token, token_hash) = tokens::new_token();
        let now = self.now();
        let expires_at = now + ABSOLUTE;
        let net = caller.net.clone();
        let row = vault_store::Session {
            token_hash,
            account_id,
            epoch,
            level,
            created_at: now,
            seen_at: now,
            expires_at,
            net,
        };
        (row, SessionGranted { token, expires_at })
    }
}

/// Stores a new session and returns what its client gets.
pub(crate) async fn open_session(
    app: &App,
    account: &vault_store::Account,
    level: SessionLevel,
    caller: &Caller,
) -> Result<SessionGranted, Failure> {
    let (row, granted) = app.new_session(account.id, account.epoch, level, caller);
    app.store.add_session(&row).await?;
    Ok(granted)
}
