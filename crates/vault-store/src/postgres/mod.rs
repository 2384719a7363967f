//! The implementation on PostgreSQL 15 or newer, and on engines that speak its protocol: several service processes share one
//! database, and any of them may go away at any time.
//!
//! Every write is one serialisable transaction, tried again when it met another one; saves, the most frequent ones, share statements
//! (`save`). No extension, no advisory lock, no `LISTEN`, no sequence is used.

mod gather;
mod open;
mod save;

// The modules of the tables, in this engine's types: the same files make the other implementation.
#[path = "../tables/accounts.rs"]
mod accounts;
#[path = "../tables/audit.rs"]
mod audit;
#[path = "../tables/backup_codes.rs"]
mod backup_codes;
#[path = "../tables/ceremonies.rs"]
mod ceremonies;
#[path = "../tables/counters.rs"]
mod counters;
#[path = "../tables/deletions.rs"]
mod deletions;
#[path = "../tables/devices.rs"]
mod devices;
#[path = "../tables/factors.rs"]
mod factors;
#[path = "../tables/generations.rs"]
mod generations;
#[path = "../tables/grants.rs"]
mod grants;
#[path = "../tables/log.rs"]
mod log;
#[path = "../tables/notes.rs"]
mod notes;
#[path = "../tables/orders.rs"]
mod orders;
#[path = "../tables/outbox.rs"]
mod outbox;
#[path = "../tables/passkeys.rs"]
mod passkeys;
#[path = "../tables/passwords.rs"]
mod passwords;
#[path = "../tables/records.rs"]
mod records;
#[path = "../tables/row.rs"]
mod row;
#[path = "../tables/saves.rs"]
mod saves;
#[path = "../tables/sessions.rs"]
mod sessions;
#[path = "../tables/shared.rs"]
mod shared;
#[path = "../tables/sign_ins.rs"]
mod sign_ins;
#[path = "../tables/waits.rs"]
mod waits;

use shared::{EMPTY, exactly_one, unique};
use sqlx::postgres::{PgConnection as Connection, PgQueryResult as QueryDone, PgRow as SqlRow};
use sqlx::{PgPool, Postgres, Transaction};

use self::PostgresStore as SqlStore;
use crate::transaction::in_transaction;
use crate::{AccountId, Error, RecordId};

/// The vault's tables in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    /// Also the connections that write: the database keeps transactions apart.
    readers: PgPool,
    /// The connections that delete: of another role, where the service's own may not.
    purgers: PgPool,
    write_times: crate::WriteTimes,
    saves: save::Saves,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date. `url` is `postgres://user@host/database`; it may hold a password and is never
    /// shown.
    ///
    /// # Errors
    /// [`Error::NotDurable`] when the database would not write through to the disk; [`Error::Migration`] when its schema is of a
    /// newer version; [`Error::Database`] when it cannot be reached.
    pub async fn open(url: &str) -> Result<Self, Error> {
        open::open(url).await
    }

    /// Deletes in the name of another role, whose address this is: `vault_purge` of `docs/postgresql-roles.sql`.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn purging_as(mut self, url: &str) -> Result<Self, Error> {
        self.purgers = open::connect(url, open::PURGE_CONNECTIONS).await?;
        Ok(self)
    }

    /// The store over the connections that delete.
    fn purger(&self) -> Self {
        Self { readers: self.purgers.clone(), ..self.clone() }
    }

    /// How long its writes take.
    #[must_use]
    pub fn write_times(&self) -> crate::WriteTimes {
        self.write_times.clone()
    }

    /// Closes the connections after what they are doing. Dropping the store without this loses nothing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.purgers.close().await;
    }

    /// Asks the database whether commits are still written through to the disk.
    async fn check_durable(&self) -> Result<(), Error> {
        open::check_durable(&mut *self.readers.acquire().await?).await
    }

    /// Before a receipt is given again: a row can be seen that no standby has, when the wait for it was broken off or the primary
    /// went down in the middle. A write of our own is confirmed only after everything before it.
    async fn confirm(&self, account: AccountId, id: RecordId) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            sqlx::query("UPDATE record_state SET state = state WHERE account_id = $1 AND record_id = $2")
                .bind(&account.as_bytes()[..])
                .bind(&id.as_bytes()[..])
                .execute(&mut *tx)
                .await?;
            Ok(())
        })
    }

    async fn begin(&self) -> Result<Turn, Error> {
        Ok(Turn(self.readers.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?))
    }
}

/// A transaction.
struct Turn(Transaction<'static, Postgres>);

impl Turn {
    #[allow(clippy::unnecessary_wraps, reason = "a turn of the other engine may find its store closed")]
    fn connection(&mut self) -> Result<&mut Connection, Error> {
        Ok(&mut self.0)
    }

    async fn end<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(value) => {
                self.0.commit().await?;
                Ok(value)
            }
            Err(error) => {
                // A connection that fails here is given up, and the transaction with it.
                let _ = self.0.rollback().await;
                Err(error)
            }
        }
    }
}
