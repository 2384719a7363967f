//! What a client remembers between runs: one folder, readable by its owner only.
//!
//! ```text
//! profile.json          service, account, pinned keys, head of the audit chain seen last
//! session.json          session token and catalogue root, while signed in (opens titles, never a key)
//! device.json           this device's certificate and pins, once enrolled
//! device.key            this device's key, unless it is kept elsewhere (`key_store`)
//! outbox/RECORD.json    sealed saves that have no receipt yet
//! receipts/RECORD.json  receipts, each verified before it was written
//! log.json              newest checkpoint of the service's global log that was accepted
//! reveals.json          releases of keys that this computer asked for and got
//! former.json           records of before a new start that need not be brought over
//! evidence/NAME.json    statements of a service that do not go together, former receipts
//! ```
//!
//! What an enrolled device keeps besides is told in `watch` and `orders`.
//!
//! Files are written whole: a temporary file, made durable, renamed. What lies here is believed, pins before all: a folder
//! that somebody else could put files into is not used.
//!
//! Where there are no files, as in a browser, the same names stand in memory (`memory`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_protocol::messages::AuditHead;
use vault_protocol::record::SaveRequest;
use vault_protocol::{AccountId, Bytes, DeviceId, FixedBytes, Millis, PublicKey, RecordId, Signed};
use zeroize::{Zeroize, Zeroizing};

use crate::Error;
use crate::memory::Memory;

/// The folder, or what stands in for it.
#[derive(Debug, Clone)]
pub struct State {
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Folder(PathBuf),
    Memory(Memory),
}

/// Keeps others from changing the state until it is dropped.
#[must_use]
pub(crate) struct Lock(#[allow(dead_code, reason = "the file is locked while it is open")] Option<File>);

/// Which account, and what was authenticated about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) origin: String,
    pub(crate) email: String,
    pub(crate) account_id: AccountId,
    pub(crate) key_statement: Signed,
    pub(crate) receipt_pk: PublicKey,
    pub(crate) log_pk: PublicKey,
    pub(crate) audit_head: AuditHead,
}

/// A session. Wiped when dropped.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionFile {
    pub(crate) token: Bytes,
    pub(crate) expires_at: Millis,
    /// Catalogue root; absent until sign-in opened it.
    pub(crate) catalogue: Option<FixedBytes<32>>,
    /// Whether the account asked for no second factor: then acts are confirmed by mail.
    #[serde(default)]
    pub(crate) confirms_by_mail: bool,
}

impl Drop for SessionFile {
    fn drop(&mut self) {
        self.token.0.zeroize();
        if let Some(root) = &mut self.catalogue {
            root.0.zeroize();
        }
    }
}

/// This device, without its key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeviceFile {
    pub(crate) origin: String,
    pub(crate) account_id: AccountId,
    pub(crate) device_id: DeviceId,
    pub(crate) certificate: Signed,
    pub(crate) key_statement: Signed,
    /// The statement under which the certificate was issued, when there is a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enrolled_statement: Option<Signed>,
    pub(crate) receipt_pk: PublicKey,
    pub(crate) log_pk: PublicKey,
    pub(crate) next_seq: u64,
}

/// A sealed save that waits.
#[derive(Serialize, Deserialize)]
pub(crate) struct OutboxItem {
    pub(crate) record_id: RecordId,
    pub(crate) seq: u64,
    pub(crate) request: SaveRequest,
}

impl State {
    /// The state in `folder`, which is made when something is written.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { place: Place::Folder(folder) }
    }

    /// A state that lives as long as the process, begun with what was kept of an earlier one.
    #[must_use]
    pub fn in_memory(memory: Memory) -> Self {
        Self { place: Place::Memory(memory) }
    }

    /// The folder; an empty path where there is none.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) => folder,
            Place::Memory(_) => Path::new(""),
        }
    }

    /// Address of the service that this computer signed in to or is enrolled with.
    ///
    /// # Errors
    /// [`Error::State`], [`Error::DamagedState`].
    pub fn server_address(&self) -> Result<Option<String>, Error> {
        if let Some(profile) = self.profile()? {
            return Ok(Some(profile.origin));
        }
        Ok(self.read::<DeviceFile>("device.json")?.map(|device| device.origin.clone()))
    }

    /// Keeps other processes from changing the state until the result is dropped.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        let Place::Folder(folder) = &self.place else { return Ok(Lock(None)) };
        make_folder(folder)?;
        self.check_folders(folder)?;
        let path = folder.join("lock");
        let locked = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&path)
            .and_then(|file| file.lock().map(|()| file));
        locked.map(|file| Lock(Some(file))).map_err(|source| state_error("locking", &path, source))
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| self.damaged(name))
    }

    fn bytes(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let folder = match &self.place {
            Place::Folder(folder) => folder,
            Place::Memory(memory) => return Ok(memory.get(name)),
        };
        let path = folder.join(name);
        self.check_folders(path.parent().unwrap_or(folder))?;
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(state_error("reading", &path, source)),
        }
    }

    fn damaged(&self, name: &str) -> Error {
        Error::DamagedState { path: self.folder().join(name).display().to_string() }
    }

    /// Writes a file whole and makes it durable, its name included.
    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
        serde_json::to_writer(&mut *bytes, value).map_err(|_| self.damaged(name))?;
        let folder = match &self.place {
            Place::Folder(folder) => folder,
            Place::Memory(memory) => {
                memory.put(name, bytes);
                return Ok(());
            }
        };
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        make_folder(parent)?;
        self.check_folders(parent)?;
        let temporary = path.with_extension("new");
        let written = (|| {
            // A left-over of a crash could be open to others: it is not written into.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            sync_folder(parent)
        })();
        written.map_err(|source| state_error("writing", &path, source))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let folder = match &self.place {
            Place::Folder(folder) => folder,
            Place::Memory(memory) => {
                memory.remove(name);
                return Ok(());
            }
        };
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(state_error("removing", &path, error)),
            _ => Ok(()),
        }
    }

    /// Names of the files in a subfolder, in order.
    pub(crate) fn names(&self, folder: &str) -> Result<Vec<String>, Error> {
        let path = match &self.place {
            Place::Folder(whole) => whole.join(folder),
            Place::Memory(memory) => return Ok(memory.names(folder)),
        };
        self.check_folders(&path)?;
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(state_error("reading", &path, source)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".json"))
            .map(|name| format!("{folder}/{name}"))
            .collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn profile(&self) -> Result<Option<Profile>, Error> {
        self.read("profile.json")
    }

    pub(crate) fn outbox(&self) -> Result<Vec<OutboxItem>, Error> {
        let mut items = Vec::new();
        for name in self.names("outbox")? {
            if let Some(item) = self.read::<OutboxItem>(&name)? {
                items.push(item);
            }
        }
        items.sort_by_key(|item| item.seq);
        Ok(items)
    }

    /// How many sealed saves wait for delivery.
    ///
    /// # Errors
    /// [`Error::State`].
    pub fn waiting(&self) -> Result<usize, Error> {
        Ok(self.names("outbox")?.len())
    }

    /// Looks at the state's folder and at the one in it that is used now.
    fn check_folders(&self, path: &Path) -> Result<(), Error> {
        let folder = self.folder();
        check_folder(folder)?;
        if path == folder { Ok(()) } else { check_folder(path) }
    }
}

fn make_folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| state_error("making", path, source))
}

/// Refuses a folder that somebody else could put files into, or take ours out of. One that is not there is fine.
#[cfg(unix)]
fn check_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(state_error("reading", path, source)),
    };
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    let ours = owner == rustix::process::geteuid().as_raw() || owner == 0;
    if mode & 0o022 != 0 || !ours {
        let owner = (!ours).then_some(owner);
        return Err(Error::StateExposed { path: path.display().to_string(), mode, owner });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_folder(_: &Path) -> Result<(), Error> {
    Ok(())
}

/// For its owner only.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// A rename is durable once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

fn state_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::State { operation, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path().join("state"));
        assert!(state.read::<String>("a.json").unwrap().is_none());
        state.write("a.json", &"one").unwrap();
        state.write("a.json", &"two").unwrap();
        assert_eq!(state.read::<String>("a.json").unwrap().as_deref(), Some("two"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&state.folder().join("a.json")), 0o600);
            assert_eq!(mode(state.folder()), 0o700);
        }
        fs::write(state.folder().join("a.json"), "{").unwrap();
        assert!(matches!(state.read::<String>("a.json"), Err(Error::DamagedState { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_could_have_put_there_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = |path: &Path, mode, result: Result<(), Error>| {
            let error = result.expect_err("must be refused");
            let named = matches!(&error, Error::StateExposed { path: named, mode: found, .. }
                if *found == mode && named == &path.display().to_string());
            assert!(named, "{error}");
        };
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path().join("state"));
        state.write("receipts/a.json", &"one").unwrap();
        state.write("a.json", &"one").unwrap();
        for path in [state.folder().to_owned(), state.folder().join("receipts")] {
            for mode in [0o770, 0o720, 0o707, 0o702, 0o777] {
                set(&path, mode);
                refused(&path, mode, state.read::<String>("receipts/a.json").map(drop));
                refused(&path, mode, state.write("receipts/a.json", &"two"));
                refused(&path, mode, state.names("receipts").map(drop));
            }
            set(&path, 0o755);
            assert_eq!(state.read::<String>("receipts/a.json").unwrap().as_deref(), Some("one"));
        }
        set(state.folder(), 0o777);
        refused(state.folder(), 0o777, state.lock().map(drop));
        refused(state.folder(), 0o777, state.read::<String>("a.json").map(drop));
        set(state.folder(), 0o700);
        // What a crash or somebody else left behind is neither written into nor followed.
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "another's").unwrap();
        std::os::unix::fs::symlink(&elsewhere, state.folder().join("a.new")).unwrap();
        state.write("a.json", &"two").unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"another's");
        fs::write(state.folder().join("a.new"), "old").unwrap();
        set(&state.folder().join("a.new"), 0o666);
        state.write("a.json", &"three").unwrap();
        assert_eq!(fs::metadata(state.folder().join("a.json")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
