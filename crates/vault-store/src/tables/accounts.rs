//! Tables `accounts`, `key_statements`, `slots`, `invites`.

use async_trait::async_trait;
use sqlx::Row;

use super::{Connection, SqlRow, SqlStore, audit, ceremonies, exactly_one, in_transaction, row, sessions, unique};
use crate::{
    Account, AccountId, Accounts, ChainHead, Digest, Error, KeyStatement, LinkMaker, Millis, NewAccount, Refusal, Slot,
    SlotId,
};

#[async_trait]
impl Accounts for SqlStore {
    async fn create_account(&self, new: &NewAccount, now: Millis, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            ceremonies::end(tx, new.ceremony, "signup", now).await?;
            if let Some(invite) = &new.invite {
                spend_invite(tx, invite, now).await?;
            }
            insert_account(tx, &new.account).await?;
            insert_statement(tx, &new.statement).await?;
            for slot in &new.slots {
                insert_slot(tx, slot).await?;
            }
            audit::begin_chain(tx, new.account.id, &ChainHead { seq: 0, hash: [0; 32] }).await?;
            audit::append(tx, new.account.id, link).await?;
            sessions::insert(tx, &new.session).await?;
            Ok(())
        })
    }

    async fn account_by_email(&self, email_norm: &str) -> Result<Option<Account>, Error> {
        let row = sqlx::query("SELECT * FROM accounts WHERE email_norm = $1 AND state = 'active'")
            .bind(email_norm)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(account_of).transpose()
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, Error> {
        let row = sqlx::query("SELECT * FROM accounts WHERE id = $1 AND state = 'active'")
            .bind(&id.as_bytes()[..])
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(account_of).transpose()
    }

    async fn key_statement(&self, account: AccountId, generation: i64) -> Result<Option<KeyStatement>, Error> {
        let row = sqlx::query("SELECT * FROM key_statements WHERE account_id = $1 AND generation = $2")
            .bind(&account.as_bytes()[..])
            .bind(generation)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(statement_of).transpose()
    }

    async fn slots(&self, account: AccountId) -> Result<Vec<Slot>, Error> {
        let rows =
            sqlx::query("SELECT * FROM slots WHERE account_id = $1 AND retired_at IS NULL ORDER BY created_at, id")
                .bind(&account.as_bytes()[..])
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(slot_of).collect()
    }

    async fn add_invite(&self, hash: Digest, now: Millis, expires_at: Millis) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("INSERT INTO invites (hash, created_at, expires_at) VALUES ($1, $2, $3)")
                .bind(&hash[..])
                .bind(now)
                .bind(expires_at)
                .execute(&mut *tx)
                .await
                .map_err(|error| unique(error, Refusal::IdTaken))?;
            Ok(())
        })
    }

    async fn invite_is_open(&self, hash: Digest, now: Millis) -> Result<bool, Error> {
        let row = sqlx::query("SELECT 1 FROM invites WHERE hash = $1 AND used_at IS NULL AND expires_at > $2")
            .bind(&hash[..])
            .bind(now)
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }
}

async fn spend_invite(tx: &mut Connection, invite: &Digest, now: Millis) -> Result<(), Error> {
    let done = sqlx::query("UPDATE invites SET used_at = $1 WHERE hash = $2 AND used_at IS NULL AND expires_at > $3")
        .bind(now)
        .bind(&invite[..])
        .bind(now)
        .execute(tx)
        .await?;
    exactly_one(&done, Refusal::Invite)
}

async fn insert_account(tx: &mut Connection, account: &Account) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO accounts
           (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $8)",
    )
    .bind(&account.id.as_bytes()[..])
    .bind(&account.email_norm)
    .bind(&account.opaque_record)
    .bind(account.kdf_profile)
    .bind(account.generation)
    .bind(account.epoch)
    .bind(account.two_factor)
    .bind(account.created_at)
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::EmailTaken))?;
    Ok(())
}

pub(super) async fn insert_statement(tx: &mut Connection, statement: &KeyStatement) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO key_statements (account_id, generation, body, signature, previous_signature, hash)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&statement.account_id.as_bytes()[..])
    .bind(statement.generation)
    .bind(&statement.body)
    .bind(&statement.signature)
    .bind(&statement.previous_signature)
    .bind(&statement.hash[..])
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

pub(super) async fn insert_slot(tx: &mut Connection, slot: &Slot) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO slots
           (id, account_id, kind, salt, wrap_c, wrap_v, credential_id, proof_hash, generation, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&slot.id.as_bytes()[..])
    .bind(&slot.account_id.as_bytes()[..])
    .bind(&slot.kind)
    .bind(&slot.salt)
    .bind(&slot.wrap_c)
    .bind(&slot.wrap_v)
    .bind(&slot.credential_id)
    .bind(&slot.proof_hash)
    .bind(slot.generation)
    .bind(slot.created_at)
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::IdTaken))?;
    Ok(())
}

fn account_of(row: &SqlRow) -> Result<Account, Error> {
    Ok(Account {
        id: AccountId::from_bytes(row::bytes(row, "accounts", "id")?),
        email_norm: row.try_get("email_norm")?,
        opaque_record: row.try_get("opaque_record")?,
        kdf_profile: row.try_get("kdf_profile")?,
        generation: row.try_get("generation")?,
        epoch: row.try_get("epoch")?,
        two_factor: row.try_get("two_factor")?,
        off_at: row.try_get("off_at")?,
        created_at: row.try_get("created_at")?,
    })
}

pub(super) fn statement_of(row: &SqlRow) -> Result<KeyStatement, Error> {
    Ok(KeyStatement {
        account_id: AccountId::from_bytes(row::bytes(row, "key_statements", "account_id")?),
        generation: row.try_get("generation")?,
        body: row.try_get("body")?,
        signature: row.try_get("signature")?,
        previous_signature: row.try_get("previous_signature")?,
        hash: row::bytes(row, "key_statements", "hash")?,
    })
}

pub(super) fn slot_of(row: &SqlRow) -> Result<Slot, Error> {
    Ok(Slot {
        id: SlotId::from_bytes(row::bytes(row, "slots", "id")?),
        account_id: AccountId::from_bytes(row::bytes(row, "slots", "account_id")?),
        kind: row.try_get("kind")?,
        salt: row.try_get("salt")?,
        wrap_c: row.try_get("wrap_c")?,
        wrap_v: row.try_get("wrap_v")?,
        credential_id: row.try_get("credential_id")?,
        proof_hash: row.try_get("proof_hash")?,
        generation: row.try_get("generation")?,
        created_at: row.try_get("created_at")?,
    })
}
