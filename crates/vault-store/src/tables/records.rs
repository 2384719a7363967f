//! Tables `records`, `record_state`, `record_index`, `receipts`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, SqlRow, SqlStore, audit, grants, in_transaction, row};
use crate::{
    AccountId, AuthorId, Digest, Error, GrantUse, IndexEntry, LinkMaker, Listing, NewRecord, Record, RecordId,
    RecordState, Records, Refusal, ReleaseLinker, Released, SaveSealer, Saved,
};

#[async_trait]
impl Records for SqlStore {
    async fn save_record(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Saved, Error> {
        let begun = std::time::Instant::now();
        let saved = self.save(new, seal).await;
        self.write_times.ended(begun, &saved);
        saved
    }

    async fn receipt(&self, account: AccountId, id: RecordId, body_sha256: Digest) -> Result<Option<Vec<u8>>, Error> {
        let mut connection = self.readers.acquire().await?;
        receipt_of(&mut connection, account, id, &body_sha256).await
    }

    async fn key_is_known(&self, account: AccountId, full: &[u8]) -> Result<bool, Error> {
        is_known(&mut *self.readers.acquire().await?, account, full).await
    }

    async fn records_page(
        &self,
        account: AccountId,
        after: Option<RecordId>,
        limit: i64,
    ) -> Result<Vec<Listing>, Error> {
        let after = after.map_or([0; 16], |id| *id.as_bytes());
        let rows = sqlx::query(
            "SELECT r.account_id, r.id, r.author_id, r.kind, r.header, r.meta, r.signature,
               r.body_sha256, r.supersedes, r.received_at, s.state, s.revealed_at
             FROM records r JOIN record_state s ON s.account_id = r.account_id AND s.record_id = r.id
             WHERE r.account_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3",
        )
        .bind(&account.as_bytes()[..])
        .bind(&after[..])
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(listing_of).collect()
    }

    async fn record(&self, account: AccountId, id: RecordId) -> Result<Option<Record>, Error> {
        let mut connection = self.readers.acquire().await?;
        find(&mut connection, account, id).await
    }

    async fn release(&self, id: RecordId, grant: &GrantUse, link: LinkMaker<'_>) -> Result<Released, Error> {
        let account = grant.account_id;
        in_transaction!(self, |tx| {
            grants::spend(tx, grant).await?;
            let released = take_out(tx, account, id, grant.now).await?;
            audit::append(tx, account, link).await?;
            Ok(released)
        })
    }

    async fn release_all(
        &self,
        ids: &[RecordId],
        grant: &GrantUse,
        link: ReleaseLinker<'_>,
    ) -> Result<Vec<Released>, Error> {
        let account = grant.account_id;
        in_transaction!(self, |tx| {
            grants::spend(tx, grant).await?;
            let mut all = Vec::with_capacity(ids.len());
            for id in ids {
                all.push(take_out(tx, account, *id, grant.now).await?);
                audit::append(tx, account, &|head| link(*id, head)).await?;
            }
            Ok(all)
        })
    }
}

/// A record with its receipt, for somebody who may have it; notes when.
async fn take_out(tx: &mut Connection, account: AccountId, id: RecordId, now: i64) -> Result<Released, Error> {
    let record = find(&mut *tx, account, id).await?.ok_or(Refusal::NotFound)?;
    let receipt = receipt_of(&mut *tx, account, id, &record.body_sha256).await?.ok_or(Refusal::NotFound)?;
    sqlx::query("UPDATE record_state SET revealed_at = $1 WHERE account_id = $2 AND record_id = $3")
        .bind(now)
        .bind(&account.as_bytes()[..])
        .bind(&id.as_bytes()[..])
        .execute(tx)
        .await?;
    Ok(Released { record, receipt })
}

async fn find(tx: &mut Connection, account: AccountId, id: RecordId) -> Result<Option<Record>, Error> {
    let row = sqlx::query("SELECT * FROM records WHERE account_id = $1 AND id = $2")
        .bind(&account.as_bytes()[..])
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(|row| record_of(row, row.try_get("secret")?)).transpose()
}

async fn receipt_of(
    tx: &mut Connection,
    account: AccountId,
    id: RecordId,
    body_sha256: &Digest,
) -> Result<Option<Vec<u8>>, Error> {
    let row = sqlx::query(
        "SELECT r.body_sha256, c.body FROM records r
         JOIN receipts c ON c.account_id = r.account_id AND c.record_id = r.id WHERE r.account_id = $1 AND r.id = $2",
    )
    .bind(&account.as_bytes()[..])
    .bind(&id.as_bytes()[..])
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row::bytes::<32>(&row, "records", "body_sha256")? != *body_sha256 {
        return Err(Refusal::IdConflict.into());
    }
    Ok(Some(row.try_get("body")?))
}

pub(super) async fn is_known(tx: &mut Connection, account: AccountId, full: &[u8]) -> Result<bool, Error> {
    let row = sqlx::query(
        "SELECT 1 FROM record_index WHERE scope = 'account' AND scope_id = $1 AND \"full\" = $2 AND account_id = $1
         LIMIT 1",
    )
    .bind(&account.as_bytes()[..])
    .bind(full)
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}

pub(super) async fn insert_index(tx: &mut Connection, record: &Record, entry: &IndexEntry) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO record_index (scope, scope_id, \"full\", account_id, record_id, prefix)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(&entry.scope)
    .bind(&entry.scope_id[..])
    .bind(&entry.full)
    .bind(&record.account_id.as_bytes()[..])
    .bind(&record.id.as_bytes()[..])
    .bind(&entry.prefix)
    .execute(tx)
    .await?;
    Ok(())
}

fn record_of(row: &SqlRow, secret: Vec<u8>) -> Result<Record, Error> {
    Ok(Record {
        account_id: AccountId::from_bytes(row::bytes(row, "records", "account_id")?),
        id: RecordId::from_bytes(row::bytes(row, "records", "id")?),
        author_id: AuthorId::from_bytes(row::bytes(row, "records", "author_id")?),
        kind: row.try_get("kind")?,
        header: row.try_get("header")?,
        meta: row.try_get("meta")?,
        secret,
        signature: row.try_get("signature")?,
        body_sha256: row::bytes(row, "records", "body_sha256")?,
        supersedes: row::optional_bytes(row, "records", "supersedes")?.map(RecordId::from_bytes),
        received_at: row.try_get("received_at")?,
    })
}

fn listing_of(row: &SqlRow) -> Result<Listing, Error> {
    let state = match row.try_get("state")? {
        "live" => RecordState::Live,
        "superseded" => RecordState::Superseded,
        "retired" => RecordState::Retired,
        "hidden" => RecordState::Hidden,
        _ => return Err(Error::Corrupt { table: "record_state", column: "state" }),
    };
    Ok(Listing { record: record_of(row, Vec::new())?, state, revealed_at: row.try_get("revealed_at")? })
}
