//! TLS of the service's own: the certificate in force, and how it changes while connections go on.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_acme::is_tls_alpn_challenge;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::acme;
use crate::config::{self, Config};
use crate::metrics::{Event, Metrics};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Others than the owner of the file may read or change it.
    #[error("others can read or change the private key {path} (mode {mode:o}); its mode must be 600")]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// The permission bits that were found.
        mode: u32,
    },
    /// What is in the file is not what it should be.
    #[error("{path} holds no {expected} in PEM")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The certificate is for another key.
    #[error("the certificate {certificate} and the key {key} do not belong together")]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
    /// No TLS with these settings.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The certificates of a listener.
pub(crate) struct Certificates {
    config: Arc<ServerConfig>,
    /// For the authority's look at names.
    challenge: Option<Arc<ServerConfig>>,
    files: Option<Arc<Files>>,
}

/// A certificate and its key in files.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// What is shown to clients, and when its files were last changed.
    current: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

/// Times of the last changes of both files.
type Stamp = [Option<SystemTime>; 2];

impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Files").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

impl Files {
    fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let stamp = stamp(certificate, key);
        let current = RwLock::new((load(certificate, key)?, stamp));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current })
    }

    /// Reads the files again when they changed, or in any case. What cannot be used leaves the present certificate in force, and is
    /// tried again when the files change once more.
    fn renew(&self, in_any_case: bool) -> Result<bool, TlsError> {
        let stamp = stamp(&self.certificate, &self.key);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.1 == stamp && !in_any_case {
            return Ok(false);
        }
        current.1 = stamp;
        current.0 = load(&self.certificate, &self.key)?;
        Ok(true)
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|file| std::fs::metadata(file).and_then(|found| found.modified()).ok())
}

impl Certificates {
    /// Sets TLS up; keeps certificates fresh in a task of its own, which ends with the last clone.
    pub(crate) fn open(config: &Config, tls: &config::Tls, metrics: &Arc<Metrics>) -> Result<Arc<Self>, TlsError> {
        match tls {
            config::Tls::Files { certificate, key } => {
                let files = Arc::new(Files::open(certificate, key)?);
                metrics.happened(Event::CertificateLoaded);
                let config = server_config(files.clone())?;
                let opened = Arc::new(Self { config, challenge: None, files: Some(files) });
                tokio::spawn(watch(Arc::downgrade(&opened), metrics.clone()));
                Ok(opened)
            }
            config::Tls::Acme(settings) => {
                let state = acme::begin(settings, &config.data_dir.join("acme"))?;
                let config = server_config(state.resolver())?;
                let challenge = Some(state.challenge_rustls_config_with_provider(provider()));
                let opened = Arc::new(Self { config, challenge, files: None });
                tokio::spawn(acme::keep_fresh(state, Arc::downgrade(&opened), metrics.clone()));
                Ok(opened)
            }
        }
    }

    /// The handshake. `None` when it was only the authority's look at a name.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Some(challenge) = &self.challenge
            && is_tls_alpn_challenge(&begun.client_hello())
        {
            let mut stream = begun.into_stream(challenge.clone()).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        begun.into_stream(self.config.clone()).await.map(Some)
    }

    /// Reads the files again.
    pub(crate) fn renew(&self, in_any_case: bool, metrics: &Metrics) {
        let Some(files) = &self.files else { return };
        match files.renew(in_any_case) {
            Ok(false) => {}
            Ok(true) => {
                metrics.happened(Event::CertificateLoaded);
                tracing::info!("the certificate was read again");
            }
            Err(error) => {
                metrics.happened(Event::CertificateFailed);
                tracing::error!(%error, "the new certificate cannot be used; the one before stays in force");
            }
        }
    }
}

async fn watch(certificates: std::sync::Weak<Certificates>, metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(certificates) = certificates.upgrade() else { return };
        certificates.renew(false, &metrics);
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(super::hybrid::provider())
}

fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(certificate)?;
    let private = private_key(key)?;
    let pair = |source| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let certified = CertifiedKey::from_der(chain, private, &provider()).map_err(pair)?;
    certified.keys_match().map_err(pair)?;
    Ok(Arc::new(certified))
}

/// Whether a certificate and its key can be used.
pub(crate) fn check_files(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    load(certificate, key).map(drop)
}

/// The certificates in a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = File::open(path).map_err(|source| TlsError::File { path: path.to_owned(), source })?;
    let content = || TlsError::Content { path: path.to_owned(), expected: "certificate" };
    let read = CertificateDer::pem_reader_iter(file).collect::<Result<Vec<_>, _>>();
    let all = read.map_err(|_| content())?;
    if all.is_empty() { Err(content()) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = File::open(path).map_err(|source| TlsError::File { path: path.to_owned(), source })?;
    #[cfg(unix)]
    {
        let metadata = file.metadata().map_err(|source| TlsError::File { path: path.to_owned(), source })?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(TlsError::Permissions { path: path.to_owned(), mode });
        }
    }
    let content = |_| TlsError::Content { path: path.to_owned(), expected: "private key" };
    PrivateKeyDer::from_pem_reader(file).map_err(content)
}
