//! What a device asks for and reports when it has nothing to save.
//!
//! It learns of orders for itself, of new key statements, and of what happened to the account by kind and time only: no
//! record, no name, no address.

use axum::extract::State;
use vault_protocol::Signed;
use vault_protocol::audit::{AuditEntry, action, is_told};
use vault_protocol::limits::{MAX_AUDIT_PAGE, MAX_ORDERS};
use vault_protocol::messages::{DeviceNotice, DeviceStatusAnswer, StatementChange, StatusQuestion};
use vault_protocol::note::{Finding, Note};
use vault_protocol::problem::Code;
use vault_store::{AccountId, NewNote, OutgoingMail};

use super::sign_in::current_statement;
use crate::app::App;
use crate::audit::Act;
use crate::authority::SignedByDevice;
use crate::clock::{DAY, HOUR};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json};
use crate::notices::Event;

/// Most notes of a device in a day that make an entry in the trail,
const NOTES_A_DAY: i64 = 200;
/// and most of them that the owner gets a notice of.
const TOLD_A_DAY: i64 = 10;
/// Most key statements in one answer.
const STATEMENTS: i64 = 8;

impl App {
    /// A place for a call of a device that saves nothing.
    pub(super) async fn take_device_call(&self, device: vault_store::DeviceId) -> Result<(), Failure> {
        let places = self.limits().device_calls;
        self.take(format!("device/calls/{device}"), HOUR, places, Code::LimitRate).await?;
        Ok(())
    }
}

/// `POST /v1/device/status`
pub(super) async fn status(
    State(app): State<App>,
    question: SignedByDevice<StatusQuestion>,
) -> Result<Json<DeviceStatusAnswer>, Failure> {
    let question = question.word();
    let (account, device) = (question.account_id, question.device_id);
    app.take_device_call(device).await?;
    let now = app.now();
    app.store.see_device(account, device, now).await?;
    let orders = app.store.orders_of_device(account, device, now, MAX_ORDERS.into()).await?;
    let orders = orders.iter().map(|order| serde_json::from_slice(&order.body).map_err(|_| Fault::Stored("order")));
    let orders = orders.collect::<Result<_, Fault>>()?;
    let (statements, new_start) = statements(&app, account, question.generation).await?;
    let (notices, audit_seq, more) = notices(&app, question).await?;
    Ok(Json(DeviceStatusAnswer { now, orders, statements, new_start, notices, audit_seq, more }))
}

/// The key statements after the one that the device has; and the present one, where a new start is among them.
async fn statements(
    app: &App,
    account: AccountId,
    known: u32,
) -> Result<(Vec<StatementChange>, Option<Signed>), Failure> {
    let account = app.store.account(account).await?.ok_or(Code::DeviceRevoked)?;
    let first = i64::from(known).saturating_add(1);
    let mut changes = Vec::new();
    for generation in first..=account.generation.min(first.saturating_add(STATEMENTS - 1)) {
        let stored = || Fault::Stored("key statement");
        let row = app.store.key_statement(account.id, generation).await?.ok_or_else(stored)?;
        let Some(previous) = row.previous_signature else {
            return Ok((changes, Some(current_statement(app, &account).await?)));
        };
        changes.push(StatementChange {
            statement: serde_json::from_slice(&row.signature).map_err(|_| stored())?,
            previous: serde_json::from_slice(&previous).map_err(|_| stored())?,
        });
    }
    Ok((changes, None))
}

/// What the owner should know since the device asked last; a device that asks first begins at the end.
async fn notices(app: &App, question: &StatusQuestion) -> Result<(Vec<DeviceNotice>, u64, bool), Failure> {
    let account = question.account_id;
    let Some(after) = question.audit_after else {
        let head = app.store.audit_head(account).await?;
        return Ok((Vec::new(), u64::try_from(head.seq).unwrap_or(0), false));
    };
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = app.store.audit_page(account, after, MAX_AUDIT_PAGE.into()).await?;
    let last = match rows.last() {
        Some(row) => row.link.seq,
        // A device that was told too large a number once would never hear anything again.
        None => app.store.audit_head(account).await?.seq.min(after),
    };
    let own = question.device_id.to_string();
    let mut told = Vec::new();
    for row in &rows {
        let entry: AuditEntry = serde_json::from_slice(&row.link.body).map_err(|_| Fault::Stored("audit entry"))?;
        // What the device did itself is no news to it.
        if is_told(&entry.action) && !(entry.actor.kind == "device" && entry.actor.id == own) {
            told.push(DeviceNotice { seq: entry.seq, action: entry.action, outcome: entry.outcome, at: entry.at });
        }
    }
    let more = rows.len() >= usize::try_from(MAX_AUDIT_PAGE).unwrap_or(usize::MAX);
    Ok((told, u64::try_from(last).unwrap_or(0), more))
}

/// `POST /v1/device/note`
pub(super) async fn note(
    State(app): State<App>,
    caller: Caller,
    note: SignedByDevice<Note>,
) -> Result<Json<()>, Failure> {
    let said = note.word();
    app.take_device_call(said.device_id).await?;
    if !said.is_whole() {
        return Err(Code::RequestInvalid.into());
    }
    let (action, event) = match said.finding {
        // Weekly, for every key: the newest one is kept, and no entry made.
        Finding::Verified => (None, None),
        Finding::Missing => (Some(action::KEY_MISSING), Some(Event::KeyMissing)),
        Finding::Retired => (Some(action::KEY_RETIRED), None),
        Finding::Unknown => (Some(action::KEY_UNKNOWN), Some(Event::KeyUnknown)),
        Finding::Resent => (Some(action::KEY_RESENT), Some(Event::KeyResent)),
    };
    let act = match action {
        Some(action) => {
            // Each of these is an entry in the trail.
            app.take(format!("device/notes/{}", said.device_id), DAY, NOTES_A_DAY, Code::LimitRate).await?;
            let mail = mail(&app, said, event).await?;
            Some(Act::by_device(said.device_id, &caller, app.now(), action).telling(mail))
        }
        None => None,
    };
    let Some(record) = said.record_id else {
        if let Some(act) = act {
            app.store.append_audit(said.account_id, &|head| act.link(head)).await?;
        }
        return Ok(Json(()));
    };
    let new = NewNote {
        account_id: said.account_id,
        device_id: said.device_id,
        record_id: record,
        finding: said.finding,
        body: serde_json::to_vec(note.signed()).map_err(|_| Fault::Made("a note"))?,
        // A clock that is ahead must not keep later notes out.
        at: said.at.min(app.now()),
    };
    match act.map(|act| act.on(record)) {
        Some(act) => app.store.note_record(&new, Some(&|head| act.link(head))).await?,
        None => app.store.note_record(&new, None).await?,
    }
    Ok(Json(()))
}

/// No device fills its owner's mailbox: what is beyond the limit is in the trail.
async fn mail(app: &App, said: &Note, event: Option<Event>) -> Result<Option<OutgoingMail>, Failure> {
    let Some(event) = event else { return Ok(None) };
    let bucket = format!("device/told/{}", said.device_id);
    match app.take(bucket, DAY, TOLD_A_DAY, Code::LimitRate).await {
        Ok(_) => app.notice_to(said.account_id, &event).await,
        Err(_) => Ok(None),
    }
}
