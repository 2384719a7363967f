//! Every second factor is lost: after a delay that is announced, a new one takes their place.
//!
//! Password or kit, and a mailed code, begin the delay and are asked for again when it is over; then a session that may add
//! a factor, and nothing else. Two-factor is on all the time: the lost factors count until the new one is in. An address
//! without an account takes the same path and ends where a wrong password ends.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::{
    LoggedIn, RecoverFinishRequest, ResetProveRequest, ResetProven, ResetStartRequest, ResetStarted,
};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes, audit};
use vault_store::{Account, AccountId, SessionLevel, Slot, Wait, WaitBegunBy, WaitKind};

use super::by_kit::{Asked, Proven, START_LIFETIME, Successor, TRIES, check_mailed, code_hash, kit_of, proves};
use super::sign_in::{check_epoch, logged_in};
use super::try_ceremony;
use crate::app::{App, KDF_PROFILES};
use crate::audit::Act;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::notices;
use crate::notices::Event;
use crate::secret_field::SecretField;
use crate::waits::{self, Beginning};

const STARTED: &str = "reset/start";
const PROVEN: &str = "reset/proven";

#[derive(Serialize, Deserialize)]
struct Started {
    account_id: AccountId,
    exists: bool,
    epoch: i64,
    mail_name: String,
    mailed: FixedBytes<32>,
    run: Option<SecretField>,
}

/// `POST /v1/reset/start`
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<ResetStartRequest>,
) -> Result<Json<ResetStarted>, Failure> {
    if !app.sends_notices() {
        return Err(Code::FactorNoMail.into());
    }
    let asked = Asked::of(&app, &caller, &request.email).await?;
    let (account_id, epoch) = (asked.account_id, asked.epoch());
    let record = asked.account.as_ref().map(|account| account.opaque_record.as_slice());
    let run =
        request.credential_request.as_ref().map(|request| app.begin_run(account_id, record, request)).transpose()?;
    let (credential_response, run) = run.map(|run| (run.response, SecretField(run.state))).unzip();
    let code = notices::new_code();
    let state = Started {
        account_id,
        exists: asked.account.is_some(),
        epoch,
        mail_name: asked.mail_name,
        mailed: code_hash(&code),
        run,
    };
    let reset_id = CeremonyId::new();
    let ceremony = app.ceremony(reset_id, STARTED, Some(account_id), &state, START_LIFETIME)?;
    let mail = app.code_notice(asked.account.as_ref(), &Event::ResetCode(code))?;
    app.store.add_ceremony_with_mail(&ceremony, &mail).await?;
    let server = app.identity();
    Ok(Json(ResetStarted { reset_id, account_id, kdf_profile: KDF_PROFILES[0], credential_response, server }))
}

/// `POST /v1/reset/prove`
pub(super) async fn prove(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<ResetProveRequest>,
) -> Result<Json<ResetProven>, Failure> {
    let ceremony = try_ceremony(&app, request.reset_id, STARTED, TRIES, Code::AuthSessionExpired).await?;
    let state: Started = app.ceremony_state(&ceremony)?;
    let slots = app.store.slots(state.account_id).await?;
    let kit = kit_of(&slots);
    let account = match check(&app, &state, kit, &request).await {
        Ok(account) => account,
        Err(failure) => {
            let act = Act::by_unknown(&caller, app.now(), audit::action::RECOVER_FAILED);
            app.note_refused(state.account_id, state.exists, &act).await?;
            return Err(failure);
        }
    };
    let wait = waits::running(&app, &account, WaitKind::Reset, "").await?;
    match wait {
        Some(wait) if app.now() >= wait.due_at => {
            let visit = Visit { app: &app, caller: &caller, account: &account, wait: &wait };
            if let Some(registration_request) = &request.registration_request {
                visit.hand_out_kit_slot(request.reset_id, state, kit, registration_request).await.map(Json)
            } else {
                app.end_password_run(&state.mail_name).await?;
                let login = visit.begin_session(Some((request.reset_id, STARTED))).await?;
                Ok(Json(ResetProven { login: Some(login), recovery: None }))
            }
        }
        Some(wait) => {
            app.store.end_ceremony(request.reset_id, STARTED, app.now()).await?;
            app.end_password_run(&state.mail_name).await?;
            Err(Failure::Waiting(wait.due_at))
        }
        None if request.begin && account.two_factor => {
            app.end_password_run(&state.mail_name).await?;
            let act = Act::by_unknown(&caller, app.now(), audit::action::RESET_BEGUN).done();
            let ceremony = Some((request.reset_id, STARTED));
            let (kind, by) = (WaitKind::Reset, WaitBegunBy::Unknown);
            let begun = waits::begin(
                &app,
                Beginning { account: &account, kind, target: String::new(), by, grant: None, ceremony },
                act,
            )
            .await?;
            Err(Failure::Waiting(begun.due_at))
        }
        None => {
            app.store.end_ceremony(request.reset_id, STARTED, app.now()).await?;
            app.end_password_run(&state.mail_name).await?;
            Err(Code::RecoverCancelled.into())
        }
    }
}

/// Password or kit first: without it nothing is told about the mailed code.
async fn check(
    app: &App,
    state: &Started,
    kit: Option<&Slot>,
    request: &ResetProveRequest,
) -> Result<Account, Failure> {
    let account = if state.exists { app.store.account(state.account_id).await? } else { None };
    let fits = match (&state.run, &request.credential_finalization, &request.kit_proof) {
        (Some(run), Some(finalization), None) if request.registration_request.is_none() => {
            app.finish_run(state.account_id, run.0.expose(), finalization).is_ok()
        }
        (None, None, Some(proof)) if request.registration_request.is_some() => proves(kit, &proof.0),
        _ => false,
    };
    let account = account.filter(|_| fits).ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    check_mailed(&state.mailed, &request.mailed_code)?;
    Ok(account)
}

/// Somebody who came back after the delay.
struct Visit<'a> {
    app: &'a App,
    caller: &'a Caller,
    account: &'a Account,
    wait: &'a Wait,
}

impl Visit<'_> {
    /// A session that may add a factor. The ceremony is spent and the audit entry made in its transaction.
    async fn begin_session(&self, ceremony: Option<(CeremonyId, &'static str)>) -> Result<LoggedIn, Failure> {
        let Self { app, caller, account, wait } = self;
        let (session, granted) = app.new_session(account.id, account.epoch, SessionLevel::FactorsOnly, caller);
        let act = Act::by_unknown(caller, app.now(), audit::action::RESET_PROVEN).done().on(wait.id);
        app.store.claim_reset(wait, ceremony, &session, &|head| act.link(head)).await?;
        logged_in(app, account, granted, None).await
    }

    /// What the kit opens; the new password comes with the next call.
    async fn hand_out_kit_slot(
        &self,
        reset_id: CeremonyId,
        state: Started,
        kit: Option<&Slot>,
        registration_request: &[u8],
    ) -> Result<ResetProven, Failure> {
        let Self { app, caller, account, wait } = self;
        let registration_response = app.register(account.id, registration_request)?;
        app.store.end_ceremony(reset_id, STARTED, app.now()).await?;
        let act = Act::by_unknown(caller, app.now(), audit::action::RECOVER_PROVEN)
            .done()
            .on(wait.id)
            .telling(app.notice(account, &Event::ResetProven)?);
        app.store.append_audit(account.id, &|head| act.link(head)).await?;
        let next = Proven { account_id: account.id, epoch: state.epoch, mail_name: state.mail_name };
        let recovery = next.hand_out(app, account, PROVEN, kit, registration_response).await?;
        Ok(ResetProven { login: None, recovery: Some(recovery) })
    }
}

/// `POST /v1/reset/password`: the new password and the new kit, and then the session that adds a factor. Two transactions:
/// should the second one not come about, the new password does what the kit did.
pub(super) async fn password(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RecoverFinishRequest>,
) -> Result<Json<ResetProven>, Failure> {
    let successor = Successor::of(&app, &request.recovery_token, PROVEN).await?;
    let wait = waits::running(&app, &successor.account, WaitKind::Reset, "").await?.ok_or(Code::RecoverCancelled)?;
    let account_id = successor.replace(&app, &caller, &request, Some(&wait)).await?;
    let account = app.store.account(account_id).await?.ok_or(Code::AuthInvalid)?;
    let visit = Visit { app: &app, caller: &caller, account: &account, wait: &wait };
    let login = visit.begin_session(None).await?;
    Ok(Json(ResetProven { login: Some(login), recovery: None }))
}
