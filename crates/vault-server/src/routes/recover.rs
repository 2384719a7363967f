//! A lost password: the emergency kit and a second factor in its place, and the mailed code where the service sends mail.
//!
//! An address without an account takes the same path and ends where a wrong kit ends. What is found out on the way is
//! ordered: the kit, the mailed code, the second factor last, so that nothing but a good kit uses a code up.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::{
    RecoverFinishRequest, RecoverProveRequest, RecoverProven, RecoverStartRequest, RecoverStarted,
};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes, audit};
use vault_store::{Account, AccountId, Slot};

use super::by_kit::{Asked, Proven, START_LIFETIME, Successor, TRIES, check_mailed, code_hash, kit_of, proves};
use super::sign_in::check_epoch;
use super::try_ceremony;
use crate::app::App;
use crate::audit::Act;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::notices::Event;
use crate::{notices, presence};

const STARTED: &str = "recover/start";
const PROVEN: &str = "recover/proven";

#[derive(Serialize, Deserialize)]
struct Started {
    account_id: AccountId,
    exists: bool,
    epoch: i64,
    mail_name: String,
    mailed: Option<FixedBytes<32>>,
}

/// `POST /v1/recover/start`
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RecoverStartRequest>,
) -> Result<Json<RecoverStarted>, Failure> {
    let asked = Asked::of(&app, &caller, &request.email).await?;
    let (account_id, epoch) = (asked.account_id, asked.epoch());
    let recovery_id = CeremonyId::new();
    let code_mailed = app.sends_notices();
    let code = code_mailed.then(notices::new_code);
    let state = Started {
        account_id,
        exists: asked.account.is_some(),
        epoch,
        mail_name: asked.mail_name,
        mailed: code.as_ref().map(|code| code_hash(code)),
    };
    let ceremony = app.ceremony(recovery_id, STARTED, Some(account_id), &state, START_LIFETIME)?;
    match code {
        Some(code) => {
            let mail = app.code_notice(asked.account.as_ref(), &Event::RecoveryCode(code))?;
            app.store.add_ceremony_with_mail(&ceremony, &mail).await?;
        }
        None => app.store.add_ceremony(&ceremony).await?,
    }
    Ok(Json(RecoverStarted { recovery_id, account_id, code_mailed, server: app.identity() }))
}

/// `POST /v1/recover/prove`
pub(super) async fn prove(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RecoverProveRequest>,
) -> Result<Json<RecoverProven>, Failure> {
    let ceremony = try_ceremony(&app, request.recovery_id, STARTED, TRIES, Code::AuthSessionExpired).await?;
    let state: Started = app.ceremony_state(&ceremony)?;
    let registration_response = app.register(state.account_id, &request.registration_request)?;
    let slots = app.store.slots(state.account_id).await?;
    let kit = kit_of(&slots);
    let used = match check(&app, &caller, &state, kit, &request).await {
        Ok(used) => used,
        Err(failure) => {
            let act = Act::by_unknown(&caller, app.now(), audit::action::RECOVER_FAILED);
            app.note_refused(state.account_id, state.exists, &act).await?;
            return Err(failure);
        }
    };
    let account = app.store.account(state.account_id).await?.ok_or(Code::AuthInvalid)?;
    app.store.end_ceremony(request.recovery_id, STARTED, app.now()).await?;
    let act = Act::by_owner(account.id, &caller, app.now(), audit::action::RECOVER_PROVEN)
        .telling(app.notice(&account, &Event::RecoveryProven)?);
    app.store.append_audit(account.id, &|head| act.link(head)).await?;
    let next = Proven { account_id: account.id, epoch: state.epoch, mail_name: state.mail_name };
    let handed_out = next.hand_out(&app, &account, PROVEN, kit, registration_response).await?;
    Ok(Json(RecoverProven { backup_codes_left: used.backup_codes_left, ..handed_out }))
}

/// The kit first: without it nothing else is told, and nothing is used up.
async fn check(
    app: &App,
    caller: &Caller,
    state: &Started,
    kit: Option<&Slot>,
    request: &RecoverProveRequest,
) -> Result<presence::Used, Failure> {
    let account: Option<Account> = if state.exists { app.store.account(state.account_id).await? } else { None };
    let account = account.filter(|_| proves(kit, &request.kit_proof.0)).ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    if let Some(mailed) = &state.mailed {
        check_mailed(mailed, request.mailed_code.as_deref().unwrap_or_default())?;
        if account.is_off() {
            // There is no factor that could be asked for; the mailed code stands in for it, as it does for a reveal.
            return Ok(presence::Used { by: None, backup_codes_left: None });
        }
    }
    presence::use_code(app, account.id, caller, &request.kind, &request.code).await
}

/// `POST /v1/recover/finish`
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RecoverFinishRequest>,
) -> Result<Json<()>, Failure> {
    Successor::of(&app, &request.recovery_token, PROVEN).await?.replace(&app, &caller, &request, None).await?;
    Ok(Json(()))
}
