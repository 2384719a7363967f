//! A save on SQLite: a look beside the writer, and one batch of statements in its queue.

use super::SqliteStore;
use super::saves::{Look, arguments};
use crate::{Error, NewRecord, SaveSealer, Saved};

/// See [`arguments`]. The entry comes first: when the head moved, its number is taken and the batch ends there. The receipt proves that
/// the head is the new one.
macro_rules! write_sql {
    () => {
        "INSERT INTO audit (account_id, seq, prev, hash, body) VALUES ($1, $12, $13, $14, $15);
         UPDATE audit_heads SET seq = $12, hash = $14, live = live + $19 WHERE account_id = $1 AND seq = $12 - 1 AND hash = $13;
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
           VALUES ($1, $2, (SELECT seq FROM audit_heads WHERE account_id = $1 AND hash = $14), $16)"
    };
}
/// Inside a turn.
const WRITE: &str = write_sql!();
/// As a turn of its own.
const TURN: &str = concat!("SAVEPOINT turn; ", write_sql!(), "; RELEASE turn");

impl SqliteStore {
    pub(super) async fn save(&self, new: &NewRecord, seal: SaveSealer<'_>) -> Result<Saved, Error> {
        if new.index.len() <= 1 {
            let look = Look::at(&mut *self.readers.acquire().await?, new).await?;
            if let Some(receipt) = look.judge(new)? {
                return Ok(Saved::Before(receipt));
            }
            let (link, receipt) = seal(&look.head);
            match self.writer.run(TURN, arguments(new, &look, &link, &receipt)?).await {
                Ok(()) => return Ok(Saved::New(receipt)),
                Err(error) if !is_taken(&error) => return Err(error),
                // Another one of this account came first, perhaps in a group that is not committed yet.
                Err(_) => {}
            }
        }
        let mut turn = self.begin().await?;
        let saved = async {
            let tx = turn.connection()?;
            let look = Look::at(tx, new).await?;
            if let Some(receipt) = look.judge(new)? {
                return Ok(Saved::Before(receipt));
            }
            let (link, receipt) = seal(&look.head);
            sqlx::query_with(WRITE, arguments(new, &look, &link, &receipt)?).execute(&mut *tx).await?;
            for entry in new.index.iter().skip(1) {
                super::records::insert_index(tx, &new.record, entry).await?;
            }
            Ok(Saved::New(receipt))
        }
        .await;
        turn.end(saved).await
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Database(sqlx::Error::Database(cause)) if cause.is_unique_violation())
}
