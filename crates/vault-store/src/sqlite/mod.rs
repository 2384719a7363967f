//! The embedded implementation: one SQLite file in WAL mode.
//!
//! Writers take turns on a single connection; those that wait for the same flush of the disk share a commit (`writer`). Readers have
//! connections of their own and see the last commit. A save, the most frequent write, takes its turn with one batch of statements
//! (`save`).

pub(crate) mod backup;
mod checkpoint;
mod open;
mod save;
mod writer;

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

use std::path::Path;

use shared::{EMPTY, exactly_one, unique};
use sqlx::SqlitePool;
use sqlx::sqlite::{
    SqliteArguments as Arguments, SqliteConnection as Connection, SqliteQueryResult as QueryDone, SqliteRow as SqlRow,
};

use self::SqliteStore as SqlStore;
use crate::transaction::in_transaction;
use crate::{AccountId, Error, RecordId};

/// The vault's tables in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: writer::Writer,
    readers: SqlitePool,
    write_times: crate::WriteTimes,
}

impl SqliteStore {
    /// Opens the file, creates it when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::NotDurable`] when the database would not write through to the disk; [`Error::Migration`] when the file
    /// was written by a newer version; [`Error::Database`] when it cannot be opened.
    pub async fn open(file: &Path) -> Result<Self, Error> {
        open::open(file).await
    }

    /// How long its writes take.
    #[must_use]
    pub fn write_times(&self) -> crate::WriteTimes {
        self.write_times.clone()
    }

    /// Closes the connections after what they are doing. Dropping the store without this loses nothing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Asks the database whether commits are still written through to the disk.
    async fn check_durable(&self) -> Result<(), Error> {
        let mut turn = self.begin().await?;
        let found = open::check_durable(turn.connection()?).await;
        turn.end(found).await
    }

    /// Before a receipt is given again. What a reader sees here was flushed before it could be seen.
    #[allow(clippy::unused_async, reason = "the other engine waits for its standby")]
    async fn confirm(&self, _: AccountId, _: RecordId) -> Result<(), Error> {
        Ok(())
    }

    /// What deletes records: this engine has one role only.
    fn purger(&self) -> &Self {
        self
    }

    /// A transaction that holds the write lock from the start: it cannot fail half-way for want of it.
    async fn begin(&self) -> Result<writer::Turn, Error> {
        self.writer.begin().await
    }
}
