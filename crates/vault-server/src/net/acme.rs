//! Certificates from an authority that speaks ACME: ordered at the first start, renewed before they end, kept in files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use futures_util::StreamExt;
use rustls::{ClientConfig, RootCertStore};
use rustls_acme::{AccountCache, AcmeConfig, AcmeState, CertCache, EventOk};
use sha2::{Digest, Sha256};

use super::tls::{Certificates, TlsError, certificates, provider};
use crate::config::Acme;
use crate::metrics::{Event, Metrics};

/// The order, not begun: it runs in [`keep_fresh`].
pub(super) fn begin(settings: &Acme, folder: &Path) -> Result<AcmeState<io::Error>, TlsError> {
    let kept = Kept::open(folder).map_err(|source| TlsError::File { path: folder.to_owned(), source })?;
    let config = match &settings.authority {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(TlsError::Setup)?;
            }
            let client = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(TlsError::Setup)?
                .with_root_certificates(roots)
                .with_no_client_auth();
            AcmeConfig::new_with_client_config(&settings.domains, Arc::new(client))
        }
        None => AcmeConfig::new_with_provider(&settings.domains, provider()),
    };
    let contact = settings.contact.iter().map(|address| format!("mailto:{address}"));
    Ok(config.contact(contact).directory(&settings.directory).cache(kept).state())
}

/// Orders and renews, until the certificates are not needed any more.
pub(super) async fn keep_fresh(mut state: AcmeState<io::Error>, needed: Weak<Certificates>, metrics: Arc<Metrics>) {
    while let Some(event) = state.next().await {
        if needed.strong_count() == 0 {
            return;
        }
        match event {
            Ok(EventOk::DeployedCachedCert | EventOk::DeployedNewCert) => {
                metrics.happened(Event::CertificateLoaded);
                tracing::info!("a certificate of the authority is in force");
            }
            Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
            Err(error) => {
                metrics.happened(Event::CertificateFailed);
                tracing::error!(%error, "no certificate could be had from the authority; trying again later");
            }
        }
    }
}

/// Files of the account with the authority and of certificates, readable by their owner only.
struct Kept(PathBuf);

impl Kept {
    fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// One file for each authority and each set of names.
    fn file(&self, kind: &str, names: &[String], directory: &str) -> PathBuf {
        let mut hash = Sha256::new();
        for part in names.iter().map(String::as_str).chain([directory]) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let name = HEXLOWER.encode(&hash.finalize()[..8]);
        self.0.join(format!("{kind}-{name}.pem"))
    }

    fn load(file: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(file) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn store(&self, file: &Path, content: &[u8]) -> io::Result<()> {
        let part = file.with_extension("part");
        let _ = fs::remove_file(&part);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut opened = options.open(&part)?;
        opened.write_all(content)?;
        opened.sync_all()?;
        fs::rename(&part, file)?;
        #[cfg(unix)]
        File::open(&self.0)?.sync_all()?;
        Ok(())
    }
}

#[async_trait]
impl CertCache for Kept {
    type EC = io::Error;

    async fn load_cert(&self, domains: &[String], directory: &str) -> io::Result<Option<Vec<u8>>> {
        Self::load(&self.file("certificate", domains, directory))
    }

    async fn store_cert(&self, domains: &[String], directory: &str, content: &[u8]) -> io::Result<()> {
        self.store(&self.file("certificate", domains, directory), content)
    }
}

#[async_trait]
impl AccountCache for Kept {
    type EA = io::Error;

    async fn load_account(&self, contact: &[String], directory: &str) -> io::Result<Option<Vec<u8>>> {
        Self::load(&self.file("account", contact, directory))
    }

    async fn store_account(&self, contact: &[String], directory: &str, content: &[u8]) -> io::Result<()> {
        self.store(&self.file("account", contact, directory), content)
    }
}
