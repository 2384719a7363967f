//! Where the device's key lies.
//!
//! The device key is the one secret that stays on a computer for good. [`KeyStore`] is the joint for it: here it is a file
//! of its own that only its owner may read. Stores of operating systems (a keyring of the kernel, a TPM, DPAPI, the Secure
//! Enclave) would be further implementations; none of them is here yet. A chip that does not give keys out needs devices
//! that sign with P-256, for which the protocol has the name and no verification so far.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::Error;

/// Keeps the seed of a device's keys.
pub trait KeyStore: Send + Sync {
    /// The seed; `None` before the first [`KeyStore::keep`].
    ///
    /// # Errors
    /// [`Error::KeyExposed`] when others could have read or replaced it; [`Error::State`], [`Error::DamagedState`].
    fn load(&self) -> Result<Option<SecretBytes<32>>, Error>;

    /// Keeps a seed in place of the one before; durable when it returns.
    ///
    /// # Errors
    /// [`Error::State`].
    fn keep(&self, seed: &SecretBytes<32>) -> Result<(), Error>;
}

/// A file, readable and writable by its owner only. Its permissions are looked at each time it is read.
#[derive(Debug, Clone)]
pub struct FileKeyStore {
    path: PathBuf,
}

impl FileKeyStore {
    /// The key in this file, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        Error::State { operation, path: self.path.display().to_string(), source }
    }

    /// Refuses a file that somebody else than its owner, or another owner than we, could use.
    #[cfg(unix)]
    fn check(&self, file: &File) -> Result<(), Error> {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata().map_err(|source| self.failed("reading", source))?;
        let mode = metadata.mode() & 0o777;
        let owner = metadata.uid();
        let us = rustix::process::geteuid().as_raw();
        if mode & 0o077 != 0 || (owner != us && owner != 0) {
            let whose = (owner != us && owner != 0).then_some(owner);
            return Err(Error::KeyExposed { path: self.path.display().to_string(), mode, owner: whose });
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check(&self, _: &File) -> Result<(), Error> {
        Ok(())
    }

    fn write(&self, seed: &SecretBytes<32>) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = self.path.with_extension("new");
        // A left-over of a crash could be open to others: it is not written into.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(seed.expose())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

impl KeyStore for FileKeyStore {
    fn load(&self) -> Result<Option<SecretBytes<32>>, Error> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed("reading", source)),
        };
        self.check(&file)?;
        let mut bytes = Zeroizing::new([0; 33]);
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed("reading", source)),
            }
        }
        let seed = bytes.get(..filled).and_then(SecretBytes::from_slice);
        seed.map(Some).ok_or_else(|| Error::DamagedState { path: self.path.display().to_string() })
    }

    fn keep(&self, seed: &SecretBytes<32>) -> Result<(), Error> {
        self.write(seed).map_err(|source| self.failed("writing", source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_a_newer_one_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileKeyStore::new(folder.path().join("device.key"));
        assert!(store.load().unwrap().is_none());
        for _ in 0..2 {
            let seed = SecretBytes::random();
            store.keep(&seed).unwrap();
            assert!(store.load().unwrap() == Some(seed));
        }
        for damage in [&[0; 31][..], &[0; 33], &[]] {
            fs::write(folder.path().join("device.key"), damage).unwrap();
            assert!(matches!(store.load().err(), Some(Error::DamagedState { .. })), "{}", damage.len());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_could_use_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        let store = FileKeyStore::new(path.clone());
        store.keep(&SecretBytes::random()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = store.load().err().expect("must be refused");
            assert!(matches!(error, Error::KeyExposed { mode: found, .. } if found == mode), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(store.load().unwrap().is_some());
        // What a crash left behind is not written into.
        fs::write(path.with_extension("new"), "old").unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o666)).unwrap();
        store.keep(&SecretBytes::random()).unwrap();
        assert!(store.load().unwrap().is_some());
    }
}
