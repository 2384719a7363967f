//! Table `ceremonies`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, EMPTY, SqlRow, SqlStore, exactly_one, grants, in_transaction, outbox, row, unique};
use crate::{AccountId, Ceremonies, Ceremony, CeremonyId, Error, GrantUse, Millis, OutgoingMail, Refusal, SlotId};

#[async_trait]
impl Ceremonies for SqlStore {
    async fn add_ceremony(&self, ceremony: &Ceremony) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            insert(tx, ceremony).await?;
            Ok(())
        })
    }

    async fn add_ceremony_with_mail(&self, ceremony: &Ceremony, mail: &OutgoingMail) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            insert(tx, ceremony).await?;
            outbox::insert(tx, mail).await?;
            Ok(())
        })
    }

    async fn add_granted_ceremony(&self, ceremony: &Ceremony, grant: &GrantUse) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            grants::spend(tx, grant).await?;
            insert(tx, ceremony).await?;
            Ok(())
        })
    }

    async fn add_ceremony_by_slot(&self, ceremony: &Ceremony, slot: SlotId) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let account = ceremony.account_id.ok_or(Refusal::NotFound)?;
            let there = sqlx::query("SELECT 1 FROM slots WHERE id = $1 AND account_id = $2 AND retired_at IS NULL")
                .bind(&slot.as_bytes()[..])
                .bind(&account.as_bytes()[..])
                .fetch_optional(&mut *tx)
                .await?;
            there.ok_or(Refusal::NotFound)?;
            insert(tx, ceremony).await?;
            Ok(())
        })
    }

    async fn try_ceremony(&self, id: CeremonyId, kind: &str, now: Millis, max_tries: i64) -> Result<Ceremony, Error> {
        in_transaction!(self, |tx| {
            let row = sqlx::query(
                "UPDATE ceremonies SET tries = tries + 1
                 WHERE id = $1 AND kind = $2 AND NOT used AND expires_at > $3 AND tries < $4
                 RETURNING account_id, state_sealed, expires_at",
            )
            .bind(&id.as_bytes()[..])
            .bind(kind)
            .bind(now)
            .bind(max_tries)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Refusal::Ceremony)?;
            ceremony_of(&row, id, kind)
        })
    }

    async fn advance_ceremony(&self, next: &Ceremony, from: &str, now: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE ceremonies SET kind = $1, state_sealed = $2, expires_at = $3, tries = 0
                 WHERE id = $4 AND kind = $5 AND NOT used AND expires_at > $6",
            )
            .bind(&next.kind)
            .bind(&next.state_sealed)
            .bind(next.expires_at)
            .bind(&next.id.as_bytes()[..])
            .bind(from)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            exactly_one(&done, Refusal::Ceremony)
        })
    }

    async fn end_ceremony(&self, id: CeremonyId, kind: &str, now: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            end(tx, id, kind, now).await?;
            Ok(())
        })
    }
}

pub(super) fn ceremony_of(row: &SqlRow, id: CeremonyId, kind: &str) -> Result<Ceremony, Error> {
    Ok(Ceremony {
        id,
        kind: kind.to_owned(),
        account_id: row::optional_bytes(row, "ceremonies", "account_id")?.map(AccountId::from_bytes),
        state_sealed: row.try_get("state_sealed")?,
        expires_at: row.try_get("expires_at")?,
    })
}

pub(super) async fn insert(tx: &mut Connection, ceremony: &Ceremony) -> Result<(), Error> {
    sqlx::query("INSERT INTO ceremonies (id, kind, account_id, state_sealed, expires_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&ceremony.id.as_bytes()[..])
        .bind(&ceremony.kind)
        .bind(ceremony.account_id.as_ref().map(|id| &id.as_bytes()[..]))
        .bind(&ceremony.state_sealed)
        .bind(ceremony.expires_at)
        .execute(tx)
        .await
        .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// Ends an open ceremony inside a transaction. Its state is dropped: nothing needs it any more.
pub(super) async fn end(tx: &mut Connection, id: CeremonyId, kind: &str, now: Millis) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE ceremonies SET used = TRUE, state_sealed = $1 WHERE id = $2 AND kind = $3 AND NOT used AND expires_at > $4",
    )
    .bind(EMPTY)
    .bind(&id.as_bytes()[..])
    .bind(kind)
    .bind(now)
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::Ceremony)
}
