//! Passkeys in the tables `factors` and `slots`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, EMPTY, SqlStore, accounts, audit, factors, grants, in_transaction};
use crate::{
    AccountId, AddPasskey, AddPasskeySlot, Error, FactorId, LinkMaker, Millis, PASSKEY, Passkey, Passkeys, Refusal,
};

#[async_trait]
impl Passkeys for SqlStore {
    async fn add_passkey(&self, add: &AddPasskey, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            factors::add_in(tx, &add.add, Some((&add.credential_id, add.counter)), link).await?;
            Ok(())
        })
    }

    async fn passkeys(&self, account: AccountId) -> Result<Vec<Passkey>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM factors WHERE account_id = $1 AND credential_id IS NOT NULL ORDER BY created_at, id",
        )
        .bind(&account.as_bytes()[..])
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Passkey {
                    factor: factors::factor_of(row)?,
                    credential_id: row.try_get("credential_id")?,
                    counter: row.try_get::<Option<i64>, _>("counter")?.unwrap_or(0),
                })
            })
            .collect()
    }

    async fn use_passkey(
        &self,
        account: AccountId,
        factor: FactorId,
        counter: i64,
        now: Millis,
    ) -> Result<bool, Error> {
        in_transaction!(self, |tx| {
            let done = sqlx::query(
                "UPDATE factors SET counter = $1, used_at = $2
                 WHERE id = $3 AND account_id = $4 AND credential_id IS NOT NULL
                   AND (counter < $1 OR (counter = 0 AND $1 = 0))",
            )
            .bind(counter)
            .bind(now)
            .bind(&factor.as_bytes()[..])
            .bind(&account.as_bytes()[..])
            .execute(&mut *tx)
            .await?;
            Ok(done.rows_affected() == 1)
        })
    }

    async fn add_passkey_slot(&self, add: &AddPasskeySlot, link: LinkMaker<'_>) -> Result<(), Error> {
        let account = add.grant.account_id;
        in_transaction!(self, |tx| {
            grants::spend(tx, &add.grant).await?;
            let credential = add.slot.credential_id.as_deref().unwrap_or(EMPTY);
            let found = sqlx::query(
                "SELECT prf_leaked_at IS NULL FROM factors WHERE id = $1 AND account_id = $2 AND credential_id = $3",
            )
            .bind(&add.factor.as_bytes()[..])
            .bind(&account.as_bytes()[..])
            .bind(credential)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Refusal::NotFound)?;
            if !found.try_get::<bool, _>(0)? {
                return Err(Refusal::PasskeyLeaked.into());
            }
            retire(tx, account, Some(credential), add.grant.now).await?;
            accounts::insert_slot(tx, &add.slot).await?;
            audit::append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn retire_passkey_slots(
        &self,
        account: AccountId,
        credentials: &[Vec<u8>],
        now: Millis,
        link: LinkMaker<'_>,
    ) -> Result<u64, Error> {
        in_transaction!(self, |tx| {
            let mut retired = 0;
            for credential in credentials {
                retired += retire(tx, account, Some(credential), now).await?;
                leaked(tx, account, credential, now).await?;
            }
            audit::append(tx, account, link).await?;
            Ok(retired)
        })
    }
}

/// Notes that what a passkey derives was seen.
async fn leaked(tx: &mut Connection, account: AccountId, credential: &[u8], now: Millis) -> Result<(), Error> {
    sqlx::query(
        "UPDATE factors SET prf_leaked_at = $1
         WHERE account_id = $2 AND credential_id = $3 AND prf_leaked_at IS NULL",
    )
    .bind(now)
    .bind(&account.as_bytes()[..])
    .bind(credential)
    .execute(tx)
    .await?;
    Ok(())
}

/// The slots of one passkey, or of all. The rows stay and tell that there were slots; what they held is gone.
pub(super) async fn retire(
    tx: &mut Connection,
    account: AccountId,
    credential: Option<&[u8]>,
    now: Millis,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "UPDATE slots SET retired_at = $1, wrap_c = $2, wrap_v = $2
         WHERE account_id = $3 AND kind = $4 AND retired_at IS NULL AND (credential_id = $5 OR $6)",
    )
    .bind(now)
    .bind(EMPTY)
    .bind(&account.as_bytes()[..])
    .bind(PASSKEY)
    .bind(credential.unwrap_or(EMPTY))
    .bind(credential.is_none())
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}
