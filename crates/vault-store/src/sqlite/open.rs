//! Opening: connection settings, the check that they are in force, and the schema.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::SqliteStore;
use super::writer::Writer;
use crate::{Error, schema};

/// How long a statement waits for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read. More would not help: reads are short and the file is in the page cache.
const READERS: u32 = 4;

pub(super) async fn open(file: &Path) -> Result<SqliteStore, Error> {
    open_with(options(file)).await
}

async fn open_with(options: SqliteConnectOptions) -> Result<SqliteStore, Error> {
    let mut first = options.connect().await?;
    check_durable(&mut first).await?;
    schema::sqlite().run(&mut first).await.map_err(Error::Migration)?;
    first.close().await?;
    let writer = Writer::open(&options).await?;
    // A connection in this process does not go away: nothing to test.
    let readers = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false);
    let readers = readers.connect_lazy_with(options.create_if_missing(false));
    Ok(SqliteStore { writer, readers, write_times: crate::WriteTimes::default() })
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

/// Asks the database what is in force instead of trusting that the settings were taken.
pub(super) async fn check_durable(connection: &mut SqliteConnection) -> Result<(), Error> {
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

    /// What was there before a step of the schema is there after it.
    #[tokio::test]
    async fn rows_outlive_later_steps_of_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vault.sqlite");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options(&file)).await.unwrap();
        schema::sqlite_until(3).run(&pool).await.unwrap();
        for sql in [
            "INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor,
               created_at) VALUES (zeroblob(16), 'ada@example.org', x'00', 1, 1, 7, 'active', 1, 5)",
            "INSERT INTO sessions (token_hash, account_id, epoch, level, created_at, seen_at, expires_at, net)
               VALUES (zeroblob(32), zeroblob(16), 7, 'full', 1, 2, 3, 'net')",
            "INSERT INTO factors (id, account_id, kind, label, data_sealed, last_step, created_at)
               VALUES (zeroblob(16), zeroblob(16), 'totp', 'phone', x'01', 9, 4)",
            "INSERT INTO grants (hash, account_id, session_hash, purpose, target, expires_at)
               VALUES (zeroblob(32), zeroblob(16), zeroblob(32), 'reveal', 'all', 6)",
        ] {
            sqlx::query(sql).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let store = open(&file).await.unwrap();
        let found = crate::Sessions::session(&store, [0; 32]).await.unwrap().expect("is there");
        let session = &found.session;
        assert_eq!((session.epoch, session.level, found.account_epoch), (7, crate::SessionLevel::Full, 7));
        assert_eq!((session.created_at, session.seen_at, session.expires_at), (1, 2, 3));
        assert_eq!(session.net, "net");
        let factors = crate::Factors::factors(&store, session.account_id).await.unwrap();
        assert_eq!((factors.len(), factors[0].label.as_str(), factors[0].last_step), (1, "phone", Some(9)));
        let kept = "SELECT COUNT(*) FROM grants WHERE purpose = 'reveal' AND expires_at = 6 AND confirmed_by IS NULL";
        let grants: i64 = sqlx::query(kept).fetch_one(&store.readers).await.unwrap().try_get(0).unwrap();
        assert_eq!(grants, 1);
        let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&store.readers).await.unwrap();
        assert!(broken.is_empty(), "{} rows refer to nothing", broken.len());
    }

    /// Delays move into the table that knows one kind more, and can be changed there as little as before.
    #[tokio::test]
    async fn delays_outlive_their_wider_table() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vault.sqlite");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options(&file)).await.unwrap();
        schema::sqlite_until(12).run(&pool).await.unwrap();
        for sql in [
            "INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor, created_at)
               VALUES (zeroblob(16), 'ada@example.org', x'00', 1, 1, 7, 'active', 1, 5)",
            "INSERT INTO waits (id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, state)
               VALUES (zeroblob(16), zeroblob(16), 'factor-reset', '', 'unknown', 3, 9, 4, zeroblob(32), 'running')",
        ] {
            sqlx::query(sql).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let store = open(&file).await.unwrap();
        let account = crate::AccountId::from_bytes([0; 16]);
        let waits = crate::Waits::waits(&store, account).await.unwrap();
        assert_eq!((waits.len(), waits[0].kind, waits[0].due_at), (1, crate::WaitKind::Reset, 9));
        for sql in ["UPDATE waits SET due_at = 4", "DELETE FROM waits"] {
            let refused = sqlx::query(sql).execute(&store.readers).await.expect_err(sql);
            assert!(refused.to_string().contains("delays stay as they are"), "{refused}");
        }
        let twice =
            "INSERT INTO waits (id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, state)
               VALUES (x'01010101010101010101010101010101', zeroblob(16), 'factor-reset', '', 'unknown', 3, 9, 4,
                 x'0101010101010101010101010101010101010101010101010101010101010101', 'running')";
        sqlx::query(twice).execute(&store.readers).await.expect_err("one of a kind runs");
    }

    /// Accounts of an older version get their count of live records.
    #[tokio::test]
    async fn live_records_are_counted_once_the_count_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vault.sqlite");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options(&file)).await.unwrap();
        schema::sqlite_until(5).run(&pool).await.unwrap();
        for account in ["zeroblob(16)", "x'01010101010101010101010101010101'"] {
            let account_sql = format!(
                "INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor,
                   created_at) VALUES ({account}, hex({account}), x'00', 1, 1, 1, 'active', 1, 5);
                 INSERT INTO audit_heads (account_id, seq, hash) VALUES ({account}, 0, zeroblob(32));"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(account_sql)).execute(&pool).await.unwrap();
        }
        for (n, state) in [(1, "live"), (2, "superseded"), (3, "live"), (4, "hidden")] {
            let record_sql = format!(
                "INSERT INTO records (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, received_at)
                   VALUES (zeroblob(16), x'{n:032}', zeroblob(16), 'k', x'', x'', x'', x'', zeroblob(32), 1);
                 INSERT INTO record_state (account_id, record_id, state) VALUES (zeroblob(16), x'{n:032}', '{state}');"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(record_sql)).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let store = open(&file).await.unwrap();
        let rows =
            sqlx::query("SELECT live FROM audit_heads ORDER BY account_id").fetch_all(&store.readers).await.unwrap();
        let counts: Vec<i64> = rows.iter().map(|row| row.try_get(0).unwrap()).collect();
        assert_eq!(counts, [2, 0]);
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
        .execute(&store.readers)
        .await
        .unwrap();
        store.close().await;
        assert!(matches!(open(&file).await, Err(Error::Migration(_))));
    }
}
