//! The suite on PostgreSQL, and what only PostgreSQL can be asked: triggers, roles, several processes, connections that go away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use sqlx::Connection;
use testkit::postgres::{Database, Postgres, database};
use vault_store::{
    AccountId, Accounts, Audit, ChainHead, Counters, Deletions, Error, PostgresStore, Records, Refusal, Saved, Store,
    Waits,
};

use crate::deletions::deletion;
use crate::fixture;

/// A store and the database that disappears with it.
pub(crate) struct Made {
    pub(crate) store: Arc<dyn Store>,
    _database: Database,
}

async fn made() -> Option<Made> {
    let database = database()?;
    let store = PostgresStore::open(&database.url()).await.unwrap();
    Some(Made { store: Arc::new(store), _database: database })
}

crate::conformance!(crate::postgres::made);

#[tokio::test]
async fn records_and_audit_are_append_only() {
    let Some(database) = database() else { return };
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    fixture::save(&store, owner, 1).await;
    for sql in [
        "UPDATE records SET secret = ''",
        "UPDATE records SET received_at = 0",
        "DELETE FROM records",
        "UPDATE receipts SET body = ''",
        "DELETE FROM receipts",
        "UPDATE audit SET body = ''",
        "UPDATE audit SET log_index = 7, body = ''",
        "DELETE FROM audit",
    ] {
        let error = database.sql(sql).expect_err(sql);
        assert!(error.contains("append only"), "{sql}: {error}");
    }
    database.sql("UPDATE audit SET log_index = 7 WHERE seq = 1").expect("the place in the log is filled in");
    database.sql("UPDATE audit SET log_index = 8 WHERE seq = 1").expect_err("once");
}

#[tokio::test]
async fn an_open_purge_window_lets_one_record_go() {
    let Some(database) = database() else { return };
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    fixture::save(&store, owner, 1).await;
    fixture::save(&store, owner, 2).await;
    for sql in [
        "INSERT INTO purge_window SELECT account_id, id, 0 FROM records ORDER BY id LIMIT 1",
        "DELETE FROM record_state WHERE record_id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM receipts WHERE record_id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM records WHERE id IN (SELECT record_id FROM purge_window)",
    ] {
        database.sql(sql).expect(sql);
    }
    database.sql("DELETE FROM records").expect_err("the other record stays");
}

/// The rows that make roles for a service that may not change its tables, and for the one that purges.
const ROLES: &str = include_str!("../../../../docs/postgresql-roles.sql");

/// The roles of `docs/postgresql-roles.sql`, under names of their own: roles belong to the whole server.
fn roles(database: &Database) -> (String, String) {
    let (app, purge) = (format!("{}_app", database.name()), format!("{}_purge", database.name()));
    database.sql(&ROLES.replace("vault_app", &app).replace("vault_purge", &purge)).unwrap();
    // Twice, as after an update.
    database.sql(&ROLES.replace("vault_app", &app).replace("vault_purge", &purge)).unwrap();
    database.sql(&format!("ALTER ROLE {app} LOGIN; ALTER ROLE {purge} LOGIN")).unwrap();
    (app, purge)
}

/// Runs SQL as another role.
fn sql_as(database: &Database, role: &str, sql: &str) -> Result<String, String> {
    database.sql(&format!("SET ROLE {role}; {sql}"))
}

#[tokio::test]
async fn the_roles_do_what_they_are_for_and_nothing_else() {
    let Some(database) = database() else { return };
    PostgresStore::open(&database.url()).await.unwrap().close().await;
    let (app, purge) = roles(&database);
    // The service, as a role that owns nothing.
    let store = PostgresStore::open(&database.url_as(&app)).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    fixture::save(&store, owner, 1).await;
    fixture::save(&store, owner, 2).await;
    store.sweep(fixture::LATER).await.unwrap();
    // Without the triggers: what the privileges forbid by themselves.
    for table in ["records", "receipts", "audit"] {
        database.sql(&format!("ALTER TABLE {table} DISABLE TRIGGER USER")).unwrap();
    }
    for sql in [
        "UPDATE records SET secret = ''",
        "DELETE FROM records",
        "TRUNCATE records CASCADE",
        "UPDATE receipts SET body = ''",
        "DELETE FROM receipts",
        "UPDATE audit SET body = ''",
        "DELETE FROM audit",
        "INSERT INTO purge_window SELECT account_id, id, 0 FROM records",
        "ALTER TABLE records ENABLE TRIGGER USER",
        "DROP TABLE audit",
        "CREATE TABLE more (n BIGINT)",
    ] {
        let error = sql_as(&database, &app, sql).expect_err(sql);
        assert!(error.contains("permission denied") || error.contains("must be owner"), "{sql}: {error}");
    }
    for table in ["records", "receipts", "audit"] {
        database.sql(&format!("ALTER TABLE {table} ENABLE TRIGGER USER")).unwrap();
    }
    for sql in [
        "UPDATE records SET secret = ''",
        "UPDATE audit SET body = ''",
        "DELETE FROM audit",
        "SELECT opaque_record FROM accounts",
        "SELECT data_sealed FROM factors",
        "DELETE FROM accounts",
    ] {
        let error = sql_as(&database, &purge, sql).expect_err(sql);
        assert!(error.contains("permission denied"), "{sql}: {error}");
    }
    let error = sql_as(&database, &purge, "DELETE FROM records").expect_err("no window is open");
    assert!(error.contains("append only"), "{error}");
    for sql in [
        "INSERT INTO purge_window SELECT account_id, id, 0 FROM records ORDER BY id LIMIT 1",
        "DELETE FROM record_state WHERE record_id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM receipts WHERE record_id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM records WHERE id IN (SELECT record_id FROM purge_window)",
        "DELETE FROM purge_window",
    ] {
        sql_as(&database, &purge, sql).expect(sql);
    }
    assert_eq!(store.records_page(owner, None, 10).await.unwrap().len(), 1);
    the_role_that_purges_deletes(store, &database, owner, &purge).await;
    database.sql(&format!("DROP OWNED BY {app}; DROP OWNED BY {purge}; DROP ROLE {app}; DROP ROLE {purge}")).unwrap();
}

/// What the service's own role may not do, it does in the name of the other one.
async fn the_role_that_purges_deletes(store: PostgresStore, database: &Database, owner: AccountId, purge: &str) {
    let left = store.records_page(owner, None, 10).await.unwrap().remove(0).record.id;
    let month = 30 * 24 * 3_600_000;
    let of_record = deletion(owner, 1, Some(left));
    store.begin_wait(&of_record, &fixture::link).await.unwrap();
    let refused = store.finish_deletion(&of_record.wait, fixture::NOW + month, &fixture::link).await;
    assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
    let store = store.purging_as(&database.url_as(purge)).await.unwrap();
    store.finish_deletion(&of_record.wait, fixture::NOW + month, &fixture::link).await.unwrap();
    assert!(store.is_purged(owner, left).await.unwrap());
    let of_account = deletion(owner, 2, None);
    store.begin_wait(&of_account, &fixture::link).await.unwrap();
    store.finish_deletion(&of_account.wait, fixture::NOW + month, &fixture::link).await.unwrap();
    assert!(store.account(owner).await.unwrap().is_none());
    store.close().await;
}

/// Why a store does not open.
async fn refusal_to_open(url: &str) -> Error {
    match PostgresStore::open(url).await {
        Ok(_) => panic!("must be refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_database_that_confirms_too_early_is_refused() {
    let Some(database) = database() else { return };
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name())).unwrap();
    let error = refusal_to_open(&database.url()).await;
    assert!(matches!(error, Error::NotDurable { pragma: "synchronous_commit", .. }), "{error}");
    database.sql(&format!("ALTER DATABASE {} RESET synchronous_commit", database.name())).unwrap();
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name())).unwrap();
    let error = refusal_to_open(&database.url()).await;
    assert!(matches!(error, Error::NotDurable { pragma: "transaction_read_only", .. }), "{error}");
    let Some(careless) = Postgres::start(&[("fsync", "off")]) else { return };
    let error = refusal_to_open(&careless.url("postgres")).await;
    assert!(matches!(error, Error::NotDurable { pragma: "fsync", .. }), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Some(database) = database() else { return };
    PostgresStore::open(&database.url()).await.unwrap().close().await;
    PostgresStore::open(&database.url()).await.unwrap().close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999, 'from the future', TRUE, '', 0)";
    database.sql(newer).unwrap();
    let error = refusal_to_open(&database.url()).await;
    assert!(matches!(error, Error::Migration(_)), "{error}");
}

/// Several processes that start at once: threads that share nothing.
#[test]
fn several_starts_at_once_make_one_schema() {
    let Some(database) = database() else { return };
    const STARTS: usize = 6;
    let barrier = Barrier::new(STARTS);
    std::thread::scope(|scope| {
        for n in (1..).take(STARTS) {
            let (barrier, database) = (&barrier, &database);
            scope.spawn(move || {
                on_its_own(async {
                    barrier.wait();
                    let store = PostgresStore::open(&database.url()).await.unwrap();
                    fixture::owner(&store, n).await;
                    store.close().await;
                });
            });
        }
    });
    let steps = database.sql("SELECT COUNT(*), COUNT(DISTINCT version) FROM _sqlx_migrations").unwrap();
    assert_eq!(steps.split('|').next(), steps.split('|').nth(1), "each step once");
    assert_eq!(database.sql("SELECT COUNT(*) FROM accounts").unwrap(), STARTS.to_string());
}

fn on_its_own<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Does something once, in the middle of a transaction of the store, and waits for it.
struct Once(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Once {
    fn new(act: impl FnOnce() + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(act))))
    }

    fn run(&self) {
        if let Some(act) = self.0.lock().unwrap().take() {
            act();
        }
    }
}

/// Another process that writes to the same chain.
fn append_elsewhere(url: String, owner: AccountId) {
    let append = || {
        on_its_own(async {
            let store = PostgresStore::open(&url).await.unwrap();
            store.append_audit(owner, &fixture::link).await.unwrap();
            store.close().await;
        });
    };
    std::thread::scope(|scope| scope.spawn(append).join().unwrap());
}

#[tokio::test]
async fn a_transaction_that_met_another_one_is_tried_again() {
    let Some(database) = database() else { return };
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    let (url, tries) = (database.url(), AtomicUsize::new(0));
    let meet = Once::new(move || append_elsewhere(url, owner));
    let seal = |head: &ChainHead| {
        tries.fetch_add(1, Ordering::Relaxed);
        meet.run();
        fixture::seal(head)
    };
    let saved = store.save_record(&fixture::new_record(owner, 1), &seal).await.unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 2, "the first try met the other process");
    let Saved::New(receipt) = saved else { panic!("it is new") };
    assert_eq!(receipt, b"receipt 3", "made for the place it has in the chain");
    let chain = store.audit_page(owner, 0, 10).await.unwrap();
    assert_eq!(chain.iter().map(|row| row.link.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(chain.windows(2).all(|pair| pair[0].link.hash == pair[1].link.prev));
    assert_eq!(store.records_page(owner, None, 10).await.unwrap().len(), 1);
}

/// Two transactions that each read what the other one writes: neither may see the state before both.
#[tokio::test]
async fn what_a_transaction_read_still_holds_when_it_commits() {
    let Some(database) = database() else { return };
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    // The last free place is taken by somebody else between the look and the save.
    let url = database.url();
    let meet = Once::new(move || {
        let save = || {
            on_its_own(async {
                let store = PostgresStore::open(&url).await.unwrap();
                fixture::save(&store, owner, 2).await;
                store.close().await;
            });
        };
        std::thread::scope(|scope| scope.spawn(save).join().unwrap());
    });
    let seal = |head: &ChainHead| {
        meet.run();
        fixture::seal(head)
    };
    let mut last = fixture::new_record(owner, 1);
    last.max_records = 1;
    assert_eq!(fixture::refusal(store.save_record(&last, &seal).await), Refusal::Quota);
    assert_eq!(store.records_page(owner, None, 10).await.unwrap().len(), 1);
}

const CUT_ALL: &str = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
   WHERE datname = current_database() AND application_name = 'keyhaven'";

#[tokio::test]
async fn a_connection_lost_half_way_changes_nothing() {
    let Some(database) = database() else { return };
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    // Somebody else holds the head of the chain, so that the save waits in its middle.
    let mut other = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("SELECT * FROM audit_heads FOR UPDATE").execute(&mut *held).await.unwrap();
    let new = fixture::new_record(owner, 1);
    let mut save = Box::pin(store.save_record(&new, &fixture::seal));
    tokio::time::timeout(Duration::from_millis(500), &mut save).await.expect_err("it waits for the head of the chain");
    assert_ne!(database.sql(CUT_ALL).unwrap(), "0");
    let error = save.await.expect_err("the connection is gone");
    assert!(matches!(error, Error::Database(_)), "{error}");
    held.rollback().await.unwrap();
    assert!(store.records_page(owner, None, 10).await.unwrap().is_empty());
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 1);
    // The next ones get new connections.
    for n in 1..=3 {
        fixture::save(&store, owner, n).await;
    }
}

/// Connections that are lost while nothing is under way are not noticed.
#[tokio::test]
async fn a_connection_lost_between_two_statements_is_replaced() {
    let Some(database) = database() else { return };
    let database = Arc::new(database);
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    let cut = {
        let database = database.clone();
        Once::new(move || assert_ne!(database.sql(CUT_ALL).unwrap(), "0"))
    };
    let seal = |head: &ChainHead| {
        cut.run();
        fixture::seal(head)
    };
    let saved = store.save_record(&fixture::new_record(owner, 1), &seal).await.unwrap();
    assert!(matches!(saved, Saved::New(_)));
    assert_eq!(store.records_page(owner, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 2);
}

/// A caller that goes away in the middle holds nobody up.
#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    let Some(database) = database() else { return };
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    // Somebody else holds the head of the chain, so that the save waits in its middle.
    let mut other = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("SELECT * FROM audit_heads FOR UPDATE").execute(&mut *held).await.unwrap();
    let new = fixture::new_record(owner, 1);
    let waited = tokio::time::timeout(Duration::from_millis(300), store.save_record(&new, &fixture::seal)).await;
    assert!(waited.is_err(), "it waits for the head of the chain");
    held.rollback().await.unwrap();
    fixture::save(&store, owner, 2).await;
    // The one whose caller went away may still have come through, as a whole; nothing of it is there otherwise.
    let records = store.records_page(owner, None, 10).await.unwrap().len();
    assert!((1..=2).contains(&records), "{records}");
    assert_eq!(usize::try_from(store.audit_head(owner).await.unwrap().seq).unwrap(), 1 + records);
}

#[tokio::test]
async fn a_save_survives_a_crash() {
    let Some(mut server) = Postgres::start(&[]) else { return };
    let store = PostgresStore::open(&server.url("postgres")).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    let receipt = fixture::save(&store, owner, 1).await;
    let head = store.audit_head(owner).await.unwrap();
    server.kill();
    store.append_audit(owner, &fixture::link).await.expect_err("there is no database");
    server.restart();
    let reopened = PostgresStore::open(&server.url("postgres")).await.unwrap();
    let (id, body) = (fixture::record_id(1), fixture::body_sha256(1));
    assert_eq!(reopened.receipt(owner, id, body).await.unwrap(), Some(receipt));
    assert_eq!(reopened.audit_head(owner).await.unwrap(), head);
    // The store of before finds its database again.
    fixture::save(&store, owner, 2).await;
}

/// A commit that the standby did not confirm may be seen on the primary; its receipt must not be given out on that.
#[tokio::test]
async fn a_receipt_that_is_given_again_waits_for_the_standby_too() {
    let Some(server) = Postgres::start(&[]) else { return };
    let reload = |names: &str| {
        let _ = server.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        let _ = server.sql("postgres", "SELECT pg_reload_conf(), pg_sleep(0.3)");
    };
    let store = PostgresStore::open(&server.url("postgres")).await.unwrap();
    let owner = fixture::owner(&store, 1).await;
    reload("nobody");
    let new = fixture::new_record(owner, 1);
    let mut save = Box::pin(store.save_record(&new, &fixture::seal));
    tokio::time::timeout(Duration::from_millis(500), &mut save).await.expect_err("no standby confirms it");
    // The wait is broken off: the transaction stays committed here.
    let _ = server
        .sql("postgres", "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    save.await.expect_err("nobody was told that it is safe");
    assert_eq!(server.sql("postgres", "SELECT COUNT(*) FROM receipts"), "1", "and it can be seen");
    let mut again = Box::pin(store.receipt(owner, fixture::record_id(1), fixture::body_sha256(1)));
    tokio::time::timeout(Duration::from_millis(500), &mut again).await.expect_err("it is not confirmed yet");
    reload("");
    assert!(again.await.unwrap().is_some());
}
