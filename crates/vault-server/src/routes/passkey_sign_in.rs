//! Sign-in by passkey alone: with user verification it is something the person has and knows or is, so it counts as both factors.
//!
//! Nothing is asked before the proof, so nothing can be found out about who has an account. Whatever is wrong with a proof, the
//! answer is the same.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::{
    LoginFactorRequest, PasskeyAssertion, PasskeyLoggedIn, PasskeyLoginFinishRequest, PasskeyLoginStartRequest,
    PasskeyLoginStarted,
};
use vault_protocol::problem::Code;
use vault_protocol::{CeremonyId, audit};
use vault_store::{Account, AccountId, SessionLevel};

use super::sign_in::{logged_in, note_failure, proven_factor_step};
use super::try_ceremony;
use crate::app::App;
use crate::audit::Act;
use crate::authority::open_session;
use crate::clock::MINUTE;
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::passkeys::{self, Challenge, UsedPasskey};
use crate::waits;

const CEREMONY: &str = "login/passkey";
const LIFETIME: i64 = 5 * MINUTE;
/// A challenge is good once.
const TRIES: i64 = 1;

#[derive(Serialize, Deserialize)]
struct SigningIn {
    challenge: Challenge,
}

/// `POST /v1/login/passkey/start`
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(_): Json<PasskeyLoginStartRequest>,
) -> Result<Json<PasskeyLoginStarted>, Failure> {
    let places = app.limits().sign_in_per_net;
    app.take(format!("login/net/{}", caller.limit_net), MINUTE, places, Code::LimitRate).await?;
    let (options, challenge) = passkeys::challenge(&app, [])?;
    let login_id = CeremonyId::new();
    let state = SigningIn { challenge };
    app.store.add_ceremony(&app.ceremony(login_id, CEREMONY, None, &state, LIFETIME)?).await?;
    Ok(Json(PasskeyLoginStarted { login_id, options, server: app.identity() }))
}

/// `POST /v1/login/passkey/finish`
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<PasskeyLoginFinishRequest>,
) -> Result<Json<PasskeyLoggedIn>, Failure> {
    // As it was before the proof: a passkey that is removed meanwhile begins no session of the epoch after that.
    let (account, _) = prove(&app, &caller, request.login_id, &request.assertion).await?;
    app.store.end_ceremony(request.login_id, CEREMONY, app.now()).await?;
    // The audit entry comes first: no session exists that the owner cannot see.
    let act = Act::by_owner(account.id, &caller, app.now(), audit::action::LOGIN).because("passkey");
    app.store.append_audit(account.id, &|head| act.link(head)).await?;
    let session = open_session(&app, &account, SessionLevel::Full, &caller).await?;
    let login = logged_in(&app, &account, session, None).await?;
    // One that opens nothing does not show that what opens the account is there.
    if login.slots.iter().any(|slot| slot.credential_id.as_ref() == Some(&request.assertion.id)) {
        waits::owner_is_here(&app, account.id, &caller).await?;
    }
    Ok(Json(PasskeyLoggedIn { account_id: account.id, email: account.email_norm, login }))
}

/// Whose passkey answered this challenge. The authenticator says whose it is; the passkey has to be one of that account's.
async fn prove(
    app: &App,
    caller: &Caller,
    login_id: CeremonyId,
    assertion: &PasskeyAssertion,
) -> Result<(Account, UsedPasskey), Failure> {
    let ceremony = try_ceremony(app, login_id, CEREMONY, TRIES, Code::AuthSessionExpired).await?;
    let state: SigningIn = app.ceremony_state(&ceremony)?;
    let handle = assertion.user_handle.as_ref().ok_or(Code::AuthInvalid)?;
    let account_id = AccountId::from_bytes(handle.0.as_slice().try_into().map_err(|_| Code::AuthInvalid)?);
    let account = app.store.account(account_id).await?;
    // Looked for either way, so that both ways take the same time.
    let used = passkeys::use_assertion(app, account_id, caller, &state.challenge, assertion).await;
    match (account, used) {
        (Some(account), Ok(used)) => Ok((account, used)),
        (Some(_), Err(failure)) => {
            // A try that names a passkey of the account belongs into its trail; a made-up name must not fill it.
            let passkeys = app.store.passkeys(account_id).await?;
            if passkeys.iter().any(|passkey| passkey.credential_id == assertion.id.0) {
                note_failure(app, account_id, caller, "passkey").await?;
            }
            Err(failure)
        }
        (None, _) => Err(Code::AuthInvalid.into()),
    }
}

/// For a body that is refused for what else is in it: whose sign-in it would have finished.
pub(crate) async fn proven_sign_in(app: &App, caller: &Caller, body: &[u8]) -> Result<Option<AccountId>, Failure> {
    let proven = if let Ok(request) = serde_json::from_slice::<LoginFactorRequest>(body) {
        proven_factor_step(app, caller, &request).await
    } else if let Ok(request) = serde_json::from_slice::<PasskeyLoginFinishRequest>(body) {
        prove(app, caller, request.login_id, &request.assertion).await.map(|(account, _)| account.id)
    } else {
        return Ok(None);
    };
    match proven {
        Ok(account) => Ok(Some(account)),
        Err(Failure::Fault(fault)) => Err(fault.into()),
        Err(_) => Ok(None),
    }
}
