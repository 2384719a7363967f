//! Turns that end badly: what they wrote is gone, what others wrote beside them is there, and nobody is told a lie.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection, raw_sql};

use super::{Turn, Writer};
use crate::Error;

/// A file with one table, its writer, and another process's connection.
struct Bench {
    folder: tempfile::TempDir,
    writer: Writer,
    other: SqliteConnection,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut other = options(&folder).busy_timeout(Duration::from_millis(50)).connect().await.unwrap();
        let tables = "CREATE TABLE parents (n INTEGER PRIMARY KEY) STRICT;
            CREATE TABLE rows (name TEXT NOT NULL UNIQUE, parent INTEGER REFERENCES parents (n) DEFERRABLE INITIALLY DEFERRED) STRICT";
        raw_sql(tables).execute(&mut other).await.unwrap();
        let writer = Writer::open(&options(&folder)).await.unwrap();
        Self { folder, writer, other }
    }

    /// What another process sees.
    async fn rows(&mut self) -> Vec<String> {
        let rows = sqlx::query("SELECT name FROM rows ORDER BY name").fetch_all(&mut self.other).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Whether another process may write. Time for the task of the store is given before.
    async fn is_free(&mut self) -> bool {
        for _ in 0..20 {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            if raw_sql("BEGIN IMMEDIATE").execute(&mut self.other).await.is_ok() {
                raw_sql("ROLLBACK").execute(&mut self.other).await.unwrap();
                return true;
            }
        }
        false
    }
}

fn options(folder: &tempfile::TempDir) -> SqliteConnectOptions {
    let file: PathBuf = folder.path().join("rows.sqlite");
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
}

async fn write(turn: &mut Turn, sql: &'static str) -> Result<(), Error> {
    raw_sql(sql).execute(turn.connection()?).await?;
    Ok(())
}

async fn turn_with(writer: &Writer, sql: &'static str) -> Turn {
    let mut turn = writer.begin().await.unwrap();
    write(&mut turn, sql).await.unwrap();
    turn
}

/// Polls once: whoever is pending now stands in the queue, or waits for the database.
fn queue<F: Future>(future: &mut Pin<Box<F>>) {
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "done already");
}

/// A first writer who has written and waits, and a second who stood in the queue behind it, so that both share a commit.
async fn two(bench: &Bench) -> (tokio::task::JoinHandle<Result<(), Error>>, Turn) {
    let first = turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('first')").await;
    let mut second = Box::pin(bench.writer.begin());
    queue(&mut second);
    let first = tokio::spawn(first.end(Ok(())));
    let second = second.await.unwrap();
    assert!(!first.is_finished(), "it waits for the commit");
    (first, second)
}

#[tokio::test]
async fn two_turns_share_a_commit() {
    let mut bench = Bench::new().await;
    let (first, mut second) = two(&bench).await;
    assert!(bench.rows().await.is_empty(), "nothing is committed before both had their turn");
    write(&mut second, "INSERT INTO rows (name) VALUES ('second')").await.unwrap();
    second.end(Ok(())).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(bench.rows().await, ["first", "second"]);
}

#[tokio::test]
async fn a_turn_that_is_dropped_leaves_nothing_and_holds_nobody_up() {
    let mut bench = Bench::new().await;
    drop(turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('gone')").await);
    assert!(bench.is_free().await, "another process can write");
    assert!(bench.rows().await.is_empty());
    let next = turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('next')").await;
    next.end(Ok(())).await.unwrap();
    assert_eq!(bench.rows().await, ["next"]);
}

#[tokio::test]
async fn a_turn_that_is_dropped_takes_nobody_with_it() {
    let mut bench = Bench::new().await;
    let (first, mut second) = two(&bench).await;
    write(&mut second, "INSERT INTO rows (name) VALUES ('second')").await.unwrap();
    drop(second);
    first.await.unwrap().unwrap();
    assert_eq!(bench.rows().await, ["first"]);
    assert!(bench.is_free().await);
}

#[tokio::test]
async fn a_statement_that_is_dropped_half_way_leaves_nothing() {
    let mut bench = Bench::new().await;
    let (first, mut second) = two(&bench).await;
    let long =
        "INSERT INTO rows (name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        SELECT CAST(i AS TEXT) FROM n";
    let mut statement = Box::pin(write(&mut second, long));
    queue(&mut statement);
    drop(statement);
    drop(second);
    first.await.unwrap().unwrap();
    assert_eq!(bench.rows().await, ["first"]);
}

#[tokio::test]
async fn a_turn_that_fails_takes_nobody_with_it() {
    let mut bench = Bench::new().await;
    let (first, mut second) = two(&bench).await;
    write(&mut second, "INSERT INTO rows (name) VALUES ('second')").await.unwrap();
    let failed = write(&mut second, "INSERT INTO rows (name) VALUES ('first')").await;
    assert!(matches!(second.end(failed).await, Err(Error::Database(_))));
    first.await.unwrap().unwrap();
    assert_eq!(bench.rows().await, ["first"]);
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_all_who_wait_for_it() {
    let mut bench = Bench::new().await;
    let (first, mut second) = two(&bench).await;
    // Checked at the commit only.
    write(&mut second, "INSERT INTO rows (name, parent) VALUES ('orphan', 7)").await.unwrap();
    assert!(matches!(second.end(Ok(())).await, Err(Error::Commit(_))));
    assert!(matches!(first.await.unwrap(), Err(Error::Commit(_))));
    assert!(bench.rows().await.is_empty());
    assert!(bench.is_free().await);
    let next = turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('next')").await;
    next.end(Ok(())).await.unwrap();
    assert_eq!(bench.rows().await, ["next"]);
}

/// SQLite undoes a whole transaction by itself after some errors, those of the disk among them.
#[tokio::test]
async fn a_transaction_that_ended_by_itself_is_told_to_all_who_wait_for_it() {
    let mut bench = Bench::new().await;
    let (first, mut second) = two(&bench).await;
    write(&mut second, "ROLLBACK").await.unwrap();
    assert!(second.end::<()>(Err(Error::Closed)).await.is_err());
    assert!(matches!(first.await.unwrap(), Err(Error::Commit(_))));
    assert!(bench.rows().await.is_empty());
    let next = turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('next')").await;
    next.end(Ok(())).await.unwrap();
    assert_eq!(bench.rows().await, ["next"]);
}

#[tokio::test]
async fn a_full_disk_fails_who_needs_room_and_nobody_is_told_a_lie() {
    let mut bench = Bench::new().await;
    let mut limit = turn_with(&bench.writer, "INSERT INTO parents (n) VALUES (1)").await;
    write(&mut limit, "PRAGMA max_page_count = 10").await.unwrap();
    limit.end(Ok(())).await.unwrap();
    let (first, mut second) = two(&bench).await;
    let full = write(&mut second, "INSERT INTO rows (name) VALUES (hex(zeroblob(100000)))").await;
    let error = full.as_ref().map_err(ToString::to_string).err();
    assert!(second.end(full).await.is_err(), "{error:?}");
    // Whether SQLite undid everything or the one statement: who was told that it is there finds it.
    let told = first.await.unwrap().is_ok();
    assert_eq!(bench.rows().await.len(), usize::from(told));
    let mut next = bench.writer.begin().await.unwrap();
    write(&mut next, "PRAGMA max_page_count = 1000").await.unwrap();
    write(&mut next, "INSERT INTO rows (name) VALUES ('next')").await.unwrap();
    next.end(Ok(())).await.unwrap();
    assert_eq!(bench.rows().await.len(), usize::from(told) + 1);
}

/// Who gives up while another process holds the database leaves the connection waiting for it.
#[tokio::test]
async fn a_beginning_that_is_dropped_does_no_harm() {
    let mut bench = Bench::new().await;
    for _ in 0..3 {
        raw_sql("BEGIN IMMEDIATE").execute(&mut bench.other).await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(100), bench.writer.begin()).await;
        assert!(given_up.is_err(), "the other process holds it");
        raw_sql("COMMIT").execute(&mut bench.other).await.unwrap();
        assert!(bench.is_free().await);
    }
    let next = turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('next')").await;
    next.end(Ok(())).await.unwrap();
    assert_eq!(bench.rows().await, ["next"]);
}

#[tokio::test]
async fn a_database_that_stays_locked_is_told_and_passes() {
    let mut bench = Bench::new().await;
    let quick = Writer::open(&options(&bench.folder).busy_timeout(Duration::from_millis(20))).await.unwrap();
    raw_sql("BEGIN IMMEDIATE").execute(&mut bench.other).await.unwrap();
    assert!(matches!(quick.begin().await, Err(Error::Database(_))));
    raw_sql("COMMIT").execute(&mut bench.other).await.unwrap();
    turn_with(&quick, "INSERT INTO rows (name) VALUES ('next')").await.end(Ok(())).await.unwrap();
    assert_eq!(bench.rows().await, ["next"]);
}

#[tokio::test]
async fn closing_commits_what_waits_and_refuses_the_rest() {
    let mut bench = Bench::new().await;
    let first = turn_with(&bench.writer, "INSERT INTO rows (name) VALUES ('first')").await;
    let writer = bench.writer.clone();
    let mut closing = Box::pin(writer.close());
    queue(&mut closing);
    let mut late = Box::pin(bench.writer.begin());
    queue(&mut late);
    let first = tokio::spawn(first.end(Ok(())));
    closing.await;
    assert!(matches!(late.await, Err(Error::Closed)));
    first.await.unwrap().unwrap();
    assert_eq!(bench.rows().await, ["first"]);
    assert!(matches!(bench.writer.begin().await, Err(Error::Closed)));
}
