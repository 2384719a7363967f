//! Whether the service can do its work now.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use vault_store::{Error, Millis, Store};

use crate::http::Json;

/// How long an answer is good: asking often costs the database nothing.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long the database may take.
const DATABASE_TIME: Duration = Duration::from_secs(3);

/// What is looked at.
#[derive(Debug)]
pub(crate) struct Readiness {
    data_dir: PathBuf,
    /// None when the secrets come from a command.
    key_file: Option<PathBuf>,
    min_free_bytes: u64,
    last: Mutex<Option<(Instant, Report)>>,
}

/// What was found: `ok`, or in a word what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Report {
    /// All of it is well.
    pub(crate) ready: bool,
    /// The database takes a write.
    database: &'static str,
    /// Commits are written through to the disk.
    durable: &'static str,
    /// The file of the server's secrets, which the next start needs.
    keys: &'static str,
    /// Free space.
    disk: &'static str,
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let status = if self.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(self)).into_response()
    }
}

impl Readiness {
    pub(crate) fn new(data_dir: PathBuf, key_file: Option<PathBuf>, min_free_bytes: u64) -> Self {
        Self { data_dir, key_file, min_free_bytes, last: Mutex::new(None) }
    }

    /// Looks, unless somebody looked a moment ago.
    pub(crate) async fn look(&self, store: &dyn Store, now: Millis) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = *last
            && at.elapsed() < GOOD_FOR
        {
            return report;
        }
        let (database, durable) = database(store, now).await;
        let (keys, disk) = (self.keys(), self.disk());
        let ready = [database, durable, keys, disk].iter().all(|found| *found == "ok");
        let report = Report { ready, database, durable, keys, disk };
        *last = Some((Instant::now(), report));
        report
    }

    fn keys(&self) -> &'static str {
        match &self.key_file {
            Some(file) => crate::keys::check_private(file).map_or("unusable", |()| "ok"),
            None => "ok",
        }
    }

    #[cfg(unix)]
    fn disk(&self) -> &'static str {
        match rustix::fs::statvfs(&self.data_dir) {
            Ok(found) if found.f_bavail.saturating_mul(found.f_frsize) < self.min_free_bytes => "full",
            Ok(_) => "ok",
            Err(_) => "unreadable",
        }
    }

    #[cfg(not(unix))]
    fn disk(&self) -> &'static str {
        if self.data_dir.is_dir() { "ok" } else { "unreadable" }
    }
}

async fn database(store: &dyn Store, now: Millis) -> (&'static str, &'static str) {
    match tokio::time::timeout(DATABASE_TIME, store.confirm_durable(now)).await {
        Ok(Ok(())) => ("ok", "ok"),
        Ok(Err(Error::NotDurable { .. })) => ("ok", "off"),
        Ok(Err(_)) => ("failed", "unknown"),
        Err(_) => ("slow", "unknown"),
    }
}
