//! A save on SQLite: a look beside the writer, and one batch of statements in its queue.

use super::saves::Look;
use super::{Arguments, SqliteStore};
use crate::{Error, Link, NewRecord, SaveSealer, Saved};

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

/// What the statements of [`TURN`] are given: `$1` account, `$2` record, `$3` author, `$4` kind, `$5` header, `$6` meta, `$7` secret,
/// `$8` signature, `$9` hash of the body, `$10` superseded record, `$11` time; of the entry `$12` number, `$13` previous hash, `$14` hash, `$15`
/// body; `$16` receipt; `$17` device, `$18` number of its save; `$19` live records before and `$28` after; `$20`, `$21` bucket and
/// window of the place, `$22`, `$23` of the one among new keys; `$24` to `$27` scope, its id, full and prefix of the first index entry.
fn arguments(new: &NewRecord, look: &Look, link: &Link, receipt: &[u8]) -> Result<Arguments, Error> {
    debug_assert!(link.seq == look.head.seq + 1 && link.prev == look.head.hash, "an entry follows the head");
    let record = &new.record;
    let (entry, new_key_place) = (new.index.first(), look.new_key_place(new));
    let mut arguments = Arguments::default();
    macro_rules! add {
        ($($value:expr),+ $(,)?) => {$(
            sqlx::Arguments::add(&mut arguments, $value).map_err(sqlx::Error::Encode)?;
        )+};
    }
    add!(&record.account_id.as_bytes()[..], &record.id.as_bytes()[..], &record.author_id.as_bytes()[..]);
    add!(&record.kind, &record.header, &record.meta, &record.secret, &record.signature, &record.body_sha256[..]);
    add!(record.supersedes.as_ref().map(|older| &older.as_bytes()[..]), record.received_at);
    add!(link.seq, &link.prev[..], &link.hash[..], &link.body, receipt);
    add!(new.device.as_ref().map(|(device, _)| &device.as_bytes()[..]), new.device.map(|(_, seq)| seq));
    add!(look.live);
    add!(new.place.as_ref().map(|place| place.bucket.as_str()), new.place.as_ref().map(|place| place.window));
    add!(new_key_place.map(|place| place.bucket.as_str()), new_key_place.map(|place| place.window));
    add!(entry.map(|entry| entry.scope.as_str()), entry.map(|entry| &entry.scope_id[..]));
    add!(entry.map(|entry| entry.full.as_slice()), entry.map(|entry| entry.prefix.as_slice()));
    add!(look.live_after());
    Ok(arguments)
}
