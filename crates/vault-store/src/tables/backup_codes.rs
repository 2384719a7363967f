//! Table `backup_codes`.

use async_trait::async_trait;
use sqlx::Row;

use super::{SqlStore, audit, ceremonies, in_transaction, sessions, unique};
use crate::{AccountId, BackupCodeUse, BackupCodes, Digest, Error, LinkMaker, Millis, Refusal, ReplaceBackupCodes};

const COUNT_LEFT: &str = "SELECT COUNT(*) FROM backup_codes WHERE account_id = $1 AND used_at IS NULL";

#[async_trait]
impl BackupCodes for SqlStore {
    async fn replace_backup_codes(&self, replace: &ReplaceBackupCodes, link: LinkMaker<'_>) -> Result<(), Error> {
        let account = &replace.account_id.as_bytes()[..];
        in_transaction!(self, |tx| {
            ceremonies::end(tx, replace.ceremony, &replace.ceremony_kind, replace.now).await?;
            sqlx::query("DELETE FROM backup_codes WHERE account_id = $1").bind(account).execute(&mut *tx).await?;
            for (n, hash) in (1_i64..).zip(&replace.hashes) {
                sqlx::query("INSERT INTO backup_codes (account_id, n, hash, created_at) VALUES ($1, $2, $3, $4)")
                    .bind(account)
                    .bind(n)
                    .bind(&hash[..])
                    .bind(replace.now)
                    .execute(&mut *tx)
                    .await
                    .map_err(|error| unique(error, Refusal::IdTaken))?;
            }
            sessions::begin_epoch(tx, &replace.from_session, &replace.session).await?;
            audit::append(tx, replace.account_id, link).await?;
            Ok(())
        })
    }

    async fn use_backup_code(
        &self,
        account: AccountId,
        hash: Digest,
        now: Millis,
        link: LinkMaker<'_>,
    ) -> Result<BackupCodeUse, Error> {
        in_transaction!(self, |tx| {
            let known = sqlx::query("SELECT used_at IS NULL FROM backup_codes WHERE account_id = $1 AND hash = $2")
                .bind(&account.as_bytes()[..])
                .bind(&hash[..])
                .fetch_optional(&mut *tx)
                .await?;
            let Some(known) = known else { return Ok(BackupCodeUse::Unknown) };
            if !known.try_get::<bool, _>(0)? {
                return Ok(BackupCodeUse::UsedBefore);
            }
            // Transactions are serialisable: nobody can have spent it since the look.
            sqlx::query("UPDATE backup_codes SET used_at = $1 WHERE account_id = $2 AND hash = $3 AND used_at IS NULL")
                .bind(now)
                .bind(&account.as_bytes()[..])
                .bind(&hash[..])
                .execute(&mut *tx)
                .await?;
            let left = sqlx::query(COUNT_LEFT).bind(&account.as_bytes()[..]).fetch_one(&mut *tx).await?.try_get(0)?;
            audit::append(tx, account, link).await?;
            Ok(BackupCodeUse::Spent { left })
        })
    }

    async fn backup_codes_left(&self, account: AccountId) -> Result<i64, Error> {
        let row = sqlx::query(COUNT_LEFT).bind(&account.as_bytes()[..]).fetch_one(&self.readers).await?;
        Ok(row.try_get(0)?)
    }
}
