//! Connecting: settings, the check that commits are durable, and the schema.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Row};

use super::PostgresStore;
use super::save::Saves;
use crate::{Error, schema};

/// Connections of one process. More than a few for each core of the database gain nothing.
const CONNECTIONS: u32 = 16;
/// Deletions are rare.
pub(super) const PURGE_CONNECTIONS: u32 = 2;
/// How long a call waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Several processes may bring the schema up to date at once: one of them gets through, the others look again.
const SCHEMA_TRIES: u32 = 20;
/// What may stand behind the `?` of an address.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

pub(super) async fn open(url: &str) -> Result<PostgresStore, Error> {
    let readers = connect(url, CONNECTIONS).await?;
    migrate(&mut *readers.acquire().await?, &schema::postgres()).await?;
    let saves = Saves::new(&readers);
    Ok(PostgresStore { purgers: readers.clone(), readers, write_times: crate::WriteTimes::default(), saves })
}

/// Connections to a database that writes through to the disk.
pub(super) async fn connect(url: &str, connections: u32) -> Result<PgPool, Error> {
    let options = options(url)?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A round trip for each call; without it, the first calls after a restart of the database would fail.
        .test_before_acquire(true)
        .after_connect(|connection, _| Box::pin(prefer_indexes(connection)));
    let pool = pool.connect_with(options).await?;
    check_durable(&mut *pool.acquire().await?).await?;
    Ok(pool)
}

/// What the address says. A misspelled parameter is refused here: the library would write it to the log with its value, and
/// that may be a password.
fn options(url: &str) -> Result<PgConnectOptions, Error> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Error::Address("it does not start with postgres://"));
    }
    let (_, parameters) = url.split_once('?').unwrap_or_default();
    let mut names = parameters.split('&').filter(|text| !text.is_empty()).map(|text| text.split('=').next());
    if names.any(|name| name.is_none_or(|name| !PARAMETERS.contains(&name))) {
        return Err(Error::Address("behind its `?` stands a parameter that is not known"));
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| Error::Address("it cannot be read"))?;
    Ok(options.application_name("keyhaven"))
}

/// Every statement of ours finds its rows by an index. A plan made while the tables were still empty would read them whole, and
/// is kept as long as the connection lives.
async fn prefer_indexes(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for sql in [
        "SET enable_seqscan = off",
        "SET enable_hashjoin = off",
        "SET enable_mergejoin = off",
        "SET plan_cache_mode = force_generic_plan",
        // What is avoided above counts as dear, and dear statements would be compiled.
        "SET jit = off",
    ] {
        match sqlx::query(sql).execute(&mut *connection).await {
            // Not every engine has every setting.
            Err(sqlx::Error::Database(_)) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// With `synchronous_commit = off` the database confirms what a power cut takes away, with `fsync = off` all the more. A standby
/// takes no writes at all.
pub(super) async fn check_durable(connection: &mut PgConnection) -> Result<(), Error> {
    for (pragma, sql, refused, expected) in [
        ("synchronous_commit", "SHOW synchronous_commit", "off", "on"),
        ("fsync", "SHOW fsync", "off", "on"),
        ("transaction_read_only", "SHOW transaction_read_only", "on", "off"),
    ] {
        let found: String = match sqlx::query(sql).fetch_one(&mut *connection).await {
            Ok(row) => row.try_get(0)?,
            // Not every engine has every setting.
            Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(UNDEFINED_OBJECT) => continue,
            Err(error) => return Err(error.into()),
        };
        if found == refused {
            return Err(Error::NotDurable { pragma, found, expected });
        }
    }
    Ok(())
}

/// A setting, or a table, that is not there.
const UNDEFINED_OBJECT: &str = "42704";
const UNDEFINED_TABLE: &str = "42P01";

async fn migrate(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        // A role that may not change the schema can use one that is up to date.
        if is_current(connection, migrator).await? {
            return Ok(());
        }
        match migrator.run(&mut *connection).await {
            Ok(()) => return Ok(()),
            // What only another process can have caused, or a newer schema: the former passes.
            Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) if tries < SCHEMA_TRIES => {
                tries += 1;
                crate::transaction::pause(tries).await;
            }
            Err(error) => return Err(Error::Migration(error)),
        }
    }
}

/// Whether exactly our steps were carried out.
async fn is_current(connection: &mut PgConnection, migrator: &Migrator) -> Result<bool, Error> {
    let done = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
    let rows = match sqlx::query(done).fetch_all(connection).await {
        Ok(rows) => rows,
        Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some(UNDEFINED_TABLE) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut steps = migrator.iter();
    for row in rows {
        let (version, checksum): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        if steps.next().is_none_or(|step| step.version != version || *step.checksum != *checksum) {
            return Ok(false);
        }
    }
    Ok(steps.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Factors, SessionLevel, Sessions};

    /// What was there before a step of the schema is there after it.
    #[tokio::test]
    async fn rows_outlive_later_steps_of_the_schema() {
        let Some(database) = testkit::postgres::database() else { return };
        let pool =
            PgPoolOptions::new().max_connections(1).connect_with(options(&database.url()).unwrap()).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        migrate(&mut connection, &schema::postgres_until(3)).await.unwrap();
        drop(connection);
        let (id, hash) = ("decode(repeat('00', 16), 'hex')", "decode(repeat('00', 32), 'hex')");
        for sql in [
            format!(
                "INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor, created_at)
                 VALUES ({id}, 'ada@example.org', '', 1, 1, 7, 'active', TRUE, 1)"
            ),
            format!(
                "INSERT INTO sessions (token_hash, account_id, epoch, level, created_at, seen_at, expires_at, net)
                 VALUES ({hash}, {id}, 7, 'full', 1, 2, 3, 'net')"
            ),
            format!(
                "INSERT INTO factors (id, account_id, kind, label, data_sealed, last_step, created_at)
                 VALUES ({id}, {id}, 'totp', 'phone', 'x', 9, 4)"
            ),
            format!(
                "INSERT INTO grants (hash, account_id, session_hash, purpose, target, expires_at)
                 VALUES ({hash}, {id}, {hash}, 'reveal', 'all', 6)"
            ),
        ] {
            database.sql(&sql).unwrap();
        }
        pool.close().await;
        let store = open(&database.url()).await.unwrap();
        let found = store.session([0; 32]).await.unwrap().expect("is there");
        let session = &found.session;
        assert_eq!((session.epoch, session.level, found.account_epoch), (7, SessionLevel::Full, 7));
        assert_eq!((session.created_at, session.seen_at, session.expires_at), (1, 2, 3));
        assert_eq!(session.net, "net");
        let factors = store.factors(session.account_id).await.unwrap();
        assert_eq!((factors.len(), factors[0].label.as_str(), factors[0].last_step), (1, "phone", Some(9)));
        let kept = "SELECT COUNT(*) FROM grants WHERE purpose = 'reveal' AND expires_at = 6 AND confirmed_by IS NULL";
        assert_eq!(database.sql(kept).unwrap(), "1");
    }

    #[test]
    fn an_address_is_read_whole_or_refused_without_being_repeated() {
        for good in [
            "postgres://keyhaven@db.example.org/keyhaven",
            "postgresql://keyhaven:secret@[::1]:5433/keyhaven?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgres:///keyhaven?host=/run/postgresql&user=keyhaven",
        ] {
            options(good).unwrap();
        }
        for bad in [
            "",
            "keyhaven",
            "mysql://me:secret@host/db",
            "postgres://me:secret@host:port/db",
            "postgres://me@host/db?pasword=secret",
            "postgres://me@host/db?p%61ssword=secret",
            "postgres://me@host/db?sslmode=secret",
            "postgres://me@host/db?port=secret",
        ] {
            let error = options(bad).expect_err(bad);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
