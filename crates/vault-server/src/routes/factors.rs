//! Second factors: list, add a TOTP factor, remove one.
//!
//! Adding the first needs the session that sign-up ended with, adding one in place of a lost one a sign-in with a backup
//! code; every other change needs a step-up. Every change raises the
//! epoch, which ends all other sessions.

use axum::extract::State;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use vault_protocol::limits::MAX_FACTORS;
use vault_protocol::messages::{
    FactorList, FactorRemoveRequest, FactorView, FactorsChanged, PasskeyView, Purpose, TotpFinishRequest,
    TotpStartRequest, TotpStarted,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, CeremonyId, audit};
use vault_store::{AddFactor, Factor, FactorId, GrantUse, Refusal, RemoveFactor, SessionLevel};

use super::{change, instead};
use crate::app::App;
use crate::audit::Act;
use crate::authority::{AnySession, GrantedAct, SteppedUp};
use crate::clock::{MINUTE, SECOND};
use crate::failure::Failure;
use crate::http::{Caller, Json};
use crate::notices::Event;
use crate::presence::{TOTP, TotpData};
use crate::secret_field::SecretField;
use crate::{tokens, totp};

const CEREMONY: &str = "totp";
/// Time to get an authenticator ready.
const LIFETIME: i64 = 30 * MINUTE;
/// Pairs of codes that may be wrong.
const TRIES: i64 = 10;
const LABEL_LETTERS: usize = 64;
/// What an authenticator shows above the code.
const ISSUER: &str = "Keyhaven";

#[derive(Serialize, Deserialize)]
struct TotpState {
    label: String,
    first: bool,
    secret: SecretField,
}

/// `GET /v1/factors`
pub(super) async fn list(State(app): State<App>, session: AnySession) -> Result<Json<FactorList>, Failure> {
    let view = |factor: Factor| FactorView {
        factor_id: factor.id,
        kind: factor.kind,
        label: factor.label,
        created_at: factor.created_at,
        used_at: factor.used_at,
    };
    let factors = app.store.factors(session.account()).await?.into_iter().map(view).collect();
    let slots = app.store.slots(session.account()).await?;
    let passkeys = app.store.passkeys(session.account()).await?.into_iter().map(|passkey| PasskeyView {
        factor_id: passkey.factor.id,
        opens_vault: slots.iter().any(|slot| slot.credential_id.as_ref() == Some(&passkey.credential_id)),
        credential_id: passkey.credential_id.into(),
    });
    let passkeys = passkeys.collect();
    let left = app.store.backup_codes_left(session.account()).await?;
    Ok(Json(FactorList {
        factors,
        passkeys,
        backup_codes_left: u32::try_from(left).unwrap_or(0),
        add_needs_step_up: session.level() == SessionLevel::Full,
    }))
}

/// `POST /v1/factors/totp/start`
pub(super) async fn totp_start(
    State(app): State<App>,
    session: AnySession,
    Json(request): Json<TotpStartRequest>,
) -> Result<Json<TotpStarted>, Failure> {
    let (label, first) = begin_adding(&app, session, &request.label, request.grant.as_ref(), TOTP).await?;
    let account = app.store.account(session.account()).await?.ok_or(Code::AuthSessionExpired)?;
    let secret = totp::new_secret();
    let text = BASE32_NOPAD.encode(secret.expose());
    let uri = otpauth(&account.email_norm, &text);
    let state = TotpState { label, first, secret: SecretField(secret) };
    let ceremony_id = change::begin(&app, session.into(), CEREMONY, state, LIFETIME).await?;
    Ok(Json(TotpStarted { ceremony_id, secret: text, uri }))
}

/// Before a factor of some kind is added: its name, and whether it has to be the first one. A later one needs a grant.
pub(super) async fn begin_adding(
    app: &App,
    session: AnySession,
    label: &str,
    grant: Option<&Bytes>,
    kind: &str,
) -> Result<(String, bool), Failure> {
    let label = label.trim().to_owned();
    if label.is_empty() || label.chars().count() > LABEL_LETTERS || label.chars().any(char::is_control) {
        return Err(Code::RequestInvalid.into());
    }
    let factors = app.store.factors(session.account()).await?;
    // Told before the person gets the authenticator out; the store decides.
    // Those that are lost make room for the new one.
    let resets = app.store.finishes_reset(session.token_hash()).await?;
    if !resets && factors.iter().any(|factor| factor.label == label) {
        return Err(Code::FactorLabelTaken.into());
    }
    if !resets && factors.len() >= max_factors(session) {
        return Err(Code::FactorTooMany.into());
    }
    if session.level() == SessionLevel::Full {
        spend_grant(app, session, grant, kind).await?;
    }
    Ok((label, session.level() == SessionLevel::Enrol))
}

/// One more where a backup code stood in for factors that are lost: such a session cannot remove any of them first.
fn max_factors(session: AnySession) -> usize {
    MAX_FACTORS + usize::from(session.level() == SessionLevel::FactorsOnly)
}

/// A later factor needs a fresh proof of an earlier one.
async fn spend_grant(app: &App, session: AnySession, grant: Option<&Bytes>, kind: &str) -> Result<(), Failure> {
    let grant = grant.ok_or(Code::StepupRequired)?;
    let presented = GrantUse {
        hash: tokens::hash(grant),
        account_id: session.account(),
        session_hash: session.token_hash(),
        purpose: Purpose::Factors.name().to_owned(),
        target: kind.to_owned(),
        now: app.now(),
    };
    Ok(app.store.spend_grant(&presented).await?)
}

/// The link that authenticators read, as their common key URI format has it.
fn otpauth(email: &str, secret: &str) -> String {
    let email = percent_encoded(email);
    format!("otpauth://totp/{ISSUER}:{email}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30")
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `POST /v1/factors/totp/finish`
pub(super) async fn totp_finish(
    State(app): State<App>,
    session: AnySession,
    caller: Caller,
    Json(request): Json<TotpFinishRequest>,
) -> Result<Json<FactorsChanged>, Failure> {
    let state: TotpState = change::go_on(&app, session.into(), request.ceremony_id, CEREMONY, TRIES).await?;
    let [first_code, second_code] = &request.codes;
    let secret = &state.secret.0;
    let shown = app.clock_ms();
    let step = totp::matching_pair(secret, first_code, second_code, shown).ok_or_else(|| {
        let drift = totp::pair_drift(secret, first_code, second_code, shown);
        drift.map_or(Failure::Said(Code::FactorCodeWrong), |steps| Failure::Drift(steps * totp::STEP_MS / SECOND))
    })?;
    let id = FactorId::from_bytes(*uuid::Uuid::new_v4().as_bytes());
    let new = NewFactor {
        id,
        kind: TOTP,
        label: state.label,
        data_sealed: app.seal_factor(id, &TotpData { secret: state.secret })?,
        last_step: Some(step),
        first: state.first,
        ceremony: (request.ceremony_id, CEREMONY),
    };
    let (add, act, changed) = addition(&app, session, &caller, new).await?;
    app.store.add_factor(&add, &|head| act.link(head)).await?;
    Ok(Json(changed))
}

/// A factor that was proven, of whatever kind.
pub(super) struct NewFactor {
    pub(super) id: FactorId,
    pub(super) kind: &'static str,
    pub(super) label: String,
    pub(super) data_sealed: Vec<u8>,
    pub(super) last_step: Option<i64>,
    pub(super) first: bool,
    pub(super) ceremony: (CeremonyId, &'static str),
}

/// The row of a new factor, the act that adds it, and the answer once it is added.
pub(super) async fn addition(
    app: &App,
    session: AnySession,
    caller: &Caller,
    new: NewFactor,
) -> Result<(AddFactor, Act, FactorsChanged), Failure> {
    let (account_id, now) = (session.account(), app.now());
    // The store sets the epoch: only it knows which one the change begins.
    let (next, granted) = app.new_session(account_id, 0, SessionLevel::Full, caller);
    let (ceremony, ceremony_kind) = new.ceremony;
    let add = AddFactor {
        factor: Factor {
            id: new.id,
            account_id,
            kind: new.kind.to_owned(),
            label: new.label,
            data_sealed: new.data_sealed,
            last_step: new.last_step,
            created_at: now,
            used_at: None,
        },
        ceremony,
        ceremony_kind: ceremony_kind.to_owned(),
        first: new.first,
        max_factors: i64::try_from(max_factors(session)).unwrap_or(i64::MAX),
        from_session: session.token_hash(),
        session: next,
        now,
    };
    let act = Act::by_owner(account_id, caller, now, audit::action::FACTOR_ADDED).on(new.id);
    let (act, event) = if app.store.finishes_reset(session.token_hash()).await? {
        (act.because("reset"), Event::ResetDone)
    } else {
        (act, Event::FactorAdded)
    };
    let act = act.telling(app.notice_to(account_id, &event).await?);
    Ok((add, act, FactorsChanged { session: granted, factor_id: Some(new.id) }))
}

impl GrantedAct for FactorRemoveRequest {
    const PURPOSE: Purpose = Purpose::Factors;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, path_id: &str) -> String {
        path_id.to_owned()
    }
}

/// `POST /v1/factors/{id}/remove`
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<FactorRemoveRequest>,
) -> Result<Json<FactorsChanged>, Failure> {
    let account = stepped_up.session().account();
    let factor: FactorId = stepped_up.grant().target.parse().map_err(|_| Code::NotFound)?;
    let (session, granted) = app.new_session(account, 0, SessionLevel::Full, &caller);
    let remove = RemoveFactor { factor, grant: stepped_up.grant().clone(), session };
    let act = Act::by_owner(account, &caller, app.now(), audit::action::FACTOR_REMOVED)
        .on(factor)
        .telling(app.notice_to(account, &Event::FactorRemoved).await?);
    let removed = app.store.remove_factor(&remove, &|head| act.link(head)).await;
    removed.map_err(|error| instead(error, Refusal::NotFound, Code::NotFound))?;
    Ok(Json(FactorsChanged { session: granted, factor_id: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_survives_any_address() {
        assert_eq!(
            otpauth("a+b@example.org", "GEZDGNBV"),
            "otpauth://totp/Keyhaven:a%2Bb%40example.org?secret=GEZDGNBV&issuer=Keyhaven&algorithm=SHA1&digits=6&period=30"
        );
    }
}
