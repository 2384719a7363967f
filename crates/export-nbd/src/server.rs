//! Listening, accepting, and the order of the end.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use export::Disk;

use crate::channel::Channel;
use crate::connection::Connection;
use crate::handshake::{Offer, shake};
use crate::socket::{Listener, Socket};
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::{Error, limits};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP address. Everybody who can reach it can use the disk; on loopback, that is every account of this computer.
    Tcp(SocketAddr),
    /// A Unix socket that this makes, for this account alone.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            #[cfg(unix)]
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the disk; clients may leave it out.
    pub name: String,
    /// What clients are told about it when they ask.
    pub description: String,
    /// With this, every client must use TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    disk: Arc<Disk>,
    options: Options,
    listener: Arc<Listener>,
    address: Address,
    shared: Arc<Shared>,
}

/// Ends a [`Server`]; may be used in any thread, and several times.
#[derive(Debug, Clone)]
pub struct Stopper {
    listener: Arc<Listener>,
    address: Address,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    clients: Mutex<Clients>,
    left: Condvar,
}

/// Clients that are connected, by number: the streams through which they can be told to go.
#[derive(Debug, Default)]
struct Clients {
    last: u64,
    streams: HashMap<u64, Socket>,
}

impl Stopper {
    /// Asks for the end: no new clients, no new requests, those under way are finished.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Both wake the listener: systems differ in whether a listener can be shut down, and the name of a socket may be
        // gone. When nobody listens, that is the end already.
        self.listener.shutdown();
        match &self.address {
            Address::Tcp(address) => drop(TcpStream::connect_timeout(&reachable(*address), Duration::from_secs(1))),
            #[cfg(unix)]
            Address::Unix(path) => drop(UnixStream::connect(path)),
        }
    }
}

impl Server {
    /// Listens. Clients may connect when this returns and are served by [`Server::serve`].
    ///
    /// # Errors
    /// [`Error::Listen`], [`Error::InUse`], [`Error::NotASocket`].
    pub fn bind(disk: Arc<Disk>, address: &Address, options: Options) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: address.to_string(), source };
        let (listener, address) = match address {
            Address::Tcp(wanted) => {
                let listener = TcpListener::bind(wanted).map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                (Listener::Tcp(listener), Address::Tcp(bound))
            }
            #[cfg(unix)]
            Address::Unix(path) => (Listener::Unix(private_socket(path)?), address.clone()),
        };
        Ok(Self { disk, options, listener: Arc::new(listener), address, shared: Arc::default() })
    }

    /// Where it listens, with the port that was given by the system.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What ends this server from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { listener: self.listener.clone(), address: self.address.clone(), shared: self.shared.clone() }
    }

    /// Serves clients until a [`Stopper`] ends it; everything that was written is durable then.
    ///
    /// # Errors
    /// [`Error::Accept`], [`Error::Flush`].
    pub fn serve(self) -> Result<(), Error> {
        let accepted = self.accept();
        #[cfg(unix)]
        if let Address::Unix(path) = &self.address {
            let _ = std::fs::remove_file(path);
        }
        self.shared.finish_clients();
        self.disk.finish().map_err(|source| Error::Flush { source }).and(accepted)
    }

    fn accept(&self) -> Result<(), Error> {
        let options = Arc::new(self.options.clone());
        let mut failures = 0;
        while !self.shared.stopping.load(Ordering::SeqCst) {
            match self.listener.accept() {
                Ok(socket) => {
                    failures = 0;
                    self.shared.admit(socket, &self.disk, &options);
                }
                // A client that went before it was greeted, or no descriptors left for the moment.
                Err(source) => {
                    failures += 1;
                    if failures > 100 {
                        return Err(Error::Accept { source });
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Gives a client a thread; one too many is turned away.
    fn admit(self: &Arc<Self>, socket: Socket, disk: &Arc<Disk>, options: &Arc<Options>) {
        let mut clients = self.lock();
        let Ok(stream) = socket.try_clone() else { return };
        if clients.streams.len() >= limits::CONNECTIONS || self.stopping.load(Ordering::SeqCst) {
            return socket.shutdown(Shutdown::Both);
        }
        clients.last += 1;
        let number = clients.last;
        clients.streams.insert(number, stream);
        drop(clients);
        // Also when no thread can be had, or something in it breaks.
        let leave = Leave { shared: self.clone(), number };
        let (disk, options) = (disk.clone(), options.clone());
        let _ = std::thread::Builder::new().name("nbd".to_owned()).spawn(move || {
            let _leave = leave;
            // What a client does wrong ends its connection and nothing else.
            let _ = talk(socket, &disk, &options);
        });
    }

    /// Takes no more requests, waits for those under way, and leaves clients that hold them up.
    fn finish_clients(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + limits::LAST_REQUESTS;
        let mut clients = self.lock();
        clients.streams.values().for_each(|stream| stream.shutdown(Shutdown::Read));
        while !clients.streams.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return clients.streams.values().for_each(|stream| stream.shutdown(Shutdown::Both));
            }
            clients = self.left.wait_timeout(clients, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole conversation with one client.
fn talk(socket: Socket, disk: &Arc<Disk>, options: &Options) -> io::Result<()> {
    socket.prepare();
    // Short enough to keep to the deadline of the handshake.
    socket.set_timeouts(Duration::from_secs(1))?;
    let mut channel = Channel::new(socket);
    let offer = Offer {
        disk,
        name: &options.name,
        description: &options.description,
        #[cfg(feature = "tls")]
        tls: options.tls.as_ref(),
    };
    let Some(agreed) = shake(&mut channel, &offer)? else { return Ok(()) };
    channel.set_timeouts(limits::STALL)?;
    Connection::new(channel, disk.clone(), agreed.structured).serve();
    Ok(())
}

struct Leave {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.lock().streams.remove(&self.number);
        self.shared.left.notify_all();
    }
}

/// An address that reaches a listener on `address` from this computer.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A socket that no other account can connect to. One that a dead server left behind is replaced.
#[cfg(unix)]
fn private_socket(path: &std::path::Path) -> Result<UnixListener, Error> {
    use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};

    let address = path.display().to_string();
    let failed = |source| Error::Listen { address: path.display().to_string(), source };
    match path.symlink_metadata() {
        Ok(there) if !there.file_type().is_socket() => return Err(Error::NotASocket { address }),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(Error::InUse { address }),
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(_) => {}
    }
    // Made in a folder that is closed to others, then moved: at no time can others connect.
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => std::path::Path::new("."),
    };
    let closed = parent.join(format!(".nbd-{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&closed).map_err(failed)?;
    let made = make_private(&closed, path);
    let _ = std::fs::remove_dir_all(&closed);
    return made.map_err(failed);

    fn make_private(closed: &std::path::Path, path: &std::path::Path) -> io::Result<UnixListener> {
        let inside = closed.join("s");
        let listener = UnixListener::bind(&inside)?;
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(listener)
    }
}
