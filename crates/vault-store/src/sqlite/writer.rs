//! The one connection that writes, and the commits that waiting writers share.
//!
//! A durable commit costs a flush of the disk, whatever it holds. So a writer does its work under a savepoint, leaves the
//! transaction open and waits; a task of the store commits it, for all who wait. The lock is first come, first served: the task
//! stands in the same queue, so those who queued before it share the commit, and nobody waits for a clock.
//!
//! A writer that is dropped half-way (its client went away) leaves its savepoint behind: the next one, or the task, rolls it back.
//! However a turn ends, the task is woken: what is open must not stay open, since it keeps other processes from writing.

use std::sync::{Arc, Weak};

use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, raw_sql};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

use super::checkpoint::{self, Round};
use crate::Error;

/// What is told to those who wait for a commit.
type Told = Result<(), Arc<sqlx::Error>>;

/// The writing side of a store.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
    /// Held while the log is being shortened.
    round: Round,
    /// Wakes the task that commits.
    dirty: Arc<Notify>,
    /// Lets that task end with the last clone of the store.
    _last: Arc<WakeAtEnd>,
}

/// Wakes the task when it is dropped.
#[derive(Debug)]
struct WakeAtEnd(Arc<Notify>);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// None once the store is closed.
    connection: Option<SqliteConnection>,
    /// A transaction is open.
    open: bool,
    /// Somebody went away while one was being opened: it may be open and holds nothing yet.
    unsure: bool,
    /// Somebody went away under a savepoint.
    abandoned: bool,
    /// Who waits for the commit of the open transaction.
    waiting: Vec<oneshot::Sender<Told>>,
}

impl Writer {
    pub(super) async fn open(options: &SqliteConnectOptions) -> Result<Self, Error> {
        let options = options.clone().pragma("wal_autocheckpoint", "0");
        let connection = Some(options.connect().await?);
        let state = State { connection, open: false, unsure: false, abandoned: false, waiting: Vec::new() };
        let (state, dirty) = (Arc::new(Mutex::new(state)), Arc::new(Notify::new()));
        let (written, round) = (Arc::new(Notify::new()), Round::default());
        tokio::spawn(commit_what_waits(Arc::downgrade(&state), dirty.clone(), WakeAtEnd(written.clone())));
        tokio::spawn(checkpoint::keep_short(options, Arc::downgrade(&state), written, round.clone()));
        Ok(Self { state, round, _last: Arc::new(WakeAtEnd(dirty.clone())), dirty })
    }

    /// The next turn to write.
    pub(super) async fn begin(&self) -> Result<Turn, Error> {
        let state = self.state.clone().lock_owned().await;
        let mut turn = Turn { state, wake: WakeAtEnd(self.dirty.clone()) };
        turn.state.begin().await?;
        Ok(turn)
    }

    /// A turn that consists of one batch of statements, the first of which begins its savepoint and the last of which releases it; waits
    /// until it is durable. It is done to its end even when the caller goes away.
    pub(super) async fn run(&self, sql: &'static str, arguments: SqliteArguments) -> Result<(), Error> {
        let writer = self.clone();
        let done = tokio::spawn(async move { writer.run_to_end(sql, arguments).await });
        done.await.unwrap_or(Err(Error::Closed))
    }

    async fn run_to_end(&self, sql: &'static str, arguments: SqliteArguments) -> Result<(), Error> {
        let state = self.state.clone().lock_owned().await;
        let mut turn = Turn { state, wake: WakeAtEnd(self.dirty.clone()) };
        turn.state.open().await?;
        turn.state.abandoned = true;
        match sqlx::query_with(sql, arguments).execute(turn.connection()?).await {
            Ok(_) => {
                turn.state.abandoned = false;
                turn.shared(()).await
            }
            Err(error) => turn.end(Err(error.into())).await,
        }
    }

    /// Commits what is open and closes the connection.
    pub(super) async fn close(&self) {
        let _held = self.round.lock().await;
        let mut state = self.state.lock().await;
        state.finish().await;
        if let Some(connection) = state.connection.take() {
            let _ = connection.close().await;
        }
        self.dirty.notify_one();
    }
}

/// A turn to write: everything since its beginning is kept or undone together. The fields are dropped in this order: the task
/// that is woken finds the lock free.
#[derive(Debug)]
pub(super) struct Turn {
    state: OwnedMutexGuard<State>,
    wake: WakeAtEnd,
}

impl Turn {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.state.connection_mut()
    }

    /// Undoes the turn after an error; otherwise waits until it is durable.
    pub(super) async fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        let value = match result {
            Ok(value) => value,
            // The savepoint is left behind: the next turn, or the task that commits, rolls it back before anything else.
            Err(error) => return Err(error),
        };
        // Told before it is done: should this future be dropped meanwhile, the turn is done, and nobody waits to be told. A savepoint
        // that was not released then is committed with what lies in it.
        self.state.abandoned = false;
        let released = self.state.execute("RELEASE turn").await;
        self.state.abandoned = released.is_err();
        released?;
        self.shared(value).await
    }

    /// Waits for the commit that this turn shares with others.
    async fn shared<T>(mut self, value: T) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        self.state.waiting.push(tell);
        drop(self.state);
        drop(self.wake);
        match told.await {
            Ok(Ok(())) => Ok(value),
            Ok(Err(cause)) => Err(Error::Commit(cause)),
            Err(_) => Err(Error::Closed),
        }
    }
}

impl State {
    fn connection_mut(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection.as_mut().ok_or(Error::Closed)
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), Error> {
        raw_sql(sql).execute(self.connection_mut()?).await?;
        Ok(())
    }

    /// Opens a transaction, unless one is open, and a savepoint in it.
    async fn begin(&mut self) -> Result<(), Error> {
        self.open().await?;
        self.abandoned = true;
        self.execute("SAVEPOINT turn").await
    }

    async fn open(&mut self) -> Result<(), Error> {
        self.settle().await?;
        if !self.open {
            // Told before it is done, as below: should this future be dropped meanwhile, the connection may do it all the same.
            self.unsure = true;
            let begun = self.execute("BEGIN IMMEDIATE").await;
            self.unsure = false;
            if begun.is_err() {
                // Nothing is open, as far as anybody knows. If something is, it would refuse every further transaction.
                let _ = self.execute("ROLLBACK").await;
            }
            begun?;
            self.open = true;
        }
        Ok(())
    }

    /// Rolls back what somebody left half-way.
    async fn settle(&mut self) -> Result<(), Error> {
        if self.unsure {
            // Fails when nothing was opened.
            let _ = self.execute("ROLLBACK").await;
            self.unsure = false;
        }
        if !self.abandoned {
            return Ok(());
        }
        // SQLite itself ends a transaction after some errors, a full disk among them: then there is no savepoint any more, and
        // those who waited for this commit are told.
        if let Err(error) = self.execute("ROLLBACK TO turn; RELEASE turn").await {
            let _ = self.execute("ROLLBACK").await;
            self.open = false;
            let Error::Database(cause) = error else { return Err(error) };
            self.tell(&Err(Arc::new(cause)));
        }
        self.abandoned = false;
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_none()
    }

    /// Commits what is open, without what somebody left half-way.
    pub(super) async fn finish(&mut self) {
        let _ = self.settle().await;
        self.commit().await;
    }

    /// Commits the open transaction and tells all who wait for it.
    async fn commit(&mut self) {
        if !self.open {
            return;
        }
        let told = match self.execute("COMMIT").await {
            Ok(()) => Ok(()),
            Err(Error::Database(cause)) => Err(Arc::new(cause)),
            Err(_) => Err(Arc::new(sqlx::Error::PoolClosed)),
        };
        if told.is_err() {
            let _ = self.execute("ROLLBACK").await;
        }
        self.open = false;
        self.tell(&told);
    }

    fn tell(&mut self, told: &Told) {
        for waiting in self.waiting.drain(..) {
            // Who went away does not need to know.
            let _ = waiting.send(told.clone());
        }
    }
}

/// Commits whenever something waits, until the store is gone.
async fn commit_what_waits(state: Weak<Mutex<State>>, dirty: Arc<Notify>, written: WakeAtEnd) {
    loop {
        dirty.notified().await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().await;
        if state.connection.is_none() {
            return;
        }
        state.finish().await;
        drop(state);
        written.0.notify_one();
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
