//! Handlers, one module per flow. Each takes its authority as a parameter; see [`crate::authority`].

mod account;
mod backup_codes;
mod by_kit;
mod change;
mod devices;
mod enrolment;
mod export;
mod factors;
mod kit;
pub(crate) mod log;
mod orders;
mod passkey_sign_in;
mod passkeys;
mod password;
mod portal;
mod records;
mod recover;
mod renew;
mod repair;
mod reset;
mod reveal;
mod sign_in;
mod sign_up;
mod status;
mod step_up;
mod tries;
mod waits;

pub(crate) use sign_up::normalise_email;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use vault_protocol::CeremonyId;
use vault_protocol::limits::MAX_BODY_BYTES;
use vault_protocol::messages::ServerIdentity;
use vault_protocol::problem::Code::{self, *};
use vault_protocol::routes as paths;
use vault_store::{Ceremony, Refusal};

use crate::api::{self, Routes};
use crate::app::App;
use crate::failure::Failure;
use crate::help;
use crate::http::{self, Json, Verbatim};
use crate::ready::Report;

pub(crate) use passkey_sign_in::proven_sign_in;
pub(crate) use passkeys::end_enrolment;

/// Every path of the service.
pub(crate) fn router(app: App) -> Router {
    let pages = portal::PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(portal::page)));
    all()
        .into_router()
        // Its path has any number of parts, for which a description has no words; C2SP tlog-tiles describes it.
        .route(vault_protocol::log::TILE_ROUTE, get(log::tile))
        // Files for people's browsers, not the interface.
        .merge(pages)
        .route(portal::FILES, get(portal::asset))
        .fallback(http::nothing_here)
        .method_not_allowed_fallback(http::not_this_way)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(app.clone(), http::frame))
        .with_state(app)
}

/// Every route: its path, its handler, what it is for, and the codes that the handler says beyond those of its parameters.
pub(crate) fn all() -> Routes {
    Routes::under("Service")
        .get(paths::HEALTH, health, "Tell that the service is alive", &[])
        .get(paths::READY, ready, "Tell whether the service can do its work", &[])
        .get(paths::OPENAPI, openapi, "Describe this interface", &[])
        .get(paths::HELP, help::all, "The error catalogue, for people", &[])
        .get(paths::HELP_PAGE, help::one, "What happened and what to do next, for one code", &[])
        .get(paths::SERVER, server, "Tell who the service is", &[])
        .merge(accounts())
        .merge(presence())
        .merge(keys())
}

fn accounts() -> Routes {
    Routes::under("Account")
        .post(paths::SIGNUP_START, sign_up::start, "Begin a sign-up", &[LimitRate])
        .post(paths::SIGNUP_VERIFY, sign_up::verify, "Prove the mail address or the invite", &[AuthEmailCodeInvalid])
        .post(paths::SIGNUP_OPAQUE, sign_up::register, "Register a password (OPAQUE)", &[AuthEmailCodeInvalid])
        .post(paths::SIGNUP_FINISH, sign_up::finish, "Make the account", &[AuthEmailCodeInvalid, SignupEmailTaken])
        .post(paths::LOGIN_START, sign_in::start, "Begin a sign-in", &[AuthInvalid, AuthLocked, LimitRate])
        .post(
            paths::LOGIN_FINISH,
            sign_in::finish,
            "Prove the password",
            &[AuthInvalid, AuthSessionExpired, StepupGrantUsed],
        )
        .post(paths::LOGIN_FACTOR, sign_in::factor, "Prove the second factor", SECOND_FACTOR)
        .post(
            paths::LOGIN_PASSKEY_START,
            passkey_sign_in::start,
            "Begin a sign-in by passkey alone",
            &[FactorPasskeyUnavailable, LimitRate],
        )
        .post(
            paths::LOGIN_PASSKEY_FINISH,
            passkey_sign_in::finish,
            "Prove the passkey, which counts as both factors",
            &[AuthInvalid, AuthSessionExpired, FactorPasskeyUnavailable, StepupGrantUsed],
        )
        .post(paths::LOGOUT, sign_in::logout, "End the session", &[])
        .post(
            paths::RECOVER_START,
            recover::start,
            "The password is lost: begin",
            &[AuthInvalid, AuthLocked, LimitRate],
        )
        .post(paths::RECOVER_PROVE, recover::prove, "Prove the emergency kit and a second factor", SECOND_FACTOR)
        .post(
            paths::RECOVER_FINISH,
            recover::finish,
            "Set a new password and a new kit",
            &[AuthInvalid, AuthSessionExpired, StepupGrantUsed],
        )
        .post(
            paths::RESET_START,
            reset::start,
            "Every second factor is lost: have a code mailed",
            &[AuthInvalid, AuthLocked, LimitRate, FactorNoMail],
        )
        .post(
            paths::RESET_PROVE,
            reset::prove,
            "Prove password or kit and the mailed code; begins the delay, or ends it",
            &[
                AuthInvalid,
                AuthSessionExpired,
                AuthEmailCodeInvalid,
                FactorNoMail,
                LimitRate,
                RecoverWaiting,
                RecoverCancelled,
                ServerBusy,
                StepupGrantUsed,
                WaitOver,
            ],
        )
        .post(
            paths::RESET_PASSWORD,
            reset::password,
            "After the delay: set a new password and a new kit",
            &[AuthInvalid, AuthSessionExpired, RecoverCancelled, StepupGrantUsed, WaitOver],
        )
        .post(
            paths::RENEW_START,
            renew::start,
            "Password and kit are lost: have a code mailed",
            &[AuthInvalid, FactorNoMail, LimitRate],
        )
        .post(
            paths::RENEW_PROVE,
            renew::prove,
            "Prove the mailed code, and a second factor where one is left: begins the delay, or ends it",
            &[
                AuthEmailCodeInvalid,
                AuthSessionExpired,
                FactorCodeUsed,
                FactorCodeWrong,
                FactorNoMail,
                LimitRate,
                RecoverWaiting,
                RecoverCancelled,
                ServerBusy,
                StepupGrantUsed,
                WaitOver,
            ],
        )
        .post(
            paths::RENEW_FINISH,
            renew::finish,
            "After the delay: new keys, a new password and a new kit",
            &[AuthInvalid, AuthSessionExpired, RecoverCancelled, StepupGrantUsed],
        )
        .post(paths::KIT_START, kit::start, "Begin to make a new emergency kit", &[])
        .post(paths::KIT_FINISH, kit::finish, "The new emergency kit is kept", &[StepupGrantUsed])
        .get(paths::ACCOUNT, account::show, "The account", &[])
        .post(paths::PASSWORD_START, password::start, "Begin to change the password", &[])
        .post(paths::PASSWORD_FINISH, password::finish, "Set the new password", &[StepupGrantUsed])
        .get(paths::AUDIT, account::audit, "A page of the audit trail", &[])
        .get(paths::AUDIT_PROOFS, log::audit_proofs, "Proofs that entries are in the global log", &[])
        .get(
            paths::LOG_CHECKPOINT,
            log::checkpoint,
            "Size and root of the global log, signed (C2SP tlog-checkpoint)",
            &[],
        )
}

/// What a second factor, or a backup code in its place, may be told.
const SECOND_FACTOR: &[Code] = &[
    AuthInvalid,
    AuthSessionExpired,
    AuthLocked,
    AuthEmailCodeInvalid,
    FactorCodeWrong,
    FactorCodeUsed,
    StepupGrantUsed,
];

fn presence() -> Routes {
    Routes::under("Second factors")
        .get(paths::FACTORS, factors::list, "The second factors", &[])
        .post(
            paths::TOTP_START,
            factors::totp_start,
            "Begin to add an authenticator",
            &[FactorLabelTaken, FactorTooMany, StepupRequired, StepupGrantUsed],
        )
        .post(
            paths::TOTP_FINISH,
            factors::totp_finish,
            "Prove two codes of the new authenticator",
            &[FactorCodeWrong, FactorLabelTaken, FactorTooMany, StepupGrantUsed],
        )
        .post(
            paths::PASSKEY_START,
            passkeys::start,
            "Begin to add a passkey",
            &[FactorLabelTaken, FactorPasskeyUnavailable, FactorTooMany, StepupRequired, StepupGrantUsed],
        )
        .post(
            paths::PASSKEY_FINISH,
            passkeys::finish,
            "Keep the passkey that the authenticator made",
            &[AuthInvalid, FactorLabelTaken, FactorPasskeyUnavailable, FactorTooMany, StepupGrantUsed],
        )
        .post(paths::PASSKEY_SLOT, passkeys::slot, "Let a passkey open the vault", &[NotFound])
        .post(paths::BACKUP_CODES_START, backup_codes::start, "Have new backup codes made", &[])
        .post(paths::BACKUP_CODES_FINISH, backup_codes::finish, "The new backup codes are kept", &[StepupGrantUsed])
        .post(paths::FACTOR_REMOVE, factors::remove, "Remove a factor", &[NotFound, FactorLastOne, FactorSame])
        .post(
            paths::FACTORS_OFF,
            waits::off,
            "Begin the delay after which no second factor is asked for",
            &[FactorNoMail, LimitRate, ServerBusy, WaitOver],
        )
        .post(
            paths::ACCOUNT_DELETE,
            waits::delete_account,
            "Begin the delay after which the account is deleted",
            &[WaitNoMail, ServerBusy],
        )
        .get(paths::WAITS, waits::list, "The safety delays that run", &[])
        .post(paths::WAIT_CANCEL, waits::cancel, "Cancel a safety delay", &[])
        .post(
            paths::STEP_UP_START,
            step_up::start,
            "Begin to confirm one act",
            &[AuthLocked, FactorNoMail, FactorPrfUnavailable, LimitRate],
        )
        .post(paths::STEP_UP_FINISH, step_up::finish, "Prove presence for the act", SECOND_FACTOR)
}

fn keys() -> Routes {
    Routes::under("Devices and keys")
        .post(
            paths::DEVICE_CODE,
            enrolment::code,
            "A device asks for an enrolment code",
            &[DeviceCapability, LimitRate, ServerBusy],
        )
        .put(paths::DEVICE_HELLO, enrolment::hello, "The device authenticates its request", &[DeviceCodeExpired])
        .post(paths::DEVICE_PENDING, enrolment::pending, "Look at a pending enrolment", &[DeviceCodeExpired, LimitRate])
        .post(
            paths::DEVICE_APPROVE,
            enrolment::approve,
            "Approve a pending enrolment",
            &[DeviceCodeExpired, DeviceCapability],
        )
        .post(
            paths::DEVICE_TOKEN,
            enrolment::token,
            "The device asks for the answer",
            &[DevicePending, DeviceSlowDown, DeviceCodeExpired],
        )
        .get(paths::DEVICES, devices::list, "All devices", &[])
        .post(paths::DEVICES, devices::enrol, "Enrol the program that is signed in", &[DeviceCapability])
        .post(paths::DEVICE_REVOKE, devices::revoke, "Revoke a device", &[NotFound])
        .post(paths::DEVICE_RENAME, devices::rename, "Give a device another name", &[NotFound, LimitRate])
        .post(paths::DEVICE_STATUS, status::status, "A device asks for orders and news", &[LimitRate])
        .post(
            paths::DEVICE_NOTE,
            status::note,
            "A device tells how a key stands on its drive",
            &[LimitRate, RecordNotFound],
        )
        .get(paths::ORDERS, orders::list, "The newest rotation orders", &[])
        .post(
            paths::ORDERS,
            orders::give,
            "Order a key to be replaced",
            &[LimitRate, OrderInvalid, OrderOpen, RecordNotFound],
        )
        .post(paths::ORDER_REPORT, orders::report, "A device tells how far an order is", &[LimitRate, OrderOver])
        .get(paths::RECORDS, records::list, "A page of the records, without their secret parts", &[])
        .put(
            paths::RECORD,
            records::save,
            "Save a record",
            &[RecordDeleted, RecordIdConflict, RecordQuota, SaveNotDurable],
        )
        .post(
            paths::RECORD_DELETE,
            waits::delete_record,
            "Begin the delay after which a record is deleted",
            &[WaitNoMail, RecordNotFound, ServerBusy],
        )
        .post(paths::REVEAL, reveal::reveal, "Release a record", &[RevealReason, RevealLimit, RecordNotFound])
        .post(paths::EXPORT, export::export, "Release several records", &[RevealLimit, RecordNotFound, RecoverNoSlot])
        .post(paths::HELD, records::held, "Ask whether a record is still stored as it was sent", &[RecordDeleted])
        .post(paths::RECORD_PROOF, log::record_proof, "Prove that a save is in the global log", &[])
}

async fn health() -> &'static str {
    "ok\n"
}

/// What an operator's machines ask, on a listener that others do not reach.
pub(crate) fn operators_router(app: App) -> Router {
    Router::new()
        .route(paths::HEALTH, get(health))
        .route(paths::READY, get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn ready(State(app): State<App>) -> Report {
    app.operation().readiness.look(&*app.store, app.now()).await
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let operation = app.operation();
    let ready = operation.readiness.look(&*app.store, app.now()).await.ready;
    let text = operation.metrics.text(&operation.write_times, ready);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn openapi() -> Verbatim {
    Verbatim(api::document())
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
pub(crate) struct Page<T> {
    after: Option<T>,
    limit: Option<u32>,
}

impl<T> Page<T> {
    fn limit(&self, most: u32) -> u32 {
        self.limit.unwrap_or(most).clamp(1, most)
    }
}
