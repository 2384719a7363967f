//! Step-up: a fresh second factor for one act, and the password again where the act opens the vault.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use vault_protocol::limits::GRANT_SECONDS;
use vault_protocol::messages::{
    MAILED_CODE, PASSKEY, Purpose, StepUpFinishRequest, StepUpStartRequest, StepUpStarted, SteppedUp, VaultSlot,
};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, FixedBytes, audit, sha256};
use vault_store::{AccountId, FactorId, Gives, Grant, Proven, Refusal, Slot};
use zeroize::Zeroizing;

use super::sign_in::salt;
use super::{instead, tries};
use crate::app::App;
use crate::audit::Act;
use crate::authority::Session;
use crate::clock::{HOUR, MINUTE, SECOND};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::limits::run_bucket;
use crate::notices::Event;
use crate::passkeys::{self, Challenge};
use crate::presence::{self, TOTP};
use crate::secret_field::SecretField;
use crate::{notices, tokens, waits};

const CEREMONY: &str = "step-up";
const LIFETIME: i64 = 5 * MINUTE;
const TARGET_BYTES: usize = 64;

#[derive(Serialize, Deserialize)]
struct Confirming {
    purpose: Purpose,
    target: String,
    session: FixedBytes<32>,
    mail_name: String,
    run: Option<SecretField>,
    passkey: Option<Challenge>,
    /// The vault is opened, and not by the password: a passkey has to do it.
    by_passkey: bool,
    /// Where mail stands in for the second factor: what the mailed code must be.
    mailed: Option<FixedBytes<32>>,
}

/// `POST /v1/step-up/start`
pub(super) async fn start(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<StepUpStartRequest>,
) -> Result<Json<StepUpStarted>, Failure> {
    if request.target.is_empty() || request.target.len() > TARGET_BYTES {
        return Err(Code::RequestInvalid.into());
    }
    let account = app.store.account(session.account()).await?.ok_or(Code::AuthSessionExpired)?;
    let mail_name = app.mail_name(&account.email_norm);
    let mut passkeys = app.store.passkeys(account.id).await?;
    let by_passkey = request.purpose.opens_vault() && request.credential_request.is_none();
    if by_passkey {
        let has_passkeys = !passkeys.is_empty();
        let slots = app.store.slots(account.id).await?;
        passkeys.retain(|passkey| slots.iter().any(|slot| slot.credential_id.as_ref() == Some(&passkey.credential_id)));
        if passkeys.is_empty() {
            return Err(if has_passkeys { Code::FactorPrfUnavailable } else { Code::RequestInvalid }.into());
        }
    }
    let mut places = Vec::new();
    let run = match (request.purpose.opens_vault(), &request.credential_request) {
        (_, None) => None,
        (true, Some(credential_request)) => {
            places = app.places_of_run(&mail_name, &caller.limit_net).await?.to_vec();
            Some(app.begin_run(account.id, Some(&account.opaque_record), credential_request)?)
        }
        (false, Some(_)) => return Err(Code::RequestInvalid.into()),
    };
    let (passkey, passkey_state) = passkeys::challenge_for(&app, &passkeys)?.unzip();
    let (credential_response, run) = run.map(|run| (run.response, SecretField(run.state))).unzip();
    let code = if account.is_off() { Some(mailed_code(&app, &mail_name).await?) } else { None };
    let state = Confirming {
        purpose: request.purpose,
        target: request.target,
        session: FixedBytes(session.token_hash()),
        mail_name: mail_name.clone(),
        run,
        passkey: passkey_state,
        by_passkey,
        mailed: code.as_ref().map(|code| FixedBytes(sha256(&[code.as_bytes()]))),
    };
    let step_id = CeremonyId::new();
    let ceremony = app.ceremony(step_id, CEREMONY, Some(account.id), &state, LIFETIME)?;
    let kinds = match code {
        Some(code) => {
            if !places.is_empty() {
                app.begin_password_run(&mail_name, &caller.limit_net).await?;
            }
            let mail = app.code_notice(Some(&account), &Event::StepUpCode(code))?;
            app.store.add_ceremony_with_mail(&ceremony, &mail).await?;
            vec![MAILED_CODE.to_owned()]
        }
        None => {
            tries::begin_run(&app, &ceremony, &places, &mail_name, &caller).await?;
            if by_passkey { vec![PASSKEY.to_owned()] } else { presence::kinds(&app, account.id).await? }
        }
    };
    let kdf_profile = u32::try_from(account.kdf_profile).map_err(|_| Fault::Stored("stretching profile"))?;
    Ok(Json(StepUpStarted { step_id, kinds, credential_response, kdf_profile, passkey }))
}

/// A code to be mailed in place of a second factor.
async fn mailed_code(app: &App, mail_name: &str) -> Result<Zeroizing<String>, Failure> {
    if !app.sends_notices() {
        return Err(Code::FactorNoMail.into());
    }
    app.take(format!("step-up/mail/{mail_name}"), HOUR, app.limits().mailed_codes, Code::LimitRate).await?;
    Ok(notices::new_code())
}

/// `POST /v1/step-up/finish`
pub(super) async fn finish(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<StepUpFinishRequest>,
) -> Result<Json<SteppedUp>, Failure> {
    let (tries, over) = (app.limits().factor_tries, Code::StepupGrantUsed);
    let ceremony = tries::open(&app, request.step_id, CEREMONY, tries, over).await?;
    let state: Confirming = app.ceremony_state(&ceremony)?;
    if state.session.0 != session.token_hash() {
        return Err(over.into());
    }
    let account = session.account();
    let step = Step { app: &app, caller: &caller, session: &session, state: &state, request: &request };
    match step.end().await {
        Ok(stepped_up) => Ok(Json(stepped_up)),
        Err(failure) => {
            let act = Act::by_unknown(&caller, app.now(), audit::action::STEPUP_FAILED).on(&state.target);
            app.store.append_audit(account, &|head| act.link(head)).await?;
            Err(failure)
        }
    }
}

/// The proof of a step-up, and what comes of it.
struct Step<'a> {
    app: &'a App,
    caller: &'a Caller,
    session: &'a Session,
    state: &'a Confirming,
    request: &'a StepUpFinishRequest,
}

/// What was proven.
struct Shown {
    steps: Vec<(FactorId, i64)>,
    used: presence::Used,
    /// Which passkey opens the vault, where one does it.
    opens: Option<Vec<u8>>,
}

impl Step<'_> {
    async fn end(self) -> Result<SteppedUp, Failure> {
        let Self { app, caller, session, state, request } = self;
        let (account, over) = (session.account(), Code::StepupGrantUsed);
        // The password first: a wrong one must not use a code up.
        let password = prove_password(app, account, state, request);
        let by_code = request.kind == TOTP && state.mailed.is_none() && !state.by_passkey;
        let code_of = (by_code && password.is_ok()).then_some(account);
        let give_back = tries::take(app, request.step_id, CEREMONY, code_of, over).await?;
        password?;
        let Shown { steps, used, opens } = self.prove(by_code).await?;
        let (token, hash) = tokens::new_token();
        let now = app.now();
        let grant = Grant {
            hash,
            account_id: account,
            session_hash: session.token_hash(),
            purpose: state.purpose.name().to_owned(),
            target: state.target.clone(),
            confirmed_by: used.by,
            expires_at: now + i64::try_from(GRANT_SECONDS).unwrap_or(300) * SECOND,
        };
        let proven = Proven {
            account_id: account,
            ceremony: request.step_id,
            kind: CEREMONY.to_owned(),
            steps,
            give_back,
            clear: state.run.is_some().then(|| run_bucket(&state.mail_name)),
            gives: Gives::Grant(grant),
            now,
        };
        let act =
            Act::by_owner(account, caller, now, audit::action::STEPUP).on(&state.target).because(state.purpose.name());
        let completed = app.store.complete(&proven, &|head| act.link(head)).await;
        completed.map_err(|error| instead(error, Refusal::Ceremony, over))?;
        waits::owner_is_here(app, account, caller).await?;
        let opened = state.purpose.opens_vault();
        let slots = if opened { vault_slots(app, account, opens.as_deref()).await? } else { Vec::new() };
        let backup_codes_left = used.backup_codes_left;
        Ok(SteppedUp { grant: token, expires_in: GRANT_SECONDS, slots, backup_codes_left })
    }

    async fn prove(&self, by_code: bool) -> Result<Shown, Failure> {
        let Self { app, caller, session, state, request } = self;
        let account = session.account();
        if by_code {
            let steps = presence::steps_of(app, account, &request.code).await?;
            return Ok(Shown { steps, used: presence::Used { by: None, backup_codes_left: None }, opens: None });
        }
        let (used, opens) = if let Some(mailed) = &state.mailed {
            (use_mailed_code(app, account, mailed, request).await?, None)
        } else if request.kind == PASSKEY {
            use_passkey(app, account, caller, state, request).await?
        } else if state.by_passkey {
            return Err(Code::AuthInvalid.into());
        } else {
            (presence::use_code(app, account, caller, &request.kind, &request.code).await?, None)
        };
        Ok(Shown { steps: Vec::new(), used, opens })
    }
}

/// That the password was typed again, where it was asked for.
fn prove_password(
    app: &App,
    account: AccountId,
    state: &Confirming,
    request: &StepUpFinishRequest,
) -> Result<(), Failure> {
    match (&state.run, &request.credential_finalization) {
        (None, None) => Ok(()),
        (Some(run), Some(finalization)) => {
            app.finish_run(account, run.0.expose(), finalization)?;
            Ok(())
        }
        _ => Err(Code::AuthInvalid.into()),
    }
}

/// A passkey that answers this step-up's challenge. Where no password was given, it has to open the vault.
async fn use_passkey(
    app: &App,
    account: AccountId,
    caller: &Caller,
    state: &Confirming,
    request: &StepUpFinishRequest,
) -> Result<(presence::Used, Option<Vec<u8>>), Failure> {
    let challenge = state.passkey.as_ref().ok_or(Code::AuthInvalid)?;
    let assertion = request.assertion.as_ref().ok_or(Code::RequestInvalid)?;
    let used = passkeys::use_assertion(app, account, caller, challenge, assertion).await?;
    let opens = state.by_passkey.then_some(used.credential_id);
    if let Some(credential) = &opens {
        // Which ones were asked for binds the browser, not who answers: a passkey that opens nothing is not enough here.
        let slots = app.store.slots(account).await?;
        if !slots.iter().any(|slot| slot.credential_id.as_ref() == Some(credential)) {
            return Err(Code::AuthInvalid.into());
        }
    }
    Ok((presence::Used { by: Some(used.factor), backup_codes_left: None }, opens))
}

/// The mailed code that stands in for a second factor.
async fn use_mailed_code(
    app: &App,
    account: AccountId,
    mailed: &FixedBytes<32>,
    request: &StepUpFinishRequest,
) -> Result<presence::Used, Failure> {
    // Guesses count as wrong codes of an authenticator do; the ceremony has few tries and ends with the right one.
    let taken = app.take_totp_try(account).await?;
    let fits = bool::from(sha256(&[request.code.trim().as_bytes()])[..].ct_eq(&mailed.0[..]));
    if request.kind != MAILED_CODE || !fits {
        return Err(Code::AuthEmailCodeInvalid.into());
    }
    app.give_back(&taken).await?;
    Ok(presence::Used { by: None, backup_codes_left: None })
}

/// After the password all slots; without it the one of the passkey.
async fn vault_slots(app: &App, account: AccountId, passkey: Option<&[u8]>) -> Result<Vec<VaultSlot>, Failure> {
    let slot = |slot: &Slot| {
        Ok(VaultSlot {
            slot_id: slot.id,
            kind: slot.kind.clone(),
            salt: salt(slot)?,
            wrap_v: slot.wrap_v.clone().into(),
            credential_id: slot.credential_id.clone().map(Into::into),
        })
    };
    let mut slots = app.store.slots(account).await?;
    slots.retain(|slot| passkey.is_none() || slot.credential_id.as_deref() == passkey);
    slots.iter().map(slot).collect()
}
