//! The panel: where it listens, its link, its end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secret::SecretString;
use tokio::net::TcpListener;

use crate::app::App;
use crate::door::Door;
use crate::failure::Error;
use crate::keep::Images;
use crate::routes;
use crate::running::Place;

/// What a panel is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the account's state; the panel keeps its list of images there.
    pub state: PathBuf,
    /// Where to listen; 0: any free port.
    pub port: u16,
    /// Address of the account service, where one was named.
    pub server: Option<String>,
    /// Address of the account service that runs beside the panel.
    pub service: Option<String>,
    /// Where the kernel tells its devices.
    pub sys: PathBuf,
    /// Where devices are.
    pub dev: PathBuf,
}

/// An address that opens the panel once.
pub type Link = SecretString;

/// A panel that listens.
pub struct Panel {
    app: Arc<App>,
    listener: TcpListener,
    place: Place,
}

impl Panel {
    /// Listens on loopback.
    ///
    /// # Errors
    /// [`Error::Running`]; the folder or the port cannot be used.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let place = Place::take(&config.state)?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let cannot = |source| Error::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback { address });
        }
        let door = Door::new();
        place.tell(address, &door.key())?;
        let app = App {
            host: address.to_string(),
            origin: format!("http://{address}"),
            images: std::sync::Mutex::new(Images::read(&config.state)),
            state: config.state,
            server: config.server,
            service: config.service,
            devices: (config.sys, config.dev),
            door,
            views: Default::default(),
            tickets: Default::default(),
            hands: Default::default(),
            jobs: Default::default(),
            enrolments: Default::default(),
        };
        Ok(Self { app: Arc::new(app), listener, place })
    }

    /// A new link; it works once, and for some minutes.
    #[must_use]
    pub fn link(&self) -> Link {
        self.app.link()
    }

    /// Where it listens.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.app.origin
    }

    /// Answers until `shutdown`, then pauses what is under way, locks everything, and ends.
    ///
    /// # Errors
    /// [`Error::Serve`].
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let Self { app, listener, place } = self;
        let sweeping = tokio::spawn(sweep(Arc::clone(&app)));
        let router = routes::all(&app);
        let ended = tokio::select! {
            ended = async { axum::serve(listener, router).await } => ended.map_err(Error::Serve),
            () = shutdown => Ok(()),
        };
        sweeping.abort();
        app.jobs.pause_all();
        let waiting = Arc::clone(&app);
        // Each batch is durable before the next begins; the work ends between two.
        let _ = tokio::task::spawn_blocking(move || waiting.jobs.wait_for_all()).await;
        app.lock_all();
        drop(place);
        ended
    }
}

async fn sweep(app: Arc<App>) {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        app.sweep(Instant::now());
    }
}
