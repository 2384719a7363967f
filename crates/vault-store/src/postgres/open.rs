//! Connecting: settings, the check that commits are durable, and the schema.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, Row};

use super::PostgresStore;
use crate::{Error, schema};

/// Connections of one process. More than a few for each core of the database gain nothing.
const CONNECTIONS: u32 = 16;
/// How long a call waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was idle for so long is asked whether it still lives before it is used.
const ASK_AFTER: Duration = Duration::from_secs(1);
/// Several processes may bring the schema up to date at once: one of them gets through, the others look again.
const SCHEMA_TRIES: u32 = 20;

pub(super) async fn open(url: &str) -> Result<PostgresStore, Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("keyhaven");
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Asking a connection whether it still lives costs a round trip: only those that were idle are asked.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                Ok(about.idle_for < ASK_AFTER || sqlx::Connection::ping(connection).await.is_ok())
            })
        });
    let readers = pool.connect_with(options).await?;
    let mut connection = readers.acquire().await?;
    check_durable(&mut connection).await?;
    migrate(&mut connection).await?;
    drop(connection);
    Ok(PostgresStore { readers, write_times: crate::WriteTimes::default() })
}

/// With `synchronous_commit = off` the database confirms what a power cut takes away, with `fsync = off` all the more.
pub(super) async fn check_durable(connection: &mut PgConnection) -> Result<(), Error> {
    for (pragma, sql) in [("synchronous_commit", "SHOW synchronous_commit"), ("fsync", "SHOW fsync")] {
        // Not every engine has both settings.
        let Ok(row) = sqlx::query(sql).fetch_one(&mut *connection).await else { continue };
        let found: String = row.try_get(0)?;
        if found == "off" {
            return Err(Error::NotDurable { pragma, found, expected: "on" });
        }
    }
    Ok(())
}

async fn migrate(connection: &mut PgConnection) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        match schema::postgres().run(&mut *connection).await {
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
