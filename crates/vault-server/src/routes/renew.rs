//! Password and emergency kit are both lost: after a delay that is announced, the account gets new keys.
//!
//! Nothing that is saved can be read by this: it stays sealed to the former keys, and the slots that open those are kept, retired,
//! for the day on which the kit turns up (`export`). A mailed code begins the delay and is asked for again when it is over; who
//! has a second factor as well waits half as long. Whoever signs in meanwhile has what is said to be lost, and ends it. Two-factor
//! is on all the time. An address without an account takes the same path and ends where a wrong code ends.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::{
    FactorCode, LoggedIn, RenewFinishRequest, RenewProveRequest, RenewProven, RenewStartRequest, RenewStarted,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, CeremonyId, FixedBytes, audit};
use vault_store::{Account, AccountId, NewGeneration, Refusal, SessionLevel, Wait, WaitBegunBy, WaitId, WaitKind};

use super::by_kit::{Asked, START_LIFETIME, TRIES, check_mailed, code_hash, new_slots};
use super::sign_in::{check_epoch, current_statement, logged_in};
use super::sign_up::{ceremony_of, check_profile, statement_row};
use super::{instead, try_ceremony};
use crate::app::{App, Inner, KDF_PROFILES};
use crate::audit::Act;
use crate::clock::HOUR;
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::notices::{self, Event};
use crate::waits::{self, Beginning, WITH_FACTOR};
use crate::{presence, tokens};

const STARTED: &str = "renew/start";
const PROVEN: &str = "renew/proven";
/// Time for a password to be thought of and a kit to be printed.
const PROVEN_LIFETIME: i64 = HOUR;
/// Retries of the last call after lost answers.
const FINISH_TRIES: i64 = 10;

#[derive(Serialize, Deserialize)]
struct Started {
    account_id: AccountId,
    exists: bool,
    epoch: i64,
    mailed: FixedBytes<32>,
}

/// Everything was proven; the new keys are missing.
#[derive(Serialize, Deserialize)]
struct Proven {
    account_id: AccountId,
    epoch: i64,
    wait: WaitId,
    factor: Factor,
}

/// The second factor that came with the mailed code.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Factor {
    /// None.
    No,
    /// A code of an authenticator.
    Held,
    /// A backup code, of which so many are left: it stands in for a factor that is lost.
    BackupCode(u32),
}

/// `POST /v1/renew/start`
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RenewStartRequest>,
) -> Result<Json<RenewStarted>, Failure> {
    if !app.sends_notices() {
        return Err(Code::FactorNoMail.into());
    }
    let asked = Asked::of(&app, &caller, &request.email).await?;
    let (account_id, epoch) = (asked.account_id, asked.epoch());
    let code = notices::new_code();
    let state = Started { account_id, exists: asked.account.is_some(), epoch, mailed: code_hash(&code) };
    let renew_id = CeremonyId::new();
    let ceremony = app.ceremony(renew_id, STARTED, Some(account_id), &state, START_LIFETIME)?;
    let mail = app.code_notice(asked.account.as_ref(), &Event::RenewCode(code))?;
    app.store.add_ceremony_with_mail(&ceremony, &mail).await?;
    Ok(Json(RenewStarted { renew_id, account_id, server: app.identity() }))
}

/// `POST /v1/renew/prove`
pub(super) async fn prove(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RenewProveRequest>,
) -> Result<Json<RenewProven>, Failure> {
    let ceremony = try_ceremony(&app, request.renew_id, STARTED, TRIES, Code::AuthSessionExpired).await?;
    let state: Started = app.ceremony_state(&ceremony)?;
    let registration_response = app.register(state.account_id, &request.registration_request)?;
    let (account, factor) = match check(&app, &caller, &state, &request).await {
        Ok(proven) => proven,
        Err(failure) => {
            let act = Act::by_unknown(&caller, app.now(), audit::action::RECOVER_FAILED);
            app.note_refused(state.account_id, state.exists, &act).await?;
            return Err(failure);
        }
    };
    let running: Vec<Wait> =
        app.store.waits(account.id).await?.into_iter().filter(|wait| wait.kind == WaitKind::NewKeys).collect();
    let is_due = |wait: &&Wait| wait.due_at <= app.now() && (wait.target.is_empty() || factor != Factor::No);
    if let Some(wait) = running.iter().find(is_due) {
        app.store.end_ceremony(request.renew_id, STARTED, app.now()).await?;
        let next = Proven { account_id: account.id, epoch: state.epoch, wait: wait.id, factor };
        return hand_out(&app, &account, &next, registration_response).await.map(Json);
    }
    let target = if factor == Factor::No { "" } else { WITH_FACTOR };
    if request.begin && !running.iter().any(|wait| wait.target == target) {
        let begun = begin(&app, &caller, &account, target, request.renew_id).await?;
        // One that was begun without a factor may end sooner all the same.
        let soonest = running.iter().map(|wait| wait.due_at).chain([begun]).min().unwrap_or(begun);
        return Err(Failure::Waiting(soonest));
    }
    app.store.end_ceremony(request.renew_id, STARTED, app.now()).await?;
    // One that was begun with a factor is not finished without: who has lost it since begins another one.
    let mine = running.iter().filter(|wait| wait.target.is_empty() || factor != Factor::No);
    match mine.map(|wait| wait.due_at).min() {
        Some(due_at) => Err(Failure::Waiting(due_at)),
        None => Err(Code::RecoverCancelled.into()),
    }
}

/// The mailed code first: without it nothing is told about a factor, and none is used up.
async fn check(
    app: &App,
    caller: &Caller,
    state: &Started,
    request: &RenewProveRequest,
) -> Result<(Account, Factor), Failure> {
    let account = if state.exists { app.store.account(state.account_id).await? } else { None };
    check_mailed(&state.mailed, &request.mailed_code)?;
    let account = account.ok_or(Code::AuthEmailCodeInvalid)?;
    check_epoch(&account, state.epoch)?;
    let factor = match &request.factor {
        None => Factor::No,
        Some(FactorCode { kind, code }) => {
            let used = presence::use_code(app, account.id, caller, kind, code).await?;
            used.backup_codes_left.map_or(Factor::Held, Factor::BackupCode)
        }
    };
    Ok((account, factor))
}

/// Begins the delay. Gives when it ends.
async fn begin(
    app: &App,
    caller: &Caller,
    account: &Account,
    target: &str,
    renew_id: CeremonyId,
) -> Result<vault_store::Millis, Failure> {
    let act = Act::by_unknown(caller, app.now(), audit::action::RENEW_BEGUN).done();
    let beginning = Beginning {
        account,
        kind: WaitKind::NewKeys,
        target: target.to_owned(),
        by: WaitBegunBy::Unknown,
        grant: None,
        ceremony: Some((renew_id, STARTED)),
    };
    Ok(waits::begin(app, beginning, act).await?.due_at)
}

/// The token for what comes next, and what the new keys have to name.
async fn hand_out(
    app: &App,
    account: &Account,
    next: &Proven,
    registration_response: Bytes,
) -> Result<RenewProven, Failure> {
    let (renewal_token, _) = tokens::new_token();
    let ceremony = app.ceremony(ceremony_of(&renewal_token), PROVEN, Some(account.id), next, PROVEN_LIFETIME)?;
    app.store.add_ceremony(&ceremony).await?;
    Ok(RenewProven {
        renewal_token,
        key_statement: current_statement(app, account).await?,
        registration_response,
        kdf_profiles: KDF_PROFILES.to_vec(),
    })
}

/// `POST /v1/renew/finish`
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RenewFinishRequest>,
) -> Result<Json<LoggedIn>, Failure> {
    let id = ceremony_of(&request.renewal_token);
    let ceremony = try_ceremony(&app, id, PROVEN, FINISH_TRIES, Code::AuthSessionExpired).await?;
    let proven: Proven = app.ceremony_state(&ceremony)?;
    let account = app.store.account(proven.account_id).await?.ok_or(Code::AuthInvalid)?;
    check_epoch(&account, proven.epoch)?;
    let running = app.store.waits(account.id).await?;
    let wait = running.into_iter().find(|wait| wait.id == proven.wait).ok_or(Code::RecoverCancelled)?;
    let now = app.now();
    let stored = || Fault::Stored("key statement");
    let present = app.store.key_statement(account.id, account.generation).await?.ok_or_else(stored)?;
    let generation = account.generation + 1;
    let slots = new_slots(account.id, generation, &request.slots, request.kit_proof_hash, now);
    let (session, granted) = app.new_session(account.id, account.epoch, level(&account, proven.factor), &caller);
    let new = NewGeneration {
        epoch: proven.epoch,
        opaque_record: Inner::registration_record(&request.registration_record)?,
        kdf_profile: check_profile(request.kdf_profile)?,
        statement: statement_row(account.id, &request.key_statement, generation, Some(present.hash))?,
        slots: slots.ok_or(Code::RequestInvalid)?,
        ceremony: (id, PROVEN.to_owned()),
        session,
        wait,
        now,
    };
    let act = Act::by_unknown(&caller, now, audit::action::RENEW_DONE)
        .done()
        .on(new.wait.id)
        .telling(app.notice(&account, &Event::RenewDone)?);
    let begun = app.store.begin_generation(&new, &|head| act.link(head)).await;
    begun.map_err(|error| instead(error, Refusal::Wait, Code::RecoverCancelled))?;
    let account = app.store.account(account.id).await?.ok_or(Code::AuthInvalid)?;
    let backup_codes_left = if let Factor::BackupCode(left) = proven.factor { Some(left) } else { None };
    logged_in(&app, &account, granted, backup_codes_left).await.map(Json)
}

/// Only a factor that is still held makes a whole session: otherwise a new one comes first, whatever the account asked for before.
fn level(account: &Account, factor: Factor) -> SessionLevel {
    match factor {
        Factor::Held => SessionLevel::Full,
        _ if account.two_factor || account.is_off() => SessionLevel::FactorsOnly,
        _ => SessionLevel::Enrol,
    }
}
