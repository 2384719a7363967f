//! Table `outbox_mail`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, SqlRow, SqlStore, in_transaction, row, unique};
use crate::{Error, Millis, Outbox, OutgoingMail, QueuedMail, Refusal};

#[async_trait]
impl Outbox for SqlStore {
    async fn add_mail(&self, mail: &OutgoingMail) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            insert(tx, mail).await?;
            Ok(())
        })
    }

    async fn mail_to_send(&self, now: Millis, limit: i64) -> Result<Vec<QueuedMail>, Error> {
        let rows = sqlx::query("SELECT * FROM outbox_mail WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2")
            .bind(now)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(queued_of).collect()
    }

    async fn claim_mail(&self, id: [u8; 16], tries: i64, now: Millis, until: Millis) -> Result<bool, Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE outbox_mail SET tries = tries + 1, next_at = $1 WHERE id = $2 AND tries = $3 AND next_at <= $4",
            )
            .bind(until)
            .bind(&id[..])
            .bind(tries)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            Ok(done.rows_affected() == 1)
        })
    }

    async fn mail_done(&self, id: [u8; 16], tries: i64) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("DELETE FROM outbox_mail WHERE id = $1 AND tries = $2")
                .bind(&id[..])
                .bind(tries)
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn mail_failed(&self, id: [u8; 16], tries: i64, next_at: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("UPDATE outbox_mail SET next_at = $1 WHERE id = $2 AND tries = $3")
                .bind(next_at)
                .bind(&id[..])
                .bind(tries)
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn mail_waiting(&self) -> Result<i64, Error> {
        let row = sqlx::query("SELECT COUNT(*) FROM outbox_mail").fetch_one(&self.readers).await?;
        Ok(row.try_get(0)?)
    }
}

pub(super) async fn insert(tx: &mut Connection, mail: &OutgoingMail) -> Result<(), Error> {
    sqlx::query("INSERT INTO outbox_mail (id, sealed, created_at, next_at, expires_at) VALUES ($1, $2, $3, $3, $4)")
        .bind(&mail.id[..])
        .bind(&mail.sealed)
        .bind(mail.created_at)
        .bind(mail.expires_at)
        .execute(tx)
        .await
        .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// Whether this notice was not sent so far.
pub(super) async fn waits(tx: &mut Connection, id: &[u8; 16]) -> Result<bool, Error> {
    let row = sqlx::query("SELECT 1 FROM outbox_mail WHERE id = $1").bind(&id[..]).fetch_optional(tx).await?;
    Ok(row.is_some())
}

pub(super) async fn forget(tx: &mut Connection, id: &[u8; 16]) -> Result<(), Error> {
    sqlx::query("DELETE FROM outbox_mail WHERE id = $1").bind(&id[..]).execute(tx).await?;
    Ok(())
}

fn queued_of(row: &SqlRow) -> Result<QueuedMail, Error> {
    Ok(QueuedMail {
        mail: OutgoingMail {
            id: row::bytes(row, "outbox_mail", "id")?,
            sealed: row.try_get("sealed")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        },
        tries: row.try_get("tries")?,
    })
}
