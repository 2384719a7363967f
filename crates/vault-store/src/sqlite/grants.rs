//! Table `grants`.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{SqliteStore, audit, exactly_one, unique};
use crate::{Error, FactorId, Grant, GrantUse, Grants, LinkMaker, Refusal};

#[async_trait]
impl Grants for SqliteStore {
    async fn add_grant(&self, grant: &Grant, link: LinkMaker<'_>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO grants (hash, account_id, session_hash, purpose, target, confirmed_by, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&grant.hash[..])
        .bind(&grant.account_id.as_bytes()[..])
        .bind(&grant.session_hash[..])
        .bind(&grant.purpose)
        .bind(&grant.target)
        .bind(grant.confirmed_by.as_ref().map(|id| &id.as_bytes()[..]))
        .bind(grant.expires_at)
        .execute(&mut *tx)
        .await
        .map_err(|error| unique(error, Refusal::IdTaken))?;
        audit::append(&mut tx, grant.account_id, link).await?;
        Ok(tx.commit().await?)
    }

    async fn spend_grant(&self, presented: &GrantUse) -> Result<(), Error> {
        let mut tx = self.write().await?;
        spend(&mut tx, presented).await?;
        Ok(tx.commit().await?)
    }
}

/// Spends a grant inside the transaction of the act it allows.
pub(super) async fn spend(tx: &mut SqliteConnection, presented: &GrantUse) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE grants SET used_at = ?1 WHERE hash = ?2 AND used_at IS NULL AND expires_at > ?1
           AND account_id = ?3 AND session_hash = ?4 AND purpose = ?5 AND target = ?6",
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
pub(super) async fn confirmed_by(
    tx: &mut SqliteConnection,
    presented: &GrantUse,
    factor: FactorId,
) -> Result<bool, Error> {
    let row = sqlx::query("SELECT 1 FROM grants WHERE hash = ? AND confirmed_by = ?")
        .bind(&presented.hash[..])
        .bind(&factor.as_bytes()[..])
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some())
}
