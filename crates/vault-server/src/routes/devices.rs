//! Devices: list, enrol the program that is signed in, revoke.

use axum::extract::State;
use vault_protocol::device::{CAPABILITY_APPEND, Certificate};
use vault_protocol::messages::{
    DeviceEnrolRequest, DeviceEnrolled, DeviceList, DeviceRenameRequest, DeviceRevokeRequest, DeviceView, Purpose,
};
use vault_protocol::order::OrderState;
use vault_protocol::problem::Code;
use vault_protocol::statement::KeyStatement;
use vault_protocol::{Bytes, PublicKey, Signed, audit, verify};
use vault_store::{Account, CodeAnswer, Device, DeviceId, DeviceState, GrantUse, Order, Refusal};

use super::enrolment::algorithm;
use super::instead;
use super::sign_in::current_statement;
use crate::app::App;
use crate::audit::Act;
use crate::authority::{GrantedAct, Session, SteppedUp};
use crate::clock::HOUR;
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json, Path};
use crate::notices::Event;

/// Length of an X-Wing public key.
pub(super) const BOX_KEY_BYTES: usize = 1216;
const NAME_LETTERS: usize = 64;
/// Longest certificate: its keys, a sealed index key, a name.
const CERTIFICATE_BYTES: usize = 8 * 1024;

/// Longest sealed name.
const LABEL_BYTES: usize = 512;
/// Newest orders of the account among which those that wait are counted.
const ORDERS_LOOKED_AT: i64 = 500;

/// Whether a device may be called this.
pub(super) fn is_device_name(name: &str) -> bool {
    (1..=NAME_LETTERS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// `GET /v1/devices`
pub(super) async fn list(State(app): State<App>, session: Session) -> Result<Json<DeviceList>, Failure> {
    let waiting = app.store.orders(session.account(), ORDERS_LOOKED_AT).await?;
    let is_open = |order: &&Order| matches!(order.state, OrderState::Open | OrderState::Taken);
    let rows = app.store.devices(session.account()).await?;
    let devices = rows.iter().map(|device| {
        let open = waiting.iter().filter(is_open).filter(|order| order.device_id == device.id).count();
        view(device, u64::try_from(open).unwrap_or(u64::MAX))
    });
    let devices = devices.collect::<Result<_, Fault>>()?;
    let former = app.store.former_statements(session.account()).await?;
    let former = former.iter().map(|row| serde_json::from_slice(&row.signature));
    let former_statements = former.collect::<Result<_, _>>().map_err(|_| Fault::Stored("key statement"))?;
    Ok(Json(DeviceList { devices, former_statements }))
}

fn view(device: &Device, open_orders: u64) -> Result<DeviceView, Fault> {
    let state = match device.state {
        DeviceState::Active => "active",
        DeviceState::Revoked => "revoked",
    };
    Ok(DeviceView {
        device_id: device.id,
        certificate: serde_json::from_slice(&device.certificate).map_err(|_| Fault::Stored("certificate"))?,
        state: state.to_owned(),
        last_seq: u64::try_from(device.last_seq).unwrap_or(0),
        seen_at: (device.last_seq > 0 || device.seen_at > device.created_at).then_some(device.seen_at),
        revoked_at: device.revoked_at,
        label_sealed: device.label_sealed.clone().map(Bytes),
        open_orders,
    })
}

impl GrantedAct for DeviceEnrolRequest {
    const PURPOSE: Purpose = Purpose::EnrolDevice;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, _: &str) -> String {
        "self".to_owned()
    }
}

/// `POST /v1/devices`
pub(super) async fn enrol(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<DeviceEnrolRequest>,
) -> Result<Json<DeviceEnrolled>, Failure> {
    let account = app.store.account(stepped_up.session().account()).await?.ok_or(Code::AuthSessionExpired)?;
    let certificate = &stepped_up.act().certificate;
    enrol_certified(&app, &account, certificate, stepped_up.grant(), &caller, |_| None).await.map(Json)
}

/// Adds the device of a certificate that the account's identity key signed.
pub(super) async fn enrol_certified(
    app: &App,
    account: &Account,
    signed: &Signed,
    grant: &GrantUse,
    caller: &Caller,
    code: impl FnOnce(&Certificate) -> Option<CodeAnswer>,
) -> Result<DeviceEnrolled, Failure> {
    let certificate = check_certificate(app, account, signed).await?;
    let now = app.now();
    let device = Device {
        id: certificate.device_id,
        account_id: account.id,
        pk: certificate.device_pk.bytes().to_vec(),
        alg: algorithm(&certificate.device_pk).to_owned(),
        certificate: serde_json::to_vec(signed).map_err(|_| Fault::Made("a certificate"))?,
        capability: certificate.capability.clone(),
        state: DeviceState::Active,
        last_seq: 0,
        created_at: now,
        seen_at: now,
        revoked_at: None,
        expires_at: certificate.expires_at,
        label_sealed: None,
    };
    let act = Act::by_owner(account.id, caller, now, audit::action::DEVICE_ENROLLED)
        .on(device.id)
        .telling(app.notice(account, &Event::DeviceEnrolled)?);
    app.store.enrol_device(&device, code(&certificate).as_ref(), grant, &|head| act.link(head)).await?;
    Ok(DeviceEnrolled { device_id: device.id })
}

async fn check_certificate(app: &App, account: &Account, signed: &Signed) -> Result<Certificate, Failure> {
    let statement = current_statement(app, account).await?;
    let statement: KeyStatement =
        serde_json::from_slice(&statement.payload).map_err(|_| Fault::Stored("key statement"))?;
    let certificate =
        verify::certificate(signed, account.id, &statement.identity_pk).map_err(|_| Code::RequestInvalid)?;
    if certificate.capability != CAPABILITY_APPEND {
        return Err(Code::DeviceCapability.into());
    }
    let fits = signed.payload.len() <= CERTIFICATE_BYTES
        && matches!(certificate.device_pk, PublicKey::Ed25519(_))
        && certificate.box_pk.len() == BOX_KEY_BYTES
        && certificate.org_id.is_none()
        && is_device_name(&certificate.name);
    if fits { Ok(certificate) } else { Err(Code::RequestInvalid.into()) }
}

impl GrantedAct for DeviceRevokeRequest {
    const PURPOSE: Purpose = Purpose::RevokeDevice;
    fn grant(&self) -> &Bytes {
        &self.grant
    }
    fn target(&self, path_id: &str) -> String {
        path_id.to_owned()
    }
}

/// `POST /v1/devices/{id}/revoke`
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    stepped_up: SteppedUp<DeviceRevokeRequest>,
) -> Result<Json<()>, Failure> {
    let device: DeviceId = stepped_up.grant().target.parse().map_err(|_| Code::NotFound)?;
    let account = stepped_up.session().account();
    let act = Act::by_owner(account, &caller, app.now(), audit::action::DEVICE_REVOKED)
        .on(device)
        .telling(app.notice_to(account, &Event::DeviceRevoked).await?);
    let revoked = app.store.revoke_device(device, stepped_up.grant(), &|head| act.link(head)).await;
    revoked.map_err(|error| instead(error, Refusal::NotFound, Code::NotFound))?;
    Ok(Json(()))
}

/// `POST /v1/devices/{id}/rename`. The service keeps the name and cannot read it.
pub(super) async fn rename(
    State(app): State<App>,
    session: Session,
    Path(device): Path<String>,
    caller: Caller,
    Json(request): Json<DeviceRenameRequest>,
) -> Result<Json<()>, Failure> {
    let account = session.account();
    app.take(format!("device/rename/{account}"), HOUR, app.limits().device_renames, Code::LimitRate).await?;
    let device: DeviceId = device.parse().map_err(|_| Code::NotFound)?;
    if !(1..=LABEL_BYTES).contains(&request.label_sealed.len()) {
        return Err(Code::RequestInvalid.into());
    }
    let act = Act::by_owner(account, &caller, app.now(), audit::action::DEVICE_RENAMED).on(device);
    let renamed = app.store.label_device(account, device, &request.label_sealed, &|head| act.link(head)).await;
    renamed.map_err(|error| instead(error, Refusal::NotFound, Code::NotFound))?;
    Ok(Json(()))
}
