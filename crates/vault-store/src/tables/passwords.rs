//! The password of an account: `accounts.opaque_record` and the slots that go with it.

use async_trait::async_trait;

use super::{Connection, EMPTY, SqlStore, accounts, audit, ceremonies, exactly_one, in_transaction, sessions, waits};
use crate::{AccountId, Error, LinkMaker, Millis, NewKit, NewPassword, Passwords, Refusal, WaitKind};

#[async_trait]
impl Passwords for SqlStore {
    async fn replace_password(&self, new: &NewPassword, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            ceremonies::end(tx, new.ceremony, &new.ceremony_kind, new.now).await?;
            if let Some(reset) = &new.reset {
                waits::due(tx, reset, WaitKind::Reset, new.now).await?;
            }
            let done = sqlx::query(
                "UPDATE accounts SET opaque_record = $1, kdf_profile = $2 WHERE id = $3 AND epoch = $4 AND state = 'active'",
            )
            .bind(&new.opaque_record)
            .bind(new.kdf_profile)
            .bind(&new.account_id.as_bytes()[..])
            .bind(new.epoch)
            .execute(&mut *tx)
            .await?;
            exactly_one(&done, Refusal::Session)?;
            for slot in &new.slots {
                retire(tx, new.account_id, &slot.kind, new.now).await?;
                accounts::insert_slot(tx, slot).await?;
            }
            match &new.session {
                Some((from, next)) => sessions::begin_epoch(tx, from, next).await?,
                None => {
                    sessions::end_all(tx, new.account_id).await?;
                    // Whoever began it may be the one against whom the password is replaced.
                    waits::cancel_off(tx, new.account_id, new.now).await?;
                    waits::cancel_kind(tx, new.account_id, WaitKind::NewKeys, new.now).await?;
                }
            }
            audit::append(tx, new.account_id, link).await?;
            Ok(())
        })
    }

    async fn replace_kit(&self, new: &NewKit, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            ceremonies::end(tx, new.ceremony, &new.ceremony_kind, new.now).await?;
            retire(tx, new.account_id, &new.slot.kind, new.now).await?;
            accounts::insert_slot(tx, &new.slot).await?;
            sessions::begin_epoch(tx, &new.from_session, &new.session).await?;
            audit::append(tx, new.account_id, link).await?;
            Ok(())
        })
    }
}

/// The row stays and tells that there was a slot; what it held is gone.
async fn retire(tx: &mut Connection, account: AccountId, kind: &str, now: Millis) -> Result<(), Error> {
    sqlx::query(
        "UPDATE slots SET retired_at = $1, wrap_c = $2, wrap_v = $2, proof_hash = NULL
         WHERE account_id = $3 AND kind = $4 AND retired_at IS NULL",
    )
    .bind(now)
    .bind(EMPTY)
    .bind(&account.as_bytes()[..])
    .bind(kind)
    .execute(tx)
    .await?;
    Ok(())
}
