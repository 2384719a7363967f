//! A save on SQLite: a look beside the writer, and one batch of statements in its queue.

use super::SqliteStore;
use super::saves::{Look, arguments};
use crate::{Error, NewRecord, SaveSealer, Saved};

/// A turn of its own; see [`arguments`]. The entry comes first: when the head moved, its number is taken and the batch ends there. The
/// receipt needs the new head: where that could not be set, its number is missing, and the batch ends there.
const TURN: &str = "SAVEPOINT turn;
INSERT INTO audit (account_id, seq, prev, hash, body) VALUES ($1, $12, $13, $14, $15);
UPDATE audit_heads SET seq = $12, hash = $14, live = $28
  WHERE account_id = $1 AND seq = $12 - 1 AND hash = $13 AND live = $19;
UPDATE devices SET last_seq = CASE WHEN last_seq < $18 THEN $18 ELSE last_seq END, seen_at = $11
  WHERE account_id = $1 AND id = $17 AND state = 'active';
INSERT INTO counters (bucket, \"window\", n) SELECT $20, $21, 1 WHERE $20 IS NOT NULL
  ON CONFLICT (bucket, \"window\") DO UPDATE SET n = n + 1;
INSERT INTO counters (bucket, \"window\", n) SELECT $22, $23, 1 WHERE $22 IS NOT NULL
  ON CONFLICT (bucket, \"window\") DO UPDATE SET n = n + 1;
INSERT INTO records
  (account_id, id, author_id, kind, header, meta, secret, signature, body_sha256, supersedes, received_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
INSERT INTO record_state (account_id, record_id, state) VALUES ($1, $2, 'live');
UPDATE record_state SET state = 'superseded' WHERE account_id = $1 AND record_id = $10 AND state = 'live';
INSERT INTO record_index (scope, scope_id, \"full\", account_id, record_id, prefix)
  SELECT $24, $25, $26, $1, $2, $27 WHERE $24 IS NOT NULL;
INSERT INTO receipts (account_id, record_id, audit_seq, body)
  VALUES ($1, $2, (SELECT seq FROM audit_heads WHERE account_id = $1 AND hash = $14), $16);
RELEASE turn";

impl SqliteStore {
    /// `None`: it is not the usual case, or another one of this account came first, perhaps in a group that is not committed yet.
    pub(super) async fn save_at_once(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Option<Saved>, Error> {
        let mut look = Look::at(&mut *self.readers.acquire().await?, new).await?;
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
        match self.writer.run(TURN, arguments(new, &look, &link, &receipt)?).await {
            Ok(()) => Ok(Some(Saved::New(receipt))),
            Err(Error::Database(sqlx::Error::Database(cause))) if is_lost(&*cause) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_lost(cause: &dyn sqlx::error::DatabaseError) -> bool {
    matches!(cause.kind(), sqlx::error::ErrorKind::UniqueViolation | sqlx::error::ErrorKind::NotNullViolation)
}
