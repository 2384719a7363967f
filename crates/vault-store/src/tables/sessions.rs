//! Table `sessions`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, SqlStore, exactly_one, in_transaction, row, unique};
use crate::{AccountId, Digest, Error, LiveSession, Millis, Refusal, Session, SessionLevel, Sessions};

#[async_trait]
impl Sessions for SqlStore {
    async fn add_session(&self, session: &Session) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            insert(tx, session).await?;
            Ok(())
        })
    }

    async fn session(&self, token_hash: Digest) -> Result<Option<LiveSession>, Error> {
        let row = sqlx::query(
            "SELECT s.*, a.epoch AS account_epoch, a.two_factor FROM sessions s
             JOIN accounts a ON a.id = s.account_id AND a.state = 'active' WHERE s.token_hash = $1",
        )
        .bind(&token_hash[..])
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let session = Session {
            token_hash,
            account_id: AccountId::from_bytes(row::bytes(&row, "sessions", "account_id")?),
            epoch: row.try_get("epoch")?,
            level: level_of(row.try_get("level")?)?,
            created_at: row.try_get("created_at")?,
            seen_at: row.try_get("seen_at")?,
            expires_at: row.try_get("expires_at")?,
            net: row.try_get("net")?,
        };
        let (account_epoch, two_factor) = (row.try_get("account_epoch")?, row.try_get("two_factor")?);
        Ok(Some(LiveSession { session, account_epoch, two_factor }))
    }

    async fn touch_session(&self, token_hash: Digest, seen_at: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("UPDATE sessions SET seen_at = $1 WHERE token_hash = $2 AND seen_at < $3")
                .bind(seen_at)
                .bind(&token_hash[..])
                .bind(seen_at)
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn end_session(&self, token_hash: Digest) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("DELETE FROM sessions WHERE token_hash = $1").bind(&token_hash[..]).execute(&mut *tx).await?;
            Ok(())
        })
    }
}

pub(super) async fn insert(tx: &mut Connection, session: &Session) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO sessions (token_hash, account_id, epoch, level, created_at, seen_at, expires_at, net)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&session.token_hash[..])
    .bind(&session.account_id.as_bytes()[..])
    .bind(session.epoch)
    .bind(match session.level {
        SessionLevel::Enrol => "enrol",
        SessionLevel::FactorsOnly => "factors",
        SessionLevel::Full => "full",
    })
    .bind(session.created_at)
    .bind(session.seen_at)
    .bind(session.expires_at)
    .bind(&session.net)
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// After a change of factors or password: the account's next epoch begins, every session ends, and the one that asked
/// goes on under a new token.
pub(super) async fn begin_epoch(tx: &mut Connection, from: &Digest, next: &Session) -> Result<(), Error> {
    let account = &next.account_id.as_bytes()[..];
    let ended = sqlx::query(
        "DELETE FROM sessions WHERE token_hash = $1 AND account_id = $2
           AND epoch = (SELECT epoch FROM accounts WHERE id = $2)",
    )
    .bind(&from[..])
    .bind(account)
    .execute(&mut *tx)
    .await?;
    exactly_one(&ended, Refusal::Session)?;
    sqlx::query("DELETE FROM sessions WHERE account_id = $1").bind(account).execute(&mut *tx).await?;
    let row = sqlx::query("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch")
        .bind(account)
        .fetch_one(&mut *tx)
        .await?;
    insert(tx, &Session { epoch: row.try_get("epoch")?, ..next.clone() }).await
}

/// The account's next epoch begins, and nobody goes on.
pub(super) async fn end_all(tx: &mut Connection, account: AccountId) -> Result<(), Error> {
    let account = &account.as_bytes()[..];
    sqlx::query("DELETE FROM sessions WHERE account_id = $1").bind(account).execute(&mut *tx).await?;
    sqlx::query("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1").bind(account).execute(tx).await?;
    Ok(())
}

fn level_of(word: &str) -> Result<SessionLevel, Error> {
    match word {
        "enrol" => Ok(SessionLevel::Enrol),
        "factors" => Ok(SessionLevel::FactorsOnly),
        "full" => Ok(SessionLevel::Full),
        _ => Err(Error::Corrupt { table: "sessions", column: "level" }),
    }
}
