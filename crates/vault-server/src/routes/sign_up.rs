//! Sign-up: an invite, a password by OPAQUE, the account's public keys, two slots.
//!
//! Nothing exists before `finish`; then account, statement, slots, audit entry and session appear in one transaction,
//! and the invite is spent in it.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use vault_protocol::limits::MAX_EMAIL_BYTES;
use vault_protocol::messages::{
    SignupFinishRequest, SignupFinished, SignupOpaqueAnswer, SignupOpaqueRequest, SignupStartRequest, SignupStarted,
    SignupVerified, SignupVerifyRequest, SlotUpload,
};
use vault_protocol::problem::Code;
use vault_protocol::statement::statement_hash;
use vault_protocol::{Bytes, CeremonyId, FixedBytes, Signed, audit, verify};
use vault_store::{Account, AccountId, KeyStatement, NewAccount, Refusal, SessionLevel, Slot};

use super::{instead, try_ceremony};
use crate::app::{App, Inner, KDF_PROFILES};
use crate::audit::Act;
use crate::clock::{HOUR, MINUTE};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::tokens;

/// Before the invite was checked.
const STARTED: &str = "signup/start";
/// After that; the name is the store's.
const VERIFIED: &str = "signup";
/// Time for an invite to be found.
const START_LIFETIME: i64 = 10 * MINUTE;
/// Time for a password to be thought of and a kit to be printed.
const VERIFIED_LIFETIME: i64 = HOUR;
/// Calls with one sign-up token; retries after lost answers included.
const TRIES: i64 = 20;
const SLOT_KIND_BYTES: usize = 32;
const WRAP_BYTES: std::ops::RangeInclusive<usize> = 48..=256;
const MAX_SLOTS: usize = 8;

#[derive(Serialize, Deserialize)]
struct Started {
    email_norm: String,
    invite: Option<FixedBytes<32>>,
}

#[derive(Serialize, Deserialize)]
struct Verified {
    email_norm: String,
    invite: FixedBytes<32>,
    account_id: AccountId,
}

/// An address in the one form it is looked up by; `None` when it cannot be one.
pub(crate) fn normalise_email(email: &str) -> Option<String> {
    let email = email.trim();
    let (name, domain) = email.rsplit_once('@')?;
    let fits = !name.is_empty()
        && !domain.is_empty()
        && email.len() <= MAX_EMAIL_BYTES
        && !email.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    fits.then(|| email.to_lowercase())
}

/// `POST /v1/signup/start`. The answer does not tell whether the address has an account.
pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<SignupStartRequest>,
) -> Result<Json<SignupStarted>, Failure> {
    app.take(format!("signup/net/{}", caller.limit_net), HOUR, app.limits().sign_up_per_net, Code::LimitRate).await?;
    let email_norm = normalise_email(&request.email).ok_or(Code::RequestInvalid)?;
    let invite = request.invite.map(|invite| FixedBytes(tokens::hash(invite.trim().as_bytes())));
    let signup_id = CeremonyId::new();
    let ceremony = app.ceremony(signup_id, STARTED, None, &Started { email_norm, invite }, START_LIFETIME)?;
    app.store.add_ceremony(&ceremony).await?;
    Ok(Json(SignupStarted { signup_id, code_mailed: false }))
}

/// `POST /v1/signup/verify`: the invite is looked at, and not spent yet.
pub(super) async fn verify(
    State(app): State<App>,
    Json(request): Json<SignupVerifyRequest>,
) -> Result<Json<SignupVerified>, Failure> {
    let over = Code::AuthEmailCodeInvalid;
    let ceremony = try_ceremony(&app, request.signup_id, STARTED, 1, over).await?;
    let Started { email_norm, invite } = app.ceremony_state(&ceremony)?;
    let invite = invite.ok_or(over)?;
    if !app.store.invite_is_open(invite.0, app.now()).await? {
        return Err(over.into());
    }
    // Random like the stand-ins of unknown addresses; see `Inner::stand_in`.
    let account_id = AccountId::from_bytes(*uuid::Uuid::new_v4().as_bytes());
    let (signup_token, _) = tokens::new_token();
    let id = ceremony_of(&signup_token);
    let state = Verified { email_norm, invite, account_id };
    let verified = app.ceremony(id, VERIFIED, Some(account_id), &state, VERIFIED_LIFETIME)?;
    app.store.add_ceremony(&verified).await?;
    let server = app.identity();
    Ok(Json(SignupVerified { signup_token, account_id, kdf_profiles: KDF_PROFILES.to_vec(), server }))
}

/// The token names its ceremony by its hash: the database holds nothing that could be presented.
pub(super) fn ceremony_of(signup_token: &[u8]) -> CeremonyId {
    let mut id = [0; 16];
    id.copy_from_slice(&tokens::hash(signup_token)[..16]);
    CeremonyId::from_bytes(id)
}

async fn verified(app: &App, signup_token: &Bytes) -> Result<(CeremonyId, Verified), Failure> {
    let id = ceremony_of(signup_token);
    let ceremony = try_ceremony(app, id, VERIFIED, TRIES, Code::AuthEmailCodeInvalid).await?;
    Ok((id, app.ceremony_state(&ceremony)?))
}

/// `POST /v1/signup/opaque`
pub(super) async fn register(
    State(app): State<App>,
    Json(request): Json<SignupOpaqueRequest>,
) -> Result<Json<SignupOpaqueAnswer>, Failure> {
    let (_, verified) = verified(&app, &request.signup_token).await?;
    let registration_response = app.register(verified.account_id, &request.registration_request)?;
    Ok(Json(SignupOpaqueAnswer { registration_response }))
}

/// `POST /v1/signup/finish`
pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<SignupFinishRequest>,
) -> Result<Json<SignupFinished>, Failure> {
    let (ceremony, verified) = verified(&app, &request.signup_token).await?;
    let account_id = verified.account_id;
    let now = app.now();
    let account = Account {
        id: account_id,
        email_norm: verified.email_norm,
        opaque_record: Inner::registration_record(&request.registration_record)?,
        kdf_profile: check_profile(request.kdf_profile)?,
        generation: 1,
        epoch: 1,
        two_factor: false,
        off_at: None,
        created_at: now,
    };
    let (session, granted) = app.new_session(account_id, account.epoch, SessionLevel::Enrol, &caller);
    let new = NewAccount {
        account,
        statement: statement_row(account_id, &request.key_statement, 1, None)?,
        slots: slots(account_id, &request, now)?,
        invite: Some(verified.invite.0),
        ceremony,
        session,
    };
    let act = Act::by_owner(account_id, &caller, now, audit::action::SIGNUP);
    let made = app.store.create_account(&new, now, &|head| act.link(head)).await;
    made.map_err(|error| instead(error, Refusal::Ceremony, Code::AuthEmailCodeInvalid))?;
    Ok(Json(SignupFinished { session: granted, must: vec!["enrol_factor".to_owned()] }))
}

pub(super) fn check_profile(profile: u32) -> Result<i64, Failure> {
    if KDF_PROFILES.contains(&profile) { Ok(profile.into()) } else { Err(Code::RequestInvalid.into()) }
}

/// The row of a statement that is signed by the identity key it names, about this account, of this generation, and names the one
/// before.
pub(super) fn statement_row(
    account_id: AccountId,
    signed: &Signed,
    generation: i64,
    previous_hash: Option<[u8; 32]>,
) -> Result<KeyStatement, Failure> {
    let statement = verify::key_statement(signed, account_id).map_err(|_| Code::RequestInvalid)?;
    if i64::from(statement.generation) != generation || statement.previous_hash.map(|hash| hash.0) != previous_hash {
        return Err(Code::RequestInvalid.into());
    }
    Ok(KeyStatement {
        account_id,
        generation,
        body: signed.payload.0.clone(),
        signature: serde_json::to_vec(signed).map_err(|_| Fault::Made("a key statement"))?,
        previous_signature: None,
        hash: statement_hash(signed),
    })
}

/// Two at least, of different kinds, one of them not the password: losing one thing must not lose the account.
fn slots(account_id: AccountId, request: &SignupFinishRequest, now: i64) -> Result<Vec<Slot>, Failure> {
    let kinds: std::collections::BTreeSet<&str> = request.slots.iter().map(|slot| slot.kind.as_str()).collect();
    let fits = kinds.len() == request.slots.len()
        && request.slots.iter().all(|slot| slot.credential_id.is_none())
        && (2..=MAX_SLOTS).contains(&kinds.len())
        && kinds.contains("password")
        && kinds.contains("kit");
    if !fits {
        return Err(Code::RequestInvalid.into());
    }
    let slot = |upload: &SlotUpload| {
        let proof_hash = (upload.kind == "kit").then_some(request.kit_proof_hash);
        slot_row(account_id, upload, 1, proof_hash, now).ok_or_else(|| Code::RequestInvalid.into())
    };
    request.slots.iter().map(slot).collect()
}

/// The row of a slot; `None` when it cannot be one.
pub(super) fn slot_row(
    account_id: AccountId,
    upload: &SlotUpload,
    generation: i64,
    proof_hash: Option<FixedBytes<32>>,
    now: i64,
) -> Option<Slot> {
    is_slot(upload).then(|| Slot {
        id: upload.slot_id,
        account_id,
        kind: upload.kind.clone(),
        salt: upload.salt.0.to_vec(),
        wrap_c: upload.wrap_c.0.clone(),
        wrap_v: upload.wrap_v.0.clone(),
        credential_id: upload.credential_id.as_ref().map(|id| id.0.clone()),
        proof_hash: proof_hash.map(|hash| hash.0.to_vec()),
        generation,
        created_at: now,
    })
}

fn is_slot(slot: &SlotUpload) -> bool {
    (1..=SLOT_KIND_BYTES).contains(&slot.kind.len())
        && WRAP_BYTES.contains(&slot.wrap_c.len())
        && WRAP_BYTES.contains(&slot.wrap_v.len())
}

#[cfg(test)]
mod tests {
    use super::normalise_email;

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(normalise_email("  Ada@Example.ORG ").as_deref(), Some("ada@example.org"));
        assert_eq!(normalise_email("a@b@example.org").as_deref(), Some("a@b@example.org"));
        for bad in ["", "@", "ada", "ada@", "@example.org", "a da@example.org", "ada@exam\nple.org"] {
            assert_eq!(normalise_email(bad), None, "{bad:?}");
        }
        assert_eq!(normalise_email(&format!("{}@example.org", "a".repeat(254))), None);
    }
}
