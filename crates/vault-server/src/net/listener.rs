//! Takes connections and carries them, each in a task of its own, until the service is told to stop.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::patient::Patient;
use super::tls::Certificates;
use crate::config::Network;
use crate::metrics::{Event, Metrics};
use crate::proxy::{is_trusted, real_address};

/// Lines in the head of a request, at most; clients of ours send six.
const MAX_HEADERS: usize = 64;
/// Bytes of the head of a request, at most.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// A pause after a connection that could not be taken, for instance because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the body of this request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTime(pub(crate) Duration);

/// What a listener abides by.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Times and numbers.
    pub(crate) network: Network,
    /// Only this computer and trusted proxies are answered.
    pub(crate) proxied_only: bool,
}

/// One address that is listened on.
pub(crate) struct Listener {
    /// The socket.
    pub(crate) socket: TcpListener,
    /// What answers.
    pub(crate) router: Router,
    /// TLS, where the service does it itself.
    pub(crate) certificates: Option<Arc<Certificates>>,
    /// Times and numbers.
    pub(crate) rules: Rules,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
}

/// What the tasks of a listener share.
struct Shared {
    service: TowerToHyperService<Router>,
    certificates: Option<Arc<Certificates>>,
    rules: Rules,
    metrics: Arc<Metrics>,
    by_net: Mutex<HashMap<IpAddr, usize>>,
}

impl Listener {
    /// Takes connections until `stop` is ready. Then nobody new is answered, requests under way are, and after the time for that
    /// the rest is cut off.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let Self { socket, router, certificates, rules, metrics } = self;
        let service = TowerToHyperService::new(router);
        let stop_time = rules.network.stop_time;
        let slots = Arc::new(Semaphore::new(rules.network.connections));
        let shared = Arc::new(Shared { service, certificates, rules, metrics, by_net: Mutex::default() });
        let graceful = GracefulShutdown::new();
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
                accepted = accept(&socket, &slots) => accepted,
            };
            let Some((stream, peer, slot)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Some(place) = shared.admit(peer) else { continue };
            let (shared, watcher) = (shared.clone(), graceful.watcher());
            tasks.spawn(async move {
                shared.carry(stream, peer, watcher).await;
                drop((place, slot));
            });
        }
        drop(socket);
        if tokio::time::timeout(stop_time, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests under way took too long; their connections were cut off");
        }
        tasks.shutdown().await;
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is room for it.
async fn accept(socket: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Slot)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        // The client of this connection went away; the next one may be there.
        Err(error) if is_of_one_connection(&error) => None,
        Err(error) => {
            tracing::error!(kind = %error.kind(), "a connection could not be taken");
            None
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A place among the connections of one network; given back when it is dropped.
struct Place {
    shared: Arc<Shared>,
    net: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_net = self.shared.by_net.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_net.get_mut(&self.net) {
            *count -= 1;
            if *count == 0 {
                by_net.remove(&self.net);
            }
        }
    }
}

impl Shared {
    /// Whether a peer is answered: `None` when not, `Some(None)` when its connections are not counted.
    fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<Option<Place>> {
        let address = peer.ip().to_canonical();
        let network = &self.rules.network;
        if address.is_loopback() || is_trusted(&network.trusted_proxies, address) {
            return Some(None);
        }
        let net = net_of(address);
        let mut by_net = self.by_net.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_net.get(&net).copied().unwrap_or(0);
        if self.rules.proxied_only || count >= network.connections_per_net {
            self.metrics.happened(Event::ConnectionRefused);
            return None;
        }
        by_net.insert(net, count + 1);
        drop(by_net);
        Some(Some(Place { shared: self.clone(), net }))
    }

    async fn carry(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let _open = self.metrics.connected();
        let _ = stream.set_nodelay(true);
        let Some(certificates) = &self.certificates else {
            return self.answer(stream, peer, watcher).await;
        };
        let shaken = tokio::time::timeout(self.rules.network.head_time, certificates.accept(stream)).await;
        match shaken {
            Ok(Ok(Some(stream))) => self.answer(stream, peer, watcher).await,
            // The authority had a look.
            Ok(Ok(None)) => {}
            Ok(Err(_)) | Err(_) => self.metrics.happened(Event::HandshakeFailed),
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin + 'static>(&self, stream: S, peer: SocketAddr, watcher: Watcher) {
        let network = &self.rules.network;
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            let address = real_address(&network.trusted_proxies, peer, request.headers());
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 0)));
            request.extensions_mut().insert(BodyTime(network.body_time));
            self.service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(network.head_time)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, network.answer_time)), service);
        // What went wrong is between the client and its network.
        let _ = watcher.watch(connection).await;
    }
}

/// The network that shares a number of connections.
fn net_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => std::net::Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 72)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(proxied_only: bool) -> Arc<Shared> {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let network = Network { connections_per_net: 2, trusted_proxies, ..Network::default() };
        Arc::new(Shared {
            service: TowerToHyperService::new(Router::new()),
            certificates: None,
            rules: Rules { network, proxied_only },
            metrics: Arc::new(Metrics::new()),
            by_net: Mutex::default(),
        })
    }

    #[test]
    fn a_network_has_a_number_of_connections() {
        let shared = shared(false);
        let admit = |address: &str| shared.admit(SocketAddr::new(address.parse().unwrap(), 1));
        let first = admit("203.0.113.5").unwrap();
        let second = admit("203.0.113.77").unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(admit("203.0.113.5").is_none() && admit("::ffff:203.0.113.9").is_none(), "the same /24");
        assert!(admit("203.0.114.5").is_some(), "another one");
        let v6 = [admit("2001:db8:0:1::1").unwrap(), admit("2001:db8:0:ff::2").unwrap()];
        assert!(admit("2001:db8:0:2::1").is_none(), "the same /56");
        assert!(admit("2001:db8:0:100::1").is_some());
        // Loopback and proxies speak for many.
        for address in ["127.0.0.1", "::1", "10.1.2.3"] {
            let places: Vec<_> = (0..10).map(|_| admit(address)).collect();
            assert!(places.iter().all(|place| matches!(place, Some(None))), "{address}");
        }
        drop((first, v6));
        let again = admit("203.0.113.5").unwrap();
        assert!(again.is_some() && admit("203.0.113.5").is_none());
        drop((again, second));
        assert!(shared.by_net.lock().unwrap().is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn past_the_proxy_nobody_comes_in() {
        let shared = shared(true);
        let admit = |address: &str| shared.admit(SocketAddr::new(address.parse().unwrap(), 1)).is_some();
        assert!(admit("127.0.0.1") && admit("10.9.9.9"));
        assert!(!admit("203.0.113.5") && !admit("2001:db8::1"));
    }
}
