//! Backup while the service writes, and restoring one.
//!
//! A backup is a database of its own, of one moment: everything that was acknowledged before it began is in it. Nothing is called a
//! backup before it was read again from its file: whole, of this schema, and with every chain unbroken up to its head.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use vault_protocol::audit::entry_hash;

use crate::schema;

/// How long the backup waits for a writer that holds the lock. Writers never wait for the backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// First bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Entries that are read at once.
const PAGE: i64 = 1000;

/// What is used once or for a short time: in a restored database it would come back to life.
const SHORT_LIVED: [&str; 4] =
    ["DELETE FROM sessions", "DELETE FROM grants", "DELETE FROM ceremonies", "DELETE FROM device_codes"];

/// A delay that ran at the time of the backup may have been cancelled since, and its end may have passed: it must not take effect
/// by itself after a restore. From the step of the schema that has delays.
const DELAYS: (i64, [&str; 2]) = (
    8,
    [
        "UPDATE waits SET state = 'cancelled', ended_at = due_at, session_hash = NULL WHERE state = 'running'",
        "UPDATE accounts SET off_at = NULL WHERE two_factor",
    ],
);

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Accounts.
    pub accounts: i64,
    /// Records.
    pub records: i64,
    /// Audit entries, all of them checked.
    pub entries: i64,
    /// Step of the schema.
    pub schema: i64,
    /// Size of the file.
    pub bytes: u64,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file stands where one is to be made.
    #[error("{0} exists")]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The database failed.
    #[error("the database {path} failed")]
    Database {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// It is not a database of this service.
    #[error("{0} is not a database of this service")]
    NotOurs(PathBuf),
    /// It was written by a newer version.
    #[error("{path} has step {found} of the schema; this program knows {known}")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its step.
        found: i64,
        /// The newest step that is known.
        known: i64,
    },
    /// Pages, rows or references are damaged.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// An audit entry does not follow the one before, or the head is not the last entry.
    #[error("{path}: the audit chain of an account is broken at entry {seq}")]
    Chain {
        /// Which file.
        path: PathBuf,
        /// Number of the entry.
        seq: i64,
    },
}

/// Copies a database to a new file, while other processes write to it. The file gets its name last.
///
/// # Errors
/// [`BackupError`]; then there is no file of that name.
pub async fn back_up(database: &Path, to: &Path) -> Result<Holdings, BackupError> {
    refuse_existing(to)?;
    if !database.exists() {
        return Err(file_error(database)(io::ErrorKind::NotFound.into()));
    }
    let part = with_suffix(to, ".part");
    let made = make(database, &part).await;
    finish(made, &part, to)
}

async fn make(database: &Path, part: &Path) -> Result<Holdings, BackupError> {
    new_private(part)?;
    let failed = database_error(database);
    let options = SqliteConnectOptions::new().filename(database).create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await.map_err(failed)?;
    // Another name than the one that was asked for would be a copy of the vault that nobody knows of.
    let target = part.to_str().ok_or_else(|| file_error(part)(io::Error::from(io::ErrorKind::InvalidFilename)))?;
    // An empty file is taken for a new one, and keeps its permissions.
    let copied = sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await;
    let _ = connection.close().await;
    copied.map_err(database_error(part))?;
    sync(part)?;
    examine(part).await
}

/// Puts a backup where a service finds its database. Sessions, grants and everything else that lives for minutes is left out;
/// delays before two-factor goes off or factors are reset end without that.
///
/// # Errors
/// [`BackupError`]; then nothing stands at `database`. A database that is there is never overwritten.
pub async fn restore(from: &Path, database: &Path) -> Result<Holdings, BackupError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        refuse_existing(&with_suffix(database, suffix))?;
    }
    let part = with_suffix(database, ".restoring");
    let made = take_over(from, &part).await;
    finish(made, &part, database)
}

async fn take_over(from: &Path, part: &Path) -> Result<Holdings, BackupError> {
    let mut source = File::open(from).map_err(file_error(from))?;
    let mut target = new_private(part)?;
    io::copy(&mut source, &mut target).map_err(file_error(part))?;
    drop(target);
    // What is examined is what will be used, not what it was copied from.
    let holdings = examine(part).await?;
    let options = SqliteConnectOptions::new()
        .filename(part)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON");
    let failed = database_error(part);
    let mut connection = options.connect().await.map_err(&failed)?;
    let (since, delays) = DELAYS;
    for sql in SHORT_LIVED.into_iter().chain(delays.into_iter().filter(|_| holdings.schema >= since)) {
        sqlx::query(sql).execute(&mut connection).await.map_err(&failed)?;
    }
    connection.close().await.map_err(&failed)?;
    sync(part)?;
    Ok(holdings)
}

/// Reads a database that nobody writes to: whole, of a schema that is known, every chain unbroken.
///
/// # Errors
/// [`BackupError`] with the first thing that is not as it must be.
pub async fn examine(file: &Path) -> Result<Holdings, BackupError> {
    let mut first = [0; 16];
    let read = File::open(file).and_then(|mut opened| opened.read(&mut first));
    if read.map_err(file_error(file))? < first.len() || first != *MAGIC {
        return Err(BackupError::NotOurs(file.to_owned()));
    }
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut connection = options.connect().await.map_err(database_error(file))?;
    let examined = examine_open(&mut connection, file).await;
    let _ = connection.close().await;
    examined
}

async fn examine_open(connection: &mut SqliteConnection, file: &Path) -> Result<Holdings, BackupError> {
    let failed = database_error(file);
    let damaged = |what: String| BackupError::Damaged { path: file.to_owned(), what };
    let found: String = sqlx::query("PRAGMA integrity_check(1)")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(&failed)?;
    if found != "ok" {
        return Err(damaged(found));
    }
    let schema = schema_step(connection, file).await?;
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *connection).await.map_err(&failed)?;
    if !orphans.is_empty() {
        return Err(damaged(format!("{} rows refer to nothing", orphans.len())));
    }
    let entries = chains(connection, file).await?;
    let mut counts = [0; 2];
    for (count, sql) in counts.iter_mut().zip(["SELECT COUNT(*) FROM accounts", "SELECT COUNT(*) FROM records"]) {
        *count = sqlx::query(sql).fetch_one(&mut *connection).await.and_then(|row| row.try_get(0)).map_err(&failed)?;
    }
    let [accounts, records] = counts;
    let bytes = fs::metadata(file).map_err(file_error(file))?.len();
    Ok(Holdings { accounts, records, entries, schema, bytes })
}

/// The steps of the schema that were taken, each the same as here.
async fn schema_step(connection: &mut SqliteConnection, file: &Path) -> Result<i64, BackupError> {
    let not_ours = || BackupError::NotOurs(file.to_owned());
    let rows = sqlx::query("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(&mut *connection)
        .await
        .map_err(|_| not_ours())?;
    let migrator = schema::sqlite();
    let steps: HashMap<i64, &[u8]> = migrator.iter().map(|step| (step.version, &*step.checksum)).collect();
    let known = steps.keys().copied().max().unwrap_or(0);
    let mut newest = 0;
    for row in rows {
        let (version, checksum): (i64, Vec<u8>) =
            (row.try_get(0).map_err(database_error(file))?, row.try_get(1).map_err(database_error(file))?);
        match steps.get(&version) {
            Some(step) if *step == checksum => newest = version,
            Some(_) => return Err(not_ours()),
            None => return Err(BackupError::Newer { path: file.to_owned(), found: version, known }),
        }
    }
    if newest == 0 { Err(not_ours()) } else { Ok(newest) }
}

/// The chain that is being followed.
#[derive(Default)]
struct Chain {
    account: Vec<u8>,
    seq: i64,
    hash: Vec<u8>,
}

/// Follows every chain from its first entry to its head; gives the number of entries.
async fn chains(connection: &mut SqliteConnection, file: &Path) -> Result<i64, BackupError> {
    let failed = database_error(file);
    let mut chain = Chain::default();
    let mut entries = 0;
    loop {
        let rows = sqlx::query(
            "SELECT account_id, seq, prev, hash, body FROM audit
             WHERE (account_id, seq) > ($1, $2) ORDER BY account_id, seq LIMIT $3",
        )
        .bind(chain.account.clone())
        .bind(chain.seq)
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
        if rows.is_empty() {
            check_head(connection, file, &chain).await?;
            break;
        }
        for row in rows {
            let column = |index: usize| row.try_get::<Vec<u8>, _>(index).map_err(database_error(file));
            let (account, prev, hash, body) = (column(0)?, column(2)?, column(3)?, column(4)?);
            let seq: i64 = row.try_get(1).map_err(&failed)?;
            if account != chain.account {
                check_head(connection, file, &chain).await?;
                chain = Chain { account, seq: 0, hash: vec![0; 32] };
            }
            if seq != chain.seq + 1 || prev != chain.hash || entry_hash(&body)[..] != hash[..] {
                return Err(BackupError::Chain { path: file.to_owned(), seq });
            }
            (chain.seq, chain.hash) = (seq, hash);
            entries += 1;
        }
    }
    no_other_heads(connection, file).await?;
    Ok(entries)
}

async fn check_head(connection: &mut SqliteConnection, file: &Path, chain: &Chain) -> Result<(), BackupError> {
    if chain.seq == 0 {
        return Ok(());
    }
    let head = sqlx::query("SELECT 1 FROM audit_heads WHERE account_id = $1 AND seq = $2 AND hash = $3")
        .bind(&chain.account)
        .bind(chain.seq)
        .bind(&chain.hash)
        .fetch_optional(connection)
        .await
        .map_err(database_error(file))?;
    head.map(drop).ok_or_else(|| BackupError::Chain { path: file.to_owned(), seq: chain.seq })
}

/// A head without its last entry: the end of a chain was cut off.
async fn no_other_heads(connection: &mut SqliteConnection, file: &Path) -> Result<(), BackupError> {
    let cut = sqlx::query(
        "SELECT seq FROM audit_heads AS head WHERE seq > 0 AND NOT EXISTS
           (SELECT 1 FROM audit WHERE account_id = head.account_id AND seq = head.seq) LIMIT 1",
    )
    .fetch_optional(connection)
    .await
    .map_err(database_error(file))?;
    match cut {
        None => Ok(()),
        Some(row) => {
            let seq = row.try_get(0).map_err(database_error(file))?;
            Err(BackupError::Chain { path: file.to_owned(), seq })
        }
    }
}

/// Gives what was made its name, durably; after an error, takes it away.
fn finish(made: Result<Holdings, BackupError>, part: &Path, name: &Path) -> Result<Holdings, BackupError> {
    let named = made.and_then(|holdings| {
        give_name(part, name).map_err(file_error(name))?;
        Ok(holdings)
    });
    if named.is_err() && !matches!(&named, Err(BackupError::Exists(path)) if path == part) {
        let _ = fs::remove_file(part);
    }
    named
}

/// Never takes the place of another file, except where the file system has no links.
fn give_name(part: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(part, name) {
        Ok(()) => fs::remove_file(part)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => fs::rename(part, name)?,
    }
    #[cfg(unix)]
    {
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn refuse_existing(path: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(file_error(path)(error)),
        Ok(_) => Err(BackupError::Exists(path.to_owned())),
    }
}

fn new_private(path: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => file_error(path)(error),
    })
}

fn sync(path: &Path) -> Result<(), BackupError> {
    OpenOptions::new().write(true).open(path).and_then(|file| file.sync_all()).map_err(file_error(path))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::File { path: path.to_owned(), source }
}

fn database_error(path: &Path) -> impl Fn(sqlx::Error) -> BackupError {
    move |source| BackupError::Database { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::super::SqliteStore;
    use super::*;

    /// A database with two chains, and a backup of it.
    async fn backed_up(folder: &Path) -> (PathBuf, PathBuf) {
        let (database, file) = (folder.join("vault.sqlite"), folder.join("backup"));
        let store = SqliteStore::open(&database).await.unwrap();
        for account in [1, 2] {
            let (id, mut prev) = (vec![account; 16], vec![0; 32]);
            let add = "INSERT INTO accounts (id, email_norm, opaque_record, kdf_profile, generation, epoch, state, two_factor,
                 created_at) VALUES ($1, $2, $1, 1, 1, 1, 'active', 1, 1)";
            sqlx::query(add).bind(&id).bind(account.to_string()).execute(&store.readers).await.unwrap();
            for seq in 1..=5 {
                let body = format!("{account}/{seq}").into_bytes();
                let hash = entry_hash(&body).to_vec();
                let add = "INSERT INTO audit (account_id, seq, prev, hash, body) VALUES ($1, $2, $3, $4, $5)";
                let add = sqlx::query(add).bind(&id).bind(seq).bind(&prev).bind(&hash).bind(&body);
                add.execute(&store.readers).await.unwrap();
                prev = hash;
            }
            let head = "INSERT INTO audit_heads (account_id, seq, hash) VALUES ($1, 5, $2)";
            sqlx::query(head).bind(&id).bind(&prev).execute(&store.readers).await.unwrap();
        }
        store.close().await;
        let holdings = back_up(&database, &file).await.unwrap();
        assert_eq!((holdings.accounts, holdings.entries, holdings.records), (2, 10, 0));
        (database, file)
    }

    async fn change(file: &Path, sql: &'static [&'static str]) {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        for sql in sql {
            sqlx::query(*sql).execute(&pool).await.unwrap();
        }
        pool.close().await;
    }

    #[tokio::test]
    async fn what_was_changed_behind_the_back_of_the_service_is_not_restored() {
        type Expected = fn(&BackupError) -> bool;
        let chain: Expected = |error| matches!(error, BackupError::Chain { .. });
        let cases: [(&'static [&'static str], Expected); 8] = [
            (&["DROP TRIGGER audit_no_update", "UPDATE audit SET body = x'00' WHERE seq = 3"], chain),
            (&["DROP TRIGGER audit_no_update", "UPDATE audit SET prev = zeroblob(32) WHERE seq = 2"], chain),
            (&["DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE seq = 3"], chain),
            (&["DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE seq = 5"], chain),
            (&["DROP TRIGGER audit_no_delete", "DELETE FROM audit"], chain),
            (&["UPDATE audit_heads SET hash = zeroblob(32)"], chain),
            (
                &["INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                   VALUES (999, 'from the future', TRUE, x'00', 0)"],
                |error| matches!(error, BackupError::Newer { found: 999, .. }),
            ),
            (&["UPDATE _sqlx_migrations SET checksum = x'00'"], |error| matches!(error, BackupError::NotOurs(_))),
        ];
        for (sql, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let (_, file) = backed_up(folder.path()).await;
            change(&file, sql).await;
            let target = folder.path().join("restored.sqlite");
            let error = restore(&file, &target).await.expect_err(sql[0]);
            assert!(expected(&error), "{sql:?}: {error:?}");
            assert!(!target.exists() && !with_suffix(&target, ".restoring").exists());
        }
    }

    #[tokio::test]
    async fn files_that_are_no_backup_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (_, file) = backed_up(folder.path()).await;
        let whole = fs::read(&file).unwrap();
        let target = folder.path().join("restored.sqlite");
        for (at, bytes) in [
            (0, Vec::new()),
            (1, b"SQLite format 3\0".to_vec()),
            (2, b"something else altogether".to_vec()),
            (3, whole[..whole.len() - 4096].to_vec()),
            (4, [&whole[..100], &vec![0xff; 3996], &whole[4096..]].concat()),
            (5, [&whole[..4096], &vec![0; 4096], &whole[8192..]].concat()),
        ] {
            let bad = folder.path().join(format!("bad-{at}"));
            fs::write(&bad, bytes).unwrap();
            assert!(restore(&bad, &target).await.is_err(), "case {at}");
            assert!(!target.exists());
        }
        let empty = folder.path().join("empty.sqlite");
        change(&empty, &["CREATE TABLE accounts (id)"]).await;
        assert!(matches!(restore(&empty, &target).await, Err(BackupError::NotOurs(_))));
        let holdings = restore(&file, &target).await.unwrap();
        assert_eq!(holdings.entries, 10);
        SqliteStore::open(&target).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn what_lives_for_minutes_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (_, file) = backed_up(folder.path()).await;
        change(
            &file,
            &["INSERT INTO sessions (token_hash, account_id, epoch, level, created_at, seen_at, expires_at, net)
                 SELECT zeroblob(32), id, 1, 'full', 1, 2, 3, 'net' FROM accounts LIMIT 1",
              // Whoever cancelled it after the backup must not find it done.
              "UPDATE accounts SET two_factor = TRUE, off_at = 2",
              "INSERT INTO waits (id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, state)
                 SELECT id, id, 'two-factor-off', '', 'owner', 1, 2, 2, randomblob(32), 'running' FROM accounts"],
        )
        .await;
        let target = folder.path().join("restored.sqlite");
        restore(&file, &target).await.unwrap();
        let store = SqliteStore::open(&target).await.unwrap();
        assert!(crate::Sessions::session(&store, [0; 32]).await.unwrap().is_none());
        let running =
            "SELECT 1 FROM waits WHERE state = 'running' UNION SELECT 1 FROM accounts WHERE off_at IS NOT NULL";
        assert!(sqlx::query(running).fetch_all(&store.readers).await.unwrap().is_empty());
        let pragma = "PRAGMA foreign_key_check";
        assert!(sqlx::query(pragma).fetch_all(&store.readers).await.unwrap().is_empty());
        store.close().await;
    }

    #[tokio::test]
    async fn there_is_no_backup_of_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, to) = (folder.path().join("none"), folder.path().join("backup"));
        assert!(matches!(back_up(&missing, &to).await, Err(BackupError::File { .. })));
        assert!(!missing.exists() && !to.exists() && !with_suffix(&to, ".part").exists());
        // The text of a file is no database, and nothing stays behind.
        fs::write(&missing, "no database at all, only text that is long enough").unwrap();
        assert!(back_up(&missing, &to).await.is_err());
        assert!(!to.exists() && !with_suffix(&to, ".part").exists());
    }
}
