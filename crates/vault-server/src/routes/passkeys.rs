//! Passkeys as factors: add one, let it open the vault. Listing and removing them is the same as for other factors.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::{
    FactorsChanged, PASSKEY, PasskeyFinishRequest, PasskeySlotRequest, PasskeyStartRequest, PasskeyStarted, Purpose,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, CeremonyId, FixedBytes, audit};
use vault_store::{AddFactor, AddPasskey, AddPasskeySlot, Factor, FactorId, Refusal, SessionLevel};

use super::factors::{begin_adding, max_factors};
use super::sign_up::slot_row;
use super::{instead, try_ceremony};
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
    session: FixedBytes<32>,
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
    let ceremony_id = CeremonyId::new();
    let state = Enrolling { label, first, session: FixedBytes(session.token_hash()), enrolment };
    app.store.add_ceremony(&app.ceremony(ceremony_id, CEREMONY, Some(account.id), &state, LIFETIME)?).await?;
    Ok(Json(PasskeyStarted { ceremony_id, options }))
}

/// `POST /v1/factors/passkey/finish`
pub(super) async fn finish(
    State(app): State<App>,
    session: AnySession,
    caller: Caller,
    Json(request): Json<PasskeyFinishRequest>,
) -> Result<Json<FactorsChanged>, Failure> {
    let over = Code::StepupGrantUsed;
    let ceremony = try_ceremony(&app, request.ceremony_id, CEREMONY, TRIES, over).await?;
    let state: Enrolling = app.ceremony_state(&ceremony)?;
    if state.session.0 != session.token_hash() {
        return Err(over.into());
    }
    let id = FactorId::from_bytes(*uuid::Uuid::new_v4().as_bytes());
    let enrolled = passkeys::finish_enrolment(&app, id, &state.enrolment, &request.credential)?;
    let now = app.now();
    // The store sets the epoch: only it knows which one the change begins.
    let (next, granted) = app.new_session(session.account(), 0, SessionLevel::Full, &caller);
    let add = AddFactor {
        factor: Factor {
            id,
            account_id: session.account(),
            kind: PASSKEY.to_owned(),
            label: state.label,
            data_sealed: enrolled.data_sealed,
            last_step: None,
            created_at: now,
            used_at: None,
        },
        ceremony: request.ceremony_id,
        ceremony_kind: CEREMONY.to_owned(),
        first: state.first,
        max_factors: i64::try_from(max_factors(session)).unwrap_or(i64::MAX),
        from_session: session.token_hash(),
        session: next,
        now,
    };
    let add = AddPasskey { add, credential_id: enrolled.credential_id, counter: enrolled.counter };
    let act = Act::by_owner(session.account(), &caller, now, audit::action::FACTOR_ADDED).on(id);
    let (act, event) = if app.store.finishes_reset(session.token_hash()).await? {
        (act.because("reset"), Event::ResetDone)
    } else {
        (act, Event::FactorAdded)
    };
    let act = act.telling(app.notice_to(session.account(), &event).await?);
    app.store.add_passkey(&add, &|head| act.link(head)).await?;
    Ok(Json(FactorsChanged { session: granted, factor_id: Some(id) }))
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
