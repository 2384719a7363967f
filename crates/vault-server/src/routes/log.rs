//! The global log for everybody: checkpoint and tiles (C2SP tlog-tiles). Hashes only; who made an entry has the rest.
//! And for those whose entries they are: proofs.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use vault_protocol::limits::MAX_PROOF_PAGE;
use vault_protocol::log::{InclusionProof, TILE_WIDTH, Tile, TileId, Tiles, inclusion_spans};
use vault_protocol::messages::{AuditProofs, EntryProof, RecordProof};
use vault_protocol::problem::Code;
use vault_protocol::record::Receipt;
use vault_protocol::{AccountId, FixedBytes};
use vault_store::LogHead;

use super::records::stored_receipt;
use crate::app::App;
use crate::authority::{Session, SignedProofQuestion};
use crate::failure::{Failure, Fault};
use crate::http::{Json, Path, Query, Text};

/// A tile of a width never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const HASH_BYTES: usize = 32;

/// `GET /log/checkpoint`
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Text, Failure> {
    Ok(Text(head(&app).await?.note))
}

/// `GET /log/tile/{level}/{number}[.p/{width}]`. A tile that has grown since is served in its former width, too.
pub(super) async fn tile(State(app): State<App>, Path(path): Path<String>) -> Result<impl IntoResponse, Failure> {
    let (id, width) = TileId::parse(&path).ok_or(Code::NotFound)?;
    let width = usize::try_from(width.min(TILE_WIDTH)).map_err(|_| Code::NotFound)? * HASH_BYTES;
    let mut hashes = app.store.log_tile(id).await?.filter(|hashes| hashes.len() >= width).ok_or(Code::NotFound)?;
    hashes.truncate(width);
    Ok(([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, FOR_EVER)], hashes))
}

/// Which entries, and for which checkpoint.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct ProofPage {
    after: Option<u64>,
    limit: Option<u32>,
    size: Option<u64>,
}

/// `GET /v1/audit/proofs`
pub(super) async fn audit_proofs(
    State(app): State<App>,
    session: Session,
    Query(page): Query<ProofPage>,
) -> Result<Json<AuditProofs>, Failure> {
    let newest = size_of(&head(&app).await?)?;
    let size = page.size.unwrap_or(newest);
    let after = i64::try_from(page.after.unwrap_or(0)).map_err(|_| Code::RequestInvalid)?;
    if size > newest {
        return Err(Code::RequestInvalid.into());
    }
    let limit = page.limit.unwrap_or(MAX_PROOF_PAGE).clamp(1, MAX_PROOF_PAGE);
    let rows = app.store.audit_page(session.account(), after, limit.into()).await?;
    let last = rows.last().map_or(after, |row| row.link.seq);
    let number = |value: i64| u64::try_from(value).map_err(|_| Fault::Stored("audit entry"));
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(index) = row.log_index.map(number).transpose()?.filter(|index| *index < size) {
            places.push((number(row.link.seq)?, index));
        }
    }
    let tiles = tiles_for(&app, places.iter().map(|(_, index)| *index), size).await?;
    let proofs = places.into_iter().map(|(seq, index)| {
        let path = tiles.inclusion(index, size).ok_or(Fault::Stored("tile of the log"))?;
        Ok(EntryProof { seq, index, path: path.into_iter().map(FixedBytes).collect() })
    });
    Ok(Json(AuditProofs { size, last: number(last)?, proofs: proofs.collect::<Result<_, Fault>>()? }))
}

/// `POST /v1/records/{id}/proof`: a device learns where the save of a record of its own lies, and nothing about any other.
pub(super) async fn record_proof(
    State(app): State<App>,
    question: SignedProofQuestion,
) -> Result<Json<RecordProof>, Failure> {
    let question = question.question();
    let record = app.store.record(question.account_id, question.record_id).await?;
    let author = question.device_id.into();
    let record = record.filter(|record| record.author_id == author).ok_or(Code::RecordNotFound)?;
    let receipt = app.store.receipt(record.account_id, record.id, record.body_sha256).await?;
    let receipt = stored_receipt(&receipt.ok_or(Fault::Stored("receipt"))?)?;
    let receipt: Receipt = serde_json::from_slice(&receipt.payload).map_err(|_| Fault::Stored("receipt"))?;
    let head = head(&app).await?;
    let Some(index) = place_of(&app, record.account_id, receipt.audit_seq).await? else {
        return Ok(Json(RecordProof { proof: None }));
    };
    let size = size_of(&head)?;
    if index >= size {
        // It got its place after the head was read.
        return Ok(Json(RecordProof { proof: None }));
    }
    let tiles = tiles_for(&app, [index], size).await?;
    let path = tiles.inclusion(index, size).ok_or(Fault::Stored("tile of the log"))?;
    Ok(Json(RecordProof { proof: Some(InclusionProof { index, path, note: head.note }.to_text()) }))
}

async fn head(app: &App) -> Result<LogHead, Failure> {
    Ok(app.store.log_head().await?.ok_or(Fault::Stored("head of the log"))?)
}

fn size_of(head: &LogHead) -> Result<u64, Fault> {
    u64::try_from(head.size).map_err(|_| Fault::Stored("head of the log"))
}

async fn place_of(app: &App, account: AccountId, seq: u64) -> Result<Option<u64>, Failure> {
    let after = i64::try_from(seq).unwrap_or(i64::MAX) - 1;
    let row = app.store.audit_page(account, after, 1).await?.pop();
    Ok(row.and_then(|row| row.log_index).and_then(|index| u64::try_from(index).ok()))
}

/// The tiles that prove these leaves.
async fn tiles_for(app: &App, indexes: impl IntoIterator<Item = u64>, size: u64) -> Result<Tiles, Failure> {
    let spans: Vec<_> = indexes.into_iter().flat_map(|index| inclusion_spans(index, size)).collect();
    let mut tiles = Tiles::default();
    for id in Tiles::needed(&spans) {
        let bytes = app.store.log_tile(id).await?;
        let tile = bytes.and_then(|bytes| Tile::parse(&bytes)).ok_or(Fault::Stored("tile of the log"))?;
        tiles.insert(id, tile);
    }
    Ok(tiles)
}
