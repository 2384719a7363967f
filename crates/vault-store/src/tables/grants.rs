//! Table `grants`.

use async_trait::async_trait;

use super::{Connection, SqlStore, audit, exactly_one, in_transaction, unique};
use crate::{Error, FactorId, Grant, GrantUse, Grants, LinkMaker, Refusal};

#[async_trait]
impl Grants for SqlStore {
    async fn add_grant(&self, grant: &Grant, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            insert(tx, grant, grant.confirmed_by).await?;
            audit::append(tx, grant.account_id, link).await?;
            Ok(())
        })
    }

    async fn spend_grant(&self, presented: &GrantUse) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            spend(tx, presented).await?;
            Ok(())
        })
    }
}

/// Notes a new grant inside a transaction, and what confirmed it.
pub(super) async fn insert(tx: &mut Connection, grant: &Grant, confirmed_by: Option<FactorId>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO grants (hash, account_id, session_hash, purpose, target, confirmed_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&grant.hash[..])
    .bind(&grant.account_id.as_bytes()[..])
    .bind(&grant.session_hash[..])
    .bind(&grant.purpose)
    .bind(&grant.target)
    .bind(confirmed_by.as_ref().map(|id| &id.as_bytes()[..]))
    .bind(grant.expires_at)
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

/// Spends a grant inside the transaction of the act it allows.
pub(super) async fn spend(tx: &mut Connection, presented: &GrantUse) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE grants SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $1
           AND account_id = $3 AND session_hash = $4 AND purpose = $5 AND target = $6",
    )
    .bind(presented.now)
    .bind(&presented.hash[..])
    .bind(&presented.account_id.as_bytes()[..])
    .bind(&presented.session_hash[..])
    .bind(&presented.purpose)
    .bind(&presented.target)
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::Grant)
}

/// Whether this factor confirmed the step-up of a grant.
pub(super) async fn confirmed_by(tx: &mut Connection, presented: &GrantUse, factor: FactorId) -> Result<bool, Error> {
    let row = sqlx::query("SELECT 1 FROM grants WHERE hash = $1 AND confirmed_by = $2")
        .bind(&presented.hash[..])
        .bind(&factor.as_bytes()[..])
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}
