//! Tables `record_notes` and `record_copies`; the names and calls of devices.

use async_trait::async_trait;
use sqlx::Row;
use vault_protocol::note::Finding;

use super::{Connection, SqlStore, audit, exactly_one, in_transaction, records, row};
use crate::notes::MAX_COPIES;
use crate::{AccountId, DeviceId, Digest, Error, LinkMaker, Millis, NewNote, Notes, Record, RecordId, Refusal};

#[async_trait]
impl Notes for SqlStore {
    async fn note_record(&self, note: &NewNote, link: Option<LinkMaker<'_>>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            require_concern(tx, note).await?;
            sqlx::query(
                "INSERT INTO record_notes (account_id, record_id, device_id, finding, body, at)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (account_id, record_id) DO UPDATE SET device_id = excluded.device_id,
                   finding = excluded.finding, body = excluded.body, at = excluded.at
                 WHERE record_notes.at <= excluded.at",
            )
            .bind(&note.account_id.as_bytes()[..])
            .bind(&note.record_id.as_bytes()[..])
            .bind(&note.device_id.as_bytes()[..])
            .bind(note.finding.name())
            .bind(&note.body)
            .bind(note.at)
            .execute(&mut *tx)
            .await?;
            note_state(tx, note).await?;
            if let Some(link) = link {
                audit::append(tx, note.account_id, link).await?;
            }
            Ok(())
        })
    }

    async fn notes(
        &self,
        account: AccountId,
        first: RecordId,
        last: RecordId,
    ) -> Result<Vec<(RecordId, Vec<u8>)>, Error> {
        let rows = sqlx::query(
            "SELECT record_id, body FROM record_notes WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
        )
        .bind(&account.as_bytes()[..])
        .bind(&first.as_bytes()[..])
        .bind(&last.as_bytes()[..])
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let record = RecordId::from_bytes(row::bytes(row, "record_notes", "record_id")?);
                Ok((record, row.try_get("body")?))
            })
            .collect()
    }

    async fn label_device(
        &self,
        account: AccountId,
        device: DeviceId,
        label_sealed: &[u8],
        link: LinkMaker<'_>,
    ) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query("UPDATE devices SET label_sealed = $1 WHERE account_id = $2 AND id = $3")
                .bind(label_sealed)
                .bind(&account.as_bytes()[..])
                .bind(&device.as_bytes()[..])
                .execute(&mut *tx)
                .await?;
            exactly_one(&done, Refusal::NotFound)?;
            audit::append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn see_device(&self, account: AccountId, device: DeviceId, now: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("UPDATE devices SET seen_at = $1 WHERE account_id = $2 AND id = $3 AND state = 'active'")
                .bind(now)
                .bind(&account.as_bytes()[..])
                .bind(&device.as_bytes()[..])
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn store_copy(&self, record: &Record, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let row = sqlx::query(
                "SELECT COALESCE(MAX(c.n), 0) AS n FROM records r
                 LEFT JOIN record_copies c ON c.account_id = r.account_id AND c.record_id = r.id
                 WHERE r.account_id = $1 AND r.id = $2 GROUP BY r.id",
            )
            .bind(&record.account_id.as_bytes()[..])
            .bind(&record.id.as_bytes()[..])
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Refusal::NotFound)?;
            let n: i64 = row.try_get("n")?;
            if n >= MAX_COPIES {
                return Err(Refusal::Quota.into());
            }
            insert_copy(tx, record, n + 1).await?;
            audit::append(tx, record.account_id, link).await?;
            Ok(())
        })
    }
}

/// The device saved the record, or was ordered to replace its key.
async fn require_concern(tx: &mut Connection, note: &NewNote) -> Result<(), Error> {
    let row = sqlx::query(
        "SELECT 1 FROM records r WHERE r.account_id = $1 AND r.id = $2 AND (r.author_id = $3 OR EXISTS (
           SELECT 1 FROM orders o WHERE o.account_id = $1 AND o.record_id = $2 AND o.device_id = $3))",
    )
    .bind(&note.account_id.as_bytes()[..])
    .bind(&note.record_id.as_bytes()[..])
    .bind(&note.device_id.as_bytes()[..])
    .fetch_optional(tx)
    .await?;
    row.map(|_| ()).ok_or_else(|| Refusal::NotFound.into())
}

async fn note_state(tx: &mut Connection, note: &NewNote) -> Result<(), Error> {
    let (account, record) = (note.account_id, note.record_id);
    match note.finding {
        Finding::Verified => {
            sqlx::query(
                "UPDATE record_state SET verified_at = $1
                 WHERE account_id = $2 AND record_id = $3 AND (verified_at IS NULL OR verified_at < $1)",
            )
            .bind(note.at)
            .bind(&account.as_bytes()[..])
            .bind(&record.as_bytes()[..])
            .execute(tx)
            .await?;
        }
        Finding::Retired => {
            sqlx::query(
                "UPDATE record_state SET state = 'retired' WHERE account_id = $1 AND record_id = $2
                   AND state IN ('live', 'superseded')",
            )
            .bind(&account.as_bytes()[..])
            .bind(&record.as_bytes()[..])
            .execute(&mut *tx)
            .await?;
            records::count_live(tx, account).await?;
        }
        Finding::Missing | Finding::Unknown | Finding::Resent => {}
    }
    Ok(())
}

async fn insert_copy(tx: &mut Connection, record: &Record, n: i64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO record_copies (account_id, record_id, n, header, meta, secret, signature, body_sha256, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&record.account_id.as_bytes()[..])
    .bind(&record.id.as_bytes()[..])
    .bind(n)
    .bind(&record.header)
    .bind(&record.meta)
    .bind(&record.secret)
    .bind(&record.signature)
    .bind(&record.body_sha256[..])
    .bind(record.received_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Puts the newest copies in the place of records that were found damaged. There are hardly ever any. A listing carries no
/// secret part, healed or not.
pub(super) async fn heal(
    tx: &mut Connection,
    account: AccountId,
    records: &mut [&mut Record],
    with_secret: bool,
) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query("SELECT * FROM record_copies WHERE account_id = $1 ORDER BY n")
        .bind(&account.as_bytes()[..])
        .fetch_all(tx)
        .await?;
    for row in &rows {
        let id = RecordId::from_bytes(row::bytes(row, "record_copies", "record_id")?);
        let Some(record) = records.iter_mut().find(|record| record.id == id) else { continue };
        record.header = row.try_get("header")?;
        record.meta = row.try_get("meta")?;
        if with_secret {
            record.secret = row.try_get("secret")?;
        }
        record.signature = row.try_get("signature")?;
        record.body_sha256 = row::bytes(row, "record_copies", "body_sha256")?;
    }
    Ok(())
}

/// Whether a record has a copy with these bytes.
pub(super) async fn has_copy(
    tx: &mut Connection,
    account: AccountId,
    id: RecordId,
    body_sha256: &Digest,
) -> Result<bool, Error> {
    let row = sqlx::query(
        "SELECT 1 FROM record_copies WHERE account_id = $1 AND record_id = $2 AND body_sha256 = $3 LIMIT 1",
    )
    .bind(&account.as_bytes()[..])
    .bind(&id.as_bytes()[..])
    .bind(&body_sha256[..])
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}
