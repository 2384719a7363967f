//! What became of each file.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use super::plan::{Item, Plan};

const COPIED: u8 = 1;
const PASSED_OVER: u8 = 2;
const FAILED: u8 = 3;

/// One for each file of a round.
pub(super) struct Outcomes {
    states: Vec<AtomicU8>,
    /// Files that are under other names than was planned.
    elsewhere: Mutex<HashMap<usize, PathBuf>>,
}

impl Outcomes {
    pub(super) fn new(count: usize) -> Self {
        Self { states: (0..count).map(|_| AtomicU8::new(0)).collect(), elsewhere: Mutex::default() }
    }

    fn set(&self, index: usize, state: u8) {
        if let Some(place) = self.states.get(index) {
            place.store(state, Ordering::Release);
        }
    }

    fn state(&self, index: usize) -> u8 {
        self.states.get(index).map_or(0, |state| state.load(Ordering::Acquire))
    }

    pub(super) fn copied(&self, index: usize) {
        self.set(index, COPIED);
    }

    pub(super) fn passed_over(&self, index: usize) {
        self.set(index, PASSED_OVER);
    }

    pub(super) fn failed(&self, index: usize) {
        self.set(index, FAILED);
    }

    pub(super) fn is_elsewhere(&self, index: usize, path: PathBuf) {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).insert(index, path);
    }

    /// Where a file is that was copied or there already.
    pub(super) fn place(&self, plan: &Plan, index: usize, item: &Item) -> Option<PathBuf> {
        if !matches!(self.state(index), COPIED | PASSED_OVER) {
            return None;
        }
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).get(&index).cloned();
        elsewhere.or_else(|| plan.place(item.folder, &item.name))
    }

    /// All files that are there, with their places.
    pub(super) fn there<'i>(&self, plan: &Plan, items: &'i [Item]) -> Vec<(&'i Item, PathBuf)> {
        let place = |(index, item)| Some((item, self.place(plan, index, item)?));
        items.iter().enumerate().filter_map(place).collect()
    }

    /// Files and bytes that were not tried, or not finished.
    pub(super) fn left(&self, items: &[Item]) -> (u64, u64) {
        let left = items.iter().enumerate().filter(|(index, _)| self.state(*index) == 0);
        left.fold((0, 0_u64), |(files, bytes), (_, item)| (files + 1, bytes.saturating_add(item.size_bytes)))
    }
}
