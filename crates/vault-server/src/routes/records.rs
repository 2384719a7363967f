//! Saving and listing. A save needs no session, no cookie and no second factor: the signature of an enrolled device is
//! enough to append, and to nothing else.

use std::collections::BTreeMap;

use axum::extract::State;
use vault_protocol::limits::MAX_PAGE;
use vault_protocol::messages::{HeldAnswer, RecordPage, RecordView, SaveAnswer};
use vault_protocol::problem::Code;
use vault_protocol::record::Receipt;
use vault_protocol::{Bytes, FixedBytes, RecordId, Signed, VERSION, audit, sha256};
use vault_store::{ChainHead, IndexEntry, Link, Listing, NewRecord, Record, RecordState, Refusal, Saved};

use super::Page;
use super::repair::earlier_receipt;
use crate::app::App;
use crate::audit::Act;
use crate::authority::{Session, SignedHeld, SignedSave};
use crate::clock::{DAY, HOUR};
use crate::failure::{Failure, Fault};
use crate::http::{Caller, Json, Query, Stored};
use crate::limits::place;

/// `PUT /v1/records/{id}`: 201 when it is new; 200 with the receipt of that time when the same bytes were saved before.
pub(super) async fn save(
    State(app): State<App>,
    caller: Caller,
    save: SignedSave,
) -> Result<Stored<SaveAnswer>, Failure> {
    let header = save.header();
    let body_sha256 = save.request().save.payload_sha256();
    let now = app.now();
    let new = new_record(&app, &save, body_sha256, now)?;
    let act = match save.device() {
        Some(device) => Act::by_device(device, &caller, now, audit::action::SAVE),
        None => Act::by_owner(header.account_id, &caller, now, audit::action::SAVE),
    };
    let act = act.on(header.record_id);
    let seal = |head: &ChainHead| {
        let link = act.link(head);
        let receipt = receipt(&app, &new.record, &link);
        (link, receipt)
    };
    match app.store.save_record(&new, &seal).await {
        Ok(Saved::New(receipt)) => {
            app.new_entries.notify_one();
            answer(&receipt, true)
        }
        Ok(Saved::Before(receipt)) => {
            let kept = earlier_receipt(&app, &caller, &save, body_sha256).await.map_err(Failure::during_save)?;
            answer(&kept.unwrap_or(receipt), false)
        }
        Err(vault_store::Error::Refused(Refusal::IdConflict)) => {
            let kept = earlier_receipt(&app, &caller, &save, body_sha256).await.map_err(Failure::during_save)?;
            answer(&kept.ok_or(Code::RecordIdConflict)?, false)
        }
        // Limits answer with a time to wait; the client's outbox keeps the item.
        Err(vault_store::Error::Refused(Refusal::Limit { until })) => {
            Err(Failure::Wait(Code::RecordQuota, until - now))
        }
        Err(error) => Err(Failure::of_save(error)),
    }
}

/// The row of a save.
pub(super) fn record(save: &SignedSave, body_sha256: [u8; 32], now: i64) -> Result<Record, Fault> {
    let (header, request) = (save.header(), save.request());
    Ok(Record {
        account_id: header.account_id,
        id: header.record_id,
        author_id: header.author_id,
        kind: header.kind.clone(),
        header: request.header.0.clone(),
        meta: request.meta.0.clone(),
        secret: request.secret.0.clone(),
        signature: serde_json::to_vec(&request.save).map_err(|_| Fault::Made("a record"))?,
        body_sha256,
        supersedes: header.supersedes,
        received_at: now,
    })
}

fn new_record(app: &App, save: &SignedSave, body_sha256: [u8; 32], now: i64) -> Result<NewRecord, Failure> {
    let header = save.header();
    let record = record(save, body_sha256, now)?;
    let index = save.save().index.iter().map(|entry| IndexEntry {
        scope: entry.scope.clone(),
        scope_id: *header.account_id.as_bytes(),
        full: entry.full.0.to_vec(),
        prefix: entry.prefix.0.to_vec(),
    });
    let seq = i64::try_from(save.save().seq).map_err(|_| Code::RecordInvalid)?;
    let limits = app.limits();
    let (place, new_key_place) = match save.device() {
        Some(device) => (
            place(format!("save/device/{device}"), HOUR, limits.saves_per_device, now),
            Some(place(format!("save/new/{device}"), DAY, limits.new_keys_per_device, now)),
        ),
        None => (place(format!("save/owner/{}", header.account_id), HOUR, limits.saves_per_owner, now), None),
    };
    Ok(NewRecord {
        record,
        index: index.collect(),
        device: save.device().map(|device| (device, seq)),
        max_records: limits.records_per_account,
        place: Some(place),
        new_key_place,
    })
}

/// Signed inside the transaction and handed out only after its commit. Should it not be made, the empty one is refused by
/// [`answer`], and the client asks again.
fn receipt(app: &App, record: &Record, link: &Link) -> Vec<u8> {
    let receipt = Receipt {
        v: VERSION,
        record_id: record.id,
        body_sha256: FixedBytes(record.body_sha256),
        account_id: record.account_id,
        audit_seq: u64::try_from(link.seq).unwrap_or(0),
        audit_hash: FixedBytes(link.hash),
        committed_at: record.received_at,
        log_origin: app.origin().to_owned(),
    };
    let signed = app.keys.sign_receipt(Receipt::KIND, &receipt);
    signed.and_then(|signed| serde_json::to_vec(&signed)).unwrap_or_default()
}

fn answer(receipt: &[u8], new: bool) -> Result<Stored<SaveAnswer>, Failure> {
    Ok(Stored { new, answer: SaveAnswer { receipt: stored_receipt(receipt)? } })
}

/// A receipt as it was stored.
pub(super) fn stored_receipt(receipt: &[u8]) -> Result<Signed, Fault> {
    serde_json::from_slice(receipt).map_err(|_| Fault::Stored("receipt"))
}

/// The signed save of a record.
pub(super) fn stored_save(record: &Record) -> Result<Signed, Fault> {
    serde_json::from_slice(&record.signature).map_err(|_| Fault::Stored("record"))
}

/// `GET /v1/records`: everything but the secret parts.
pub(super) async fn list(
    State(app): State<App>,
    session: Session,
    Query(page): Query<Page<RecordId>>,
) -> Result<Json<RecordPage>, Failure> {
    let limit = page.limit(MAX_PAGE);
    // One more than asked for tells whether there are more.
    let mut rows = app.store.records_page(session.account(), page.after, i64::from(limit) + 1).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let mut notes = BTreeMap::new();
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        notes.extend(app.store.notes(session.account(), first.record.id, last.record.id).await?);
    }
    let records = rows.into_iter().map(|row| {
        let note = notes.remove(&row.record.id);
        view(row, note)
    });
    let records = records.collect::<Result<_, Fault>>()?;
    Ok(Json(RecordPage { records, more }))
}

fn view(listing: Listing, note: Option<Vec<u8>>) -> Result<RecordView, Fault> {
    let state = match listing.state {
        RecordState::Live => "live",
        RecordState::Superseded => "superseded",
        RecordState::Retired => "retired",
        RecordState::Hidden => "hidden",
    };
    Ok(RecordView {
        record_id: listing.record.id,
        save: stored_save(&listing.record)?,
        header: Bytes(listing.record.header),
        meta: Bytes(listing.record.meta),
        state: state.to_owned(),
        received_at: listing.record.received_at,
        revealed_at: listing.revealed_at,
        note: note.and_then(|note| serde_json::from_slice(&note).ok()),
    })
}

/// `POST /v1/records/{id}/held`: a device learns whether a record of its own is still stored as it was sent, and nothing
/// about any other.
pub(super) async fn held(State(app): State<App>, held: SignedHeld) -> Result<Json<HeldAnswer>, Failure> {
    let question = held.question();
    let record = app.store.record(question.account_id, question.record_id).await?;
    let author = question.device_id.into();
    let Some(record) = record.filter(|record| record.author_id == author) else {
        let purged = app.store.is_purged(question.account_id, question.record_id).await?;
        return Err(if purged { Code::RecordDeleted } else { Code::RecordNotFound }.into());
    };
    let payload = stored_save(&record)?.payload;
    let digest = sha256(&[&question.nonce.0, &payload, &record.header, &record.meta, &record.secret]);
    Ok(Json(HeldAnswer { digest: FixedBytes(digest) }))
}
