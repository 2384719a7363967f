//! Tables `records`, `record_state`, `record_index`, `receipts`.

use async_trait::async_trait;
use sqlx::Row;

use super::saves::Look;
use super::{Connection, SqlRow, SqlStore, audit, counters, devices, grants, in_transaction, notes, row};
use crate::{
    AccountId, AuthorId, Digest, Error, GrantUse, IndexEntry, LinkMaker, Listing, NewRecord, Record, RecordId,
    RecordState, Records, Refusal, ReleaseLinker, Released, SaveSealer, Saved,
};

#[async_trait]
impl Records for SqlStore {
    async fn save_record(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Saved, Error> {
        let begun = std::time::Instant::now();
        let saved = match self.save_at_once(new, seal).await {
            // It is not the usual case, or it met another one of this account.
            Ok(None) => self.save_by_steps(new, seal).await,
            Ok(Some(saved)) => {
                let saved = Ok(saved);
                self.write_times.ended(begun, &saved);
                saved
            }
            Err(error) => {
                let failed = Err(error);
                self.write_times.ended(begun, &failed);
                failed
            }
        }?;
        if matches!(saved, Saved::Before(_)) {
            self.confirm(new.record.account_id, new.record.id).await?;
        }
        Ok(saved)
    }

    async fn receipt(&self, account: AccountId, id: RecordId, body_sha256: Digest) -> Result<Option<Vec<u8>>, Error> {
        let mut connection = self.readers.acquire().await?;
        let found = receipt_of(&mut connection, account, id, &body_sha256).await?;
        drop(connection);
        if found.is_some() {
            self.confirm(account, id).await?;
        }
        Ok(found)
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
        let mut listings = rows.iter().map(listing_of).collect::<Result<Vec<_>, Error>>()?;
        let mut records: Vec<&mut Record> = listings.iter_mut().map(|listing| &mut listing.record).collect();
        let mut connection = self.readers.acquire().await?;
        notes::heal(&mut connection, account, &mut records, false).await?;
        Ok(listings)
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

impl SqlStore {
    async fn save_by_steps(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Saved, Error> {
        let record = &new.record;
        let account = record.account_id;
        in_transaction!(self, |tx| {
            if let Some(receipt) = receipt_of(tx, account, record.id, &record.body_sha256).await? {
                return Ok(Saved::Before(receipt));
            }
            let look = Look::at(tx, new).await?;
            look.judge(new)?;
            if let Some((device, seq)) = new.device {
                devices::note_save(tx, account, device, seq, record.received_at).await?;
            }
            for place in new.place.iter().chain(look.new_key_place(new)) {
                counters::take(tx, place).await?;
            }
            // Rows that somebody deleted behind our back are put back one by one; the others stay.
            match find(tx, account, record.id).await? {
                Some(stored) if stored.body_sha256 == record.body_sha256 => {}
                Some(_) => return Err(Refusal::IdConflict.into()),
                None => insert(tx, record).await?,
            }
            for entry in &new.index {
                insert_index(tx, record, entry).await?;
            }
            begin_state(tx, record).await?;
            count_live(tx, account).await?;
            let (link, receipt) = seal(&look.head);
            audit::insert(tx, account, &look.head, &link).await?;
            insert_receipt(tx, record, link.seq, &receipt).await?;
            Ok(Saved::New(receipt))
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
        .fetch_optional(&mut *tx)
        .await?;
    let mut record = row.as_ref().map(|row| record_of(row, row.try_get("secret")?)).transpose()?;
    if let Some(record) = &mut record {
        notes::heal(tx, account, &mut [record], true).await?;
    }
    Ok(record)
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
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let same = row::bytes::<32>(&row, "records", "body_sha256")? == *body_sha256;
    if !same && !notes::has_copy(tx, account, id, body_sha256).await? {
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

/// Counts the account's live records anew, after a change of states.
pub(super) async fn count_live(tx: &mut Connection, account: AccountId) -> Result<(), Error> {
    sqlx::query(
        "UPDATE audit_heads SET live =
           (SELECT COUNT(*) FROM record_state s WHERE s.account_id = audit_heads.account_id AND s.state = 'live')
         WHERE account_id = $1",
    )
    .bind(&account.as_bytes()[..])
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert(tx: &mut Connection, record: &Record) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO records
           (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, supersedes, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&record.account_id.as_bytes()[..])
    .bind(&record.id.as_bytes()[..])
    .bind(&record.author_id.as_bytes()[..])
    .bind(&record.kind)
    .bind(&record.header)
    .bind(&record.meta)
    .bind(&record.secret)
    .bind(&record.signature)
    .bind(&record.body_sha256[..])
    .bind(record.supersedes.as_ref().map(|id| &id.as_bytes()[..]))
    .bind(record.received_at)
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_index(tx: &mut Connection, record: &Record, entry: &IndexEntry) -> Result<(), Error> {
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

/// The new record is live; the one it supersedes, if it is there and live, steps back. Nothing else changes.
async fn begin_state(tx: &mut Connection, record: &Record) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO record_state (account_id, record_id, state) VALUES ($1, $2, 'live') ON CONFLICT DO NOTHING",
    )
    .bind(&record.account_id.as_bytes()[..])
    .bind(&record.id.as_bytes()[..])
    .execute(&mut *tx)
    .await?;
    if let Some(older) = &record.supersedes {
        sqlx::query(
            "UPDATE record_state SET state = 'superseded' WHERE account_id = $1 AND record_id = $2 AND state = 'live'",
        )
        .bind(&record.account_id.as_bytes()[..])
        .bind(&older.as_bytes()[..])
        .execute(tx)
        .await?;
    }
    Ok(())
}

async fn insert_receipt(tx: &mut Connection, record: &Record, seq: i64, receipt: &[u8]) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO receipts (account_id, record_id, audit_seq, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(&record.account_id.as_bytes()[..])
    .bind(&record.id.as_bytes()[..])
    .bind(seq)
    .bind(receipt)
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
