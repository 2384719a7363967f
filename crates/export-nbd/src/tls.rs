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
        Ok(Encrypted { connection: Mutex::new(connection) })
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
}

impl Encrypted {
    pub(crate) fn read(&self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut raw = [0; RECORD_BYTES];
        loop {
            match self.lock().reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The end of a client that did not say goodbye is an end all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            let received = socket.read(&mut raw)?;
            if received == 0 {
                return Ok(0);
            }
            let mut rest = &raw[..received];
            let mut connection = self.lock();
            while !rest.is_empty() {
                connection.read_tls(&mut rest)?;
                let processed = connection.process_new_packets().map_err(io::Error::other);
                send(&mut connection, socket)?;
                processed?;
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
