//! A lost password: the emergency kit and a second factor in its place, and the mailed code where the service sends mail.
//!
//! An address without an account takes the same path and ends where a wrong kit ends. What is found out on the way is
//! ordered: the kit, the mailed code, the second factor last, so that nothing but a good kit uses a code up.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use vault_protocol::messages::{
    RecoverFinishRequest, RecoverProveRequest, RecoverProven, RecoverStartRequest, RecoverStarted, SlotUpload,
};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes, audit, sha256};
use vault_store::{Account, AccountId, NewPassword, Slot};

use super::sign_in::{check_epoch, current_statement, salt};
use super::sign_up::{ceremony_of, check_profile, normalise_email, slot_row};
use super::try_ceremony;
use crate::app::{App, Inner, KDF_PROFILES};
use crate::audit::Act;
use crate::clock::{HOUR, MINUTE};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::notices::Event;
use crate::{notices, presence, tokens};

const STARTED: &str = "recover/start";
const PROVEN: &str = "recover/proven";
/// How long a mailed code is good.
const START_LIFETIME: i64 = 10 * MINUTE;
/// Time for a new kit to be printed.
const PROVEN_LIFETIME: i64 = HOUR;
/// Proofs of one recovery; the mailed code has six digits.
const TRIES: i64 = 5;
/// Retries of the last call after lost answers.
const FINISH_TRIES: i64 = 10;

#[derive(Serialize, Deserialize)]
struct Started {
    account_id: AccountId,
    exists: bool,
    epoch: i64,
    mail_name: String,
    mailed: Option<FixedBytes<32>>,
}

#[derive(Serialize, Deserialize)]
struct Proven {
    account_id: AccountId,
    epoch: i64,
    mail_name: String,
}

/// `POST /v1/recover/start`
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RecoverStartRequest>,
) -> Result<Json<RecoverStarted>, Failure> {
    let email_norm = normalise_email(&request.email).ok_or(Code::AuthInvalid)?;
    let mail_name = app.mail_name(&email_norm);
    app.begin_password_run(&mail_name, &caller.limit_net).await?;
    let places = app.limits().mailed_codes;
    app.take(format!("recover/mail/{mail_name}"), HOUR, places, Code::LimitRate).await?;
    let account = app.store.account_by_email(&email_norm).await?;
    let stand_in = app.stand_in(&email_norm);
    let account_id = account.as_ref().map_or(stand_in, |account| account.id);
    let recovery_id = CeremonyId::new();
    let code_mailed = app.sends_notices();
    let code = code_mailed.then(notices::new_code);
    let state = Started {
        account_id,
        exists: account.is_some(),
        epoch: account.as_ref().map_or(0, |account| account.epoch),
        mail_name,
        mailed: code.as_ref().map(|code| FixedBytes(sha256(&[code.as_bytes()]))),
    };
    let ceremony = app.ceremony(recovery_id, STARTED, Some(account_id), &state, START_LIFETIME)?;
    match code {
        Some(code) => {
            let mail = app.code_notice(account.as_ref(), &Event::RecoveryCode(code))?;
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
    let kit = slots.iter().find(|slot| slot.kind == "kit");
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
    let (recovery_token, _) = tokens::new_token();
    let id = ceremony_of(&recovery_token);
    let next = Proven { account_id: account.id, epoch: state.epoch, mail_name: state.mail_name };
    app.store.add_ceremony(&app.ceremony(id, PROVEN, Some(account.id), &next, PROVEN_LIFETIME)?).await?;
    Ok(Json(RecoverProven {
        recovery_token,
        key_statement: current_statement(&app, &account).await?,
        slot: whole_slot(kit.ok_or(Fault::Stored("slot"))?)?,
        registration_response,
        kdf_profiles: KDF_PROFILES.to_vec(),
        backup_codes_left: used.backup_codes_left,
    }))
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
    let proof_hash = kit.and_then(|kit| kit.proof_hash.as_deref()).unwrap_or_default();
    let fits = bool::from(sha256(&[&request.kit_proof.0])[..].ct_eq(proof_hash));
    let account = account.filter(|_| fits).ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    if let Some(mailed) = &state.mailed {
        let typed = request.mailed_code.as_deref().unwrap_or_default().trim();
        if !bool::from(sha256(&[typed.as_bytes()])[..].ct_eq(&mailed.0[..])) {
            return Err(Code::AuthEmailCodeInvalid.into());
        }
    }
    presence::use_code(app, account.id, caller, &request.kind, &request.code).await
}

pub(super) fn whole_slot(slot: &Slot) -> Result<SlotUpload, Fault> {
    Ok(SlotUpload {
        slot_id: slot.id,
        kind: slot.kind.clone(),
        salt: salt(slot)?,
        wrap_c: slot.wrap_c.clone().into(),
        wrap_v: slot.wrap_v.clone().into(),
        credential_id: None,
    })
}

/// `POST /v1/recover/finish`
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<RecoverFinishRequest>,
) -> Result<Json<()>, Failure> {
    let id = ceremony_of(&request.recovery_token);
    let ceremony = try_ceremony(&app, id, PROVEN, FINISH_TRIES, Code::AuthSessionExpired).await?;
    let state: Proven = app.ceremony_state(&ceremony)?;
    let account = app.store.account(state.account_id).await?.ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    let now = app.now();
    let new = NewPassword {
        account_id: account.id,
        epoch: state.epoch,
        opaque_record: Inner::registration_record(&request.registration_record)?,
        kdf_profile: check_profile(request.kdf_profile)?,
        slots: new_slots(&account, &request, now).ok_or(Code::RequestInvalid)?,
        ceremony: id,
        ceremony_kind: PROVEN.to_owned(),
        session: None,
        now,
    };
    let act = Act::by_owner(account.id, &caller, now, audit::action::RECOVER_PASSWORD)
        .telling(app.notice(&account, &Event::PasswordRecovered)?);
    app.store.replace_password(&new, &|head| act.link(head)).await?;
    app.end_password_run(&state.mail_name).await?;
    Ok(Json(()))
}

/// Exactly a password slot and a kit slot: the kit that was used is spent.
pub(super) fn new_slots(account: &Account, request: &RecoverFinishRequest, now: i64) -> Option<Vec<Slot>> {
    let kinds: Vec<&str> = request.slots.iter().map(|slot| slot.kind.as_str()).collect();
    if !matches!(kinds[..], ["password", "kit"] | ["kit", "password"]) {
        return None;
    }
    let row = |slot: &SlotUpload| {
        let proof_hash = (slot.kind == "kit").then_some(request.kit_proof_hash);
        slot_row(account.id, slot, account.generation, proof_hash, now)
    };
    request.slots.iter().map(row).collect()
}
