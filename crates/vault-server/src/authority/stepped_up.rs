//! Step-up: a session together with a grant presented for one act.
//!
//! The extractor checks the session and reads the grant from the body; whether the grant is good is decided by the
//! database, in the transaction that does the act ([`GrantUse`]). So a grant is never spent for an act that did not happen,
//! and never good for two.

use axum::extract::{FromRequest, FromRequestParts, Request};
use serde::de::DeserializeOwned;
use vault_protocol::Bytes;
use vault_protocol::messages::Purpose;
use vault_protocol::problem::Code;
use vault_store::GrantUse;

use super::Session;
use crate::app::App;
use crate::failure::Failure;
use crate::http::{object, read_body};
use crate::tokens;

/// An act that needs a grant: the body that asks for it.
pub(crate) trait GrantedAct: DeserializeOwned + Send {
    /// What the grant must have been given for.
    const PURPOSE: Purpose;

    /// The presented grant.
    fn grant(&self) -> &Bytes;

    /// What the act is done to, as the grant names it. `path_id` is the identifier in the path, empty where there is none.
    fn target(&self, path_id: &str) -> String;
}

/// A session, an act, and the grant presented for it.
#[derive(Debug)]
pub(crate) struct SteppedUp<A> {
    session: Session,
    act: A,
    grant: GrantUse,
}

impl<A> SteppedUp<A> {
    /// The session.
    pub(crate) fn session(&self) -> Session {
        self.session
    }

    /// What is asked for.
    pub(crate) fn act(&self) -> &A {
        &self.act
    }

    /// To be spent in the transaction of the act.
    pub(crate) fn grant(&self) -> &GrantUse {
        &self.grant
    }
}

impl<A: GrantedAct> FromRequest<App> for SteppedUp<A> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, app).await?;
        let path = axum::extract::Path::<String>::from_request_parts(&mut parts, &()).await;
        let path_id = path.map(|path| path.0).unwrap_or_default();
        let body = read_body(Request::from_parts(parts, body), app).await?;
        let act: A = object(&body).ok_or_else(|| without_grant(&body))?;
        let grant = GrantUse {
            hash: tokens::hash(act.grant()),
            account_id: session.account(),
            session_hash: session.token_hash(),
            purpose: A::PURPOSE.name().to_owned(),
            target: act.target(&path_id),
            now: app.now(),
        };
        Ok(Self { session, act, grant })
    }
}

/// A well-formed body that lacks only the grant is told what is missing.
fn without_grant(body: &[u8]) -> Failure {
    let body: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(body).ok();
    match body {
        Some(body) if !body.contains_key("grant") => Code::StepupRequired.into(),
        _ => Code::RequestInvalid.into(),
    }
}
