//! Starting and stopping the service.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use vault_store::Store;

use crate::app::{Announcing, App, Operation};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Network};
use crate::database::Database;
use crate::keys::{KeyFileError, ServerKeys};
use crate::metrics::Metrics;
use crate::net::{Certificates, Listener, Rules, TlsError};
use crate::notices::{NoticeFolder, Notices};
use crate::ready::Readiness;
use crate::smtp::{SmtpError, SmtpNotices};
use crate::{log, outbox, routes, tokens, waits};

/// How often what is over is forgotten.
const SWEEP: Duration = Duration::from_secs(600);
/// How long a commit usually takes.
const COMMIT: Duration = Duration::from_millis(20);
/// Looks at the outbox after which the time is noted.
const LOOKS_PER_TIME: u32 = 60;
/// How long the end of the service waits for notices that are under way.
const LAST_MAIL: Duration = Duration::from_secs(10);
const ORIGIN: &str = "origin";
/// Setting that names the keys that the database was made with.
const KEYS: &str = "keys";
/// Connections for metrics, at once.
const OPERATORS: usize = 32;

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
    #[error("the database {name} cannot be used")]
    Database {
        /// Which one.
        name: String,
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
    /// TLS.
    #[error("TLS cannot be set up")]
    Tls(#[source] TlsError),
    /// Clients would reach the service over an unprotected connection.
    #[error(
        "{address} can be reached from other computers, without TLS and without a listed proxy, or {origin} is not https"
    )]
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
    database: Database,
    socket: TcpListener,
    address: SocketAddr,
    rules: Rules,
    certificates: Option<Arc<Certificates>>,
    metrics_socket: Option<TcpListener>,
}

/// Reads the certificate and its key again.
#[derive(Clone)]
pub struct Renewal {
    app: App,
    certificates: Option<Arc<Certificates>>,
}

impl Renewal {
    /// Now, whether or not the files changed. What cannot be used leaves the present certificate in force and goes to the log.
    pub fn now(&self) {
        if let Some(certificates) = &self.certificates {
            certificates.renew(true, &self.app.operation().metrics);
        }
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Renewal").finish_non_exhaustive()
    }
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
        let (keys, database) = open_files(&config).await?;
        let database_name = Database::name(&config);
        let (socket, address) = bind(listen).await?;
        let metrics_socket = match config.network.metrics {
            Some(address) => Some(bind(address).await?.0),
            None => None,
        };
        let origin = settle_origin(&config, &*database.store(), address).await?;
        let announcing = Announcing { notices: way_out(&config)?, delays: config.delays };
        let metrics = Arc::new(Metrics::new());
        let tls = config.network.tls.as_ref();
        let certificates =
            tls.map(|tls| Certificates::open(&config, tls, &metrics)).transpose().map_err(StartError::Tls)?;
        let operation = operation(&config, &database, metrics);
        let app = App::new(database.store(), keys, clock, config.limits, origin, announcing, operation);
        let failed = |source| StartError::Database { name: database_name, source };
        app.store.begin_log(&|size, root| app.sign_checkpoint(size, root)).await.map_err(failed)?;
        let proxied_only = certificates.is_none() && !address.ip().is_loopback();
        let rules = Rules { network: config.network, proxied_only };
        Ok(Self { app, database, socket, address, rules, certificates, metrics_socket })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it tells its metrics.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_socket.as_ref()?.local_addr().ok()
    }

    /// Scheme, host and port under which clients must reach it.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.app.origin()
    }

    /// For whoever is told that there is a new certificate.
    #[must_use]
    pub fn renewal(&self) -> Renewal {
        Renewal { app: self.app.clone(), certificates: self.certificates.clone() }
    }

    /// Answers until `shutdown` is ready, then finishes what is under way, within the time for that.
    ///
    /// # Errors
    /// [`StartError::Serve`] when it ended without having been asked to.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        let Self { app, database, socket, rules, certificates, metrics_socket, .. } = self;
        let metrics = app.operation().metrics.clone();
        let (stop_sweeping, stopped) = oneshot::channel();
        let sweeper = tokio::spawn(sweep(app.clone(), stopped));
        let (stop_keeping, stopped) = oneshot::channel();
        let keeper = tokio::spawn(log::keep(app.clone(), stopped));
        let (stop_attending, stopped) = oneshot::channel();
        let attendant = tokio::spawn(attend(app.clone(), stopped));
        let (stop_telling, stopped) = oneshot::channel::<()>();
        let telling = metrics_socket.map(|socket| {
            let network = Network { connections: OPERATORS, ..Network::default() };
            let rules =
                Rules { network: Network { stop_time: Duration::from_secs(1), ..network }, proxied_only: false };
            let listener =
                listener(socket, routes::operators_router(app.clone()), None, rules, &Arc::new(Metrics::new()));
            tokio::spawn(listener.run(async { drop(stopped.await) }))
        });
        let listener = listener(socket, routes::router(app), certificates, rules, &metrics);
        // A task of its own: a connection that goes wrong beyond measure does not take the rest of this function with it.
        let served = tokio::spawn(listener.run(shutdown)).await;
        // Ended in order, not aborted: a connection in use would keep the write-ahead log from being folded in.
        drop((stop_sweeping, stop_keeping, stop_attending, stop_telling));
        let _ = (sweeper.await, keeper.await, attendant.await);
        if let Some(telling) = telling {
            let _ = telling.await;
        }
        database.close().await;
        served.map_err(|error| StartError::Serve(io::Error::other(error)))
    }
}

fn listener(
    socket: TcpListener,
    router: Router,
    certificates: Option<Arc<Certificates>>,
    rules: Rules,
    metrics: &Arc<Metrics>,
) -> Listener {
    Listener { socket, router, certificates, rules, metrics: metrics.clone() }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listening = |source| StartError::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(listening)?;
    let address = socket.local_addr().map_err(listening)?;
    Ok((socket, address))
}

/// Makes an invite: stands in for the mailed code where the service sends no mail. Good for one account.
///
/// May be called while the service runs.
///
/// # Errors
/// [`StartError`].
pub async fn create_invite(config: &Config, lifetime: Duration) -> Result<String, StartError> {
    let (_, database) = open_files(config).await?;
    let (token, _) = tokens::new_token();
    let invite = data_encoding::BASE64URL_NOPAD.encode(&token[..16]);
    let now = SystemClock.now_ms();
    let expires_at = now.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    let added = database.store().add_invite(tokens::hash(invite.as_bytes()), now, expires_at).await;
    database.close().await;
    added.map_err(|source| StartError::Database { name: Database::name(config), source })?;
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
    let (keys, database) = open_files(config).await?;
    let notices = Some(way_out(config)?.ok_or(StartError::NoNotices)?);
    let announcing = Announcing { notices, delays: config.delays };
    let operation = operation(config, &database, Arc::new(Metrics::new()));
    let (clock, limits, origin) = (Arc::new(SystemClock), config.limits, String::new());
    let app = App::new(database.store(), keys, clock, limits, origin, announcing, operation);
    let begun = waits::begin_by_operator(&app, email).await;
    database.close().await;
    begun.map_err(|_| StartError::Reset)
}

/// What tells how the service is.
fn operation(config: &Config, database: &Database, metrics: Arc<Metrics>) -> Operation {
    let key_file = config.key_command.is_none().then(|| config.key_file());
    let readiness = Readiness::new(config.data_dir.clone(), key_file, config.min_free_bytes);
    Operation { metrics, readiness, write_times: database.write_times() }
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

/// Opens or makes folder, keys and database, as a start of the service does, and closes them again.
///
/// # Errors
/// [`StartError`].
pub async fn prepare(config: &Config) -> Result<(), StartError> {
    let (_, database) = open_files(config).await?;
    database.close().await;
    Ok(())
}

async fn open_files(config: &Config) -> Result<(ServerKeys, Database), StartError> {
    make_private_folder(config).map_err(|source| StartError::Folder { path: config.data_dir.clone(), source })?;
    let failed = |source| StartError::Database { name: Database::name(config), source };
    let unusable = |source| StartError::Keys { path: config.key_file(), source };
    // The keys come first: a database without keys would be one whose keys are lost.
    let (keys, database) = if config.database.is_none() {
        let keys = load_keys(config, config.database_file().exists()).map_err(unusable)?;
        (keys, Database::open(config).await.map_err(failed)?)
    } else {
        let database = Database::open(config).await.map_err(failed)?;
        let in_use = database.store().setting(KEYS, None).await.map_err(failed)?.is_some();
        (load_keys(config, in_use).map_err(unusable)?, database)
    };
    let name = keys.name();
    if database.store().setting(KEYS, Some(&name)).await.map_err(failed)? != Some(name) {
        return Err(unusable(KeyFileError::OfAnother));
    }
    Ok((keys, database))
}

fn load_keys(config: &Config, database_exists: bool) -> Result<ServerKeys, KeyFileError> {
    match &config.key_command {
        Some(command) => ServerKeys::from_command(command.expose()),
        None => ServerKeys::load_or_create(&config.key_file(), database_exists),
    }
}

pub(crate) fn make_private_folder(config: &Config) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&config.data_dir)
}

/// What was used before, else what is asked for, else the address of the listener.
async fn settle_origin(config: &Config, store: &dyn Store, address: SocketAddr) -> Result<String, StartError> {
    let asked = config.origin.as_ref().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
    let scheme = if config.network.tls.is_some() { "https" } else { "http" };
    let initial = asked.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    let failed = |source| StartError::Database { name: Database::name(config), source };
    let stored = store.setting(ORIGIN, None).await.map_err(failed)?.unwrap_or_else(|| initial.clone());
    if let Some(asked) = asked.filter(|asked| *asked != stored) {
        return Err(StartError::OriginChanged { stored, asked });
    }
    let network = &config.network;
    let protected = stored.starts_with("https://") && (network.tls.is_some() || !network.trusted_proxies.is_empty());
    if !address.ip().is_loopback() && !protected {
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
