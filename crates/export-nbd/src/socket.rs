//! Streams and listeners, TCP and Unix.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// The kernel gives less where it allows less.
#[cfg(unix)]
const SEND_BUFFER_BYTES: usize = 2 << 20;

/// A client that says nothing for so long is asked whether it is there.
#[cfg(target_os = "linux")]
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// A stream to a client; reading and writing need no exclusive access.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Large buffers, no waiting for more to send, and the end of clients whose computer has gone. Every wish may be refused.
    pub(crate) fn prepare(&self) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
            #[cfg(unix)]
            let _ = rustix::net::sockopt::set_socket_keepalive(stream, true);
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_keepidle(stream, KEEP_ALIVE);
        }
        #[cfg(unix)]
        match self {
            Self::Tcp(stream) => drop(rustix::net::sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER_BYTES)),
            Self::Unix(stream) => drop(rustix::net::sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER_BYTES)),
        }
    }

    /// The same stream once more.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            #[cfg(unix)]
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
        })
    }

    pub(crate) fn set_timeouts(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout)).and_then(|()| stream.set_write_timeout(Some(timeout)))
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(timeout)).and_then(|()| stream.set_write_timeout(Some(timeout)))
            }
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        // It may be closed already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => (&mut &*stream).read(buffer),
        }
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write_vectored(slices),
            #[cfg(unix)]
            Self::Unix(stream) => (&mut &*stream).write_vectored(slices),
        }
    }
}

/// Where clients come in.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    pub(crate) fn accept(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(listener) => Socket::Tcp(listener.accept()?.0),
            #[cfg(unix)]
            Self::Unix(listener) => Socket::Unix(listener.accept()?.0),
        })
    }

    /// Wakes whoever waits in [`Listener::accept`], where the system has that.
    pub(crate) fn shutdown(&self) {
        #[cfg(unix)]
        let _ = match self {
            Self::Tcp(listener) => rustix::net::shutdown(listener, rustix::net::Shutdown::Both),
            Self::Unix(listener) => rustix::net::shutdown(listener, rustix::net::Shutdown::Both),
        };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::sockopt;

    use super::*;

    #[test]
    fn a_client_whose_computer_has_gone_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::Tcp(stream.try_clone().unwrap());
        socket.prepare();
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEP_ALIVE);
    }
}
