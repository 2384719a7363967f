//! The embedded implementation: one SQLite file in WAL mode.
//!
//! Writers take turns on a single connection, so that no call ever waits in the middle of a transaction for another
//! one of this process; readers have connections of their own and see the last commit.

mod accounts;
mod audit;
mod backup_codes;
mod ceremonies;
mod counters;
mod devices;
mod factors;
mod grants;
mod open;
mod passwords;
mod records;
mod row;
mod sessions;

use std::path::Path;

use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::Error;

/// The vault's tables in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
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

    /// Closes the connections after what they are doing. Dropping the store without this loses nothing.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that holds the write lock from the start: it cannot fail half-way for want of it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// `Ok` when a conditional update hit exactly one row.
fn exactly_one(done: &sqlx::sqlite::SqliteQueryResult, refusal: crate::Refusal) -> Result<(), Error> {
    if done.rows_affected() == 1 { Ok(()) } else { Err(refusal.into()) }
}

/// Turns the violation of a uniqueness rule into a refusal.
fn unique(error: sqlx::Error, refusal: crate::Refusal) -> Error {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => refusal.into(),
        _ => Error::Database(error),
    }
}
