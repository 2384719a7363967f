//! TLS below the protocol.

use std::io::{self, IoSlice, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::Error;
use crate::socket::Socket;

/// Most of one record of TLS.
const RECORD_BYTES: usize = 16 * 1024 + 512;

/// Files that TLS is set up from, all in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// Authorities of clients; with these, a client without a certificate by one of them is not served.
    pub client_authorities: Option<PathBuf>,
}

/// TLS that is set up: every client must use it.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    knows_clients: bool,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Tls`], naming the file that cannot be used.
    pub fn load(files: &TlsFiles) -> Result<Self, Error> {
        let chain = certificates("the certificate", &files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable("the private key", error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS", error))?;
        let builder = match &files.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let what = "the authority of clients";
                let mut roots = RootCertStore::empty();
                for certificate in certificates(what, path)? {
                    roots.add(certificate).map_err(|error| unusable(what, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| unusable(what, error))?)
            }
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| unusable("the certificate and its key", error))?;
        // Connections are few and long: nothing of one is kept for the next.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), knows_clients: files.client_authorities.is_some() })
    }

    /// Whether clients must show who they are.
    #[must_use]
    pub fn knows_clients(&self) -> bool {
        self.knows_clients
    }

    pub(crate) fn begin(&self) -> io::Result<Encrypted> {
        let connection = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        let received = Received { bytes: Box::new([0; RECORD_BYTES]), start: 0, end: 0 };
        Ok(Encrypted { connection: Mutex::new(connection), received: Mutex::new(received) })
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(what, error))?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(what, error))?;
    if all.is_empty() { Err(unusable(what, "there is no certificate in the file")) } else { Ok(all) }
}

fn unusable(what: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Tls { what, source: error.into() }
}

/// The encrypted side of a stream. The lock is not held while the socket is waited on for reading, so that replies go out
/// meanwhile.
#[derive(Debug)]
pub(crate) struct Encrypted {
    connection: Mutex<ServerConnection>,
    received: Mutex<Received>,
}

/// What came from the socket and is not decrypted yet.
struct Received {
    bytes: Box<[u8; RECORD_BYTES]>,
    start: usize,
    end: usize,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Received").finish_non_exhaustive()
    }
}

impl Encrypted {
    /// Reads what is there. [`io::ErrorKind::Interrupted`] when something came of which nothing can be read yet: whoever
    /// waits looks at the clock then.
    pub(crate) fn read(&self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = self.decrypt(socket, &mut received, buffer) {
            return result;
        }
        let count = socket.read(&mut received.bytes[..])?;
        if count == 0 {
            return Ok(0);
        }
        (received.start, received.end) = (0, count);
        self.decrypt(socket, &mut received, buffer).unwrap_or_else(|| Err(io::ErrorKind::Interrupted.into()))
    }

    /// Decrypts until there is something to read, and no further: what waits to be read has a limit. `None` when all that
    /// came is used up.
    fn decrypt(&self, socket: &Socket, received: &mut Received, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let mut connection = self.lock();
        loop {
            match connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The end of a client that did not say goodbye is an end all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Some(Ok(0)),
                other => return Some(other),
            }
            let mut rest = received.bytes.get(received.start..received.end).unwrap_or_default();
            if rest.is_empty() {
                return None;
            }
            let before = rest.len();
            let taken = connection.read_tls(&mut rest);
            received.start += before - rest.len();
            let processed = connection.process_new_packets().map_err(io::Error::other).map(drop);
            // An alert tells the client what was wrong.
            let sent = send(&mut connection, socket);
            if let Err(error) = taken.map(drop).and(processed).and(sent) {
                return Some(Err(error));
            }
        }
    }

    pub(crate) fn write_all(&self, socket: &Socket, parts: &[&[u8]]) -> io::Result<()> {
        let mut connection = self.lock();
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let taken = connection.writer().write(rest)?;
                rest = &rest[taken..];
                send(&mut connection, socket)?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, ServerConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends all that is ready.
fn send(connection: &mut ServerConnection, socket: &Socket) -> io::Result<()> {
    struct Sink<'a>(&'a Socket);
    impl Write for Sink<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write_vectored(&[IoSlice::new(bytes)])
        }
        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.write_vectored(slices)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    while connection.wants_write() {
        match connection.write_tls(&mut Sink(socket)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixStream;

    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;

    use super::*;

    #[derive(Debug)]
    struct NoCertificate;

    impl ResolvesServerCert for NoCertificate {
        fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }

    #[test]
    fn a_client_that_sends_byte_by_byte_cannot_keep_whoever_reads_from_looking_at_the_clock() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
        let encrypted = Tls { config: Arc::new(config), knows_clients: false }.begin().unwrap();
        let (mut client, server) = UnixStream::pair().unwrap();
        let server = Socket::Unix(server);
        for byte in [22, 3, 1, 0x40] {
            client.write_all(&[byte]).unwrap();
            let nothing_yet = encrypted.read(&server, &mut [0; 16]).unwrap_err();
            assert_eq!(nothing_yet.kind(), io::ErrorKind::Interrupted);
        }
        drop(client);
        assert_eq!(encrypted.read(&server, &mut [0; 16]).unwrap(), 0);
    }
}
