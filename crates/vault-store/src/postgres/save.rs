//! A save on PostgreSQL: a look and one statement, which is its own transaction: two round trips, one flush.

use sqlx::{Connection as _, Row};

use super::saves::{Look, arguments};
use super::{Connection, PostgresStore};
use crate::transaction::{may_try_again, pause};
use crate::{Error, NewRecord, SaveSealer, Saved};

/// See [`arguments`]. Everything hangs on the head: where it moved, no part of the statement does anything.
///
/// A table is written by one part only: not every engine takes two.
const WRITE: &str = "WITH head AS (
  UPDATE audit_heads SET seq = $12, hash = $14, live = live + $19
    WHERE account_id = $1 AND seq = $12 - 1 AND hash = $13 RETURNING account_id
), device AS (
  UPDATE devices SET last_seq = CASE WHEN last_seq < $18 THEN $18 ELSE last_seq END, seen_at = $11
    WHERE id = $17 AND account_id IN (SELECT account_id FROM head) AND state = 'active'
), place AS (
  INSERT INTO counters (bucket, \"window\", n)
    SELECT place.bucket, place.\"window\", 1 FROM head, (VALUES ($20, $21), ($22, $23)) AS place (bucket, \"window\")
    WHERE place.bucket IS NOT NULL
    ON CONFLICT (bucket, \"window\") DO UPDATE SET n = counters.n + 1
), record AS (
  INSERT INTO records
    (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, supersedes, received_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM head
), states AS (
  INSERT INTO record_state (account_id, record_id, state)
    SELECT $1, $2, 'live' FROM head
    UNION ALL
    SELECT older.account_id, older.record_id, 'superseded' FROM head, record_state AS older
      WHERE older.account_id = $1 AND older.record_id = $10 AND older.state = 'live'
    ON CONFLICT (account_id, record_id) DO UPDATE SET state = EXCLUDED.state
), first_index AS (
  INSERT INTO record_index (scope, scope_id, \"full\", account_id, record_id, prefix)
    SELECT $24, $25, $26, $1, $2, $27 FROM head WHERE $24 IS NOT NULL
), entry AS (
  INSERT INTO audit (account_id, seq, prev, hash, body) SELECT $1, $12, $13, $14, $15 FROM head
), receipt AS (
  INSERT INTO receipts (account_id, record_id, audit_seq, body) SELECT $1, $2, $12, $16 FROM head
)
SELECT COUNT(*) FROM head";

impl PostgresStore {
    pub(super) async fn save(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Saved, Error> {
        let mut tries = 0;
        loop {
            // Where saves of one account meet, those who lost stand in line for the head.
            let saved = if tries == 0 && new.index.len() <= 1 {
                write_at_once(&mut *self.readers.acquire().await?, new, seal).await
            } else {
                self.save_in_line(new, seal).await
            };
            match saved {
                Ok(Some(saved)) => return Ok(saved),
                Ok(None) => tries += 1,
                Err(error) if may_try_again(&error, tries) => {
                    tries += 1;
                    pause(tries).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn save_in_line(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Option<Saved>, Error> {
        let mut connection = self.readers.acquire().await?;
        // What follows must see what the one before us in the line committed.
        let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        sqlx::query("SELECT seq FROM audit_heads WHERE account_id = $1 FOR UPDATE")
            .bind(&new.record.account_id.as_bytes()[..])
            .fetch_optional(&mut *tx)
            .await?;
        let saved = write_at_once(&mut tx, new, seal).await?;
        if matches!(saved, Some(Saved::New(_))) {
            for entry in new.index.iter().skip(1) {
                super::records::insert_index(&mut tx, &new.record, entry).await?;
            }
            tx.commit().await?;
        }
        Ok(saved)
    }
}

/// `None`: the head moved meanwhile.
async fn write_at_once(
    connection: &mut Connection,
    new: &NewRecord,
    seal: SaveSealer<'_>,
) -> Result<Option<Saved>, Error> {
    let look = Look::at(connection, new).await?;
    if let Some(receipt) = look.judge(new)? {
        return Ok(Some(Saved::Before(receipt)));
    }
    let (link, receipt) = seal(&look.head);
    let written = sqlx::query_with(WRITE, arguments(new, &look, &link, &receipt)?).fetch_one(connection).await?;
    Ok((written.try_get::<i64, _>(0)? == 1).then_some(Saved::New(receipt)))
}
