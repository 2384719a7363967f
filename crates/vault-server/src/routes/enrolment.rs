//! Enrolling a device by code (the flow of RFC 8628), with both sides authenticated by a secret that the service never
//! sees: it passes the tags on and can neither make nor check them.

use axum::extract::State;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use vault_protocol::device::{CAPABILITY_APPEND, CODE_ALPHABET, CODE_LETTERS, normalise_code};
use vault_protocol::limits::{DEVICE_CODE_SECONDS, MAX_DEVICE_TRIES, POLL_SECONDS};
use vault_protocol::messages::{
    ClientInfo, DeviceApproveRequest, DeviceCodeAnswer, DeviceCodeRequest, DeviceEnrolled, DeviceHelloRequest,
    DevicePending, DevicePendingRequest, DeviceTokenAnswer, DeviceTokenRequest, Purpose,
};
use vault_protocol::problem::Code;
use vault_protocol::{Bytes, FixedBytes, PublicKey};
use vault_store::{CodeAnswer, DeviceCode, DeviceCodeState, Refusal};

use super::devices::{BOX_KEY_BYTES, enrol_certified, is_device_name};
use super::sign_in::current_statement;
use crate::app::App;
use crate::authority::{GrantedAct, Session, SteppedUp};
use crate::clock::{HOUR, MINUTE, SECOND};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json, Path};
use crate::tokens;

/// User codes are drawn again when one is in use; of 20^8 hardly any is.
const DRAWS: u32 = 8;
const CLIENT_WORD_BYTES: usize = 64;
/// A device that asks this much earlier than told is still on time: networks are uneven.
const POLL_SLACK: i64 = 2 * SECOND;

/// What the device said about itself, as it is kept.
#[derive(Serialize, Deserialize)]
struct About {
    client: ClientInfo,
    name: String,
    capability: String,
    device_pk: PublicKey,
}

/// `POST /v1/device/code`
pub(super) async fn code(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<DeviceCodeRequest>,
) -> Result<Json<DeviceCodeAnswer>, Failure> {
    let places = app.limits().device_codes_per_net;
    app.take(format!("device/net/{}", caller.limit_net), HOUR, places, Code::LimitRate).await?;
    check_request(&request)?;
    let (device_code, hash) = tokens::new_token();
    let lifetime = i64::try_from(DEVICE_CODE_SECONDS).unwrap_or(600) * SECOND;
    let about = About {
        client: request.client,
        name: request.name,
        capability: request.capability,
        device_pk: request.device_pk.clone(),
    };
    let mut row = DeviceCode {
        hash,
        user_code: String::new(),
        device_pk: request.device_pk.bytes().to_vec(),
        alg: algorithm(&request.device_pk).to_owned(),
        box_pk: request.box_pk.0,
        nonce: request.nonce.0.to_vec(),
        request: serde_json::to_vec(&about).map_err(|_| Fault::Made("an enrolment"))?,
        tag_h: None,
        account_id: None,
        answer: None,
        state: DeviceCodeState::Pending,
        polled_at: None,
        expires_at: app.now() + lifetime,
    };
    for _ in 0..DRAWS {
        row.user_code = draw_user_code();
        match app.store.add_device_code(&row).await {
            Err(vault_store::Error::Refused(Refusal::IdTaken)) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => {
                return Ok(Json(DeviceCodeAnswer {
                    device_code,
                    user_code: row.user_code,
                    verification_uri: format!("{}/device", app.origin()),
                    expires_in: DEVICE_CODE_SECONDS,
                    interval: POLL_SECONDS,
                }));
            }
        }
    }
    Err(Code::ServerBusy.into())
}

fn check_request(request: &DeviceCodeRequest) -> Result<(), Failure> {
    if request.capability != CAPABILITY_APPEND {
        return Err(Code::DeviceCapability.into());
    }
    let ClientInfo { name, version } = &request.client;
    let fits = matches!(request.device_pk, PublicKey::Ed25519(_))
        && request.box_pk.len() == BOX_KEY_BYTES
        && is_device_name(&request.name)
        && [name, version].iter().all(|word| word.len() <= CLIENT_WORD_BYTES);
    if fits { Ok(()) } else { Err(Code::RequestInvalid.into()) }
}

/// The store's word for a kind of key.
pub(super) fn algorithm(key: &PublicKey) -> &'static str {
    match key {
        PublicKey::Ed25519(_) => "ed25519",
        PublicKey::Es256(_) => "es256",
    }
}

/// Eight letters, each as likely as any other: bytes that would favour some letters are thrown away.
fn draw_user_code() -> String {
    let letters = CODE_ALPHABET.len();
    let fair = 256 - 256 % letters;
    let mut code = String::with_capacity(CODE_LETTERS);
    while code.len() < CODE_LETTERS {
        let mut byte = [0];
        secret::random_bytes(&mut byte);
        let value = usize::from(byte[0]);
        if value < fair {
            code.push(char::from(CODE_ALPHABET[value % letters]));
        }
    }
    code
}

/// `PUT /v1/device/code/{code}/hello`
pub(super) async fn hello(
    State(app): State<App>,
    Path(code): Path<String>,
    Json(request): Json<DeviceHelloRequest>,
) -> Result<Json<()>, Failure> {
    let code = BASE64URL_NOPAD.decode(code.as_bytes()).map_err(|_| Code::DeviceCodeExpired)?;
    app.store.set_device_code_tag(tokens::hash(&code), &request.tag_h.0, app.now()).await?;
    Ok(Json(()))
}

/// `POST /v1/device/pending`. The code belongs to the first account that asks.
pub(super) async fn pending(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<DevicePendingRequest>,
) -> Result<Json<DevicePending>, Failure> {
    let places = app.limits().user_codes;
    for who in [format!("net/{}", caller.limit_net), session.account().to_string()] {
        app.take(format!("device/guess/{who}"), MINUTE, places, Code::LimitRate).await?;
    }
    let user_code = normalise_code(&request.user_code).ok_or(Code::DeviceCodeExpired)?;
    let tries = MAX_DEVICE_TRIES.into();
    let row = app.store.claim_device_code(&user_code, session.account(), app.now(), tries).await?;
    let about: About = serde_json::from_slice(&row.request).map_err(|_| Fault::Stored("enrolment"))?;
    let fixed = |_| Fault::Stored("enrolment");
    Ok(Json(DevicePending {
        device_pk: about.device_pk,
        box_pk: row.box_pk.into(),
        nonce: row.nonce.try_into().map(FixedBytes).map_err(fixed)?,
        client: about.client,
        name: about.name,
        capability: about.capability,
        tag_h: row.tag_h.map(|tag| tag.try_into().map(FixedBytes)).transpose().map_err(fixed)?,
    }))
}

impl GrantedAct for DeviceApproveRequest {
    const PURPOSE: Purpose = Purpose::EnrolDevice;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        self.user_code.clone()
    }
}

/// `POST /v1/device/approve`
pub(super) async fn approve(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<DeviceApproveRequest>,
) -> Result<Json<DeviceEnrolled>, Failure> {
    let act = stepped_up.act();
    let account = app.store.account(stepped_up.session().account()).await?.ok_or(Code::AuthSessionExpired)?;
    let answer = DeviceTokenAnswer {
        certificate: act.certificate.clone(),
        key_statement: current_statement(&app, &account).await?,
        tag_a: act.tag_a,
        receipt_pk: app.keys.receipt_pk(),
        log_pk: app.keys.log_pk(),
    };
    let answer = serde_json::to_vec(&answer).map_err(|_| Fault::Made("an enrolment"))?;
    enrol_certified(&app, &account, &act.certificate, stepped_up.grant(), &caller, |certificate| {
        Some(CodeAnswer { user_code: act.user_code.clone(), box_pk: certificate.box_pk.0.clone(), answer })
    })
    .await
    .map(Json)
}

/// `POST /v1/device/token`. The answer stays until the code expires: a device that lost it asks again.
pub(super) async fn token(
    State(app): State<App>,
    Json(request): Json<DeviceTokenRequest>,
) -> Result<Json<DeviceTokenAnswer>, Failure> {
    let hash = tokens::hash(&request.device_code);
    let now = app.now();
    let row = app.store.device_code(hash).await?.filter(|row| row.expires_at > now).ok_or(Code::DeviceCodeExpired)?;
    match (row.state, row.answer) {
        (DeviceCodeState::Approved, Some(answer)) => {
            Ok(Json(serde_json::from_slice(&answer).map_err(|_| Fault::Stored("enrolment"))?))
        }
        (DeviceCodeState::Pending, _) => {
            app.store.touch_device_code(hash, now).await?;
            let interval = i64::try_from(POLL_SECONDS).unwrap_or(5) * SECOND - POLL_SLACK;
            let hasty = row.polled_at.is_some_and(|polled_at| now - polled_at < interval);
            Err(if hasty { Code::DeviceSlowDown.into() } else { Code::DevicePending.into() })
        }
        _ => Err(Code::DeviceCodeExpired.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_codes_are_codes() {
        let codes: std::collections::BTreeSet<String> = (0..200).map(|_| draw_user_code()).collect();
        assert_eq!(codes.len(), 200);
        assert!(codes.iter().all(|code| normalise_code(code).as_ref() == Some(code)));
    }
}
