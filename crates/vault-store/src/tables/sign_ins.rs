//! What sign-ins and step-ups change in `ceremonies`, `counters`, `factors`, `sessions`, `grants` and the trail.

use async_trait::async_trait;

use super::{Connection, SqlStore, audit, ceremonies, exactly_one, grants, in_transaction, sessions};
use crate::{Ceremony, CeremonyId, Error, FactorId, Gives, LinkMaker, Millis, Place, Proven, Refusal, SignIns};

#[async_trait]
impl SignIns for SqlStore {
    async fn begin_in_places(&self, ceremony: &Ceremony, places: &[Place]) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            for place in places {
                take_if_free(tx, place).await?;
            }
            ceremonies::insert(tx, ceremony).await?;
            Ok(())
        })
    }

    async fn ceremony(
        &self,
        id: CeremonyId,
        kind: &str,
        now: Millis,
        max_tries: i64,
    ) -> Result<Option<Ceremony>, Error> {
        let row = sqlx::query(
            "SELECT account_id, state_sealed, expires_at FROM ceremonies
             WHERE id = $1 AND kind = $2 AND NOT used AND expires_at > $3 AND tries < $4",
        )
        .bind(&id.as_bytes()[..])
        .bind(kind)
        .bind(now)
        .bind(max_tries)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(|row| ceremonies::ceremony_of(row, id, kind)).transpose()
    }

    async fn try_in_place(
        &self,
        id: CeremonyId,
        kind: &str,
        now: Millis,
        max_tries: i64,
        place: &Place,
    ) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE ceremonies SET tries = tries + 1
                 WHERE id = $1 AND kind = $2 AND NOT used AND expires_at > $3 AND tries < $4",
            )
            .bind(&id.as_bytes()[..])
            .bind(kind)
            .bind(now)
            .bind(max_tries)
            .execute(&mut *tx)
            .await?;
            exactly_one(&done, Refusal::Ceremony)?;
            take_if_free(tx, place).await
        })
    }

    async fn complete(&self, proven: &Proven, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            ceremonies::end(tx, proven.ceremony, &proven.kind, proven.now).await?;
            let used = use_step(tx, proven).await?;
            if let Some((bucket, window)) = &proven.give_back {
                sqlx::query("UPDATE counters SET n = n - 1 WHERE bucket = $1 AND \"window\" = $2")
                    .bind(bucket)
                    .bind(window)
                    .execute(&mut *tx)
                    .await?;
            }
            if let Some(bucket) = &proven.clear {
                sqlx::query("DELETE FROM counters WHERE bucket = $1").bind(bucket).execute(&mut *tx).await?;
            }
            match &proven.gives {
                Gives::Session(session) => sessions::insert(tx, session).await?,
                Gives::Grant(grant) => grants::insert(tx, grant, grant.confirmed_by.or(used)).await?,
            }
            audit::append(tx, proven.account_id, link).await?;
            Ok(())
        })
    }
}

/// Takes a place where there is one: in one statement, since sign-ins pay for each.
async fn take_if_free(tx: &mut Connection, place: &Place) -> Result<(), Error> {
    let taken = sqlx::query(
        "INSERT INTO counters (bucket, \"window\", n) VALUES ($1, $2, 1)
         ON CONFLICT (bucket, \"window\") DO UPDATE SET n = counters.n + 1 WHERE counters.n < $3",
    )
    .bind(&place.bucket)
    .bind(place.window)
    .bind(place.places)
    .execute(tx)
    .await?;
    let is_free = place.places > 0 && taken.rows_affected() == 1;
    if is_free { Ok(()) } else { Err(Refusal::Limit { until: place.until }.into()) }
}

/// Two authenticators may show the same digits: the other one's may be unused. Gives the one that was used.
async fn use_step(tx: &mut Connection, proven: &Proven) -> Result<Option<FactorId>, Error> {
    for (factor, step) in &proven.steps {
        let used = sqlx::query(
            "UPDATE factors SET last_step = $1, used_at = $2
             WHERE id = $3 AND account_id = $4 AND (last_step IS NULL OR last_step < $1)",
        )
        .bind(step)
        .bind(proven.now)
        .bind(&factor.as_bytes()[..])
        .bind(&proven.account_id.as_bytes()[..])
        .execute(&mut *tx)
        .await?;
        if used.rows_affected() == 1 {
            return Ok(Some(*factor));
        }
    }
    if proven.steps.is_empty() { Ok(None) } else { Err(Refusal::CodeUsed.into()) }
}
