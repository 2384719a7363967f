//! A save on PostgreSQL: a look and one statement, which is its own transaction: two round trips besides asking the connection, one flush.

use sqlx::Row;

use super::PostgresStore;
use super::saves::{Look, arguments};
use crate::transaction::may_try_again;
use crate::{Error, NewRecord, SaveSealer, Saved};

/// See [`arguments`]. Everything hangs on the head: where it moved, no part of the statement does anything.
///
/// A table is written by one part only: not every engine takes two.
const WRITE: &str = "WITH head AS (
  UPDATE audit_heads SET seq = $12, hash = $14, live = $28
    WHERE account_id = $1 AND seq = $12 - 1 AND hash = $13 AND live = $19 RETURNING account_id
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
    /// `None`: it is not the usual case, or met another one of this account.
    pub(super) async fn save_at_once(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Option<Saved>, Error> {
        let mut connection = self.readers.acquire().await?;
        let mut look = Look::at(&mut connection, new).await?;
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
        let write = sqlx::query_with(WRITE, arguments(new, &look, &link, &receipt)?);
        match write.fetch_one(&mut *connection).await {
            Ok(written) => Ok((written.try_get::<i64, _>(0)? == 1).then_some(Saved::New(receipt))),
            Err(error) => {
                let error = Error::from(error);
                if may_try_again(&error, 0) { Ok(None) } else { Err(error) }
            }
        }
    }
}
