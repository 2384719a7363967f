//! The password of an account: `accounts.opaque_record` and the slots that go with it.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{SqliteStore, accounts, audit, ceremonies, exactly_one, sessions};
use crate::{AccountId, Error, LinkMaker, Millis, NewPassword, Passwords, Refusal};

#[async_trait]
impl Passwords for SqliteStore {
    async fn replace_password(&self, new: &NewPassword, link: LinkMaker<'_>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        ceremonies::end(&mut tx, new.ceremony, &new.ceremony_kind, new.now).await?;
        let done = sqlx::query(
            "UPDATE accounts SET opaque_record = ?, kdf_profile = ? WHERE id = ? AND epoch = ? AND state = 'active'",
        )
        .bind(&new.opaque_record)
        .bind(new.kdf_profile)
        .bind(&new.account_id.as_bytes()[..])
        .bind(new.epoch)
        .execute(&mut *tx)
        .await?;
        exactly_one(&done, Refusal::Session)?;
        for slot in &new.slots {
            retire(&mut tx, new.account_id, &slot.kind, new.now).await?;
            accounts::insert_slot(&mut tx, slot).await?;
        }
        match &new.session {
            Some((from, next)) => sessions::begin_epoch(&mut tx, from, next).await?,
            None => sessions::end_all(&mut tx, new.account_id).await?,
        }
        audit::append(&mut tx, new.account_id, link).await?;
        Ok(tx.commit().await?)
    }
}

/// The row stays and tells that there was a slot; what it held is gone.
async fn retire(tx: &mut SqliteConnection, account: AccountId, kind: &str, now: Millis) -> Result<(), Error> {
    sqlx::query(
        "UPDATE slots SET retired_at = ?, wrap_c = x'', wrap_v = x'', proof_hash = NULL
         WHERE account_id = ? AND kind = ? AND retired_at IS NULL",
    )
    .bind(now)
    .bind(&account.as_bytes()[..])
    .bind(kind)
    .execute(tx)
    .await?;
    Ok(())
}
