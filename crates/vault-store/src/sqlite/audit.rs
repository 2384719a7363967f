//! Tables `audit` and `audit_heads`.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{SqliteStore, exactly_one, row, unique};
use crate::{AccountId, Audit, AuditRow, ChainHead, Error, Link, LinkMaker, Refusal};

#[async_trait]
impl Audit for SqliteStore {
    async fn audit_head(&self, account: AccountId) -> Result<ChainHead, Error> {
        let mut connection = self.readers.acquire().await?;
        head(&mut connection, account).await
    }

    async fn append_audit(&self, account: AccountId, link: LinkMaker<'_>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        append(&mut tx, account, link).await?;
        Ok(tx.commit().await?)
    }

    async fn audit_page(&self, account: AccountId, after: i64, limit: i64) -> Result<Vec<AuditRow>, Error> {
        let rows = sqlx::query("SELECT * FROM audit WHERE account_id = ? AND seq > ? ORDER BY seq LIMIT ?")
            .bind(&account.as_bytes()[..])
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(entry_of).collect()
    }
}

/// The head of a chain, read inside the transaction that will advance it.
pub(super) async fn head(tx: &mut SqliteConnection, account: AccountId) -> Result<ChainHead, Error> {
    let row = sqlx::query("SELECT seq, hash FROM audit_heads WHERE account_id = ?")
        .bind(&account.as_bytes()[..])
        .fetch_optional(tx)
        .await?
        .ok_or(Refusal::NotFound)?;
    Ok(ChainHead { seq: row.try_get("seq")?, hash: row::bytes(&row, "audit_heads", "hash")? })
}

pub(super) async fn begin_chain(tx: &mut SqliteConnection, account: AccountId, head: &ChainHead) -> Result<(), Error> {
    sqlx::query("INSERT INTO audit_heads (account_id, seq, hash) VALUES (?, ?, ?)")
        .bind(&account.as_bytes()[..])
        .bind(head.seq)
        .bind(&head.hash[..])
        .execute(tx)
        .await
        .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// Adds the entry that `link` makes from the head.
pub(super) async fn append(tx: &mut SqliteConnection, account: AccountId, link: LinkMaker<'_>) -> Result<(), Error> {
    let head = head(tx, account).await?;
    insert(tx, account, &head, &link(&head)).await
}

/// Adds an entry and advances the head from exactly `head` to it.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    account: AccountId,
    head: &ChainHead,
    link: &Link,
) -> Result<(), Error> {
    debug_assert!(link.seq == head.seq + 1 && link.prev == head.hash, "an entry follows the head");
    sqlx::query("INSERT INTO audit (account_id, seq, prev, hash, body) VALUES (?, ?, ?, ?, ?)")
        .bind(&account.as_bytes()[..])
        .bind(link.seq)
        .bind(&link.prev[..])
        .bind(&link.hash[..])
        .bind(&link.body)
        .execute(&mut *tx)
        .await?;
    let done =
        sqlx::query("UPDATE audit_heads SET seq = ?, hash = ? WHERE account_id = ? AND seq = ? - 1 AND hash = ?")
            .bind(link.seq)
            .bind(&link.hash[..])
            .bind(&account.as_bytes()[..])
            .bind(link.seq)
            .bind(&link.prev[..])
            .execute(tx)
            .await?;
    // The write lock is held since before the head was read: it cannot have moved.
    exactly_one(&done, Refusal::NotFound)
}

fn entry_of(row: &SqliteRow) -> Result<AuditRow, Error> {
    Ok(AuditRow {
        link: Link {
            seq: row.try_get("seq")?,
            prev: row::bytes(row, "audit", "prev")?,
            hash: row::bytes(row, "audit", "hash")?,
            body: row.try_get("body")?,
        },
        log_index: row.try_get("log_index")?,
    })
}
