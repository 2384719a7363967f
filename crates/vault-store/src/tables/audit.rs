//! Tables `audit` and `audit_heads`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, SqlRow, SqlStore, exactly_one, in_transaction, outbox, row, unique};
use crate::{AccountId, Audit, AuditRow, ChainHead, Error, Link, LinkMaker, Refusal};

#[async_trait]
impl Audit for SqlStore {
    async fn audit_head(&self, account: AccountId) -> Result<ChainHead, Error> {
        let mut connection = self.readers.acquire().await?;
        head(&mut connection, account).await
    }

    async fn append_audit(&self, account: AccountId, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn audit_page(&self, account: AccountId, after: i64, limit: i64) -> Result<Vec<AuditRow>, Error> {
        let rows = sqlx::query("SELECT * FROM audit WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3")
            .bind(&account.as_bytes()[..])
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(entry_of).collect()
    }
}

/// The head of a chain, read inside the transaction that will advance it.
pub(super) async fn head(tx: &mut Connection, account: AccountId) -> Result<ChainHead, Error> {
    let row = sqlx::query("SELECT seq, hash FROM audit_heads WHERE account_id = $1")
        .bind(&account.as_bytes()[..])
        .fetch_optional(tx)
        .await?
        .ok_or(Refusal::NotFound)?;
    Ok(ChainHead { seq: row.try_get("seq")?, hash: row::bytes(&row, "audit_heads", "hash")? })
}

pub(super) async fn begin_chain(tx: &mut Connection, account: AccountId, head: &ChainHead) -> Result<(), Error> {
    sqlx::query("INSERT INTO audit_heads (account_id, seq, hash) VALUES ($1, $2, $3)")
        .bind(&account.as_bytes()[..])
        .bind(head.seq)
        .bind(&head.hash[..])
        .execute(tx)
        .await
        .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// Adds the entry that `link` makes from the head.
pub(super) async fn append(tx: &mut Connection, account: AccountId, link: LinkMaker<'_>) -> Result<(), Error> {
    let head = head(tx, account).await?;
    insert(tx, account, &head, &link(&head)).await
}

/// Adds an entry and advances the head from exactly `head` to it.
pub(super) async fn insert(
    tx: &mut Connection,
    account: AccountId,
    head: &ChainHead,
    link: &Link,
) -> Result<(), Error> {
    debug_assert!(link.seq == head.seq + 1 && link.prev == head.hash, "an entry follows the head");
    sqlx::query("INSERT INTO audit (account_id, seq, prev, hash, body) VALUES ($1, $2, $3, $4, $5)")
        .bind(&account.as_bytes()[..])
        .bind(link.seq)
        .bind(&link.prev[..])
        .bind(&link.hash[..])
        .bind(&link.body)
        .execute(&mut *tx)
        .await?;
    let done =
        sqlx::query("UPDATE audit_heads SET seq = $1, hash = $2 WHERE account_id = $3 AND seq = $4 - 1 AND hash = $5")
            .bind(link.seq)
            .bind(&link.hash[..])
            .bind(&account.as_bytes()[..])
            .bind(link.seq)
            .bind(&link.prev[..])
            .execute(&mut *tx)
            .await?;
    // Transactions are serialisable: the head cannot have moved since it was read.
    exactly_one(&done, Refusal::NotFound)?;
    match &link.mail {
        Some(mail) => outbox::insert(tx, mail).await,
        None => Ok(()),
    }
}

fn entry_of(row: &SqlRow) -> Result<AuditRow, Error> {
    Ok(AuditRow {
        link: Link {
            seq: row.try_get("seq")?,
            prev: row::bytes(row, "audit", "prev")?,
            hash: row::bytes(row, "audit", "hash")?,
            body: row.try_get("body")?,
            mail: None,
        },
        log_index: row.try_get("log_index")?,
    })
}
