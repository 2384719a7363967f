//! Opening: connection settings, the check that they are in force, and the schema.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlSafeStr, SqliteConnection};

use super::SqliteStore;
use crate::Error;

/// How long a statement waits for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read. More would not help: reads are short and the file is in the page cache.
const READERS: u32 = 4;

/// The schema, step by step. Steps are only ever added.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "accounts", include_str!("../../migrations/0001_accounts.sql")),
    (2, "presence", include_str!("../../migrations/0002_presence.sql")),
    (3, "records", include_str!("../../migrations/0003_records.sql")),
    (4, "backup codes", include_str!("../../migrations/0004_backup_codes.sql")),
    (5, "confirmed by", include_str!("../../migrations/0005_confirmed_by.sql")),
];

pub(super) async fn open(file: &Path) -> Result<SqliteStore, Error> {
    open_with(options(file)).await
}

async fn open_with(options: SqliteConnectOptions) -> Result<SqliteStore, Error> {
    let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut connection = writer.acquire().await?;
    check_durable(&mut connection).await?;
    migrator().run(&mut *connection).await.map_err(Error::Migration)?;
    drop(connection);
    let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options.create_if_missing(false));
    Ok(SqliteStore { writer, readers })
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // Deleted rows are overwritten: a spent ceremony does not live on in free pages.
        .pragma("secure_delete", "ON")
}

fn migrator() -> Migrator {
    let steps = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// Asks the database what is in force instead of trusting that the settings were taken.
async fn check_durable(connection: &mut SqliteConnection) -> Result<(), Error> {
    expect_pragma(connection, "synchronous", "PRAGMA synchronous", "2").await?;
    expect_pragma(connection, "journal_mode", "PRAGMA journal_mode", "wal").await?;
    expect_pragma(connection, "foreign_keys", "PRAGMA foreign_keys", "1").await?;
    expect_pragma(connection, "secure_delete", "PRAGMA secure_delete", "1").await
}

async fn expect_pragma(
    connection: &mut SqliteConnection,
    pragma: &'static str,
    sql: &'static str,
    expected: &'static str,
) -> Result<(), Error> {
    let row = sqlx::query(sql).fetch_one(connection).await?;
    let found = match row.try_get_unchecked::<i64, _>(0) {
        Ok(number) if row.try_get::<String, _>(0).is_err() => number.to_string(),
        _ => row.try_get::<String, _>(0)?,
    };
    if found == expected { Ok(()) } else { Err(Error::NotDurable { pragma, found, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_to_run_without_durable_commits() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vault.sqlite");
        for (change, pragma) in [
            (options(&file).synchronous(SqliteSynchronous::Normal), "synchronous"),
            (options(&file).journal_mode(SqliteJournalMode::Memory), "journal_mode"),
        ] {
            let error = open_with(change).await.expect_err("must be refused");
            assert!(matches!(error, Error::NotDurable { pragma: found, .. } if found == pragma), "{error}");
        }
        open(&file).await.unwrap();
    }

    #[tokio::test]
    async fn opens_twice_and_refuses_a_newer_schema() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vault.sqlite");
        open(&file).await.unwrap().close().await;
        let store = open(&file).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (999, 'from the future', TRUE, x'00', 0)",
        )
        .execute(&store.writer)
        .await
        .unwrap();
        store.close().await;
        assert!(matches!(open(&file).await, Err(Error::Migration(_))));
    }
}
