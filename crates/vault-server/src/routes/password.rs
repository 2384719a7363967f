//! A new password: the one before was proven in the step-up, which also gave the client the roots for the new slot.

use axum::extract::State;
use vault_protocol::messages::{
    PASSWORD_TARGET, PasswordChanged, PasswordFinishRequest, PasswordStartRequest, PasswordStarted, Purpose,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, audit};
use vault_store::{NewPassword, SessionLevel};

use super::change;
use super::sign_up::{check_profile, slot_row};
use crate::app::{App, Inner, KDF_PROFILES};
use crate::audit::Act;
use crate::authority::{GrantedAct, Session, SteppedUp};
use crate::clock::MINUTE;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::notices::Event;

const CEREMONY: &str = "password";
const LIFETIME: i64 = 10 * MINUTE;
/// Retries after lost answers.
const TRIES: i64 = 10;

impl GrantedAct for PasswordStartRequest {
    const PURPOSE: Purpose = Purpose::Password;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        PASSWORD_TARGET.to_owned()
    }
}

/// `POST /v1/account/password/start`
pub(super) async fn start(
    State(app): State<App>,
    stepped_up: SteppedUp<PasswordStartRequest>,
) -> Result<Json<PasswordStarted>, Failure> {
    let session = stepped_up.session();
    let registration_response = app.register(session.account(), &stepped_up.act().registration_request)?;
    let by = (session.into(), stepped_up.grant());
    let ceremony_id = change::begin_granted(&app, by, CEREMONY, (), LIFETIME).await?;
    Ok(Json(PasswordStarted { ceremony_id, registration_response, kdf_profiles: KDF_PROFILES.to_vec() }))
}

/// `POST /v1/account/password/finish`
pub(super) async fn finish(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<PasswordFinishRequest>,
) -> Result<Json<PasswordChanged>, Failure> {
    let () = change::go_on(&app, session.into(), request.ceremony_id, CEREMONY, TRIES).await?;
    if request.slot.kind != "password" {
        return Err(Code::RequestInvalid.into());
    }
    let account_id = session.account();
    let account = app.store.account(account_id).await?.ok_or(Code::AuthSessionExpired)?;
    let now = app.now();
    let (next, granted) = app.new_session(account_id, 0, SessionLevel::Full, &caller);
    let new = NewPassword {
        account_id,
        epoch: account.epoch,
        opaque_record: Inner::registration_record(&request.registration_record)?,
        kdf_profile: check_profile(request.kdf_profile)?,
        slots: vec![slot_row(account_id, &request.slot, account.generation, None, now).ok_or(Code::RequestInvalid)?],
        ceremony: request.ceremony_id,
        ceremony_kind: CEREMONY.to_owned(),
        session: Some((session.token_hash(), next)),
        reset: None,
        now,
    };
    let act = Act::by_owner(account_id, &caller, now, audit::action::PASSWORD_CHANGED)
        .telling(app.notice(&account, &Event::PasswordChanged)?);
    app.store.replace_password(&new, &|head| act.link(head)).await?;
    Ok(Json(PasswordChanged { session: granted }))
}
