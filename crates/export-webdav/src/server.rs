//! Listening, and the order of the end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use export::Tree;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};

use crate::auth::Guard;
use crate::service::Service;
use crate::{Error, Password, limits};

/// A server that listens.
pub struct Server {
    runtime: Runtime,
    listener: StdListener,
    service: Arc<Service>,
    stop: watch::Sender<bool>,
}

/// Ends a [`Server`]; may be used in any thread, and several times.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Asks for the end: no new requests, answers under way are finished.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("address", &self.service.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on an address of loopback, port 0 for any. Clients are served by [`Server::serve`].
    ///
    /// # Errors
    /// [`Error::NotLoopback`], [`Error::Listen`], [`Error::Start`].
    pub fn bind(tree: Arc<dyn Tree>, listen: SocketAddr, password: Password) -> Result<Self, Error> {
        if !listen.ip().is_loopback() {
            return Err(Error::NotLoopback { address: listen });
        }
        let failed = |source| Error::Listen { address: listen, source };
        let listener = StdListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let start = |source| Error::Start { source };
        let guard = Guard::new(password).map_err(start)?;
        let runtime = Builder::new_multi_thread().enable_all().thread_name("webdav").build().map_err(start)?;
        let service = Arc::new(Service { tree, guard, address });
        Ok(Self { runtime, listener, service, stop: watch::Sender::new(false) })
    }

    /// Where it listens, with the port that was given by the system.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// What ends this server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves clients until a [`Stopper`] ends it.
    ///
    /// # Errors
    /// [`Error::Listen`] when nobody can be accepted any more.
    pub fn serve(self) -> Result<(), Error> {
        let Self { runtime, listener, service, stop } = self;
        let address = service.address;
        let served = runtime.block_on(accept(listener, service, stop.subscribe()));
        // What still reads from a hanging medium is not waited for.
        runtime.shutdown_background();
        served.map_err(|source| Error::Listen { address, source })
    }
}

async fn accept(listener: StdListener, service: Arc<Service>, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let admitted = async {
            // The semaphore is never closed.
            let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, place))
        };
        let (stream, place) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            admitted = admitted => match admitted {
                Ok(admitted) => admitted,
                // A client that went before it was greeted, or no descriptors left for the moment.
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let answer = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits::REQUEST).max_buf_size(64 * 1024);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            let _place = place;
            // What a client does wrong ends its connection and nothing else.
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits::LAST_ANSWERS, graceful.shutdown()).await;
    Ok(())
}
