//! Trying candidates on a volume.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use fve_crypto::stretch;
use fve_format::{Guid, KeyProtector};
use secret::RecoveryPassword;

use super::Candidates;
use crate::material::{opens_with_stretched, recovery_salt};

/// A search among candidates for the one that opens a protector.
pub struct Search<'a> {
    /// What is tried.
    pub candidates: &'a Candidates,
    /// On what: recovery-password protectors; others are passed over.
    pub protectors: &'a [KeyProtector],
    /// Threads.
    pub workers: NonZeroUsize,
}

/// How a search ended.
pub enum SearchOutcome {
    /// With the recovery password of this protector.
    Found {
        /// The recovery password; the authentication tag of the protector says that it is right.
        password: RecoveryPassword,
        /// Which protector it opens.
        identifier: Guid,
    },
    /// No candidate opens any of the protectors.
    NotFound,
    /// It was stopped; every candidate below `next` was tried.
    Stopped {
        /// Where to go on.
        next: u64,
    },
}

/// What the workers share.
struct Shared {
    next: AtomicU64,
    found: Mutex<Option<(RecoveryPassword, Guid)>>,
    /// First candidate of the batch that each worker is at.
    at: Vec<AtomicU64>,
    ended: AtomicBool,
}

impl Search<'_> {
    /// Tries candidates from number `from` on. `progress` gets, after each batch, the number below which all were tried;
    /// `stop` ends the search after the batches under way.
    pub fn run(&self, from: u64, stop: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) -> SearchOutcome {
        let shared = Shared {
            next: AtomicU64::new(from),
            found: Mutex::new(None),
            at: (0..self.workers.get()).map(|_| AtomicU64::new(from)).collect(),
            ended: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            for at in &shared.at {
                let shared = &shared;
                scope.spawn(move || self.work(shared, at, stop, progress));
            }
        });
        let tried = shared.tried(self.candidates.count());
        let found = shared.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match found {
            Some((password, identifier)) => SearchOutcome::Found { password, identifier },
            None if tried >= self.candidates.count() => SearchOutcome::NotFound,
            None => SearchOutcome::Stopped { next: tried },
        }
    }

    /// Candidates per second, measured by trying once what each worker tries at a time. Takes about a second.
    #[must_use]
    pub fn measure(&self) -> f64 {
        let batch = vec![RecoveryPassword::from_key(&[0; 16]); stretch::lanes()];
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..self.workers.get() {
                scope.spawn(|| stretch::recovery_passwords(&batch, &[0; 16]));
            }
        });
        let protectors = self.salts().count().max(1);
        let tried = u32::try_from(batch.len() * self.workers.get()).unwrap_or(u32::MAX);
        f64::from(tried) / start.elapsed().as_secs_f64() / u32::try_from(protectors).map_or(1.0, f64::from)
    }

    fn salts(&self) -> impl Iterator<Item = (&KeyProtector, [u8; 16])> {
        self.protectors.iter().filter_map(|protector| Some((protector, recovery_salt(protector)?)))
    }

    fn work(&self, shared: &Shared, at: &AtomicU64, stop: &AtomicBool, progress: &(dyn Fn(u64) + Sync)) {
        let (count, lanes) = (self.candidates.count(), stretch::lanes() as u64);
        loop {
            let first = shared.next.fetch_add(lanes, Ordering::SeqCst).min(count);
            at.store(first, Ordering::SeqCst);
            if first >= count || stop.load(Ordering::Relaxed) || shared.ended.load(Ordering::Relaxed) {
                return;
            }
            // Room for all of them: a vector that grows leaves copies behind that nobody wipes.
            let mut batch: Vec<RecoveryPassword> = Vec::with_capacity(stretch::lanes());
            batch.extend((first..count.min(first + lanes)).filter_map(|number| self.candidates.get(number)));
            for (protector, salt) in self.salts() {
                let keys = stretch::recovery_passwords(&batch, &salt);
                let opens = |key: &_| opens_with_stretched(protector, key);
                let hit = batch.iter().zip(&keys).find(|(_, key)| opens(key));
                if let Some((password, _)) = hit {
                    let mut found = shared.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    found.get_or_insert((password.clone(), protector.identifier));
                    shared.ended.store(true, Ordering::Relaxed);
                    return;
                }
            }
            at.store(count.min(first + lanes), Ordering::SeqCst);
            progress(shared.tried(count));
        }
    }
}

impl Shared {
    /// The number below which every candidate was tried: where the slowest worker is. A worker that has just taken its
    /// next batch and not said so yet still counts where it was, which is too low at worst.
    fn tried(&self, count: u64) -> u64 {
        self.at.iter().map(|at| at.load(Ordering::SeqCst)).min().unwrap_or(0).min(count)
    }
}
