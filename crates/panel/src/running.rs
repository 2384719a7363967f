//! The panel that runs: one for each account of this computer, found by a private file that a second `keyhaven up` reads.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secret::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::Error;
use crate::keep::replace_private;
use crate::routes;
use crate::types::NewLink;

/// The place of the panel that runs. It is free again when this is dropped.
pub(crate) struct Place {
    file: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Told {
    address: SocketAddr,
    key: String,
}

impl Drop for Told {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Folder { path: path.to_owned(), source }
}

impl Place {
    /// Takes the place in a folder, which is made.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        make_private(folder).map_err(|source| failed(folder, source))?;
        let path = folder.join("panel.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed(&path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { file: folder.join("panel.json"), _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::Running),
            Err(std::fs::TryLockError::Error(source)) => Err(failed(&path, source)),
        }
    }

    /// Tells other programs of this account where the panel is.
    pub(crate) fn tell(&self, address: SocketAddr, key: &str) -> Result<(), Error> {
        let told = Told { address, key: key.to_owned() };
        let bytes = Zeroizing::new(serde_json::to_vec(&told).unwrap_or_default());
        replace_private(&self.file, &bytes).map_err(|source| failed(&self.file, source))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// A new link of the panel that runs with this folder; `None` where none answers.
#[must_use]
pub fn link_of_running(folder: &Path) -> Option<SecretString> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const MOST_BYTES: u64 = 64 * 1024;
    let bytes = Zeroizing::new(std::fs::read(folder.join("panel.json")).ok()?);
    let told: Told = serde_json::from_slice(&bytes).ok()?;
    if !told.address.ip().is_loopback() {
        return None;
    }
    let mut stream = TcpStream::connect_timeout(&told.address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let body = Zeroizing::new(format!("{{\"key\":\"{}\"}}", told.key));
    let request = Zeroizing::new(format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        routes::LINK,
        told.address,
        body.len(),
        *body
    ));
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Zeroizing::new(String::new());
    stream.take(MOST_BYTES).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200") {
        return None;
    }
    let link: NewLink = serde_json::from_str(body).ok()?;
    // The panel told its own address; nothing else is opened.
    link.link.starts_with(&format!("http://{}/#", told.address)).then(|| SecretString::new(link.link))
}
