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
use crate::smtp::{SmtpError, SmtpNotices};
use crate::{outbox, routes, tokens, waits};

/// How often what is over is forgotten.
const SWEEP: Duration = Duration::from_secs(600);
/// How long a commit usually takes.
const COMMIT: Duration = Duration::from_millis(20);
/// Looks at the outbox after which the time is noted.
const LOOKS_PER_TIME: u32 = 60;
/// How long the end of the service waits for notices that are under way.
const LAST_MAIL: Duration = Duration::from_secs(10);
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
    /// The mail server cannot be used as it is described.
    #[error("mail cannot be sent by {host}")]
    Smtp {
        /// Which server.
        host: String,
        /// The cause.
        #[source]
        source: SmtpError,
    },
    /// A delay that protects accounts is shorter than its default.
    #[error("a safety delay is shorter than it may be")]
    Delays,
    /// Nobody could be told of what is to begin.
    #[error("the service sends no notices, and this must not begin without one")]
    NoNotices,
    /// The reset was not begun.
    #[error("the reset was not begun: the database failed, or too many were begun this month")]
    Reset,
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
        let notices = way_out(&config)?;
        let app = App::new(Arc::new(store.clone()), keys, clock, config.limits, origin, notices, config.delays);
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
        let (stop_attending, attending_stopped) = tokio::sync::oneshot::channel();
        let attendant = tokio::spawn(attend(self.app.clone(), attending_stopped));
        let service = routes::router(self.app).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, service).with_graceful_shutdown(shutdown).await;
        // Ended in order, not aborted: a connection in use would keep the write-ahead log from being folded in.
        drop(stop_sweeping);
        drop(stop_attending);
        let _ = sweeper.await;
        let _ = attendant.await;
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

/// Begins the delayed reset of an account's second factors in the name of whoever runs the service; gives when it can be
/// finished. That takes the owner's password or kit and a mailed code, as every reset does: an operator can neither finish it
/// nor shorten it, and the owner is told and can cancel it.
///
/// May be called while the service runs, which sends the notice. `None`: there is no such account, or two-factor is off.
///
/// # Errors
/// [`StartError`]; [`StartError::NoNotices`] where the service sends none.
pub async fn begin_reset(config: &Config, email: &str) -> Result<Option<i64>, StartError> {
    let (keys, store) = open_files(config).await?;
    let notices = way_out(config)?.ok_or(StartError::NoNotices)?;
    let (clock, limits) = (Arc::new(SystemClock), config.limits);
    let app = App::new(Arc::new(store.clone()), keys, clock, limits, String::new(), Some(notices), config.delays);
    let begun = waits::begin_by_operator(&app, email).await;
    store.close().await;
    begun.map_err(|_| StartError::Reset)
}

/// Where notices go.
fn way_out(config: &Config) -> Result<Option<Arc<dyn Notices>>, StartError> {
    if !config.delays.are_long_enough() {
        return Err(StartError::Delays);
    }
    if let Some(smtp) = &config.smtp {
        let way = SmtpNotices::new(smtp).map_err(|source| StartError::Smtp { host: smtp.host.clone(), source })?;
        return Ok(Some(Arc::new(way)));
    }
    let folder = |folder: &PathBuf| {
        let opened = NoticeFolder::open(folder);
        opened.map_err(|source| StartError::Notices { path: folder.clone(), source })
    };
    Ok(match &config.notices {
        Some(path) => Some(Arc::new(folder(path)?)),
        None => None,
    })
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

/// Looks after delays and the outbox until the other end of `stopped` is gone.
async fn attend(app: App, mut stopped: tokio::sync::oneshot::Receiver<()>) {
    let mut under_way = tokio::task::JoinSet::new();
    let mut looks: u32 = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(outbox::LOOK) => {}
            // Told while the act is being committed; should that take longer, the next look finds it.
            () = app.mail_made.notified() => tokio::time::sleep(COMMIT).await,
            _ = &mut stopped => break,
        }
        if looks.is_multiple_of(LOOKS_PER_TIME)
            && let Err(error) = app.store.latest_time(app.now()).await
        {
            tracing::warn!(%error, "the time could not be noted; trying again later");
        }
        looks = looks.wrapping_add(1);
        if let Err(failure) = waits::attend(&app).await {
            tracing::warn!(cause = ?failure, "delays could not be looked at; trying again later");
        }
        if let Err(failure) = outbox::send_waiting(&app, &mut under_way).await {
            tracing::warn!(cause = ?failure, "the outbox could not be looked at; trying again later");
        }
    }
    let last = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_MAIL, last).await.is_err() {
        tracing::warn!("a notice was on its way when the service stopped; it is sent again after the next start");
    }
}
