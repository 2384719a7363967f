//! The suite on SQLite, and what only SQLite can be asked: triggers, crashes.

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use vault_store::{Audit, Records, SqliteStore, Store};

use crate::fixture;

/// A store and the folder that disappears with it.
pub(crate) struct Made {
    pub(crate) store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

async fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("vault.sqlite")).await.unwrap();
    Made { store: Arc::new(store), _folder: folder }
}

crate::conformance!(crate::sqlite::made);

async fn raw(file: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await.unwrap()
}

#[tokio::test]
async fn records_and_audit_are_append_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    fixture::save(&store, owner, 1).await;
    let mut raw = raw(&file).await;
    for sql in [
        "UPDATE records SET secret = x'00'",
        "UPDATE records SET received_at = 0",
        "DELETE FROM records",
        "UPDATE receipts SET body = x'00'",
        "DELETE FROM receipts",
        "UPDATE audit SET body = x'00'",
        "UPDATE audit SET log_index = 7, body = x'00'",
        "DELETE FROM audit",
    ] {
        let error = sqlx::query(sql).execute(&mut raw).await.expect_err(sql);
        assert!(error.to_string().contains("append only"), "{sql}: {error}");
    }
    sqlx::query("UPDATE audit SET log_index = 7").execute(&mut raw).await.expect("the place in the log is filled in");
    sqlx::query("UPDATE audit SET log_index = 8").execute(&mut raw).await.expect_err("once");
}

#[tokio::test]
async fn the_end_of_a_delay_cannot_be_moved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    fixture::owner(&store, 1).await;
    let mut raw = raw(&file).await;
    let row =
        "INSERT INTO waits (id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, state)
        SELECT zeroblob(16), id, 'factor-reset', '', 'operator', 1, 9, 9, zeroblob(32), 'running' FROM accounts";
    sqlx::query(row).execute(&mut raw).await.unwrap();
    for sql in [
        "UPDATE waits SET due_at = 2",
        "UPDATE waits SET due_at = 2, next_at = 2",
        "UPDATE waits SET begun_at = 0",
        "UPDATE waits SET kind = 'two-factor-off'",
        "UPDATE waits SET begun_by = 'owner'",
        "UPDATE waits SET cancel_hash = randomblob(32)",
        "DELETE FROM waits",
    ] {
        let error = sqlx::query(sql).execute(&mut raw).await.expect_err(sql);
        assert!(error.to_string().contains("stay as they are"), "{sql}: {error}");
    }
    sqlx::query("UPDATE waits SET state = 'cancelled', ended_at = 3").execute(&mut raw).await.unwrap();
    sqlx::query("UPDATE waits SET state = 'running'")
        .execute(&mut raw)
        .await
        .expect_err("what ended does not run again");
}

#[tokio::test]
async fn an_open_purge_window_lets_one_record_go() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    fixture::save(&store, owner, 1).await;
    fixture::save(&store, owner, 2).await;
    let mut raw = raw(&file).await;
    for sql in [
        "INSERT INTO purge_window SELECT account_id, id, 0 FROM records ORDER BY id LIMIT 1",
        "DELETE FROM record_state WHERE record_id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM receipts WHERE record_id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM records WHERE id IN (SELECT record_id FROM purge_window)",
    ] {
        sqlx::query(sql).execute(&mut raw).await.expect(sql);
    }
    sqlx::query("DELETE FROM records").execute(&mut raw).await.expect_err("the other record stays");
}

/// What is on the disk when the process dies: the files as they are, without the goodbye of a clean close.
#[tokio::test]
async fn a_save_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    let receipt = fixture::save(&store, owner, 1).await;

    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        // The shared-memory file is an index of the WAL that every opener can rebuild.
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let reopened = SqliteStore::open(&copy.path().join("vault.sqlite")).await.unwrap();
    let (id, body) = (fixture::record_id(1), fixture::body_sha256(1));
    assert_eq!(reopened.receipt(owner, id, body).await.unwrap(), Some(receipt));
    assert_eq!(reopened.audit_head(owner).await.unwrap(), store.audit_head(owner).await.unwrap());
}
