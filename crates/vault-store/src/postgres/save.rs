//! A save on PostgreSQL: a look and a write, each one statement for all saves that wait at that moment. The write is its own
//! transaction.
//!
//! What such a statement costs is mostly its beginning and end, and the flush: saves that share them cost a fraction.

use std::io;
use std::sync::Arc;

use sqlx::{PgPool, Row};

use super::PostgresStore;
use super::gather::Gather;
use super::saves::Look;
use crate::{ChainHead, Error, Link, NewRecord, SaveSealer, Saved};

/// Statements of a kind that are under way at once. With more the groups are smaller, and nothing is gained.
const HANDS: usize = 2;
/// Looks at one account before a save goes step by step: its devices may save at the same time.
const LOOKS: usize = 4;

/// What a save has to know, for all that wait; `n` is the place among those that are asked about. `known` and `purged` are counted: of
/// `EXISTS`, the planner makes one reading of the whole index.
const LOOK: &str = "SELECT i.n, h.seq, h.hash, h.live,
   (SELECT body_sha256 FROM records WHERE account_id = i.account_id AND id = i.id) AS stored,
   (SELECT body FROM receipts WHERE account_id = i.account_id AND record_id = i.id) AS receipt,
   (SELECT state FROM devices WHERE account_id = i.account_id AND id = i.device_id) AS device,
   (SELECT n FROM counters WHERE bucket = i.bucket AND \"window\" = i.\"window\") AS taken,
   (SELECT n FROM counters WHERE bucket = i.new_bucket AND \"window\" = i.new_window) AS new_keys_taken,
   (SELECT COUNT(*) FROM record_state WHERE account_id = i.account_id AND record_id = i.older AND state = 'live') AS steps_back,
   (SELECT COUNT(*) FROM record_index
     WHERE scope = 'account' AND scope_id = i.account_id AND \"full\" = i.\"full\" AND account_id = i.account_id) > 0 AS known,
   (SELECT COUNT(*) FROM purged WHERE account_id = i.account_id AND record_id = i.id) > 0 AS purged
 FROM UNNEST($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
     $9::bytea[], $10::bytea[])
   AS i (n, account_id, id, device_id, bucket, \"window\", new_bucket, new_window, older, \"full\")
 JOIN audit_heads h ON h.account_id = i.account_id";

/// Everything hangs on the heads: where one moved, no part of the statement does anything for its save.
///
/// A table is written by one part only: not every engine takes two.
const WRITE: &str = "WITH input AS (
  SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bytea[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
      $9::bytea[], $10::bytea[], $11::bigint[], $12::bigint[], $13::bytea[], $14::bytea[], $15::bytea[], $16::bytea[],
      $17::bytea[], $18::bigint[], $19::bigint[], $20::bigint[], $21::text[], $22::bigint[], $23::text[], $24::bigint[],
      $25::text[], $26::bytea[], $27::bytea[], $28::bytea[])
    AS input (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, supersedes, received_at,
      seq, prev, hash, body, receipt, device_id, device_seq, live_before, live, bucket, \"window\", new_bucket, new_window,
      scope, scope_id, \"full\", prefix)
), head AS (
  UPDATE audit_heads AS h SET seq = i.seq, hash = i.hash, live = i.live FROM input AS i
    WHERE h.account_id = i.account_id AND h.seq = i.seq - 1 AND h.hash = i.prev AND h.live = i.live_before
    RETURNING h.account_id
), won AS (
  SELECT i.* FROM input AS i JOIN head ON head.account_id = i.account_id
), device AS (
  UPDATE devices AS d SET last_seq = CASE WHEN d.last_seq < i.device_seq THEN i.device_seq ELSE d.last_seq END,
      seen_at = i.received_at
    FROM won AS i WHERE d.id = i.device_id AND d.account_id = i.account_id AND d.state = 'active'
), place AS (
  INSERT INTO counters (bucket, \"window\", n)
    SELECT bucket, \"window\", 1 FROM won WHERE bucket IS NOT NULL
    UNION ALL
    SELECT new_bucket, new_window, 1 FROM won WHERE new_bucket IS NOT NULL
    ON CONFLICT (bucket, \"window\") DO UPDATE SET n = counters.n + 1
), record AS (
  INSERT INTO records
    (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, supersedes, received_at)
    SELECT account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, supersedes, received_at FROM won
), states AS (
  INSERT INTO record_state (account_id, record_id, state)
    SELECT account_id, id, 'live' FROM won
    UNION ALL
    SELECT account_id, supersedes, 'superseded' FROM won WHERE supersedes IS NOT NULL AND 'live' =
      (SELECT state FROM record_state AS older WHERE older.account_id = won.account_id AND older.record_id = won.supersedes)
    ON CONFLICT (account_id, record_id) DO UPDATE SET state = EXCLUDED.state
), first_index AS (
  INSERT INTO record_index (scope, scope_id, \"full\", account_id, record_id, prefix)
    SELECT scope, scope_id, \"full\", account_id, id, prefix FROM won WHERE scope IS NOT NULL
), entry AS (
  INSERT INTO audit (account_id, seq, prev, hash, body) SELECT account_id, seq, prev, hash, body FROM won
), receipt AS (
  INSERT INTO receipts (account_id, record_id, audit_seq, body) SELECT account_id, id, seq, receipt FROM won
)
SELECT account_id FROM head";

/// Where saves wait for the next statement.
#[derive(Debug, Clone)]
pub(super) struct Saves {
    looks: Gather<Question, Option<Look>>,
    writes: Gather<Write, Result<bool, Arc<sqlx::Error>>>,
}

impl Saves {
    pub(super) fn new(pool: &PgPool) -> Self {
        let (lookers, writers) = (pool.clone(), pool.clone());
        Self {
            looks: Gather::new(HANDS, move |questions| look_all(lookers.clone(), questions)),
            writes: Gather::new(HANDS, move |writes| write_all(writers.clone(), writes)),
        }
    }
}

impl PostgresStore {
    /// `None`: nothing was done, since it is not the usual case, or met others of this account too often.
    ///
    /// # Errors
    /// A refusal, or [`Error::Database`] when it is not known what became of it. It is not tried again here: whoever asked is told
    /// at once, and may ask for the receipt, which waits until the database confirms it.
    pub(super) async fn save_at_once(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Option<Saved>, Error> {
        for _ in 0..LOOKS {
            let Some(Some(mut look)) = self.saves.looks.ask(Question::of(new)).await else { return Ok(None) };
            if let Some(receipt) = look.before(new) {
                return Ok(Some(Saved::Before(receipt)));
            }
            if !look.is_usual(new) {
                return Ok(None);
            }
            look.judge(new)?;
            let (link, receipt) = seal(&look.head);
            if link.mail.is_some() {
                return Ok(None);
            }
            match self.saves.writes.ask(Write::of(new, &look, link, &receipt)).await {
                Some(Ok(true)) => return Ok(Some(Saved::New(receipt))),
                Some(Ok(false)) => {}
                Some(Err(cause)) => return Err(Error::Database(sqlx::Error::Io(io::Error::other(cause)))),
                None => return Err(Error::Closed),
            }
        }
        Ok(None)
    }
}

/// Columns of a statement for several saves: `columns!(rows; field, field, ...)` binds one array for each field.
macro_rules! bind_columns {
    ($query:expr, $rows:expr; $($field:ident),+ $(,)?) => {
        $query$(.bind($rows.iter().map(|row| row.$field.clone()).collect::<Vec<_>>()))+
    };
}

/// What [`LOOK`] is asked about one save.
#[derive(Debug)]
struct Question {
    account: Vec<u8>,
    record: Vec<u8>,
    device: Option<Vec<u8>>,
    bucket: Option<String>,
    window: Option<i64>,
    new_bucket: Option<String>,
    new_window: Option<i64>,
    older: Option<Vec<u8>>,
    full: Option<Vec<u8>>,
}

impl Question {
    fn of(new: &NewRecord) -> Self {
        let (place, new_key) = (new.place.as_ref(), new.new_key_place.as_ref());
        Self {
            account: new.record.account_id.as_bytes().to_vec(),
            record: new.record.id.as_bytes().to_vec(),
            device: new.device.as_ref().map(|(device, _)| device.as_bytes().to_vec()),
            bucket: place.map(|place| place.bucket.clone()),
            window: place.map(|place| place.window),
            new_bucket: new_key.map(|place| place.bucket.clone()),
            new_window: new_key.map(|place| place.window),
            older: new.record.supersedes.as_ref().map(|older| older.as_bytes().to_vec()),
            full: new.index.first().map(|entry| entry.full.clone()),
        }
    }
}

/// No looks where the database fails: each save then goes step by step and meets the error itself.
async fn look_all(pool: PgPool, questions: Vec<Question>) -> Vec<Option<Look>> {
    let numbers: Vec<i64> = (0..).take(questions.len()).collect();
    let query = bind_columns!(sqlx::query(LOOK).bind(numbers), questions;
        account, record, device, bucket, window, new_bucket, new_window, older, full);
    let Ok(rows) = query.fetch_all(&pool).await else { return Vec::new() };
    let mut looks: Vec<Option<Look>> = questions.iter().map(|_| None).collect();
    for row in &rows {
        let place = row.try_get::<i64, _>("n").ok().and_then(|n| usize::try_from(n).ok());
        if let (Some(look), Some(place)) = (Look::of(row).ok(), place.and_then(|n| looks.get_mut(n))) {
            *place = Some(look);
        }
    }
    looks
}

/// What [`WRITE`] is given for one save.
#[derive(Debug)]
struct Write {
    account: Vec<u8>,
    id: Vec<u8>,
    author: Vec<u8>,
    kind: String,
    header: Vec<u8>,
    meta: Vec<u8>,
    secret: Vec<u8>,
    signature: Vec<u8>,
    body_sha256: Vec<u8>,
    supersedes: Option<Vec<u8>>,
    received_at: i64,
    seq: i64,
    prev: Vec<u8>,
    hash: Vec<u8>,
    body: Vec<u8>,
    receipt: Vec<u8>,
    device: Option<Vec<u8>>,
    device_seq: Option<i64>,
    live_before: i64,
    live: i64,
    bucket: Option<String>,
    window: Option<i64>,
    new_bucket: Option<String>,
    new_window: Option<i64>,
    scope: Option<String>,
    scope_id: Option<Vec<u8>>,
    full: Option<Vec<u8>>,
    prefix: Option<Vec<u8>>,
}

impl Write {
    fn of(new: &NewRecord, look: &Look, link: Link, receipt: &[u8]) -> Self {
        debug_assert!(look.head == ChainHead { seq: link.seq - 1, hash: link.prev }, "an entry follows the head");
        let record = &new.record;
        let (entry, place, new_key) = (new.index.first(), new.place.as_ref(), look.new_key_place(new));
        Self {
            account: record.account_id.as_bytes().to_vec(),
            id: record.id.as_bytes().to_vec(),
            author: record.author_id.as_bytes().to_vec(),
            kind: record.kind.clone(),
            header: record.header.clone(),
            meta: record.meta.clone(),
            secret: record.secret.clone(),
            signature: record.signature.clone(),
            body_sha256: record.body_sha256.to_vec(),
            supersedes: record.supersedes.as_ref().map(|older| older.as_bytes().to_vec()),
            received_at: record.received_at,
            seq: link.seq,
            prev: link.prev.to_vec(),
            hash: link.hash.to_vec(),
            body: link.body,
            receipt: receipt.to_vec(),
            device: new.device.as_ref().map(|(device, _)| device.as_bytes().to_vec()),
            device_seq: new.device.map(|(_, seq)| seq),
            live_before: look.live,
            live: look.live_after(),
            bucket: place.map(|place| place.bucket.clone()),
            window: place.map(|place| place.window),
            new_bucket: new_key.map(|place| place.bucket.clone()),
            new_window: new_key.map(|place| place.window),
            scope: entry.map(|entry| entry.scope.as_str().to_owned()),
            scope_id: entry.map(|entry| entry.scope_id.to_vec()),
            full: entry.map(|entry| entry.full.clone()),
            prefix: entry.map(|entry| entry.prefix.clone()),
        }
    }
}

/// Whether each was written. An error: what became of it is not known.
async fn write_all(pool: PgPool, writes: Vec<Write>) -> Vec<Result<bool, Arc<sqlx::Error>>> {
    let mut done: Vec<_> = writes.iter().map(|_| Ok(false)).collect();
    // One save of an account at a time: a second one would follow a head that the first moves. In the order of accounts, so that
    // groups do not wait for one another in a circle.
    let mut group: Vec<(usize, &Write)> = writes.iter().enumerate().collect();
    group.sort_by(|(_, one), (_, other)| one.account.cmp(&other.account));
    group.dedup_by(|(_, later), (_, first)| later.account == first.account);
    match write_group(&pool, &group).await {
        // One of them met another transaction, or cannot be: each alone, so that it is known which. Refused again, it is looked at
        // again, goes step by step, and meets the error there if it is one.
        Err(error) if was_refused(&error) => {
            for one in group.chunks(1) {
                match write_group(&pool, one).await {
                    Err(error) if was_refused(&error) => {}
                    written => mark(&mut done, one, written),
                }
            }
        }
        written => mark(&mut done, &group, written),
    }
    done
}

/// Whether the database said that nothing was done.
fn was_refused(error: &sqlx::Error) -> bool {
    // Class 08 and 57 are about the connection and the server, 40003 tells that the outcome is not known.
    error
        .as_database_error()
        .and_then(|cause| cause.code())
        .is_some_and(|code| !code.starts_with("08") && !code.starts_with("57") && code != "40003")
}

fn mark(
    done: &mut [Result<bool, Arc<sqlx::Error>>],
    group: &[(usize, &Write)],
    written: Result<Vec<Vec<u8>>, sqlx::Error>,
) {
    let written = written.map_err(Arc::new);
    for (place, write) in group {
        if let Some(done) = done.get_mut(*place) {
            *done = written.as_ref().map(|accounts| accounts.contains(&write.account)).map_err(Arc::clone);
        }
    }
}

/// Accounts whose save was written.
async fn write_group(pool: &PgPool, group: &[(usize, &Write)]) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    let rows: Vec<&Write> = group.iter().map(|(_, write)| *write).collect();
    let query = bind_columns!(sqlx::query(WRITE), rows;
        account, id, author, kind, header, meta, secret, signature, body_sha256, supersedes, received_at, seq, prev, hash,
        body, receipt, device, device_seq, live_before, live, bucket, window, new_bucket, new_window, scope, scope_id,
        full, prefix);
    query.fetch_all(pool).await?.iter().map(|row| row.try_get(0)).collect()
}
