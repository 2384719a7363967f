//! Starting and stopping the service.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use vault_store::{Accounts, Counters, SqliteStore};

use crate::app::App;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::keys::{KeyFileError, ServerKeys};
use crate::notices::{NoticeFolder, Notices};
use crate::{log, routes, tokens};

/// How often what is over is forgotten.
const SWEEP: Duration = Duration::from_secs(600);
const ORIGIN: &str = "origin";

/// Why the service does not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder cannot be made or read.
    #[error("the data folder {path} cannot be used")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The key file.
    #[error("the key file {path} cannot be used")]
    Keys {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: KeyFileError,
    },
    /// The folder for notices cannot be made.
    #[error("the folder {path} for notices cannot be used")]
    Notices {
        /// Which folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The database.
    #[error("the database {path} cannot be used")]
    Database {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: vault_store::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Clients would reach the service over an unprotected connection.
    #[error("{address} can be reached from other computers, and {origin} is not https")]
    Unprotected {
        /// Where it would listen.
        address: SocketAddr,
        /// What clients would be told.
        origin: String,
    },
    /// The origin is bound into every password of the accounts that exist.
    #[error("the service was set up as {stored}; as {asked} nobody could sign in")]
    OriginChanged {
        /// What it was set up as.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// The listener failed.
    #[error("the service stopped")]
    Serve(#[source] io::Error),
}

/// The service, listening and not yet answering.
pub struct Server {
    app: App,
    store: SqliteStore,
    listener: TcpListener,
    address: SocketAddr,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens (or makes) folder, keys and database, and listens. Port 0 takes any free one.
    ///
    /// # Errors
    /// [`StartError`]. An existing database without its key file is refused: new keys would lock every account out.
    pub async fn open(config: Config, listen: SocketAddr) -> Result<Self, StartError> {
        Self::open_with_clock(config, listen, Arc::new(SystemClock)).await
    }

    /// As [`Server::open`], with another clock: for tests of what expires.
    ///
    /// # Errors
    /// As [`Server::open`].
    pub async fn open_with_clock(
        config: Config,
        listen: SocketAddr,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let (keys, store) = open_files(&config).await?;
        let listening = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let origin = settle_origin(&config, &store, address).await?;
        let notices = match &config.notices {
            Some(folder) => Some(Arc::new(
                NoticeFolder::open(folder).map_err(|source| StartError::Notices { path: folder.clone(), source })?,
            ) as Arc<dyn Notices>),
            None => None,
        };
        let app = App::new(Arc::new(store.clone()), keys, clock, config.limits, origin, notices);
        app.store
            .begin_log(&|size, root| app.sign_checkpoint(size, root))
            .await
            .map_err(|source| StartError::Database { path: config.database_file(), source })?;
        Ok(Self { app, store, listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, host and port under which clients must reach it.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.app.origin()
    }

    /// Answers until `shutdown` is ready, then finishes what is under way.
    ///
    /// # Errors
    /// [`StartError::Serve`] when the listener fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        let (stop_sweeping, stopped) = tokio::sync::oneshot::channel();
        let sweeper = tokio::spawn(sweep(self.app.clone(), stopped));
        let (stop_keeping, stopped) = tokio::sync::oneshot::channel();
        let keeper = tokio::spawn(log::keep(self.app.clone(), stopped));
        let service = routes::router(self.app).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, service).with_graceful_shutdown(shutdown).await;
        // Ended in order, not aborted: a connection in use would keep the write-ahead log from being folded in.
        drop((stop_sweeping, stop_keeping));
        let _ = (sweeper.await, keeper.await);
        self.store.close().await;
        served.map_err(StartError::Serve)
    }
}

/// Makes an invite: stands in for the mailed code where the service sends no mail. Good for one account.
///
/// May be called while the service runs.
///
/// # Errors
/// [`StartError`].
pub async fn create_invite(config: &Config, lifetime: Duration) -> Result<String, StartError> {
    let (_, store) = open_files(config).await?;
    let (token, _) = tokens::new_token();
    let invite = data_encoding::BASE64URL_NOPAD.encode(&token[..16]);
    let now = SystemClock.now_ms();
    let expires_at = now.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    let added = store.add_invite(tokens::hash(invite.as_bytes()), now, expires_at).await;
    added.map_err(|source| StartError::Database { path: config.database_file(), source })?;
    store.close().await;
    Ok(invite)
}

async fn open_files(config: &Config) -> Result<(ServerKeys, SqliteStore), StartError> {
    make_private_folder(config).map_err(|source| StartError::Folder { path: config.data_dir.clone(), source })?;
    let database = config.database_file();
    let keys = ServerKeys::load_or_create(&config.key_file(), database.exists())
        .map_err(|source| StartError::Keys { path: config.key_file(), source })?;
    let store = SqliteStore::open(&database).await.map_err(|source| StartError::Database { path: database, source })?;
    Ok((keys, store))
}

fn make_private_folder(config: &Config) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&config.data_dir)
}

/// What was used before, else what is asked for, else the address of the listener.
async fn settle_origin(config: &Config, store: &SqliteStore, address: SocketAddr) -> Result<String, StartError> {
    let asked = config.origin.as_ref().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
    let initial = asked.clone().unwrap_or_else(|| format!("http://{address}"));
    let failed = |source| StartError::Database { path: config.database_file(), source };
    let stored = store.setting(ORIGIN, None).await.map_err(failed)?.unwrap_or_else(|| initial.clone());
    if let Some(asked) = asked.filter(|asked| *asked != stored) {
        return Err(StartError::OriginChanged { stored, asked });
    }
    if !address.ip().is_loopback() && !stored.starts_with("https://") {
        return Err(StartError::Unprotected { address, origin: stored });
    }
    store.setting(ORIGIN, Some(&stored)).await.map_err(failed)?;
    Ok(stored)
}

/// Forgets what is over, from time to time, until the other end of `stopped` is gone.
async fn sweep(app: App, mut stopped: tokio::sync::oneshot::Receiver<()>) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = &mut stopped => return,
        }
        if let Err(error) = app.store.sweep(app.now()).await {
            tracing::warn!(%error, "what is over could not be forgotten; trying again later");
        }
    }
}
