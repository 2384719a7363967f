//! New generations of an account's keys: tables `accounts`, `key_statements`, `slots`.

use async_trait::async_trait;

use super::{Connection, SqlStore, accounts, audit, ceremonies, exactly_one, in_transaction, sessions, waits};
use crate::{
    AccountId, Digest, Error, Generations, KeyStatement, LinkMaker, Millis, NewGeneration, Refusal, Session, Slot,
    WaitKind,
};

#[async_trait]
impl Generations for SqlStore {
    async fn begin_generation(&self, new: &NewGeneration, link: LinkMaker<'_>) -> Result<(), Error> {
        let account = new.wait.account_id;
        in_transaction!(self, |tx| {
            ceremonies::end(tx, new.ceremony.0, &new.ceremony.1, new.now).await?;
            waits::due(tx, &new.wait, WaitKind::NewKeys, new.now).await?;
            waits::end(tx, &new.wait, "done", new.now).await?;
            // All of them are about what is replaced here.
            for kind in [WaitKind::NewKeys, WaitKind::Reset] {
                waits::cancel_kind(tx, account, kind, new.now).await?;
            }
            waits::cancel_off(tx, account, new.now).await?;
            advance(tx, new).await?;
            accounts::insert_statement(tx, &new.statement).await?;
            retire_all(tx, account, new.now).await?;
            for slot in &new.slots {
                accounts::insert_slot(tx, slot).await?;
            }
            sessions::end_all(tx, account).await?;
            sessions::insert(tx, &Session { epoch: new.epoch + 1, ..new.session.clone() }).await?;
            audit::append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn former_statements(&self, account: AccountId) -> Result<Vec<KeyStatement>, Error> {
        let rows = sqlx::query(
            "SELECT k.* FROM key_statements k JOIN accounts a ON a.id = k.account_id AND a.state = 'active'
             WHERE k.account_id = $1 AND k.generation < a.generation ORDER BY k.generation DESC",
        )
        .bind(&account.as_bytes()[..])
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(accounts::statement_of).collect()
    }

    async fn former_kit(&self, account: AccountId, proof_hash: Digest) -> Result<Option<Slot>, Error> {
        let row = sqlx::query(
            "SELECT * FROM slots
             WHERE account_id = $1 AND kind = 'kit' AND proof_hash = $2 AND retired_at IS NOT NULL",
        )
        .bind(&account.as_bytes()[..])
        .bind(&proof_hash[..])
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(accounts::slot_of).transpose()
    }
}

/// The account moves on by one generation, if nothing about it changed since the visit began.
async fn advance(tx: &mut Connection, new: &NewGeneration) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE accounts SET opaque_record = $1, kdf_profile = $2, generation = $3
         WHERE id = $4 AND epoch = $5 AND generation = $3 - 1 AND state = 'active'",
    )
    .bind(&new.opaque_record)
    .bind(new.kdf_profile)
    .bind(new.statement.generation)
    .bind(&new.wait.account_id.as_bytes()[..])
    .bind(new.epoch)
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::Session)
}

/// What opened the former keys opens the account no longer. What it holds stays.
async fn retire_all(tx: &mut Connection, account: AccountId, now: Millis) -> Result<(), Error> {
    sqlx::query("UPDATE slots SET retired_at = $1 WHERE account_id = $2 AND retired_at IS NULL")
        .bind(now)
        .bind(&account.as_bytes()[..])
        .execute(tx)
        .await?;
    Ok(())
}
