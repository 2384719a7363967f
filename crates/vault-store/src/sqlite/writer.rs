//! The one connection that writes, and the commits that waiting writers share.
//!
//! A durable commit costs a flush of the disk, whatever it holds. So a writer does its work under a savepoint, leaves the
//! transaction open and waits; a task of the store commits it, for all who wait. The lock is first come, first served: the task
//! stands in the same queue, so those who queued before it share the commit, and nobody waits for a clock.
//!
//! A writer that is dropped half-way (its client went away) leaves its savepoint behind: the next one, or the task, rolls it back.
//! However a turn ends, the task is woken: what is open must not stay open, since it keeps other processes from writing.

use std::sync::{Arc, Weak};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, raw_sql};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};

use crate::Error;

/// What is told to those who wait for a commit.
type Told = Result<(), Arc<sqlx::Error>>;

/// The writing side of a store.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
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
struct State {
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
        let connection = Some(options.connect().await?);
        let state = State { connection, open: false, unsure: false, abandoned: false, waiting: Vec::new() };
        let (state, dirty) = (Arc::new(Mutex::new(state)), Arc::new(Notify::new()));
        tokio::spawn(commit_what_waits(Arc::downgrade(&state), dirty.clone()));
        Ok(Self { state, _last: Arc::new(WakeAtEnd(dirty.clone())), dirty })
    }

    /// The next turn to write.
    pub(super) async fn begin(&self) -> Result<Turn, Error> {
        let state = self.state.clone().lock_owned().await;
        let mut turn = Turn { state, wake: WakeAtEnd(self.dirty.clone()) };
        turn.state.begin().await?;
        Ok(turn)
    }

    /// Commits what is open and closes the connection.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        let _ = state.settle().await;
        state.commit().await;
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
            Err(error) => {
                // Should this fail, the next turn tries it again.
                let _ = self.state.settle().await;
                return Err(error);
            }
        };
        let released = self.state.execute("RELEASE turn").await;
        self.state.abandoned = released.is_err();
        released?;
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
        self.abandoned = true;
        self.execute("SAVEPOINT turn").await
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
async fn commit_what_waits(state: Weak<Mutex<State>>, dirty: Arc<Notify>) {
    loop {
        dirty.notified().await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().await;
        if state.connection.is_none() {
            return;
        }
        let _ = state.settle().await;
        state.commit().await;
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
