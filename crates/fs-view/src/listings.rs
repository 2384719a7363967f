//! Directories that were read lately, for looking up names: FAT and exFAT keep their names in no order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::path::fold;
use crate::{Entry, Error, Listing};

/// Entries kept in all.
const KEPT_ENTRIES: usize = 100_000;

/// A directory by its names.
pub(crate) struct Names {
    entries: Vec<Entry>,
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
    /// The first reason why a name may be missing.
    problem: Option<String>,
}

impl Names {
    fn new(listing: Listing) -> Self {
        let mut names = Self {
            exact: HashMap::with_capacity(listing.entries.len()),
            folded: HashMap::with_capacity(listing.entries.len()),
            problem: listing.problems.into_iter().next().map(|problem| problem.reason),
            entries: listing.entries,
        };
        for (index, entry) in names.entries.iter().enumerate() {
            names.exact.entry(entry.name.clone()).or_insert(index);
            names.folded.entry(fold(&entry.name)).or_insert(index);
        }
        names
    }

    /// The entry with this name: as it is written, or else without regard to case.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Entry>, Error> {
        let found = self.exact.get(name).or_else(|| self.folded.get(&fold(name)));
        match (found.and_then(|index| self.entries.get(*index)), &self.problem) {
            (None, Some(reason)) => Err(Error::damaged(reason.clone())),
            (entry, _) => Ok(entry.cloned()),
        }
    }
}

#[derive(Default)]
struct Kept {
    clock: u64,
    entries: usize,
    directories: HashMap<u64, (u64, Arc<Names>)>,
}

/// Directories by their first cluster.
#[derive(Default)]
pub(crate) struct Listings {
    kept: Mutex<Kept>,
}

impl Listings {
    /// The directory with this number, read where it is not known.
    pub(crate) fn find(&self, number: u64, read: impl FnOnce() -> Result<Listing, Error>) -> Result<Arc<Names>, Error> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            kept.clock += 1;
            let clock = kept.clock;
            if let Some((used, names)) = kept.directories.get_mut(&number) {
                *used = clock;
                return Ok(Arc::clone(names));
            }
        }
        let names = Arc::new(Names::new(read()?));
        let mut kept = lock();
        while kept.entries + names.entries.len() > KEPT_ENTRIES
            && let Some(oldest) = kept.directories.iter().min_by_key(|(_, (used, _))| *used).map(|(number, _)| *number)
        {
            if let Some((_, dropped)) = kept.directories.remove(&oldest) {
                kept.entries -= dropped.entries.len();
            }
        }
        let clock = kept.clock;
        kept.entries += names.entries.len();
        if let Some((_, replaced)) = kept.directories.insert(number, (clock, Arc::clone(&names))) {
            kept.entries -= replaced.entries.len();
        }
        Ok(names)
    }
}
