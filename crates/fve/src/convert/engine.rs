//! Converting: batch by batch, with one flush for each.
//!
//! ```text
//! read batch n, log its beginnings                         flush
//! write batch n      | read batch n + 1, log it            flush
//! write batch n + 1  | read batch n + 2, log it            flush
//! ```
//!
//! A batch is written only when its record is durable, and a record takes the place of the one before the last only when
//! that one's batch is durable: the flush in between makes both so. After a power cut two batches at most are mixed, and both
//! have their record.

use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use block_io::BlockWrite;
use fve_crypto::{SectorCipher, sha256};
use fve_format::VOLUME_HEADER_BYTES;
use fve_format::in_place::{ConversionHeader, Direction, KEPT_BYTES, LogRecord, PIECE_BYTES, Phase};

use crate::convert::ConversionProgress;
use crate::convert::journal::{Payload, read_body, unknown, write_record};
use crate::convert::mixed::{all_pieces, settle_sector};
use crate::convert::space::Space;
use crate::convert::start::{Lists, check_lists};
use crate::convert::state::step;
use crate::stream::in_parallel;
use crate::{Error, KeyMaterial, UnlockOptions, Volume};

/// Bytes that a worker converts at a time.
const BLOCK_BYTES: u64 = 512 * 1024;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The volume is encrypted, or plain.
    Finished,
    /// It was asked to stop. The volume is as a power cut would leave it, with nothing in between.
    Paused,
}

/// A conversion that can run.
pub struct Converter<D> {
    pub(crate) storage: D,
    /// `None` when nothing is encrypted any more.
    pub(crate) cipher: Option<SectorCipher>,
    pub(crate) header: ConversionHeader,
    pub(crate) volume_header: [u8; VOLUME_HEADER_BYTES],
    pub(crate) space: Space,
    pub(crate) lists: Lists,
    pub(crate) phase: Phase,
    pub(crate) direction: Direction,
    /// Of the newest record.
    pub(crate) sequence: u64,
    /// Positions below are encrypted.
    pub(crate) boundary: u64,
    /// The records that count, as they were found, oldest first: their batches may be half converted.
    found: Vec<LogRecord>,
    workers: usize,
}

/// Part of a batch that lies in one piece.
#[derive(Default)]
struct Block {
    at: u64,
    data: Vec<u8>,
    /// The beginnings of its pieces as they were before.
    kept: Vec<u8>,
}

#[derive(Default)]
struct Batch {
    range: Range<u64>,
    blocks: Vec<Mutex<Block>>,
    /// Blocks in use; those behind keep their memory for the next batch.
    count: usize,
}

impl<D> Converter<D> {
    pub(crate) fn started(
        storage: D,
        cipher: SectorCipher,
        header: ConversionHeader,
        volume_header: [u8; VOLUME_HEADER_BYTES],
        space: Space,
        lists: Lists,
        phase: Phase,
    ) -> Self {
        let direction = if phase == Phase::Preparing { Direction::Encrypt } else { Direction::Decrypt };
        let boundary = if direction == Direction::Encrypt { 0 } else { space.total() };
        let cipher = Some(cipher);
        let (sequence, found, workers) = (1, Vec::new(), default_workers());
        Self {
            storage,
            cipher,
            header,
            volume_header,
            space,
            lists,
            phase,
            direction,
            sequence,
            boundary,
            found,
            workers,
        }
    }

    /// Threads that read, convert and write; as many as the machine has cores unless this is called.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Where the conversion stands.
    #[must_use]
    pub fn progress(&self) -> ConversionProgress {
        ConversionProgress {
            direction: self.direction,
            step: step(self.phase),
            encrypted_bytes: self.boundary,
            total_bytes: self.space.total(),
        }
    }

    pub(crate) fn cipher(&self) -> Result<&SectorCipher, Error> {
        self.cipher.as_ref().ok_or(Error::CannotConvert("all of it is decrypted already"))
    }
}

impl<D: BlockWrite> Converter<D> {
    /// Takes up a conversion that was paused or interrupted. `material` is not needed when all is plain already
    /// ([`Volume::is_decrypted`]).
    ///
    /// # Errors
    /// As [`Volume::unlock`]; [`Error::CannotConvert`] when no conversion is under way.
    pub fn resume(volume: Volume<D>, material: Option<&dyn KeyMaterial>) -> Result<Self, Error> {
        let Some(state) = volume.in_place().cloned() else {
            return Err(Error::CannotConvert("no conversion is under way"));
        };
        let unlocked = if volume.is_decrypted() {
            volume.open_decrypted(UnlockOptions::default())?
        } else {
            let material = material.ok_or(Error::CannotConvert("part of it is encrypted, and there is no key"))?;
            volume.unlock(material, UnlockOptions::default())?.0
        };
        let (storage, parts) = unlocked.into_parts();
        let mut lists = Lists { reserve: Vec::new(), release: Vec::new() };
        if let Some(cipher) = &parts.cipher {
            let payload = Payload::read(&storage, &state.header, &state.journal, state.copy, cipher)?;
            (lists.reserve, lists.release) = payload.writes()?;
            check_lists(&lists, &state.header)?;
        }
        let newest = *state.newest();
        Ok(Self {
            storage,
            cipher: parts.cipher,
            boundary: match newest.direction {
                Direction::Encrypt => newest.start,
                Direction::Decrypt => newest.start + newest.length,
            },
            volume_header: state.volume_header(),
            header: state.header,
            space: state.space,
            lists,
            phase: newest.phase,
            direction: newest.direction,
            sequence: newest.sequence,
            found: state.records,
            workers: default_workers(),
        })
    }

    /// Converts in `direction`, whatever the direction was before, until all is done or `stop` is set. `progress` is called
    /// after each batch.
    ///
    /// # Errors
    /// [`Error::Storage`] with the place: everything up to the last flush is durable, and [`Self::resume`] goes on from
    /// there. [`Error::CannotConvert`] when there is no way back any more.
    pub fn run(
        mut self,
        direction: Direction,
        progress: &mut dyn FnMut(ConversionProgress),
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        self.affirm()?;
        if self.phase == Phase::Restoring {
            if direction == Direction::Encrypt {
                return Err(Error::CannotConvert("all of it is decrypted already, only its last steps are missing"));
            }
            self.restore()?;
            return Ok(Outcome::Finished);
        }
        self.recover()?;
        if self.phase == Phase::Preparing {
            self.prepare()?;
        }
        if (self.phase, direction) != (Phase::Finishing, Direction::Encrypt) {
            self.mask_metadata()?;
            (self.phase, self.direction) = (Phase::Converting, direction);
            progress(self.progress());
            if self.convert(progress, stop)? == Outcome::Paused {
                return Ok(Outcome::Paused);
            }
        }
        match direction {
            Direction::Encrypt => self.finish()?,
            Direction::Decrypt => {
                self.begin_restoring()?;
                self.restore()?;
            }
        }
        Ok(Outcome::Finished)
    }

    fn convert(&mut self, progress: &mut dyn FnMut(ConversionProgress), stop: &AtomicBool) -> Result<Outcome, Error> {
        // `current` has its record, and is not written yet.
        let (mut current, mut next) = (Batch::default(), Batch::default());
        loop {
            let stopped = stop.load(Ordering::Relaxed);
            let range = if stopped { 0..0 } else { self.batch_behind(&current.range) };
            self.plan(&mut next, range);
            if current.count == 0 && next.count == 0 {
                break;
            }
            self.work_on(&current, &next)?;
            if next.count > 0 {
                self.log(&next, current.count == 0)?;
            }
            self.storage.flush()?;
            if current.count > 0 {
                self.boundary = match self.direction {
                    Direction::Encrypt => current.range.end,
                    Direction::Decrypt => current.range.start,
                };
                progress(self.progress());
            }
            mem::swap(&mut current, &mut next);
        }
        if self.boundary == self.goal() {
            return Ok(Outcome::Finished);
        }
        // A record without a batch: whoever opens the volume next has nothing to compare.
        self.write_record(self.phase, self.boundary..self.boundary, true, &[])?;
        self.storage.flush()?;
        Ok(Outcome::Paused)
    }

    fn goal(&self) -> u64 {
        match self.direction {
            Direction::Encrypt => self.space.total(),
            Direction::Decrypt => 0,
        }
    }

    /// What comes after the batch that is being written; empty at the end.
    fn batch_behind(&self, current: &Range<u64>) -> Range<u64> {
        let most = u64::from(self.header.batch_bytes);
        match self.direction {
            Direction::Encrypt => {
                let start = if current.is_empty() { self.boundary } else { current.end };
                start..start.saturating_add(most).min(self.space.total())
            }
            Direction::Decrypt => {
                let end = if current.is_empty() { self.boundary } else { current.start };
                end.saturating_sub(most)..end
            }
        }
    }

    fn plan(&self, batch: &mut Batch, range: Range<u64>) {
        batch.count = 0;
        for run in self.space.runs(range.clone(), BLOCK_BYTES) {
            if batch.blocks.len() == batch.count {
                batch.blocks.push(Mutex::default());
            }
            let mut block = lock(&batch.blocks[batch.count]);
            block.at = run.at;
            block.data.resize(usize::try_from(run.length).unwrap_or(0), 0);
            batch.count += 1;
        }
        batch.range = range;
    }

    /// Writes the blocks of one batch, and reads and converts those of the next.
    fn work_on(&self, current: &Batch, next: &Batch) -> Result<(), Error> {
        let (cipher, writes) = (self.cipher()?, current.count as u64);
        in_parallel(self.workers, writes + next.count as u64, |index, _| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            if let Some(block) = current.blocks[..current.count].get(index) {
                let block = lock(block);
                return Ok(self.storage.write_all_at(block.at, &block.data)?);
            }
            let Some(block) = next.blocks.get(index - current.count) else { return Ok(()) };
            let block = &mut *lock(block);
            self.storage.read_exact_at(block.at, &mut block.data)?;
            block.kept.clear();
            for piece in block.data.chunks_exact(PIECE_BYTES) {
                block.kept.extend_from_slice(&piece[..KEPT_BYTES]);
            }
            match self.direction {
                Direction::Encrypt => cipher.encrypt(block.at, &mut block.data),
                Direction::Decrypt => cipher.decrypt(block.at, &mut block.data),
            }
            Ok(())
        })
    }

    /// Writes the record of a batch. The caller flushes.
    fn log(&mut self, batch: &Batch, is_settled: bool) -> Result<(), Error> {
        let mut body = Vec::with_capacity(self.header.body_bytes as usize);
        for block in &batch.blocks[..batch.count] {
            body.extend_from_slice(&lock(block).kept);
        }
        self.write_record(Phase::Converting, batch.range.clone(), is_settled, &body)
    }

    pub(crate) fn write_record(
        &mut self,
        phase: Phase,
        range: Range<u64>,
        is_settled: bool,
        body: &[u8],
    ) -> Result<(), Error> {
        let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        if body_bytes > self.header.body_bytes {
            return Err(unknown("a record does not fit into its log"));
        }
        self.sequence += 1;
        let record = LogRecord {
            identifier: self.header.identifier,
            sequence: self.sequence,
            phase,
            direction: self.direction,
            start: range.start,
            length: range.end - range.start,
            body_bytes,
            is_settled,
            body_hash: sha256(body),
        };
        write_record(&self.storage, &self.header, &record, body)
    }

    /// Makes durable what was found. Whoever wrote it may have been killed before it was, or may have been told by a failed
    /// flush that it never will be although it still reads so: it is written again.
    fn affirm(&self) -> Result<(), Error> {
        if self.found.is_empty() {
            return Ok(());
        }
        for record in &self.found {
            let body = self.body_of(record)?;
            write_record(&self.storage, &self.header, record, &body)?;
        }
        self.storage.write_all_at(0, &self.header.encode())?;
        self.storage.flush()?;
        Ok(())
    }

    fn body_of(&self, record: &LogRecord) -> Result<Vec<u8>, Error> {
        let body = read_body(&self.storage, &self.header, record)?;
        body.ok_or(unknown("a record of its log changed while it was read"))
    }

    /// Completes the batches that a power cut left half converted, in the direction they had.
    fn recover(&mut self) -> Result<(), Error> {
        let found = mem::take(&mut self.found);
        for record in found.iter().filter(|record| record.phase == Phase::Converting) {
            let body = self.body_of(record)?;
            let mut kept = body.chunks_exact(KEPT_BYTES);
            for run in self.space.runs(record.start..record.start + record.length, BLOCK_BYTES) {
                let mut data = vec![0; usize::try_from(run.length).unwrap_or(0)];
                self.storage.read_exact_at(run.at, &mut data)?;
                self.complete(run.at, &mut data, &mut kept, record.direction)?;
                // What is converted already is written again, too, for the same reason as the records.
                self.storage.write_all_at(run.at, &data)?;
            }
            self.boundary = match record.direction {
                Direction::Encrypt => record.start + record.length,
                Direction::Decrypt => record.start,
            };
        }
        self.storage.flush()?;
        Ok(())
    }

    /// Converts the sectors of a block that are not.
    fn complete<'k>(
        &self,
        at: u64,
        data: &mut [u8],
        kept: &mut impl Iterator<Item = &'k [u8]>,
        direction: Direction,
    ) -> Result<(), Error> {
        let cipher = self.cipher()?;
        let sector_bytes = cipher.sector_bytes();
        let all = all_pieces(sector_bytes as u64);
        for (sector_at, sector) in (at..).step_by(sector_bytes).zip(data.chunks_exact_mut(sector_bytes)) {
            let same = sector
                .chunks_exact(PIECE_BYTES)
                .zip(&mut *kept)
                .enumerate()
                .filter(|(_, (piece, kept))| piece.starts_with(kept))
                .fold(0, |bits, (index, _)| bits | 1_u8 << index);
            if same == 0 {
                continue;
            }
            match direction {
                Direction::Encrypt => {
                    settle_sector(cipher, sector_at, sector, all & !same);
                    cipher.encrypt(sector_at, sector);
                }
                Direction::Decrypt => settle_sector(cipher, sector_at, sector, same),
            }
        }
        Ok(())
    }
}

fn lock(block: &Mutex<Block>) -> MutexGuard<'_, Block> {
    block.lock().unwrap_or_else(PoisonError::into_inner)
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
