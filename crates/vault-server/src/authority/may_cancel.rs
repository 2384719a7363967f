//! The right to cancel one safety delay: a session of its account, or the code that was mailed about it.

use axum::extract::{FromRequest, FromRequestParts, Request};
use vault_protocol::messages::WaitCancelRequest;
use vault_protocol::problem::Code;
use vault_store::Wait;

use super::Session;
use crate::app::App;
use crate::clock::MINUTE;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::waits::cancel_hash;

/// May cancel exactly this delay.
#[derive(Debug)]
pub(crate) struct MayCancel {
    wait: Wait,
    by_owner: bool,
}

impl MayCancel {
    /// Which delay.
    pub(crate) fn wait(&self) -> &Wait {
        &self.wait
    }

    /// Whether by a session of the owner, and not by the mailed code.
    pub(crate) fn by_owner(&self) -> bool {
        self.by_owner
    }
}

impl FromRequest<App> for MayCancel {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let session = Session::from_request_parts(&mut parts, app).await;
        let Json(asked) = Json::<WaitCancelRequest>::from_request(Request::from_parts(parts, body), app).await?;
        if let Some(code) = asked.code {
            let places = app.limits().user_codes;
            app.take(format!("cancel/net/{}", caller.limit_net), MINUTE, places, Code::LimitRate).await?;
            let hash = cancel_hash(&code).ok_or(Code::WaitOver)?;
            let wait = app.store.wait_by_cancel(hash).await?.ok_or(Code::WaitOver)?;
            return Ok(Self { wait, by_owner: false });
        }
        let waits = app.store.waits(session?.account()).await?;
        let wait = waits.into_iter().find(|wait| Some(wait.id) == asked.wait_id).ok_or(Code::WaitOver)?;
        Ok(Self { wait, by_owner: true })
    }
}
