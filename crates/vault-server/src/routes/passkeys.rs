//! Passkeys as factors: add one, let it open the vault. Listing and removing them is the same as for other factors.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::{
    FactorsChanged, PASSKEY, PasskeyFinishRequest, PasskeySlotRequest, PasskeyStartRequest, PasskeyStarted, Purpose,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, audit};
use vault_store::{AddPasskey, AddPasskeySlot, FactorId, Refusal};

use super::factors::{NewFactor, addition, begin_adding};
use super::sign_up::slot_row;
use super::{change, instead};
use crate::app::App;
use crate::audit::Act;
use crate::authority::{AnySession, GrantedAct, SteppedUp};
use crate::clock::MINUTE;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::notices::Event;
use crate::passkeys::{self, Enrolment};

const CEREMONY: &str = "passkey";
const LIFETIME: i64 = 5 * MINUTE;
/// A challenge is good once.
const TRIES: i64 = 1;

#[derive(Serialize, Deserialize)]
struct Enrolling {
    label: String,
    first: bool,
    enrolment: Enrolment,
}

/// `POST /v1/factors/passkey/start`
pub(super) async fn start(
    State(app): State<App>,
    session: AnySession,
    Json(request): Json<PasskeyStartRequest>,
) -> Result<Json<PasskeyStarted>, Failure> {
    // Before the grant is spent.
    app.webauthn()?;
    let (label, first) = begin_adding(&app, session, &request.label, request.grant.as_ref(), PASSKEY).await?;
    let account = app.store.account(session.account()).await?.ok_or(Code::AuthSessionExpired)?;
    let present = app.store.passkeys(account.id).await?;
    let (options, enrolment) = passkeys::begin_enrolment(&app, &account, &present)?;
    let state = Enrolling { label, first, enrolment };
    let ceremony_id = change::begin(&app, session.into(), CEREMONY, state, LIFETIME).await?;
    Ok(Json(PasskeyStarted { ceremony_id, options }))
}

/// `POST /v1/factors/passkey/finish`
pub(super) async fn finish(
    State(app): State<App>,
    session: AnySession,
    caller: Caller,
    Json(request): Json<PasskeyFinishRequest>,
) -> Result<Json<FactorsChanged>, Failure> {
    let state: Enrolling = change::go_on(&app, session.into(), request.ceremony_id, CEREMONY, TRIES).await?;
    let id = FactorId::from_bytes(*uuid::Uuid::new_v4().as_bytes());
    let enrolled = passkeys::finish_enrolment(&app, id, &state.enrolment, &request.credential)?;
    let new = NewFactor {
        id,
        kind: PASSKEY,
        label: state.label,
        data_sealed: enrolled.data_sealed,
        last_step: None,
        first: state.first,
        ceremony: (request.ceremony_id, CEREMONY),
    };
    let (add, act, changed) = addition(&app, session, &caller, new).await?;
    let add = AddPasskey { add, credential_id: enrolled.credential_id, counter: enrolled.counter };
    app.store.add_passkey(&add, &|head| act.link(head)).await?;
    Ok(Json(changed))
}

/// For a body that is refused for what else is in it: whether it was to end an enrolment, which ends without a passkey.
pub(crate) async fn end_enrolment(app: &App, body: &[u8]) -> Result<bool, Failure> {
    let Ok(request) = serde_json::from_slice::<PasskeyFinishRequest>(body) else { return Ok(false) };
    match app.store.end_ceremony(request.ceremony_id, CEREMONY, app.now()).await {
        Ok(()) | Err(vault_store::Error::Refused(Refusal::Ceremony)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

impl GrantedAct for PasskeySlotRequest {
    const PURPOSE: Purpose = Purpose::PasskeySlot;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, path_id: &str) -> String {
        path_id.to_owned()
    }
}

/// `POST /v1/factors/{id}/slot`
pub(super) async fn slot(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<PasskeySlotRequest>,
) -> Result<Json<()>, Failure> {
    let account_id = stepped_up.session().account();
    let factor: FactorId = stepped_up.grant().target.parse().map_err(|_| Code::NotFound)?;
    let account = app.store.account(account_id).await?.ok_or(Code::AuthSessionExpired)?;
    let upload = &stepped_up.act().slot;
    if upload.kind != PASSKEY || upload.credential_id.is_none() {
        return Err(Code::RequestInvalid.into());
    }
    let now = app.now();
    let slot = slot_row(account_id, upload, account.generation, None, now).ok_or(Code::RequestInvalid)?;
    let add = AddPasskeySlot { slot, factor, grant: stepped_up.grant().clone() };
    let act = Act::by_owner(account_id, &caller, now, audit::action::PASSKEY_SLOT_ADDED)
        .on(factor)
        .telling(app.notice_to(account_id, &Event::PasskeySlotAdded).await?);
    let added = app.store.add_passkey_slot(&add, &|head| act.link(head)).await;
    added.map_err(|error| instead(error, Refusal::NotFound, Code::NotFound))?;
    Ok(Json(()))
}
