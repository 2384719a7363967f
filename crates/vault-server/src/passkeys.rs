//! Passkeys: the service's side of WebAuthn (Level 3, 7.1 and 7.2).
//!
//! The library checks kind, challenge, origin, relying party, presence, verification, algorithm and signature. Here is what it leaves
//! to its caller: that the page was not embedded in another one's, whose passkey it is, and the counter, which is compared and
//! advanced in the database so that no two answers can carry the same one.

use serde::{Deserialize, Serialize};
use url::Url;
use vault_protocol::messages::{
    PUBLIC_KEY, PasskeyAlgorithm, PasskeyAssertion, PasskeyCreation, PasskeyCredential, PasskeyDescriptor,
    PasskeyRequest, PasskeySelection, PasskeyUser, REQUIRED, RelyingParty, rp_id,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, audit};
use vault_store::{Account, AccountId, FactorId, Passkey};
use webauthn_rs::prelude::{
    Credential, DiscoverableAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Uuid, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};
use webauthn_rs_proto::{AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw};

use crate::app::App;
use crate::audit::Act;
use crate::failure::{Failure, Fault};
use crate::http::Caller;
use crate::notices::Event;
use crate::waits;

/// What an authenticator shows as the service's name.
const NAME: &str = "Keyhaven";
/// How long the person may take; the ceremony ends at about the same time.
const TIMEOUT_MS: u32 = 300_000;
/// Longest credential identifier (WebAuthn 5.8.3).
const CREDENTIAL_ID_BYTES: std::ops::RangeInclusive<usize> = 1..=1023;

/// What is sealed in a passkey's row.
#[derive(Serialize, Deserialize)]
struct PasskeyData {
    passkey: webauthn_rs::prelude::Passkey,
}

/// A challenge that was given out; part of the sealed state of its ceremony.
#[derive(Serialize, Deserialize)]
pub(crate) struct Challenge(DiscoverableAuthentication);

/// An enrolment that was begun; part of the sealed state of its ceremony.
#[derive(Serialize, Deserialize)]
pub(crate) struct Enrolment(PasskeyRegistration);

/// A passkey that an authenticator made.
pub(crate) struct Enrolled {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) counter: i64,
    pub(crate) data_sealed: Vec<u8>,
}

/// A passkey that proved itself.
#[derive(Debug)]
pub(crate) struct UsedPasskey {
    pub(crate) factor: FactorId,
    pub(crate) credential_id: Vec<u8>,
}

/// The library's service for this origin; `None` where WebAuthn does not work.
pub(crate) fn relying_party(origin: &str) -> Option<Webauthn> {
    let id = rp_id(origin)?;
    let origin = Url::parse(origin).ok()?;
    WebauthnBuilder::new(id, &origin).ok()?.rp_name(NAME).build().ok()
}

/// Begins to add a passkey to an account.
pub(crate) fn begin_enrolment(
    app: &App,
    account: &Account,
    present: &[Passkey],
) -> Result<(PasskeyCreation, Enrolment), Failure> {
    let webauthn = app.webauthn()?;
    let exclude = present.iter().map(|passkey| passkey.credential_id.clone()).collect();
    let id = Uuid::from_bytes(*account.id.as_bytes());
    let begun = webauthn.start_passkey_registration(id, &account.email_norm, &account.email_norm, Some(exclude));
    let (options, state) = begun.map_err(|_| Fault::Made("a passkey's enrolment"))?;
    let options = options.public_key;
    let algorithm = |alg| PasskeyAlgorithm { kind: PUBLIC_KEY.to_owned(), alg };
    let options = PasskeyCreation {
        rp: RelyingParty { id: options.rp.id, name: options.rp.name },
        user: PasskeyUser {
            id: Bytes(account.id.as_bytes().to_vec()),
            name: account.email_norm.clone(),
            display_name: account.email_norm.clone(),
        },
        challenge: Bytes(options.challenge),
        algorithms: options.pub_key_cred_params.iter().map(|parameter| algorithm(parameter.alg)).collect(),
        timeout_ms: TIMEOUT_MS,
        exclude: present.iter().map(descriptor).collect(),
        selection: PasskeySelection {
            resident_key: REQUIRED.to_owned(),
            require_resident_key: true,
            user_verification: REQUIRED.to_owned(),
        },
        attestation: "none".to_owned(),
    };
    Ok((options, Enrolment(state)))
}

/// Checks what an authenticator made.
pub(crate) fn finish_enrolment(
    app: &App,
    factor: FactorId,
    enrolment: &Enrolment,
    made: &PasskeyCredential,
) -> Result<Enrolled, Failure> {
    if !CREDENTIAL_ID_BYTES.contains(&made.id.len()) || !is_first_hand(&made.client_data_json) {
        return Err(Code::AuthInvalid.into());
    }
    let credential = RegisterPublicKeyCredential {
        id: String::new(),
        raw_id: made.id.0.clone(),
        response: AuthenticatorAttestationResponseRaw {
            attestation_object: made.attestation_object.0.clone(),
            client_data_json: made.client_data_json.0.clone(),
            transports: None,
        },
        type_: PUBLIC_KEY.to_owned(),
        extensions: Default::default(),
    };
    let passkey = app
        .webauthn()?
        .finish_passkey_registration(&credential, &enrolment.0)
        .map_err(|error| refused("enrolment", &error))?;
    // The name that was sent beside is the one that was made.
    if *passkey.cred_id() != made.id.0 {
        return Err(Code::AuthInvalid.into());
    }
    let counter = Credential::from(passkey.clone()).counter.into();
    let data_sealed = app.seal_factor(factor, &PasskeyData { passkey })?;
    Ok(Enrolled { credential_id: made.id.0.clone(), counter, data_sealed })
}

/// A new challenge for these passkeys, or for whichever the authenticator finds by itself.
pub(crate) fn challenge<'a>(
    app: &App,
    allow: impl IntoIterator<Item = &'a Passkey>,
) -> Result<(PasskeyRequest, Challenge), Failure> {
    let begun = app.webauthn()?.start_discoverable_authentication();
    let (options, state) = begun.map_err(|_| Fault::Made("a passkey's challenge"))?;
    let request = PasskeyRequest {
        challenge: Bytes(options.public_key.challenge),
        timeout_ms: TIMEOUT_MS,
        rp_id: options.public_key.rp_id,
        allow: allow.into_iter().map(descriptor).collect(),
        user_verification: REQUIRED.to_owned(),
    };
    Ok((request, Challenge(state)))
}

/// A challenge for an account's passkeys, where it has some.
pub(crate) fn challenge_for(app: &App, passkeys: &[Passkey]) -> Result<Option<(PasskeyRequest, Challenge)>, Failure> {
    if passkeys.is_empty() { Ok(None) } else { challenge(app, passkeys).map(Some) }
}

fn descriptor(passkey: &Passkey) -> PasskeyDescriptor {
    PasskeyDescriptor { kind: PUBLIC_KEY.to_owned(), id: Bytes(passkey.credential_id.clone()) }
}

/// Accepts the answer of one of the account's passkeys, once. Whatever is wrong with it, the caller learns the same.
pub(crate) async fn use_assertion(
    app: &App,
    account: AccountId,
    caller: &Caller,
    challenge: &Challenge,
    assertion: &PasskeyAssertion,
) -> Result<UsedPasskey, Failure> {
    let passkeys = app.store.passkeys(account).await?;
    let passkey = passkeys
        .iter()
        .find(|passkey| passkey.credential_id == assertion.id.0)
        .ok_or(Failure::Said(Code::AuthInvalid))?;
    let rose = match verify(app, account, passkey, challenge, assertion)? {
        Some(counter) => app.store.use_passkey(account, passkey.factor.id, counter, app.now()).await?,
        None => false,
    };
    if !rose {
        return Err(counter_back(app, account, caller, passkey).await?);
    }
    waits::factor_was_used(app, account, caller).await?;
    Ok(UsedPasskey { factor: passkey.factor.id, credential_id: passkey.credential_id.clone() })
}

/// Everything but the last word about the counter, which it returns; `None` when it is behind the one of the enrolment.
fn verify(
    app: &App,
    account: AccountId,
    passkey: &Passkey,
    challenge: &Challenge,
    assertion: &PasskeyAssertion,
) -> Result<Option<i64>, Failure> {
    let is_theirs = assertion.user_handle.as_ref().is_none_or(|handle| handle.0 == account.as_bytes());
    if !is_theirs || !is_first_hand(&assertion.client_data_json) {
        return Err(Code::AuthInvalid.into());
    }
    let data: PasskeyData = app.open_factor(&passkey.factor)?;
    let answer = PublicKeyCredential {
        id: String::new(),
        raw_id: assertion.id.0.clone(),
        response: AuthenticatorAssertionResponseRaw {
            authenticator_data: assertion.authenticator_data.0.clone(),
            client_data_json: assertion.client_data_json.0.clone(),
            signature: assertion.signature.0.clone(),
            user_handle: assertion.user_handle.as_ref().map(|handle| handle.0.clone()),
        },
        extensions: Default::default(),
        type_: PUBLIC_KEY.to_owned(),
    };
    let webauthn = app.webauthn()?;
    match webauthn.finish_discoverable_authentication_v2(&answer, challenge.0.clone(), &data.passkey) {
        Ok(proven) if proven.user_verified() => Ok(Some(proven.counter().into())),
        Ok(_) => Err(Code::AuthInvalid.into()),
        Err(WebauthnError::CredentialPossibleCompromise) => Ok(None),
        Err(error) => Err(refused("answer", &error)),
    }
}

/// A copy of the passkey may be about: the owner is told, whoever asked learns nothing.
async fn counter_back(app: &App, account: AccountId, caller: &Caller, passkey: &Passkey) -> Result<Failure, Failure> {
    let act = Act::by_unknown(caller, app.now(), audit::action::PASSKEY_COUNTER_BACK)
        .on(passkey.factor.id)
        .telling(app.notice_to(account, &Event::PasskeyCounterBack).await?);
    app.store.append_audit(account, &|head| act.link(head)).await?;
    Ok(Code::AuthInvalid.into())
}

/// The library's reason goes to the log: its texts hold no data of the request.
fn refused(what: &'static str, error: &WebauthnError) -> Failure {
    tracing::debug!(what, kind = ?std::mem::discriminant(error), "a passkey was refused");
    Code::AuthInvalid.into()
}

/// Whether the page that asked was one of the service itself, not embedded in another one's.
fn is_first_hand(client_data_json: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Embedding {
        #[serde(default)]
        cross_origin: bool,
        #[serde(default)]
        top_origin: Option<serde_json::Value>,
    }
    serde_json::from_slice::<Embedding>(client_data_json)
        .is_ok_and(|seen| !seen.cross_origin && seen.top_origin.is_none())
}
