//! A disk in memory that can lose its power.
//!
//! What a real disk may do between two flushes: writes arrive in any order, a write of several sectors arrives in part, a
//! sector that was written twice holds the first or the second or what was there before. A sector of 512 bytes arrives
//! whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block_io::{BlockRead, BlockWrite, Error, Geometry, check_range};

use super::Random;

const SECTOR: usize = 512;
const PAGE: usize = 4096;

type Page = Arc<[u8; PAGE]>;
type Pages = HashMap<u64, Page>;

/// What shall go wrong. Requests are counted from 0, reads, writes and flushes together.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// This request fails, without effect.
    pub fail_request: Option<u64>,
    /// From this request on all fail.
    pub fail_from: Option<u64>,
    /// Reading any of these bytes fails.
    pub unreadable: Option<Range<u64>>,
    /// Writing any of these bytes fails.
    pub unwritable: Option<Range<u64>>,
    /// Flushes say that they are done and do nothing.
    pub ignore_flushes: bool,
}

/// A disk that keeps its history since it was made.
pub struct SimDisk {
    base: Arc<Vec<u8>>,
    sector_bytes: u32,
    state: Mutex<State>,
}

/// A disk after the power came back.
pub struct Crashed {
    /// What is on it. Its own history begins here.
    pub disk: SimDisk,
    /// The last mark before the power went; 0 where there was none.
    pub acknowledged: u64,
}

#[derive(Default)]
struct State {
    pages: Pages,
    /// The pages at the beginning of the history.
    start: Pages,
    history: Vec<Event>,
    requests: u64,
    fault: Fault,
}

enum Event {
    Write {
        offset_bytes: u64,
        data: Box<[u8]>,
    },
    /// What had been written by then.
    Flush(Pages),
    Mark(u64),
}

impl SimDisk {
    /// A disk with this content and sectors of 512 bytes.
    #[must_use]
    pub fn new(content: impl Into<Arc<Vec<u8>>>) -> Self {
        Self { base: content.into(), sector_bytes: 512, state: Mutex::default() }
    }

    /// With another sector size in its geometry. Sectors of 512 bytes are still torn apart: many devices promise no more.
    #[must_use]
    pub fn with_sector_bytes(mut self, sector_bytes: u32) -> Self {
        self.sector_bytes = sector_bytes;
        self
    }

    /// Says that something was promised: what a crash later than this must keep. Numbers rise.
    pub fn mark(&self, number: u64) {
        self.state().history.push(Event::Mark(number));
    }

    /// What shall go wrong from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// Requests so far: reads, writes and flushes.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Points at which the power can go: before each event of the history and after the last.
    pub fn crash_points(&self) -> usize {
        self.state().history.len() + 1
    }

    /// The content as it is now.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![0; self.base.len()];
        copy_out(&self.base, &self.state().pages, 0, &mut out);
        out
    }

    /// A disk with the content of now and a history of its own, without faults.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::with_pages(Arc::clone(&self.base), self.sector_bytes, self.state().pages.clone())
    }

    /// The power goes before event `point`; `random` chooses which of the sectors that were not flushed arrived, and which
    /// of their versions.
    ///
    /// # Panics
    /// When there is no such point.
    #[must_use]
    pub fn crash(&self, point: usize, random: &mut Random) -> Crashed {
        let state = self.state();
        let before = &state.history[..point];
        let flushed = before.iter().rposition(|event| matches!(event, Event::Flush(_)));
        let durable = match flushed.map(|at| &before[at]) {
            Some(Event::Flush(pages)) => pages,
            _ => &state.start,
        };
        let pending: Vec<(u64, &[u8])> = before[flushed.map_or(0, |at| at + 1)..]
            .iter()
            .filter_map(|event| match event {
                Event::Write { offset_bytes, data } => Some((*offset_bytes, &**data)),
                _ => None,
            })
            .collect();
        let mut pages = durable.clone();
        match random.below(8) {
            0 => {}
            1 => pending.iter().for_each(|(at, data)| copy_in(&self.base, &mut pages, *at, data)),
            2 | 3 => self.arrive_in_order(&pending, &mut pages, random),
            4 => {
                for (at, data) in &pending {
                    if random.one_in(2) {
                        copy_in(&self.base, &mut pages, *at, data);
                    }
                }
            }
            _ => self.arrive_in_any_order(&pending, &mut pages, random),
        }
        let acknowledged = before.iter().rev().find_map(|event| match event {
            Event::Mark(number) => Some(*number),
            _ => None,
        });
        let disk = Self::with_pages(Arc::clone(&self.base), self.sector_bytes, pages);
        Crashed { disk, acknowledged: acknowledged.unwrap_or(0) }
    }

    /// The first writes arrive, the next one in part.
    fn arrive_in_order(&self, pending: &[(u64, &[u8])], pages: &mut Pages, random: &mut Random) {
        let whole = random.index(pending.len() + 1);
        for (at, data) in &pending[..whole] {
            copy_in(&self.base, pages, *at, data);
        }
        if let Some((at, data)) = pending.get(whole) {
            let first = SECTOR - sector_of(*at).1;
            let torn = (first + SECTOR * random.index(data.len() / SECTOR + 1)).min(data.len());
            copy_in(&self.base, pages, *at, &data[..torn]);
        }
    }

    /// Every sector holds one of its versions: what was durable, or what one of the writes made of it.
    fn arrive_in_any_order(&self, pending: &[(u64, &[u8])], pages: &mut Pages, random: &mut Random) {
        let mut versions: BTreeMap<u64, Vec<[u8; SECTOR]>> = BTreeMap::new();
        for (at, data) in pending {
            for (sector, inside, part) in sectors(*at, data.len()) {
                let versions = versions.entry(sector).or_default();
                let mut next = versions.last().copied().unwrap_or_else(|| {
                    let mut bytes = [0; SECTOR];
                    copy_out(&self.base, pages, sector * SECTOR as u64, &mut bytes);
                    bytes
                });
                next[inside..inside + part.len()].copy_from_slice(&data[part]);
                versions.push(next);
            }
        }
        // How much is lost differs from crash to crash: one sector, half of them, all but one.
        let lost_of_eight = 1 + random.below(7);
        for (sector, versions) in versions {
            if random.below(8) >= lost_of_eight {
                let chosen = if random.one_in(4) { random.index(versions.len()) } else { versions.len() - 1 };
                copy_in(&self.base, pages, sector * SECTOR as u64, &versions[chosen]);
            }
        }
    }

    fn with_pages(base: Arc<Vec<u8>>, sector_bytes: u32, pages: Pages) -> Self {
        let state = State { start: pages.clone(), pages, ..State::default() };
        Self { base, sector_bytes, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and tells whether it fails.
    fn request(&self, operation: &'static str, range: Range<u64>) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.state();
        let number = state.requests;
        state.requests += 1;
        let fault = &state.fault;
        let bad = match operation {
            "read" => &fault.unreadable,
            "write" => &fault.unwritable,
            _ => &None,
        };
        let fails = fault.fail_request == Some(number)
            || fault.fail_from.is_some_and(|from| number >= from)
            || bad.as_ref().is_some_and(|bad| range.start < bad.end && bad.start < range.end);
        if fails {
            let source = io::Error::other("a fault of the simulation");
            return Err(Error::Io { operation, offset_bytes: range.start, source });
        }
        Ok(state)
    }
}

impl BlockRead for SimDisk {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        check_range(offset_bytes, buffer.len(), self.base.len() as u64)?;
        let state = self.request("read", offset_bytes..offset_bytes + buffer.len() as u64)?;
        copy_out(&self.base, &state.pages, offset_bytes, buffer);
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.base.len() as u64, sector_bytes: self.sector_bytes }
    }
}

impl BlockWrite for SimDisk {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        check_range(offset_bytes, data.len(), self.base.len() as u64)?;
        let mut state = self.request("write", offset_bytes..offset_bytes + data.len() as u64)?;
        copy_in(&self.base, &mut state.pages, offset_bytes, data);
        state.history.push(Event::Write { offset_bytes, data: data.into() });
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        let mut state = self.request("flush", 0..0)?;
        if !state.fault.ignore_flushes {
            let pages = state.pages.clone();
            state.history.push(Event::Flush(pages));
        }
        Ok(())
    }
}

fn sector_of(at: u64) -> (u64, usize) {
    split(at, SECTOR)
}

fn split(at: u64, unit: usize) -> (u64, usize) {
    (at / unit as u64, usize::try_from(at % unit as u64).unwrap_or(0))
}

/// The units a range touches: number, where the part starts in it, and the part's place in the range.
fn units(at: u64, length: usize, unit: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (number, inside) = split(at + done as u64, unit);
        let part = done..length.min(done + unit - inside);
        done = part.end;
        (!part.is_empty()).then_some((number, inside, part))
    })
}

fn sectors(at: u64, length: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    units(at, length, SECTOR)
}

fn base_of(base: &[u8], page: u64) -> &[u8] {
    let start = usize::try_from(page).unwrap_or(usize::MAX).saturating_mul(PAGE).min(base.len());
    &base[start..base.len().min(start + PAGE)]
}

fn copy_out(base: &[u8], pages: &Pages, at: u64, out: &mut [u8]) {
    for (number, inside, part) in units(at, out.len(), PAGE) {
        let from = match pages.get(&number) {
            Some(page) => &page[inside..],
            None => &base_of(base, number)[inside..],
        };
        let length = part.len();
        out[part].copy_from_slice(&from[..length]);
    }
}

fn copy_in(base: &[u8], pages: &mut Pages, at: u64, data: &[u8]) {
    for (number, inside, part) in units(at, data.len(), PAGE) {
        let page = pages.entry(number).or_insert_with(|| {
            let mut page = [0; PAGE];
            let from = base_of(base, number);
            page[..from.len()].copy_from_slice(from);
            Arc::new(page)
        });
        Arc::make_mut(page)[inside..inside + part.len()].copy_from_slice(&data[part]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(disk: &SimDisk, number: usize) -> u8 {
        disk.to_vec()[number * SECTOR]
    }

    /// What sectors 0 to 2 can hold after a crash at the end, over many seeds.
    fn outcomes(disk: &SimDisk) -> std::collections::BTreeSet<[u8; 3]> {
        (0..500)
            .map(|seed| disk.crash(disk.crash_points() - 1, &mut Random::new(seed)).disk)
            .map(|disk| [0, 1, 2].map(|number| sector(&disk, number)))
            .collect()
    }

    #[test]
    fn what_was_flushed_is_kept_and_the_rest_arrives_in_any_mixture() {
        let disk = SimDisk::new(vec![0; 5 * SECTOR]);
        disk.write_all_at(0, &[1; SECTOR]).unwrap();
        disk.flush().unwrap();
        disk.mark(7);
        disk.write_all_at(0, &[2; 3 * SECTOR]).unwrap();
        disk.write_all_at(SECTOR as u64, &[3; SECTOR]).unwrap();
        let found = outcomes(&disk);
        // Sector 0: flushed or new. Sector 1: old, first, second. Sector 2: old or new. Nothing else.
        assert_eq!(found.len(), 2 * 3 * 2, "{found:?}");
        assert!(found.iter().all(|state| state[0] > 0 && state[2] != 3), "{found:?}");
        assert_eq!(disk.crash(2, &mut Random::new(1)).acknowledged, 0);
        assert_eq!(disk.crash(3, &mut Random::new(1)).acknowledged, 7);
    }

    #[test]
    fn a_flush_that_is_ignored_keeps_nothing() {
        let disk = SimDisk::new(vec![0; 3 * SECTOR]);
        disk.set_fault(Fault { ignore_flushes: true, ..Fault::default() });
        disk.write_all_at(0, &[1; SECTOR]).unwrap();
        disk.flush().unwrap();
        assert!(outcomes(&disk).contains(&[0; 3]));
    }

    #[test]
    fn faults_strike_where_they_should() {
        let disk = SimDisk::new(vec![0; 5000]);
        disk.write_all_at(4990, &[9; 10]).unwrap();
        disk.set_fault(Fault { fail_request: Some(2), unwritable: Some(600..601), ..Fault::default() });
        assert!(disk.write_all_at(512, &[1; 512]).is_err());
        assert!(disk.flush().is_err());
        disk.flush().unwrap();
        disk.write_all_at(0, &[1; 600]).unwrap();
        assert_eq!((disk.requests(), disk.to_vec()[599], disk.to_vec()[600], disk.to_vec()[4999]), (5, 1, 0, 9));
    }
}
