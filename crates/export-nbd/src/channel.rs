//! A client's stream, plain or encrypted.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::tls::Encrypted;

/// Reads come from one thread at a time, writes as well; a read and a write may happen together.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Socket,
    #[cfg(feature = "tls")]
    encrypted: Option<Encrypted>,
}

impl Channel {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            #[cfg(feature = "tls")]
            encrypted: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn encrypt(&mut self, encrypted: Encrypted) {
        self.encrypted = Some(encrypted);
    }

    #[cfg(feature = "tls")]
    pub(crate) fn is_encrypted(&self) -> bool {
        self.encrypted.is_some()
    }

    pub(crate) fn set_timeouts(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_timeouts(timeout)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        self.socket.shutdown(how);
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(encrypted) = &self.encrypted {
            return encrypted.read(&self.socket, buffer);
        }
        self.socket.read(buffer)
    }

    /// Fills `buffer`; the deadline holds for all of it, to the precision of the socket's timeout.
    pub(crate) fn read_exact_until(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.read(&mut buffer[done..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes both, one behind the other.
    pub(crate) fn write_all(&self, head: &[u8], data: &[u8]) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(encrypted) = &self.encrypted {
            return encrypted.write_all(&self.socket, &[head, data]);
        }
        let (mut head, mut data) = (head, data);
        while !head.is_empty() || !data.is_empty() {
            let written = match self.socket.write_vectored(&[IoSlice::new(head), IoSlice::new(data)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let of_head = written.min(head.len());
            head = &head[of_head..];
            data = &data[written - of_head..];
        }
        Ok(())
    }
}

/// Nothing came within the socket's timeout, or a signal came.
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
