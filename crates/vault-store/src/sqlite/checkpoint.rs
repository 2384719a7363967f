//! Moving pages from the write-ahead log into the database file, beside the writers.
//!
//! Left to itself, SQLite does this inside the commit that finds the log long: all who wait for that commit stand still while pages
//! are written and flushed. Here a task does it on a connection of its own while commits go on. What came meanwhile, a few pages, is
//! moved in the writers' queue, so that the log begins again at its start and does not grow for ever.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::{Mutex, Notify};

use super::writer::State;
use crate::Error;

/// Time between two rounds: pages that are written again and again are moved once.
const PAUSE: Duration = Duration::from_millis(200);
/// Pages after which the log begins again: 16 MiB.
const LONG_PAGES: i64 = 4096;

/// How long the writers' queue waits for readers of an older state.
const PATIENCE: Duration = Duration::from_millis(20);

/// Held while pages are being moved.
pub(super) type Round = Arc<Mutex<()>>;

/// Moves pages whenever something was `written`, until the store is closed or gone.
pub(super) async fn keep_short(
    options: SqliteConnectOptions,
    state: Weak<Mutex<State>>,
    written: Arc<Notify>,
    round: Round,
) {
    let options = options.busy_timeout(PATIENCE);
    loop {
        written.notified().await;
        tokio::time::sleep(PAUSE).await;
        let Some(state) = state.upgrade() else { return };
        let _held = round.lock().await;
        if state.lock().await.is_closed() {
            return;
        }
        // Should it fail, the log is longer at the next round; commits tell those who wait for them what is wrong with the disk.
        let _ = shorten(&options, &state).await;
    }
}

async fn shorten(options: &SqliteConnectOptions, state: &Mutex<State>) -> Result<(), Error> {
    let mut connection = options.connect().await?;
    let done = shorten_on(&mut connection, state).await;
    connection.close().await?;
    done
}

async fn shorten_on(connection: &mut SqliteConnection, state: &Mutex<State>) -> Result<(), Error> {
    let found = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
    let (pages, moved): (i64, i64) = (found.try_get("log")?, found.try_get("checkpointed")?);
    // Where somebody reads an old state, a backup for instance, no more can be moved for now.
    if pages < LONG_PAGES || moved < pages / 2 {
        return Ok(());
    }
    let mut state = state.lock().await;
    state.finish().await;
    sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(connection).await?;
    Ok(())
}
