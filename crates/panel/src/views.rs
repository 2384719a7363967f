//! Drives that are unlocked here, and downloads that were asked for.
//!
//! A view holds a reader's lock on its drive: others may read, and nobody writes. To change the keys of an unlocked drive the lock
//! is given back for that long; the data that is shown stays the same meanwhile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use drive_ops::create::kind_name;
use drive_ops::drive::{self, Unlocked};
use drive_ops::failure::{Failure, Kind};
use drive_ops::lock::Lock;
use drive_ops::words::shown;
use fs_view::{Entry, EntryKind, FileSystem};
use fve::UnlockOptions;
use secret::SecretBytes;

use crate::failure::{Answer, Code, Refused, locked};
use crate::given::Given;
use crate::types::{FileEntry, FileKind, Files};

/// Names that are told of one folder.
const MOST_NAMES: usize = 20_000;
/// How long a download may wait to begin.
const TICKET_LIFE: Duration = Duration::from_secs(60);
/// How long the rest of a file may be asked for after it was last.
const AGAIN_LIFE: Duration = Duration::from_secs(10 * 60);

/// An unlocked drive.
pub(crate) struct View {
    pub(crate) files: FileSystem<Unlocked>,
    pub(crate) given: Arc<Given>,
    label: Option<String>,
    used: Mutex<Instant>,
    lock: Mutex<Option<Lock>>,
}

impl View {
    /// Unlocks a drive.
    pub(crate) fn open(path: &Path, given: Arc<Given>) -> Answer<Self> {
        let lock = Lock::take(path, false)?;
        let volume = drive::open(path)?;
        let options = UnlockOptions::default();
        let unlocked = if volume.is_decrypted() {
            volume.open_decrypted(options)
        } else {
            volume.unlock(given.material(), options).map(|(unlocked, _)| unlocked)
        };
        let unlocked = unlocked.map_err(|error| drive::explain(path, &error))?;
        let files = FileSystem::open(unlocked).map_err(|error| match error {
            fs_view::Error::Unknown { .. } => Failure::no(format!("the files of {} cannot be shown", path.display()))
                .kind(Kind::UnknownFileSystem)
                .because(&error),
            _ => read_failed(&error),
        })?;
        let label = files.label().ok().flatten().as_deref().map(shown);
        Ok(Self { files, given, label, used: Mutex::new(Instant::now()), lock: Mutex::new(Some(lock)) })
    }

    /// A folder, folders first.
    pub(crate) fn list(&self, path: &str) -> Answer<Files> {
        let listing = self.files.list(path).map_err(|error| read_failed(&error))?;
        let truncated = listing.entries.len() > MOST_NAMES;
        let mut entries: Vec<FileEntry> = listing.entries.iter().take(MOST_NAMES).map(entry).collect();
        entries.sort_by_cached_key(|entry| (entry.kind != FileKind::Folder, entry.name.to_lowercase()));
        let problems = listing.problems.iter().take(100);
        let problems = problems.map(|problem| shown(&format!("{}: {}", problem.path, problem.reason))).collect();
        Ok(Files { path: path.to_owned(), entries, problems, truncated })
    }
}

fn entry(entry: &Entry) -> FileEntry {
    let millis = |time: std::time::SystemTime| match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).ok(),
        Err(before) => i64::try_from(before.duration().as_millis()).ok().map(|millis| -millis),
    };
    FileEntry {
        name: entry.name.clone(),
        kind: match entry.kind {
            EntryKind::File => FileKind::File,
            EntryKind::Directory => FileKind::Folder,
            kind if kind.is_link() => FileKind::Link,
            _ => FileKind::Other,
        },
        bytes: entry.size_bytes,
        modified_ms: entry.modified.and_then(millis),
        hidden: entry.attributes.hidden() || entry.attributes.system(),
    }
}

/// Something inside a drive could not be read.
pub(crate) fn read_failed(error: &fs_view::Error) -> Failure {
    match error {
        fs_view::Error::NotFound { .. } => Failure::no("it is not on the drive").kind(Kind::NotFound).because(error),
        fs_view::Error::Damaged { .. } => {
            Failure::no("the drive cannot be read there").kind(Kind::Damaged).because(error)
        }
        fs_view::Error::Storage(_) | fs_view::Error::Io(_) => {
            Failure::could_not("the drive cannot be read there").because(error)
        }
        _ => Failure::no("it cannot be read").because(error),
    }
}

/// All unlocked drives, by what the interface calls them.
#[derive(Default)]
pub(crate) struct Views(Mutex<HashMap<String, Arc<View>>>);

impl Views {
    pub(crate) fn add(&self, id: &str, view: View) {
        locked(&self.0).insert(id.to_owned(), Arc::new(view));
    }

    pub(crate) fn get(&self, id: &str) -> Answer<Arc<View>> {
        let view = locked(&self.0).get(id).cloned().ok_or_else(|| Refused::from(Code::Locked))?;
        *locked(&view.used) = Instant::now();
        Ok(view)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        locked(&self.0).contains_key(id)
    }

    /// File system and name inside, for the list.
    pub(crate) fn inside(&self, id: &str) -> Option<(String, Option<String>)> {
        let views = locked(&self.0);
        let view = views.get(id)?;
        Some((kind_name(view.files.kind()).to_owned(), view.label.clone()))
    }

    /// What opened the drive.
    pub(crate) fn given(&self, id: &str) -> Option<Arc<Given>> {
        locked(&self.0).get(id).map(|view| Arc::clone(&view.given))
    }

    /// Locks a drive. Downloads from it come to their end first.
    pub(crate) fn lock(&self, id: &str) {
        locked(&self.0).remove(id);
    }

    pub(crate) fn lock_all(&self) {
        locked(&self.0).clear();
    }

    pub(crate) fn lock_unused(&self, now: Instant, life: Duration) {
        locked(&self.0).retain(|_, view| {
            let busy = Arc::strong_count(view) > 1;
            busy || *locked(&view.used) + life > now
        });
    }

    /// Does something to a drive that must not have readers of ours meanwhile. One that cannot be had back is locked.
    pub(crate) fn without_lock<R>(&self, id: &str, path: &Path, act: impl FnOnce() -> Answer<R>) -> Answer<R> {
        let Some(view) = locked(&self.0).get(id).cloned() else { return act() };
        let mut lock = locked(&view.lock);
        drop(lock.take());
        let done = act();
        match Lock::take(path, false) {
            Ok(again) => *lock = Some(again),
            Err(_) => self.lock(id),
        }
        done
    }
}

/// A download that was asked for.
#[derive(Clone)]
pub(crate) struct Ticket {
    drive: String,
    pub(crate) view: Arc<View>,
    pub(crate) paths: Vec<String>,
    pub(crate) name: String,
    /// Whether it is one file, and as it is.
    pub(crate) single: bool,
    token: Arc<SecretBytes<32>>,
    until: Instant,
}

/// Downloads that were asked for. The address of an archive works once; that of a file for a while, as a browser that was
/// interrupted asks for the rest of it.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<Vec<Ticket>>);

impl Tickets {
    const MOST: usize = 64;

    /// Gives the token of a new one.
    pub(crate) fn add(
        &self,
        drive: &str,
        view: Arc<View>,
        paths: Vec<String>,
        name: String,
        single: bool,
        now: Instant,
    ) -> Answer<String> {
        let mut tickets = locked(&self.0);
        if tickets.len() >= Self::MOST {
            return Err(Code::TooMany.into());
        }
        let token = Arc::new(SecretBytes::random());
        let text = BASE64URL_NOPAD.encode(token.expose());
        let drive = drive.to_owned();
        tickets.push(Ticket { drive, view, paths, name, single, token, until: now + TICKET_LIFE });
        Ok(text)
    }

    pub(crate) fn take(&self, token: &str, now: Instant) -> Option<Ticket> {
        let token: SecretBytes<32> = SecretBytes::from_slice(&BASE64URL_NOPAD.decode(token.as_bytes()).ok()?)?;
        let mut tickets = locked(&self.0);
        tickets.retain(|ticket| ticket.until > now);
        let found = tickets.iter().position(|ticket| *ticket.token == token)?;
        let ticket = tickets.get_mut(found)?;
        if ticket.single {
            ticket.until = now + AGAIN_LIFE;
            return Some(ticket.clone());
        }
        Some(tickets.swap_remove(found))
    }

    /// The drive is locked: what was asked for of it is not given any longer.
    pub(crate) fn forget_drive(&self, drive: &str) {
        locked(&self.0).retain(|ticket| ticket.drive != drive);
    }

    pub(crate) fn clear(&self) {
        locked(&self.0).clear();
    }

    pub(crate) fn sweep(&self, now: Instant) {
        locked(&self.0).retain(|ticket| ticket.until > now);
    }
}

/// Makes the path of a file inside a drive from what a request said.
pub(crate) fn last_name(path: &str) -> Option<&str> {
    path.split(['/', '\\']).rfind(|part| !part.is_empty() && *part != ".")
}

/// The path of this computer that a request named: absolute, so that it means the same as the page shows.
pub(crate) fn absolute(path: &str) -> Answer<PathBuf> {
    let path = PathBuf::from(path);
    if path.is_absolute() && !path.as_os_str().to_string_lossy().contains('\0') {
        Ok(path)
    } else {
        Err(Code::Invalid.into())
    }
}
