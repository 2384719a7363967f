//! Reading all of a volume that can be read. The order is that of GNU ddrescue: first everything that reads in large pieces,
//! while the medium still gives it; then what failed, halved again and again down to sectors; then the bad sectors once more.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use block_io::{BlockRead, Error as IoError};

use crate::salvage::map::MAX_RANGES;
use crate::salvage::{RescueMap, Status};
use crate::stream::in_parallel;
use crate::{STREAM_CHUNK_BYTES, UnlockedVolume};

/// How a volume is rescued.
#[derive(Debug, Clone, Copy)]
pub struct RescueOptions {
    /// Threads that read large pieces at once; what failed is read by one.
    pub workers: usize,
    /// How often bad sectors are read again.
    pub retries: u32,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Large pieces.
    Copying,
    /// What failed, in smaller ones.
    Dividing,
    /// Bad sectors again, for the time that is told, from 1.
    Retrying(u32),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything was tried.
    Finished,
    /// The watcher wanted it.
    Stopped,
}

/// Takes what was read at an offset. Called by several threads.
pub type Sink<'a, E> = &'a (dyn Fn(u64, &[u8]) -> Result<(), E> + Sync);
/// Sees the map after each piece; false stops the work.
pub type Watch<'a, E> = &'a (dyn Fn(&RescueMap, Pass) -> Result<bool, E> + Sync);

/// Why work stops before its end.
enum Stop<E> {
    Asked,
    Failed(E),
}

/// Hands everything of the plain volume that can be read and is not [`Status::Read`] yet to `sink`, in any order, and notes in
/// `map` what became of it. What could not be read is not handed over. `watch` is called after each piece with the map,
/// while nothing else changes it, and gives false to stop.
///
/// # Errors
/// What `sink` and `watch` give, and a device that is gone: reading the rest would only mark it as bad.
pub fn rescue<D: BlockRead, E: From<IoError> + Send>(
    volume: &UnlockedVolume<D>,
    map: &mut RescueMap,
    options: RescueOptions,
    sink: Sink<'_, E>,
    watch: Watch<'_, E>,
) -> Result<Ended, E> {
    let work = Work { volume, map: Mutex::new(map), sink, watch };
    match work.run(options) {
        Ok(()) => Ok(Ended::Finished),
        Err(Stop::Asked) => Ok(Ended::Stopped),
        Err(Stop::Failed(error)) => Err(error),
    }
}

struct Work<'a, D, E> {
    volume: &'a UnlockedVolume<D>,
    map: Mutex<&'a mut RescueMap>,
    sink: Sink<'a, E>,
    watch: Watch<'a, E>,
}

impl<'a, D: BlockRead, E: From<IoError> + Send> Work<'a, D, E> {
    fn run(&self, options: RescueOptions) -> Result<(), Stop<E>> {
        let (chunk, length) = (STREAM_CHUNK_BYTES as u64, self.volume.geometry().length_bytes);
        in_parallel(options.workers, length.div_ceil(chunk), |index, buffer| {
            let whole = index * chunk..((index + 1) * chunk).min(length);
            for range in self.ranges(whole, Status::NotTried) {
                let status = if self.read(&range, buffer)? { Status::Read } else { Status::Failed };
                self.note(range, status, Pass::Copying)?;
            }
            Ok(())
        })?;
        let mut buffer = Vec::new();
        for index in 0..length.div_ceil(chunk) {
            let whole = index * chunk..((index + 1) * chunk).min(length);
            for range in self.ranges(whole, Status::Failed) {
                // As a whole it failed already.
                let tried = range.end - range.start > u64::from(self.volume.geometry().sector_bytes);
                self.divide(range, tried, &mut buffer)?;
            }
        }
        for retry in 1..=options.retries {
            self.retry(retry, &mut buffer)?;
        }
        Ok(())
    }

    /// Reads a range that failed, or part of one that did: `tried` says that this very range was tried just now.
    fn divide(&self, range: Range<u64>, tried: bool, buffer: &mut Vec<u8>) -> Result<(), Stop<E>> {
        let sector = u64::from(self.volume.geometry().sector_bytes);
        if !tried && self.read(&range, buffer)? {
            return self.note(range, Status::Read, Pass::Dividing);
        }
        if range.end - range.start <= sector {
            return self.note(range, Status::Bad, Pass::Dividing);
        }
        if self.lock().len() >= MAX_RANGES {
            // Dividing would only make the list of what is lost longer than anybody can use.
            return Ok(());
        }
        let half = (range.end - range.start).div_ceil(2).next_multiple_of(sector);
        let middle = range.start - range.start % sector + half;
        // A deeper call goes for half as much: 10 of them at most.
        self.divide(range.start..middle.min(range.end), false, buffer)?;
        if middle < range.end { self.divide(middle..range.end, false, buffer) } else { Ok(()) }
    }

    fn retry(&self, retry: u32, buffer: &mut Vec<u8>) -> Result<(), Stop<E>> {
        let sector = u64::from(self.volume.geometry().sector_bytes);
        let bad: Vec<Range<u64>> = self.lock().ranges(Status::Bad).collect();
        for range in bad {
            let mut at = range.start;
            while at < range.end {
                let one = at..(at - at % sector + sector).min(range.end);
                at = one.end;
                if self.read(&one, buffer)? {
                    self.note(one, Status::Read, Pass::Retrying(retry))?;
                }
                self.look(Pass::Retrying(retry))?;
            }
        }
        Ok(())
    }

    /// Whether it could be read; then it was handed over.
    fn read(&self, range: &Range<u64>, buffer: &mut Vec<u8>) -> Result<bool, Stop<E>> {
        buffer.resize(usize::try_from(range.end - range.start).unwrap_or(0), 0);
        match self.volume.read_exact_at(range.start, buffer) {
            Ok(()) => (self.sink)(range.start, buffer).map(|()| true).map_err(Stop::Failed),
            Err(error) if is_gone(&error) => Err(Stop::Failed(error.into())),
            Err(_) => Ok(false),
        }
    }

    fn note(&self, range: Range<u64>, status: Status, pass: Pass) -> Result<(), Stop<E>> {
        self.lock().set(range, status);
        self.look(pass)
    }

    fn look(&self, pass: Pass) -> Result<(), Stop<E>> {
        match (self.watch)(&self.lock(), pass) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Asked),
            Err(error) => Err(Stop::Failed(error)),
        }
    }

    fn ranges(&self, within: Range<u64>, status: Status) -> Vec<Range<u64>> {
        self.lock().ranges_within(within, status)
    }

    fn lock(&self) -> MutexGuard<'_, &'a mut RescueMap> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the device itself has gone: unplugged, or given up by the system.
fn is_gone(error: &IoError) -> bool {
    // No such device or address, no such device, no medium: numbers of Linux, which has no kinds for them.
    const GONE: [i32; 3] = [6, 19, 123];
    let IoError::Io { source, .. } = error else { return false };
    cfg!(target_os = "linux") && source.raw_os_error().is_some_and(|number| GONE.contains(&number))
}
