//! Table `ceremonies`.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use super::{SqliteStore, exactly_one, row, unique};
use crate::{AccountId, Ceremonies, Ceremony, CeremonyId, Error, Millis, Refusal};

#[async_trait]
impl Ceremonies for SqliteStore {
    async fn add_ceremony(&self, ceremony: &Ceremony) -> Result<(), Error> {
        sqlx::query("INSERT INTO ceremonies (id, kind, account_id, state_sealed, expires_at) VALUES (?, ?, ?, ?, ?)")
            .bind(&ceremony.id.as_bytes()[..])
            .bind(&ceremony.kind)
            .bind(ceremony.account_id.as_ref().map(|id| &id.as_bytes()[..]))
            .bind(&ceremony.state_sealed)
            .bind(ceremony.expires_at)
            .execute(&self.writer)
            .await
            .map_err(|error| unique(error, Refusal::IdTaken))?;
        Ok(())
    }

    async fn try_ceremony(&self, id: CeremonyId, kind: &str, now: Millis, max_tries: i64) -> Result<Ceremony, Error> {
        let row = sqlx::query(
            "UPDATE ceremonies SET tries = tries + 1
             WHERE id = ? AND kind = ? AND used = 0 AND expires_at > ? AND tries < ?
             RETURNING account_id, state_sealed, expires_at",
        )
        .bind(&id.as_bytes()[..])
        .bind(kind)
        .bind(now)
        .bind(max_tries)
        .fetch_optional(&self.writer)
        .await?
        .ok_or(Refusal::Ceremony)?;
        Ok(Ceremony {
            id,
            kind: kind.to_owned(),
            account_id: row::optional_bytes(&row, "ceremonies", "account_id")?.map(AccountId::from_bytes),
            state_sealed: row.try_get("state_sealed")?,
            expires_at: row.try_get("expires_at")?,
        })
    }

    async fn advance_ceremony(&self, next: &Ceremony, from: &str, now: Millis) -> Result<(), Error> {
        let done = sqlx::query(
            "UPDATE ceremonies SET kind = ?, state_sealed = ?, expires_at = ?, tries = 0
             WHERE id = ? AND kind = ? AND used = 0 AND expires_at > ?",
        )
        .bind(&next.kind)
        .bind(&next.state_sealed)
        .bind(next.expires_at)
        .bind(&next.id.as_bytes()[..])
        .bind(from)
        .bind(now)
        .execute(&self.writer)
        .await?;
        exactly_one(&done, Refusal::Ceremony)
    }

    async fn end_ceremony(&self, id: CeremonyId, kind: &str, now: Millis) -> Result<(), Error> {
        let mut tx = self.write().await?;
        end(&mut tx, id, kind, now).await?;
        Ok(tx.commit().await?)
    }
}

/// Ends an open ceremony inside a transaction. Its state is dropped: nothing needs it any more.
pub(super) async fn end(tx: &mut SqliteConnection, id: CeremonyId, kind: &str, now: Millis) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE ceremonies SET used = 1, state_sealed = x'' WHERE id = ? AND kind = ? AND used = 0 AND expires_at > ?",
    )
    .bind(&id.as_bytes()[..])
    .bind(kind)
    .bind(now)
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::Ceremony)
}
