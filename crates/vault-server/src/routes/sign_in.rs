//! Sign-in: the password by OPAQUE, then the second factor, bound to that run.
//!
//! An address without an account takes the same path with a stand-in and ends where a wrong password ends.

use axum::extract::State;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha512;
use vault_protocol::messages::{
    AuditHead, CatalogueSlot, LoggedIn, LoginFactorRequest, LoginFinishRequest, LoginPasswordProven, LoginStartRequest,
    LoginStarted, PASSKEY, SessionGranted,
};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes, Signed, audit};
use vault_store::{Account, AccountId, Ceremony, ChainHead, Gives, Proven, Refusal, SessionLevel, Slot};

use super::sign_up::normalise_email;
use super::{instead, tries, try_ceremony};
use crate::app::{App, KDF_PROFILES};
use crate::audit::Act;
use crate::authority::{AnySession, open_session};
use crate::clock::MINUTE;
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::limits::run_bucket;
use crate::passkeys::{self, Challenge};
use crate::presence::{self, TOTP};
use crate::secret_field::SecretField;
use crate::{tokens, waits};

/// The password is being proven.
const PASSWORD: &str = "login/password";
/// The password was right; the second factor is missing.
const FACTOR: &str = "login/factor";
const LIFETIME: i64 = 10 * MINUTE;

#[derive(Serialize, Deserialize)]
struct PasswordState {
    account_id: AccountId,
    exists: bool,
    /// The account's when the run began. A password or factor that was changed meanwhile must not be good for it.
    epoch: i64,
    mail_name: String,
    run: SecretField,
}

#[derive(Serialize, Deserialize)]
struct FactorState {
    account_id: AccountId,
    epoch: i64,
    mail_name: String,
    session_key: SecretField,
    challenge: FixedBytes<32>,
    passkey: Option<Challenge>,
}

/// `POST /v1/login/start`
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<LoginStartRequest>,
) -> Result<Json<LoginStarted>, Failure> {
    let email_norm = normalise_email(&request.email).ok_or(Code::AuthInvalid)?;
    let mail_name = app.mail_name(&email_norm);
    let places = app.places_of_run(&mail_name, &caller.limit_net).await?;
    let account = match app.store.account_by_email(&email_norm).await? {
        Some(account) => Some(waits::settled(&app, account).await?),
        None => None,
    };
    // Worked out either way, so that both ways take the same time.
    let stand_in = app.stand_in(&email_norm);
    let account_id = account.as_ref().map_or(stand_in, |account| account.id);
    let record = account.as_ref().map(|account| account.opaque_record.as_slice());
    let run = app.begin_run(account_id, record, &request.credential_request)?;
    let state = PasswordState {
        account_id,
        exists: account.is_some(),
        epoch: account.as_ref().map_or(0, |account| account.epoch),
        mail_name: mail_name.clone(),
        run: SecretField(run.state),
    };
    let login_id = CeremonyId::new();
    let ceremony = app.ceremony(login_id, PASSWORD, Some(account_id), &state, LIFETIME)?;
    tries::begin_run(&app, &ceremony, &places, &mail_name, &caller).await?;
    Ok(Json(LoginStarted {
        login_id,
        account_id,
        kdf_profile: KDF_PROFILES[0],
        credential_response: run.response,
        server: app.identity(),
    }))
}

/// `POST /v1/login/finish`
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<LoginFinishRequest>,
) -> Result<Json<LoginPasswordProven>, Failure> {
    let ceremony = tries::open(&app, request.login_id, PASSWORD, 1, Code::AuthSessionExpired).await?;
    let state: PasswordState = app.ceremony_state(&ceremony)?;
    let finished = app.finish_run(state.account_id, state.run.0.expose(), &request.credential_finalization);
    // A run proves one password: who begins it has made one guess, and finishing it wrongly teaches nothing more. So the try is
    // taken by what comes next, or here when it was the wrong one.
    let session_key = match finished {
        Ok(session_key) if state.exists => session_key,
        wrong => {
            try_ceremony(&app, request.login_id, PASSWORD, 1, Code::AuthSessionExpired).await?;
            let Err(failure) = wrong else { return Err(Code::AuthInvalid.into()) };
            let act = Act::by_unknown(&caller, app.now(), audit::action::LOGIN_FAILED).on("password");
            app.note_refused(state.account_id, state.exists, &act).await?;
            return Err(failure);
        }
    };
    let account = app.store.account(state.account_id).await?.ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    let factors = app.store.factors(account.id).await?;
    let challenge = FixedBytes(tokens::challenge());
    let has_passkeys = factors.iter().any(|factor| factor.kind == PASSKEY);
    let passkeys = if has_passkeys { app.store.passkeys(account.id).await? } else { Vec::new() };
    let (passkey, passkey_state) = passkeys::challenge_for(&app, &passkeys)?.unzip();
    let mut proven = LoginPasswordProven {
        login_id: request.login_id,
        second_factor: presence::kinds_with(&app, account.id, &factors).await?,
        challenge,
        passkey,
        session: None,
        logged_in: None,
    };
    if account.is_off() {
        app.store.end_ceremony(request.login_id, PASSWORD, app.now()).await?;
        let session = begin_session(&app, &account, SessionLevel::Full, &state.mail_name, &caller).await?;
        waits::owner_is_here(&app, account.id, &caller).await?;
        proven.logged_in = Some(logged_in(&app, &account, session, None).await?);
        return Ok(Json(proven));
    }
    if factors.is_empty() && !account.two_factor {
        app.store.end_ceremony(request.login_id, PASSWORD, app.now()).await?;
        proven.session = Some(begin_session(&app, &account, SessionLevel::Enrol, &state.mail_name, &caller).await?);
        return Ok(Json(proven));
    }
    let next = FactorState {
        account_id: account.id,
        epoch: state.epoch,
        mail_name: state.mail_name,
        session_key: SecretField(session_key),
        challenge,
        passkey: passkey_state,
    };
    let next = app.ceremony(request.login_id, FACTOR, Some(account.id), &next, LIFETIME)?;
    app.store.advance_ceremony(&next, PASSWORD, app.now()).await?;
    Ok(Json(proven))
}

/// `POST /v1/login/factor`
pub(super) async fn factor(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<LoginFactorRequest>,
) -> Result<Json<LoggedIn>, Failure> {
    let (tries, over) = (app.limits().factor_tries, Code::AuthSessionExpired);
    let ceremony = tries::open(&app, request.login_id, FACTOR, tries, over).await?;
    let state: FactorState = app.ceremony_state(&ceremony)?;
    let bound = check_binding(&state, &ceremony, &request);
    let code_of = (request.kind == TOTP && bound.is_ok()).then_some(state.account_id);
    let give_back = tries::take(&app, request.login_id, FACTOR, code_of, over).await?;
    bound?;
    let account = app.store.account(state.account_id).await?.ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    let step = FactorStep { app: &app, caller: &caller, account: &account, state: &state, request: &request };
    match step.end(give_back).await {
        Ok(logged_in) => Ok(Json(logged_in)),
        Err(failure) => {
            note_failure(&app, state.account_id, &caller, "factor").await?;
            Err(failure)
        }
    }
}

/// The last step of a sign-in, in one transaction.
struct FactorStep<'a> {
    app: &'a App,
    caller: &'a Caller,
    account: &'a Account,
    state: &'a FactorState,
    request: &'a LoginFactorRequest,
}

impl FactorStep<'_> {
    async fn end(self, give_back: Option<(String, i64)>) -> Result<LoggedIn, Failure> {
        let Self { app, caller, account, state, request } = self;
        let (steps, backup_codes_left) = if request.kind == TOTP {
            (presence::steps_of(app, account.id, &request.code).await?, None)
        } else {
            (Vec::new(), prove(app, caller, state, request).await?.backup_codes_left)
        };
        // A backup code stands in for a factor that is lost: a new one comes first.
        let level = if backup_codes_left.is_some() { SessionLevel::FactorsOnly } else { SessionLevel::Full };
        let (session, granted) = app.new_session(account.id, account.epoch, level, caller);
        let now = app.now();
        let proven = Proven {
            account_id: account.id,
            ceremony: request.login_id,
            kind: FACTOR.to_owned(),
            steps,
            give_back,
            clear: Some(run_bucket(&state.mail_name)),
            gives: Gives::Session(session),
            now,
        };
        let act = Act::by_owner(account.id, caller, now, audit::action::LOGIN);
        let completed = app.store.complete(&proven, &|head| act.link(head)).await;
        completed.map_err(|error| instead(error, Refusal::Ceremony, Code::AuthSessionExpired))?;
        waits::owner_is_here(app, account.id, caller).await?;
        logged_in(app, account, granted, backup_codes_left).await
    }
}

/// The second factor: a code, or a passkey that answers this sign-in's challenge.
async fn prove(
    app: &App,
    caller: &Caller,
    state: &FactorState,
    request: &LoginFactorRequest,
) -> Result<presence::Used, Failure> {
    if request.kind != PASSKEY {
        return presence::use_code(app, state.account_id, caller, &request.kind, &request.code).await;
    }
    let challenge = state.passkey.as_ref().ok_or(Code::AuthInvalid)?;
    let assertion = request.assertion.as_ref().ok_or(Code::RequestInvalid)?;
    let used = passkeys::use_assertion(app, state.account_id, caller, challenge, assertion).await?;
    Ok(presence::Used { by: Some(used.factor), backup_codes_left: None })
}

/// Whose second step this is, when it is a good one in every respect.
pub(super) async fn proven_factor_step(
    app: &App,
    caller: &Caller,
    request: &LoginFactorRequest,
) -> Result<AccountId, Failure> {
    let tries = app.limits().factor_tries;
    let ceremony = try_ceremony(app, request.login_id, FACTOR, tries, Code::AuthSessionExpired).await?;
    let state: FactorState = app.ceremony_state(&ceremony)?;
    check_binding(&state, &ceremony, request)?;
    let account = app.store.account(state.account_id).await?.ok_or(Code::AuthInvalid)?;
    check_epoch(&account, state.epoch)?;
    if let Err(failure) = prove(app, caller, &state, request).await {
        note_failure(app, account.id, caller, "factor").await?;
        return Err(failure);
    }
    Ok(account.id)
}

/// What a client gets with its session.
pub(super) async fn logged_in(
    app: &App,
    account: &Account,
    session: SessionGranted,
    backup_codes_left: Option<u32>,
) -> Result<LoggedIn, Failure> {
    let key_statement = current_statement(app, account).await?;
    let slots = app.store.slots(account.id).await?.iter().map(catalogue_slot).collect::<Result<_, Fault>>()?;
    let audit_head = audit_head(&app.store.audit_head(account.id).await?);
    Ok(LoggedIn { session, key_statement, slots, audit_head, backup_codes_left })
}

/// The audit entry comes first: no session exists that the owner cannot see.
async fn begin_session(
    app: &App,
    account: &Account,
    level: SessionLevel,
    mail_name: &str,
    caller: &Caller,
) -> Result<SessionGranted, Failure> {
    let act = Act::by_owner(account.id, caller, app.now(), audit::action::LOGIN);
    app.store.append_audit(account.id, &|head| act.link(head)).await?;
    app.end_password_run(mail_name).await?;
    open_session(app, account, level, caller).await
}

pub(super) async fn note_failure(app: &App, account: AccountId, caller: &Caller, what: &str) -> Result<(), Failure> {
    let act = Act::by_unknown(caller, app.now(), audit::action::LOGIN_FAILED).on(what);
    Ok(app.store.append_audit(account, &|head| act.link(head)).await?)
}

/// A change of password or factors ends sign-ins that have begun, as it ends sessions.
pub(super) fn check_epoch(account: &Account, begun_in: i64) -> Result<(), Failure> {
    if account.epoch == begun_in { Ok(()) } else { Err(Code::AuthSessionExpired.into()) }
}

/// The factor belongs to the run that proved the password: only that client knows the session key.
fn check_binding(state: &FactorState, ceremony: &Ceremony, request: &LoginFactorRequest) -> Result<(), Failure> {
    let mut mac =
        Hmac::<Sha512>::new_from_slice(state.session_key.0.expose()).map_err(|_| Fault::Stored("session key"))?;
    mac.update(ceremony.id.as_bytes());
    mac.update(&state.challenge.0);
    mac.verify_slice(&request.binding).map_err(|_| Code::AuthInvalid.into())
}

/// `POST /v1/logout`
pub(super) async fn logout(State(app): State<App>, session: AnySession) -> Result<Json<()>, Failure> {
    app.store.end_session(session.token_hash()).await?;
    Ok(Json(()))
}

/// The signed statement of the account's present generation.
pub(super) async fn current_statement(app: &App, account: &Account) -> Result<Signed, Failure> {
    let row = app.store.key_statement(account.id, account.generation).await?.ok_or(Fault::Stored("key statement"))?;
    Ok(serde_json::from_slice(&row.signature).map_err(|_| Fault::Stored("key statement"))?)
}

/// The head of a chain as it travels.
pub(super) fn audit_head(head: &ChainHead) -> AuditHead {
    AuditHead { seq: u64::try_from(head.seq).unwrap_or(0), hash: FixedBytes(head.hash) }
}

/// A slot without the wrapped vault root.
fn catalogue_slot(slot: &Slot) -> Result<CatalogueSlot, Fault> {
    Ok(CatalogueSlot {
        slot_id: slot.id,
        kind: slot.kind.clone(),
        salt: salt(slot)?,
        wrap_c: slot.wrap_c.clone().into(),
        credential_id: slot.credential_id.clone().map(Into::into),
    })
}

/// The salt of a slot.
pub(super) fn salt(slot: &Slot) -> Result<FixedBytes<16>, Fault> {
    slot.salt.as_slice().try_into().map(FixedBytes).map_err(|_| Fault::Stored("slot"))
}
