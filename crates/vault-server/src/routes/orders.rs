//! Rotation orders. The owner's identity key signs them, so the service can neither make nor change one; it hands each to
//! its device and keeps what became of it.

use axum::extract::State;
use vault_protocol::audit::action;
use vault_protocol::limits::{MAX_ORDERS, ORDER_SECONDS};
use vault_protocol::messages::{OrderList, OrderRequest, OrderView};
use vault_protocol::order::{OrderReport, OrderState, RotationOrder};
use vault_protocol::problem::Code;
use vault_protocol::statement::KeyStatement;
use vault_protocol::{OrderId, Signed, verify};
use vault_store::{AccountId, Order, OrderProgress, Refusal};

use super::instead;
use super::sign_in::current_statement;
use crate::app::App;
use crate::audit::Act;
use crate::authority::{Session, SignedByDevice};
use crate::clock::{DAY, HOUR, SECOND};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json, Path};
use crate::notices::Event;

/// Longest signed order.
const ORDER_BYTES: usize = 2048;
/// How far clocks of clients may be ahead or behind.
const CLOCK_SLACK: i64 = 26 * HOUR;

/// `POST /v1/orders`
pub(super) async fn give(
    State(app): State<App>,
    session: Session,
    caller: Caller,
    Json(request): Json<OrderRequest>,
) -> Result<Json<()>, Failure> {
    let account = session.account();
    app.take(format!("orders/{account}"), DAY, app.limits().orders_per_day, Code::LimitRate).await?;
    let order = check(&app, account, &request.order).await?;
    let row = Order {
        id: order.order_id,
        account_id: account,
        device_id: order.device_id,
        record_id: order.record_id,
        body: serde_json::to_vec(&request.order).map_err(|_| Fault::Made("an order"))?,
        state: OrderState::Open,
        report: None,
        expires_at: order.expires_at,
        at: app.now(),
    };
    let act = Act::by_owner(account, &caller, app.now(), action::ROTATE_ORDERED).on(order.record_id);
    let added = app.store.add_order(&row, &|head| act.link(head)).await;
    added.map_err(|error| instead(error, Refusal::NotFound, Code::RecordNotFound))?;
    Ok(Json(()))
}

async fn check(app: &App, account: AccountId, signed: &Signed) -> Result<RotationOrder, Failure> {
    let row = app.store.account(account).await?.ok_or(Code::AuthSessionExpired)?;
    let statement = current_statement(app, &row).await?;
    let statement: KeyStatement =
        serde_json::from_slice(&statement.payload).map_err(|_| Fault::Stored("key statement"))?;
    let order = verify::rotation_order(signed, account, &statement.identity_pk).map_err(|_| Code::OrderInvalid)?;
    let longest = i64::try_from(ORDER_SECONDS).unwrap_or(i64::MAX).saturating_mul(SECOND);
    let lifetime = order.expires_at.checked_sub(order.issued_at).ok_or(Code::OrderInvalid)?;
    let fits = signed.payload.len() <= ORDER_BYTES
        && (0..=longest).contains(&lifetime)
        && order.not_before <= order.expires_at
        && order.expires_at > app.now()
        && order.issued_at.abs_diff(app.now()) <= CLOCK_SLACK.unsigned_abs();
    if fits { Ok(order) } else { Err(Code::OrderInvalid.into()) }
}

/// `GET /v1/orders`
pub(super) async fn list(State(app): State<App>, session: Session) -> Result<Json<OrderList>, Failure> {
    let rows = app.store.orders(session.account(), MAX_ORDERS.into()).await?;
    let orders = rows.iter().map(view).collect::<Result<_, Fault>>()?;
    Ok(Json(OrderList { orders }))
}

fn view(order: &Order) -> Result<OrderView, Fault> {
    let stored = |_| Fault::Stored("order");
    Ok(OrderView {
        order_id: order.id,
        device_id: order.device_id,
        record_id: order.record_id,
        order: serde_json::from_slice(&order.body).map_err(stored)?,
        state: order.state.name().to_owned(),
        report: order.report.as_ref().map(|report| serde_json::from_slice(report)).transpose().map_err(stored)?,
        at: order.at,
    })
}

/// `POST /v1/orders/{id}/report`
pub(super) async fn report(
    State(app): State<App>,
    Path(id): Path<String>,
    caller: Caller,
    report: SignedByDevice<OrderReport>,
) -> Result<Json<()>, Failure> {
    let said = report.word();
    app.take_device_call(said.device_id).await?;
    let id: OrderId = id.parse().map_err(|_| Code::OrderOver)?;
    let word_fits = |why: &String| {
        (1..=OrderReport::WHY_BYTES).contains(&why.len())
            && why.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    if said.order_id != id || !said.why.as_ref().is_none_or(word_fits) {
        return Err(Code::RequestInvalid.into());
    }
    let (action, event) = match said.state {
        OrderState::Open => return Err(Code::RequestInvalid.into()),
        OrderState::Taken => (action::ROTATE_TAKEN, None),
        OrderState::Done => (action::ROTATE_DONE, Some(Event::KeyReplaced)),
        OrderState::Failed => (action::ROTATE_FAILED, Some(Event::KeyNotReplaced)),
    };
    let progress = OrderProgress {
        id,
        account_id: said.account_id,
        device_id: said.device_id,
        state: said.state,
        report: serde_json::to_vec(report.signed()).map_err(|_| Fault::Made("a report"))?,
        now: app.now(),
    };
    let mut act = Act::by_device(said.device_id, &caller, app.now(), action).on(id);
    if let Some(why) = &said.why {
        act = act.because(why);
    }
    if let Some(event) = event {
        act = act.telling(app.notice_to(said.account_id, &event).await?);
    }
    app.store.move_order(&progress, &|head| act.link(head)).await?;
    Ok(Json(()))
}
