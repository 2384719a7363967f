//! Tables `purge_window` and `purged`; rows of other tables that go with a record or an account.

use async_trait::async_trait;

use super::{Connection, EMPTY, SqlStore, audit, exactly_one, in_transaction, outbox, records, waits};
use crate::{AccountId, Deletions, Error, LinkMaker, Millis, RecordId, Refusal, Wait, WaitKind};

/// The records from `$2` to `$3` of account `$1`, noted as deleted at `$4`.
const NOTE: [&str; 2] = [
    "INSERT INTO purge_window (account_id, record_id, until)
       SELECT account_id, id, $4 FROM records WHERE account_id = $1 AND id >= $2 AND id <= $3",
    "INSERT INTO purged (account_id, record_id, at)
       SELECT account_id, id, $4 FROM records WHERE account_id = $1 AND id >= $2 AND id <= $3",
];

/// What belongs to them first, then they themselves.
const PURGE: [&str; 8] = [
    "DELETE FROM receipts WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
    "DELETE FROM record_index WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
    "DELETE FROM record_state WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
    "DELETE FROM record_copies WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
    "DELETE FROM record_notes WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
    "DELETE FROM orders WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
    "DELETE FROM records WHERE account_id = $1 AND id >= $2 AND id <= $3",
    "DELETE FROM purge_window WHERE account_id = $1 AND record_id >= $2 AND record_id <= $3",
];

/// What opens an account, or speaks for it.
const FORGET: [&str; 8] = [
    "DELETE FROM slots WHERE account_id = $1",
    "DELETE FROM factors WHERE account_id = $1",
    "DELETE FROM backup_codes WHERE account_id = $1",
    "DELETE FROM sessions WHERE account_id = $1",
    "DELETE FROM grants WHERE account_id = $1",
    "DELETE FROM device_codes WHERE account_id = $1",
    "DELETE FROM devices WHERE account_id = $1",
    "DELETE FROM key_statements WHERE account_id = $1",
];

#[async_trait]
impl Deletions for SqlStore {
    async fn finish_deletion(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error> {
        let store = self.purger();
        in_transaction!(store, |tx| {
            waits::due(tx, wait, wait.kind, now).await?;
            if outbox::waits(tx, wait.id.as_bytes()).await? {
                return Err(Refusal::Unannounced.into());
            }
            waits::end(tx, wait, "done", now).await?;
            match wait.kind {
                WaitKind::DeleteRecord => {
                    let record = target_of(wait)?;
                    purge(tx, wait.account_id, *record.as_bytes(), *record.as_bytes(), now).await?;
                    records::count_live(tx, wait.account_id).await?;
                }
                WaitKind::DeleteAccount => {
                    purge(tx, wait.account_id, [0; 16], [0xFF; 16], now).await?;
                    records::count_live(tx, wait.account_id).await?;
                    close(tx, wait.account_id, now).await?;
                }
                _ => return Err(Refusal::Wait.into()),
            }
            audit::append(tx, wait.account_id, link).await?;
            Ok(())
        })
    }

    async fn is_purged(&self, account: AccountId, id: RecordId) -> Result<bool, Error> {
        is_purged(&mut *self.readers.acquire().await?, account, id).await
    }
}

/// The record that a deletion is about.
pub(super) fn target_of(wait: &Wait) -> Result<RecordId, Error> {
    wait.target.parse().map_err(|_| Error::Corrupt { table: "waits", column: "target" })
}

async fn is_purged(tx: &mut Connection, account: AccountId, id: RecordId) -> Result<bool, Error> {
    let row = sqlx::query("SELECT 1 FROM purged WHERE account_id = $1 AND record_id = $2")
        .bind(&account.as_bytes()[..])
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}

/// The record of a deletion that begins, in its own words: it has to be there.
pub(super) async fn hold(tx: &mut Connection, wait: &Wait) -> Result<(), Error> {
    let record = target_of(wait)?;
    let done = sqlx::query("UPDATE record_state SET delete_at = $1 WHERE account_id = $2 AND record_id = $3")
        .bind(wait.due_at)
        .bind(&wait.account_id.as_bytes()[..])
        .bind(&record.as_bytes()[..])
        .execute(tx)
        .await?;
    exactly_one(&done, Refusal::NotFound)
}

/// It is not deleted after all.
pub(super) async fn release_hold(tx: &mut Connection, wait: &Wait) -> Result<(), Error> {
    let record = target_of(wait)?;
    sqlx::query("UPDATE record_state SET delete_at = NULL WHERE account_id = $1 AND record_id = $2")
        .bind(&wait.account_id.as_bytes()[..])
        .bind(&record.as_bytes()[..])
        .execute(tx)
        .await?;
    Ok(())
}

/// The account's records from `first` to `last` go. The window in which the database lets them opens and closes here.
async fn purge(
    tx: &mut Connection,
    account: AccountId,
    first: [u8; 16],
    last: [u8; 16],
    now: Millis,
) -> Result<(), Error> {
    for sql in NOTE {
        sqlx::query(sql)
            .bind(&account.as_bytes()[..])
            .bind(&first[..])
            .bind(&last[..])
            .bind(now)
            .execute(&mut *tx)
            .await?;
    }
    for sql in PURGE {
        sqlx::query(sql).bind(&account.as_bytes()[..]).bind(&first[..]).bind(&last[..]).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Nothing opens the account any more, and its address is free for a new one.
async fn close(tx: &mut Connection, account: AccountId, now: Millis) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE accounts SET state = 'closed', email_norm = $2, opaque_record = $3, off_at = NULL, epoch = epoch + 1
         WHERE id = $1 AND state = 'active'",
    )
    .bind(&account.as_bytes()[..])
    .bind(format!("closed:{account}"))
    .bind(EMPTY)
    .execute(&mut *tx)
    .await?;
    exactly_one(&done, Refusal::Wait)?;
    waits::cancel_all(tx, account, now).await?;
    for sql in FORGET {
        sqlx::query(sql).bind(&account.as_bytes()[..]).execute(&mut *tx).await?;
    }
    Ok(())
}
