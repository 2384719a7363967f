//! Which numbers the kernel knows, and what they stand for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use export::Entry;
use fuser::{FileHandle, INodeNo};

/// Numbers below are the root and one that means nothing.
const FIRST: u64 = 2;

/// The number of an entry below the root: the same at every mount, and the same for all names of one file.
pub(crate) fn number_of(entry: &Entry) -> INodeNo {
    INodeNo(entry.identity.saturating_add(FIRST))
}

/// What the kernel holds on to. It tells when it forgets, so that this does not grow with the volume.
#[derive(Debug)]
pub(crate) struct Inodes(Mutex<HashMap<u64, Inode>>);

#[derive(Debug)]
struct Inode {
    known: Arc<Known>,
    lookups: u64,
}

/// An entry and one of its paths.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) path: String,
    pub(crate) entry: Entry,
}

impl Inodes {
    pub(crate) fn new(root: Entry) -> Self {
        let known = Arc::new(Known { path: String::new(), entry: root });
        Self(Mutex::new(HashMap::from([(INodeNo::ROOT.0, Inode { known, lookups: 1 })])))
    }

    pub(crate) fn find(&self, ino: INodeNo) -> Option<Arc<Known>> {
        self.lock().get(&ino.0).map(|inode| inode.known.clone())
    }

    /// The kernel is told of an entry: it will forget it once more.
    pub(crate) fn tell(&self, path: String, entry: &Entry) -> INodeNo {
        let ino = number_of(entry);
        let mut inodes = self.lock();
        let fresh = || Inode { known: Arc::new(Known { path, entry: entry.clone() }), lookups: 0 };
        inodes.entry(ino.0).or_insert_with(fresh).lookups += 1;
        ino
    }

    pub(crate) fn forget(&self, ino: INodeNo, lookups: u64) {
        let mut inodes = self.lock();
        if let Some(inode) = inodes.get_mut(&ino.0)
            && ino != INodeNo::ROOT
        {
            inode.lookups = inode.lookups.saturating_sub(lookups);
            if inode.lookups == 0 {
                inodes.remove(&ino.0);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Inode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Things that are open, by handle.
#[derive(Debug)]
pub(crate) struct Handles<T: ?Sized> {
    last: AtomicU64,
    open: RwLock<HashMap<u64, Arc<T>>>,
}

impl<T: ?Sized> Handles<T> {
    pub(crate) fn new() -> Self {
        Self { last: AtomicU64::new(0), open: RwLock::new(HashMap::new()) }
    }

    pub(crate) fn add(&self, thing: Arc<T>) -> FileHandle {
        let handle = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(handle, thing);
        FileHandle(handle)
    }

    pub(crate) fn find(&self, handle: FileHandle) -> Option<Arc<T>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&handle.0).cloned()
    }

    pub(crate) fn close(&self, handle: FileHandle) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.0);
    }
}

#[cfg(test)]
mod tests {
    use export::EntryKind;

    use super::*;

    #[test]
    fn an_inode_is_known_until_all_lookups_are_forgotten() {
        let inodes = Inodes::new(Entry::new("", EntryKind::Directory, 5));
        let file = Entry::new("a", EntryKind::File, 40);
        let ino = inodes.tell("a".to_owned(), &file);
        assert_eq!(inodes.tell("other name".to_owned(), &file), ino);
        assert_eq!(inodes.find(ino).unwrap().path, "a");
        inodes.forget(ino, 1);
        assert!(inodes.find(ino).is_some());
        inodes.forget(ino, 1);
        assert!(inodes.find(ino).is_none());
        inodes.forget(ino, 7);
        inodes.forget(INodeNo::ROOT, 7);
        assert!(inodes.find(INodeNo::ROOT).is_some());
    }
}
