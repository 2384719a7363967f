//! The suite on SQLite, and what only SQLite can be asked: triggers, crashes.

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use vault_store::{Audit, Log, Records, SqliteStore, Store};

use crate::fixture;

/// A store and the folder that disappears with it.
pub(crate) struct Made {
    pub(crate) store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

async fn made() -> Option<Made> {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("vault.sqlite")).await.unwrap();
    Some(Made { store: Arc::new(store), _folder: folder })
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
    sqlx::query("UPDATE audit SET log_index = seq").execute(&mut raw).await.expect("the place in the log is filled in");
    sqlx::query("UPDATE audit SET log_index = seq + 8").execute(&mut raw).await.expect_err("once");
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

#[tokio::test]
async fn the_log_only_grows_and_gives_no_place_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    fixture::owner(&store, 1).await;
    store.begin_log(&crate::log::sign).await.unwrap();
    crate::log::extend_all(&store, 10).await;
    let other = fixture::owner(&store, 2).await;
    let mut raw = raw(&file).await;
    for sql in [
        "UPDATE log_heads SET size = size - 1",
        "UPDATE log_heads SET note = ''",
        "DELETE FROM log_heads",
        "UPDATE log_tiles SET hashes = zeroblob(32)",
        "UPDATE log_tiles SET hashes = zeroblob(64)",
        "UPDATE log_tiles SET number = 7",
        "DELETE FROM log_tiles",
    ] {
        let error = sqlx::query(sql).execute(&mut raw).await.expect_err(sql);
        assert!(error.to_string().contains("append only"), "{sql}: {error}");
    }
    sqlx::query("INSERT INTO log_heads SELECT 2, size, root, note FROM log_heads")
        .execute(&mut raw)
        .await
        .expect_err("one");
    let twice = "UPDATE audit SET log_index = 0 WHERE log_index IS NULL";
    sqlx::query(twice).execute(&mut raw).await.expect_err("one place, one entry");
    crate::log::extend_all(&store, 10).await;
    crate::log::check(&store, &[fixture::account_id(1), other]).await;
}

#[tokio::test]
async fn a_log_that_was_changed_is_never_signed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    fixture::owner(&store, 1).await;
    store.begin_log(&crate::log::sign).await.unwrap();
    crate::log::extend_all(&store, 10).await;
    let mut raw = raw(&file).await;
    for sql in ["DROP TRIGGER log_tiles_grow", "UPDATE log_tiles SET hashes = zeroblob(length(hashes))"] {
        sqlx::query(sql).execute(&mut raw).await.unwrap();
    }
    fixture::owner(&store, 2).await;
    let refused = store.extend_log(10, &|_, _| panic!("signed")).await;
    assert!(matches!(refused, Err(vault_store::Error::Corrupt { table: "log_tiles", .. })), "{refused:?}");
}

/// Six keepers of two services, some of them stopped again and again, and twenty thousand entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_entries_and_keepers_that_die() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vault.sqlite");
    let stores = [SqliteStore::open(&file).await.unwrap(), SqliteStore::open(&file).await.unwrap()];
    let accounts = [fixture::owner(&stores[0], 1).await, fixture::owner(&stores[0], 2).await];
    stores[0].begin_log(&crate::log::sign).await.unwrap();
    let mut raw = raw(&file).await;
    for account in accounts {
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO audit (account_id, seq, prev, hash, body) SELECT $1, i, randomblob(32), randomblob(32), x'00' FROM n",
        )
        .bind(&account.as_bytes()[..])
        .execute(&mut raw)
        .await
        .unwrap();
    }
    let mut keepers = tokio::task::JoinSet::new();
    for n in 0..6_u64 {
        let store = stores[usize::from(n % 2 == 0)].clone();
        keepers.spawn(async move {
            let mut stopped = 0;
            loop {
                let limit =
                    std::time::Duration::from_micros(if n < 4 { 60_000_000 } else { 500 + 777 * (stopped % 40) });
                match tokio::time::timeout(limit, store.extend_log(256, &crate::log::sign)).await {
                    Ok(Ok(0)) => return,
                    Ok(Ok(_) | Err(vault_store::Error::Refused(vault_store::Refusal::LogMoved))) => {}
                    Ok(Err(error)) => panic!("{error:?}"),
                    Err(_) => stopped += 1,
                }
            }
        });
    }
    while let Some(done) = keepers.join_next().await {
        done.unwrap();
    }
    let head = crate::log::check(&stores[0], &accounts).await;
    assert_eq!(head.size, 20_000);
}
