//! Table `factors`.

use async_trait::async_trait;
use sqlx::Row;

use super::{
    Connection, SqlRow, SqlStore, audit, ceremonies, exactly_one, grants, in_transaction, passkeys, row, sessions,
    unique, waits,
};
use crate::{AccountId, AddFactor, Error, Factor, FactorId, Factors, LinkMaker, Millis, Refusal, RemoveFactor};

#[async_trait]
impl Factors for SqlStore {
    async fn add_factor(&self, add: &AddFactor, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            add_in(tx, add, None, link).await?;
            Ok(())
        })
    }

    async fn remove_factor(&self, remove: &RemoveFactor, link: LinkMaker<'_>) -> Result<(), Error> {
        let account = remove.grant.account_id;
        in_transaction!(self, |tx| {
            grants::spend(tx, &remove.grant).await?;
            if let Some(credential) = credential_of(tx, account, remove.factor).await? {
                passkeys::retire(tx, account, Some(&credential), remove.grant.now).await?;
            }
            let done = sqlx::query("DELETE FROM factors WHERE id = $1 AND account_id = $2")
                .bind(&remove.factor.as_bytes()[..])
                .bind(&account.as_bytes()[..])
                .execute(&mut *tx)
                .await?;
            exactly_one(&done, Refusal::NotFound)?;
            if count(tx, account).await? == 0 {
                return Err(Refusal::LastFactor.into());
            }
            if grants::confirmed_by(tx, &remove.grant, remove.factor).await? {
                return Err(Refusal::SameFactor.into());
            }
            sessions::begin_epoch(tx, &remove.grant.session_hash, &remove.session).await?;
            audit::append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn factors(&self, account: AccountId) -> Result<Vec<Factor>, Error> {
        let rows = sqlx::query("SELECT * FROM factors WHERE account_id = $1 ORDER BY created_at, id")
            .bind(&account.as_bytes()[..])
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(factor_of).collect()
    }

    async fn use_totp_step(&self, account: AccountId, factor: FactorId, step: i64, now: Millis) -> Result<bool, Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE factors SET last_step = $1, used_at = $2
                 WHERE id = $3 AND account_id = $4 AND (last_step IS NULL OR last_step < $1)",
            )
            .bind(step)
            .bind(now)
            .bind(&factor.as_bytes()[..])
            .bind(&account.as_bytes()[..])
            .execute(&mut *tx)
            .await?;
            Ok(done.rows_affected() == 1)
        })
    }
}

/// Adds a factor with everything that changes with it; a passkey brings its credential and counter.
pub(super) async fn add_in(
    tx: &mut Connection,
    add: &AddFactor,
    passkey: Option<(&[u8], i64)>,
    link: LinkMaker<'_>,
) -> Result<(), Error> {
    let account = add.factor.account_id;
    ceremonies::end(tx, add.ceremony, &add.ceremony_kind, add.now).await?;
    if add.first && count(tx, account).await? > 0 {
        return Err(Refusal::Grant.into());
    }
    waits::factor_comes(tx, account, &add.from_session, add.now).await?;
    check_room(tx, &add.factor, add.max_factors).await?;
    insert(tx, &add.factor, passkey).await?;
    sqlx::query("UPDATE accounts SET two_factor = TRUE, off_at = NULL WHERE id = $1")
        .bind(&account.as_bytes()[..])
        .execute(&mut *tx)
        .await?;
    sessions::begin_epoch(tx, &add.from_session, &add.session).await?;
    audit::append(tx, account, link).await
}

/// The credential of a factor that is a passkey.
async fn credential_of(tx: &mut Connection, account: AccountId, factor: FactorId) -> Result<Option<Vec<u8>>, Error> {
    let row = sqlx::query("SELECT credential_id FROM factors WHERE id = $1 AND account_id = $2")
        .bind(&factor.as_bytes()[..])
        .bind(&account.as_bytes()[..])
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|row| row.try_get("credential_id")).transpose()?.flatten())
}

/// Another name than the factors there are, and not more of them than an account may have.
async fn check_room(tx: &mut Connection, factor: &Factor, max_factors: i64) -> Result<(), Error> {
    let taken = sqlx::query("SELECT 1 FROM factors WHERE account_id = $1 AND label = $2")
        .bind(&factor.account_id.as_bytes()[..])
        .bind(&factor.label)
        .fetch_optional(&mut *tx)
        .await?;
    if taken.is_some() {
        return Err(Refusal::LabelTaken.into());
    }
    if count(tx, factor.account_id).await? >= max_factors { Err(Refusal::FactorQuota.into()) } else { Ok(()) }
}

async fn count(tx: &mut Connection, account: AccountId) -> Result<i64, Error> {
    let row = sqlx::query("SELECT COUNT(*) FROM factors WHERE account_id = $1")
        .bind(&account.as_bytes()[..])
        .fetch_one(tx)
        .await?;
    Ok(row.try_get(0)?)
}

async fn insert(tx: &mut Connection, factor: &Factor, passkey: Option<(&[u8], i64)>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO factors (id, account_id, kind, label, data_sealed, last_step, created_at, credential_id, counter)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&factor.id.as_bytes()[..])
    .bind(&factor.account_id.as_bytes()[..])
    .bind(&factor.kind)
    .bind(&factor.label)
    .bind(&factor.data_sealed)
    .bind(factor.last_step)
    .bind(factor.created_at)
    .bind(passkey.map(|(credential_id, _)| credential_id))
    .bind(passkey.map(|(_, counter)| counter))
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

pub(super) fn factor_of(row: &SqlRow) -> Result<Factor, Error> {
    Ok(Factor {
        id: FactorId::from_bytes(row::bytes(row, "factors", "id")?),
        account_id: AccountId::from_bytes(row::bytes(row, "factors", "account_id")?),
        kind: row.try_get("kind")?,
        label: row.try_get("label")?,
        data_sealed: row.try_get("data_sealed")?,
        last_step: row.try_get("last_step")?,
        created_at: row.try_get("created_at")?,
        used_at: row.try_get("used_at")?,
    })
}
