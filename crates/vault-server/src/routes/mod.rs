//! Handlers, one module per flow. Each takes its authority as a parameter; see [`crate::authority`].

mod account;
mod backup_codes;
mod devices;
mod enrolment;
mod export;
mod factors;
mod passkey_sign_in;
mod passkeys;
mod password;
mod records;
mod recover;
mod reveal;
mod sign_in;
mod sign_up;
mod step_up;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post, put};
use vault_protocol::CeremonyId;
use vault_protocol::limits::MAX_BODY_BYTES;
use vault_protocol::messages::ServerIdentity;
use vault_protocol::problem::Code;
use vault_protocol::routes as paths;
use vault_store::{Ceremony, Refusal};

use crate::app::App;
use crate::failure::Failure;
use crate::http::{self, Json};

pub(crate) use passkey_sign_in::proven_sign_in;

/// Every path of the service.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route(paths::HEALTH, get(health))
        .route(paths::SERVER, get(server))
        .merge(accounts())
        .merge(presence())
        .merge(keys())
        .fallback(http::nothing_here)
        .method_not_allowed_fallback(http::nothing_here)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(http::frame))
        .with_state(app)
}

fn accounts() -> Router<App> {
    Router::new()
        .route(paths::SIGNUP_START, post(sign_up::start))
        .route(paths::SIGNUP_VERIFY, post(sign_up::verify))
        .route(paths::SIGNUP_OPAQUE, post(sign_up::register))
        .route(paths::SIGNUP_FINISH, post(sign_up::finish))
        .route(paths::LOGIN_START, post(sign_in::start))
        .route(paths::LOGIN_FINISH, post(sign_in::finish))
        .route(paths::LOGIN_FACTOR, post(sign_in::factor))
        .route(paths::LOGIN_PASSKEY_START, post(passkey_sign_in::start))
        .route(paths::LOGIN_PASSKEY_FINISH, post(passkey_sign_in::finish))
        .route(paths::LOGOUT, post(sign_in::logout))
        .route(paths::RECOVER_START, post(recover::start))
        .route(paths::RECOVER_PROVE, post(recover::prove))
        .route(paths::RECOVER_FINISH, post(recover::finish))
        .route(paths::ACCOUNT, get(account::show))
        .route(paths::PASSWORD_START, post(password::start))
        .route(paths::PASSWORD_FINISH, post(password::finish))
        .route(paths::AUDIT, get(account::audit))
}

fn presence() -> Router<App> {
    Router::new()
        .route(paths::FACTORS, get(factors::list))
        .route(paths::TOTP_START, post(factors::totp_start))
        .route(paths::TOTP_FINISH, post(factors::totp_finish))
        .route(paths::PASSKEY_START, post(passkeys::start))
        .route(paths::PASSKEY_FINISH, post(passkeys::finish))
        .route(paths::PASSKEY_SLOT, post(passkeys::slot))
        .route(paths::BACKUP_CODES_START, post(backup_codes::start))
        .route(paths::BACKUP_CODES_FINISH, post(backup_codes::finish))
        .route(paths::FACTOR_REMOVE, post(factors::remove))
        .route(paths::STEP_UP_START, post(step_up::start))
        .route(paths::STEP_UP_FINISH, post(step_up::finish))
}

fn keys() -> Router<App> {
    Router::new()
        .route(paths::DEVICE_CODE, post(enrolment::code))
        .route(paths::DEVICE_HELLO, put(enrolment::hello))
        .route(paths::DEVICE_PENDING, post(enrolment::pending))
        .route(paths::DEVICE_APPROVE, post(enrolment::approve))
        .route(paths::DEVICE_TOKEN, post(enrolment::token))
        .route(paths::DEVICES, get(devices::list).post(devices::enrol))
        .route(paths::DEVICE_REVOKE, post(devices::revoke))
        .route(paths::RECORDS, get(records::list))
        .route(paths::RECORD, put(records::save))
        .route(paths::REVEAL, post(reveal::reveal))
        .route(paths::EXPORT, post(export::export))
        .route(paths::HELD, post(records::held))
}

async fn health() -> &'static str {
    "ok\n"
}

async fn server(State(app): State<App>) -> Json<ServerIdentity> {
    Json(app.identity())
}

/// Counts a try of an open ceremony; `over` is said when it is spent, expired, out of tries, or another one.
async fn try_ceremony(app: &App, id: CeremonyId, kind: &str, tries: i64, over: Code) -> Result<Ceremony, Failure> {
    app.store.try_ceremony(id, kind, app.now(), tries).await.map_err(|error| instead(error, Refusal::Ceremony, over))
}

/// The failure of a store error, with another word for one refusal.
fn instead(error: vault_store::Error, refusal: Refusal, code: Code) -> Failure {
    match error {
        vault_store::Error::Refused(found) if found == refusal => code.into(),
        other => other.into(),
    }
}

/// Which part of a listing is asked for. Numbers beyond the limits are cut to them.
#[derive(Debug, serde::Deserialize)]
struct Page<T> {
    after: Option<T>,
    limit: Option<u32>,
}

impl<T> Page<T> {
    fn limit(&self, most: u32) -> u32 {
        self.limit.unwrap_or(most).clamp(1, most)
    }
}
