//! Tables `waits` and `latest_time`.

use async_trait::async_trait;
use sqlx::Row;

use super::{
    Connection, SqlRow, SqlStore, audit, ceremonies, deletions, exactly_one, grants, in_transaction, outbox, passkeys,
    row, sessions, unique,
};
use crate::{
    AccountId, CeremonyId, Digest, Error, LinkMaker, Millis, NewWait, Refusal, Session, Wait, WaitBegunBy, WaitId,
    WaitKind, Waits,
};

#[async_trait]
impl Waits for SqlStore {
    async fn latest_time(&self, now: Millis) -> Result<Millis, Error> {
        in_transaction!(self, |tx| {
            sqlx::query("UPDATE latest_time SET at = $1 WHERE at < $1").bind(now).execute(&mut *tx).await?;
            let row = sqlx::query("SELECT at FROM latest_time").fetch_one(&mut *tx).await?;
            Ok(row.try_get("at")?)
        })
    }

    async fn begin_wait(&self, new: &NewWait, link: LinkMaker<'_>) -> Result<(), Error> {
        let account = new.wait.account_id;
        in_transaction!(self, |tx| {
            if let Some(grant) = &new.grant {
                grants::spend(tx, grant).await?;
            }
            if let Some((ceremony, kind)) = &new.ceremony {
                ceremonies::end(tx, *ceremony, kind, new.now).await?;
            }
            require_room(tx, new).await?;
            if matches!(new.wait.kind, WaitKind::Off | WaitKind::Reset) {
                let off_at = (new.wait.kind == WaitKind::Off).then_some(new.wait.due_at);
                let done = sqlx::query(
                    "UPDATE accounts SET off_at = COALESCE($1, off_at)
                     WHERE id = $2 AND two_factor AND state = 'active'",
                )
                .bind(off_at)
                .bind(&account.as_bytes()[..])
                .execute(&mut *tx)
                .await?;
                exactly_one(&done, Refusal::NotFound)?;
            }
            if new.wait.kind == WaitKind::DeleteRecord {
                deletions::hold(tx, &new.wait).await?;
            }
            insert(tx, new).await?;
            audit::append(tx, account, link).await?;
            Ok(())
        })
    }

    async fn waits(&self, account: AccountId) -> Result<Vec<Wait>, Error> {
        let rows = sqlx::query("SELECT * FROM waits WHERE account_id = $1 AND state = 'running' ORDER BY begun_at, id")
            .bind(&account.as_bytes()[..])
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(wait_of).collect()
    }

    async fn wait_by_cancel(&self, hash: Digest) -> Result<Option<Wait>, Error> {
        let row = sqlx::query("SELECT * FROM waits WHERE cancel_hash = $1 AND state = 'running'")
            .bind(&hash[..])
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(wait_of).transpose()
    }

    async fn cancel_wait(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            end_session(tx, wait).await?;
            end(tx, wait, "cancelled", now).await?;
            does_not_happen(tx, wait).await?;
            audit::append(tx, wait.account_id, link).await?;
            Ok(())
        })
    }

    async fn waits_to_attend(&self, now: Millis, limit: i64) -> Result<Vec<Wait>, Error> {
        let rows =
            sqlx::query("SELECT * FROM waits WHERE state = 'running' AND next_at <= $1 ORDER BY next_at, id LIMIT $2")
                .bind(now)
                .bind(limit)
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(wait_of).collect()
    }

    async fn attended(&self, wait: &Wait, next_at: Millis, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            let done =
                sqlx::query("UPDATE waits SET next_at = $1 WHERE id = $2 AND next_at = $3 AND state = 'running'")
                    .bind(next_at)
                    .bind(&wait.id.as_bytes()[..])
                    .bind(wait.next_at)
                    .execute(&mut *tx)
                    .await?;
            exactly_one(&done, Refusal::Wait)?;
            audit::append(tx, wait.account_id, link).await?;
            Ok(())
        })
    }

    async fn lapse_wait(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            end_session(tx, wait).await?;
            end(tx, wait, "lapsed", now).await?;
            does_not_happen(tx, wait).await?;
            // What announces it and was not sent so far is of no use any more.
            outbox::forget(tx, wait.id.as_bytes()).await?;
            audit::append(tx, wait.account_id, link).await?;
            Ok(())
        })
    }

    async fn finish_off(&self, wait: &Wait, now: Millis, link: LinkMaker<'_>) -> Result<(), Error> {
        in_transaction!(self, |tx| {
            due(tx, wait, WaitKind::Off, now).await?;
            if outbox::waits(tx, wait.id.as_bytes()).await? {
                return Err(Refusal::Unannounced.into());
            }
            end(tx, wait, "done", now).await?;
            let account = &wait.account_id.as_bytes()[..];
            let done =
                sqlx::query("UPDATE accounts SET two_factor = FALSE WHERE id = $1 AND two_factor AND off_at = $2")
                    .bind(account)
                    .bind(wait.due_at)
                    .execute(&mut *tx)
                    .await?;
            exactly_one(&done, Refusal::Wait)?;
            cancel_kind(tx, wait.account_id, WaitKind::Reset, now).await?;
            forget_factors(tx, wait.account_id, now).await?;
            sessions::end_all(tx, wait.account_id).await?;
            audit::append(tx, wait.account_id, link).await?;
            Ok(())
        })
    }

    async fn claim_reset(
        &self,
        wait: &Wait,
        ceremony: Option<(CeremonyId, &str)>,
        session: &Session,
        link: LinkMaker<'_>,
    ) -> Result<(), Error> {
        let now = session.created_at;
        in_transaction!(self, |tx| {
            if let Some((ceremony, kind)) = ceremony {
                ceremonies::end(tx, ceremony, kind, now).await?;
            }
            due(tx, wait, WaitKind::Reset, now).await?;
            // Who has password or kit needs no new keys.
            cancel_kind(tx, wait.account_id, WaitKind::NewKeys, now).await?;
            end_session(tx, wait).await?;
            let done = sqlx::query("UPDATE waits SET session_hash = $1 WHERE id = $2 AND state = 'running'")
                .bind(&session.token_hash[..])
                .bind(&wait.id.as_bytes()[..])
                .execute(&mut *tx)
                .await?;
            exactly_one(&done, Refusal::Wait)?;
            let epoch = sqlx::query("SELECT 1 FROM accounts WHERE id = $1 AND epoch = $2 AND state = 'active'")
                .bind(&session.account_id.as_bytes()[..])
                .bind(session.epoch)
                .fetch_optional(&mut *tx)
                .await?;
            epoch.ok_or(Refusal::Session)?;
            sessions::insert(tx, session).await?;
            audit::append(tx, wait.account_id, link).await?;
            Ok(())
        })
    }

    async fn finishes_reset(&self, session: Digest) -> Result<bool, Error> {
        let row = sqlx::query("SELECT 1 FROM waits WHERE session_hash = $1 AND kind = $2 AND state = 'running'")
            .bind(&session[..])
            .bind(WaitKind::Reset.name())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }
}

/// A new factor comes, asked for by `session`: a reset that it finishes is done, and the lost factors go; every other delay
/// that was about factors is void.
pub(super) async fn factor_comes(
    tx: &mut Connection,
    account: AccountId,
    session: &Digest,
    now: Millis,
) -> Result<(), Error> {
    let reset = sqlx::query(
        "UPDATE waits SET state = 'done', ended_at = $1
         WHERE account_id = $2 AND kind = $3 AND session_hash = $4 AND state = 'running' AND due_at <= $1",
    )
    .bind(now)
    .bind(&account.as_bytes()[..])
    .bind(WaitKind::Reset.name())
    .bind(&session[..])
    .execute(&mut *tx)
    .await?;
    if reset.rows_affected() == 1 {
        forget_factors(tx, account, now).await?;
    }
    sqlx::query(
        "UPDATE waits SET state = 'cancelled', ended_at = $1
         WHERE account_id = $2 AND kind IN ($3, $4) AND state = 'running'",
    )
    .bind(now)
    .bind(&account.as_bytes()[..])
    .bind(WaitKind::Off.name())
    .bind(WaitKind::Reset.name())
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the session that was to finish a reset.
async fn end_session(tx: &mut Connection, wait: &Wait) -> Result<(), Error> {
    sqlx::query("DELETE FROM sessions WHERE token_hash = (SELECT session_hash FROM waits WHERE id = $1)")
        .bind(&wait.id.as_bytes()[..])
        .execute(tx)
        .await?;
    Ok(())
}

async fn forget_factors(tx: &mut Connection, account: AccountId, now: Millis) -> Result<(), Error> {
    passkeys::retire(tx, account, None, now).await?;
    for sql in ["DELETE FROM factors WHERE account_id = $1", "DELETE FROM backup_codes WHERE account_id = $1"] {
        sqlx::query(sql).bind(&account.as_bytes()[..]).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A running [`WaitKind::Off`] ends, and two-factor stays on.
pub(super) async fn cancel_off(tx: &mut Connection, account: AccountId, now: Millis) -> Result<(), Error> {
    cancel_kind(tx, account, WaitKind::Off, now).await?;
    stays_on(tx, account).await
}

pub(super) async fn cancel_kind(
    tx: &mut Connection,
    account: AccountId,
    kind: WaitKind,
    now: Millis,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE waits SET state = 'cancelled', ended_at = $1, session_hash = NULL
         WHERE account_id = $2 AND kind = $3 AND state = 'running'",
    )
    .bind(now)
    .bind(&account.as_bytes()[..])
    .bind(kind.name())
    .execute(tx)
    .await?;
    Ok(())
}

/// Cancels whatever runs: the account is closed.
pub(super) async fn cancel_all(tx: &mut Connection, account: AccountId, now: Millis) -> Result<(), Error> {
    sqlx::query(
        "UPDATE waits SET state = 'cancelled', ended_at = $1, session_hash = NULL
         WHERE account_id = $2 AND state = 'running'",
    )
    .bind(now)
    .bind(&account.as_bytes()[..])
    .execute(tx)
    .await?;
    Ok(())
}

/// What a delay was about stays as it was.
async fn does_not_happen(tx: &mut Connection, wait: &Wait) -> Result<(), Error> {
    match wait.kind {
        WaitKind::Off => stays_on(tx, wait.account_id).await,
        WaitKind::DeleteRecord => deletions::release_hold(tx, wait).await,
        WaitKind::Reset | WaitKind::NewKeys | WaitKind::DeleteAccount => Ok(()),
    }
}

/// Two-factor does not go off after all.
async fn stays_on(tx: &mut Connection, account: AccountId) -> Result<(), Error> {
    sqlx::query("UPDATE accounts SET off_at = NULL WHERE id = $1 AND two_factor")
        .bind(&account.as_bytes()[..])
        .execute(tx)
        .await?;
    Ok(())
}

/// Ends a delay that runs.
pub(super) async fn end(tx: &mut Connection, wait: &Wait, state: &str, now: Millis) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE waits SET state = $1, ended_at = $2, session_hash = NULL
         WHERE id = $3 AND account_id = $4 AND state = 'running'",
    )
    .bind(state)
    .bind(now)
    .bind(&wait.id.as_bytes()[..])
    .bind(&wait.account_id.as_bytes()[..])
    .execute(tx)
    .await?;
    exactly_one(&done, Refusal::Wait)
}

/// That a delay runs, is of this kind, and its time has come: by the row, not by what the caller read of it.
pub(super) async fn due(tx: &mut Connection, wait: &Wait, kind: WaitKind, now: Millis) -> Result<(), Error> {
    let row = sqlx::query(
        "SELECT 1 FROM waits WHERE id = $1 AND account_id = $2 AND kind = $3 AND state = 'running' AND due_at <= $4",
    )
    .bind(&wait.id.as_bytes()[..])
    .bind(&wait.account_id.as_bytes()[..])
    .bind(kind.name())
    .bind(now)
    .fetch_optional(tx)
    .await?;
    row.map(|_| ()).ok_or_else(|| Refusal::Wait.into())
}

async fn require_room(tx: &mut Connection, new: &NewWait) -> Result<(), Error> {
    let Some((since, most)) = new.limit else { return Ok(()) };
    let row = sqlx::query("SELECT COUNT(*) FROM waits WHERE account_id = $1 AND kind = $2 AND begun_at > $3")
        .bind(&new.wait.account_id.as_bytes()[..])
        .bind(new.wait.kind.name())
        .bind(since)
        .fetch_one(tx)
        .await?;
    if row.try_get::<i64, _>(0)? >= most { Err(Refusal::WaitQuota.into()) } else { Ok(()) }
}

async fn insert(tx: &mut Connection, new: &NewWait) -> Result<(), Error> {
    let wait = &new.wait;
    sqlx::query(
        "INSERT INTO waits (id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'running')",
    )
    .bind(&wait.id.as_bytes()[..])
    .bind(&wait.account_id.as_bytes()[..])
    .bind(wait.kind.name())
    .bind(&wait.target)
    .bind(wait.begun_by.name())
    .bind(wait.begun_at)
    .bind(wait.due_at)
    .bind(wait.next_at)
    .bind(&new.cancel_hash[..])
    .execute(tx)
    .await
    .map_err(|error| unique(error, Refusal::WaitRuns))?;
    Ok(())
}

fn wait_of(row: &SqlRow) -> Result<Wait, Error> {
    let corrupt = |column| Error::Corrupt { table: "waits", column };
    Ok(Wait {
        id: WaitId::from_bytes(row::bytes(row, "waits", "id")?),
        account_id: AccountId::from_bytes(row::bytes(row, "waits", "account_id")?),
        kind: WaitKind::parse(row.try_get("kind")?).ok_or(corrupt("kind"))?,
        target: row.try_get("target")?,
        begun_by: WaitBegunBy::parse(row.try_get("begun_by")?).ok_or(corrupt("begun_by"))?,
        begun_at: row.try_get("begun_at")?,
        due_at: row.try_get("due_at")?,
        next_at: row.try_get("next_at")?,
    })
}
