//! The log of a VHDX image: changes that were begun and not finished, replayed in memory.
//!
//! The log is a ring of entries. The newest valid entry tells in its tail where the active sequence begins; the entries
//! from there on are applied in order. Each holds 4-KiB sectors to write, and ranges to fill with zeros.

use std::collections::HashMap;

use block_io::{BlockRead, Error as IoError, Geometry, check_range};

use super::{Header, checksum_fits, damaged, read_structure};
use crate::bytes::{guid, u32_le, u64_le};
use crate::{Error, ImageFormat};

const SECTOR_BYTES: usize = 4096;
const ENTRY_HEADER_BYTES: usize = 64;
const DESCRIPTOR_BYTES: usize = 32;
/// Logs have 1 MiB; this is far more than anything writes.
const MAX_LOG_BYTES: u32 = 64 << 20;

/// The file as it is once its log is replayed.
#[derive(Debug)]
pub(super) struct Replayed<D> {
    file: D,
    length_bytes: u64,
    /// In the order in which they are to be applied.
    patches: Vec<Patch>,
}

#[derive(Debug)]
struct Patch {
    offset_bytes: u64,
    length_bytes: u64,
    /// `None`: zeros.
    data: Option<Box<[u8]>>,
}

impl<D: BlockRead> BlockRead for Replayed<D> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        if self.patches.is_empty() {
            return self.file.read_exact_at(offset_bytes, buffer);
        }
        check_range(offset_bytes, buffer.len(), self.length_bytes)?;
        // The log may have made the file longer than it is.
        let there = self.file.geometry().length_bytes.saturating_sub(offset_bytes);
        let there = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        let (stored, behind) = buffer.split_at_mut(there);
        self.file.read_exact_at(offset_bytes, stored)?;
        behind.fill(0);
        for patch in &self.patches {
            patch.apply(offset_bytes, buffer);
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.length_bytes, ..self.file.geometry() }
    }
}

impl Patch {
    fn apply(&self, offset_bytes: u64, buffer: &mut [u8]) {
        let end = offset_bytes.saturating_add(buffer.len() as u64);
        let start = self.offset_bytes.max(offset_bytes);
        let stop = self.offset_bytes.saturating_add(self.length_bytes).min(end);
        if start >= stop {
            return;
        }
        let index = |place: u64, base: u64| usize::try_from(place - base).unwrap_or(usize::MAX);
        let Some(target) = buffer.get_mut(index(start, offset_bytes)..index(stop, offset_bytes)) else { return };
        match &self.data {
            None => target.fill(0),
            Some(data) => {
                let source = data.get(index(start, self.offset_bytes)..index(stop, self.offset_bytes));
                target.copy_from_slice(source.unwrap_or_default());
            }
        }
    }
}

/// Replays the log where there is anything in it.
pub(super) fn replay<D: BlockRead>(file: D, header: &Header) -> Result<Replayed<D>, Error> {
    let file_bytes = file.geometry().length_bytes;
    if header.log_guid == [0; 16] {
        return Ok(Replayed { file, length_bytes: file_bytes, patches: Vec::new() });
    }
    let at = header.log_offset_bytes;
    let sectors = header.log_bytes as usize / SECTOR_BYTES;
    if header.log_bytes > MAX_LOG_BYTES || sectors == 0 || at > 1 << 62 {
        return Err(damaged("its log, which is in use, has an impossible size or place", at));
    }
    let mut log = vec![0; sectors * SECTOR_BYTES];
    read_structure(&file, at, &mut log)?;
    let ring = Ring { log, guid: header.log_guid };
    let entries = ring.active().ok_or_else(|| damaged("its log is in use, and holds no complete sequence", at))?;
    let mut replayed = Replayed { file, length_bytes: file_bytes, patches: Vec::new() };
    for entry in entries {
        let needed_bytes = u64_le(&entry, 48);
        if needed_bytes > file_bytes {
            return Err(Error::CutOff { format: ImageFormat::Vhdx, needed_bytes, file_bytes });
        }
        // What the file had reached when the entry was written.
        replayed.length_bytes = replayed.length_bytes.max(u64_le(&entry, 56).min(1 << 62));
        read_patches(&entry, &mut replayed.patches).ok_or_else(|| damaged("an entry of its log is damaged", at))?;
    }
    // An empty sequence changes nothing, and neither does the length then.
    if replayed.patches.is_empty() {
        replayed.length_bytes = file_bytes;
    }
    Ok(replayed)
}

/// The log, read wholly.
struct Ring {
    log: Vec<u8>,
    guid: [u8; 16],
}

/// What is known of an entry before it is replayed.
#[derive(Clone, Copy)]
struct Place {
    sequence: u64,
    tail: usize,
    length: usize,
}

impl Ring {
    /// The entries of the active sequence, in order.
    fn active(&self) -> Option<Vec<Vec<u8>>> {
        let entries = self.entries()?;
        // An entry that was not finished is not valid, and what it announces has not begun. Where the newest valid one has
        // lost an older one, an even older sequence would be an older disk.
        let head = entries.iter().max_by_key(|(_, entry)| entry.sequence).map(|(at, _)| *at)?;
        self.sequence(&entries, head)
    }

    /// The valid entries by their place.
    fn entries(&self) -> Option<HashMap<usize, Place>> {
        let mut found = HashMap::new();
        // Entries do not overlap: a log that needs more checking than this was made to waste time.
        let mut budget = self.log.len().saturating_mul(4);
        for at in (0..self.log.len()).step_by(SECTOR_BYTES) {
            let header = &self.log[at..at + ENTRY_HEADER_BYTES];
            let length = u32_le(header, 8) as usize;
            let plausible = header.starts_with(b"loge")
                && guid(header, 32) == self.guid
                && length.is_multiple_of(SECTOR_BYTES)
                && (SECTOR_BYTES..=self.log.len()).contains(&length);
            if !plausible {
                continue;
            }
            budget = budget.checked_sub(length)?;
            let tail = u32_le(header, 12) as usize;
            if tail < self.log.len() && tail.is_multiple_of(SECTOR_BYTES) && checksum_fits(&self.entry(at, length)) {
                found.insert(at, Place { sequence: u64_le(header, 16), tail, length });
            }
        }
        Some(found)
    }

    /// The bytes of an entry, which may go on at the start of the ring.
    fn entry(&self, at: usize, length: usize) -> Vec<u8> {
        let first = length.min(self.log.len() - at);
        let mut bytes = self.log[at..at + first].to_vec();
        bytes.extend_from_slice(&self.log[..length - first]);
        bytes
    }

    /// The entries from the tail that `head` names up to `head` itself; `None` where one is missing.
    fn sequence(&self, entries: &HashMap<usize, Place>, head: usize) -> Option<Vec<Vec<u8>>> {
        let last = entries.get(&head)?;
        let mut at = last.tail;
        let mut sequence = Vec::new();
        let mut expected = None;
        // Each entry has a place of its own, so there are no more steps than entries.
        for _ in 0..entries.len() {
            let entry = entries.get(&at)?;
            if expected.is_some_and(|expected| entry.sequence != expected) {
                return None;
            }
            sequence.push(self.entry(at, entry.length));
            if at == head {
                return Some(sequence);
            }
            expected = entry.sequence.checked_add(1);
            at = (at + entry.length) % self.log.len();
        }
        None
    }
}

/// What an entry changes; `None` where it contradicts itself.
fn read_patches(entry: &[u8], patches: &mut Vec<Patch>) -> Option<()> {
    let count = u32_le(entry, 24) as usize;
    let descriptors_end = count.checked_mul(DESCRIPTOR_BYTES)?.checked_add(ENTRY_HEADER_BYTES)?;
    let descriptors = entry.get(ENTRY_HEADER_BYTES..descriptors_end)?;
    let mut sectors = entry.get(descriptors_end.next_multiple_of(SECTOR_BYTES)..)?.chunks_exact(SECTOR_BYTES);
    let sequence = u64_le(entry, 16);
    for descriptor in descriptors.chunks_exact(DESCRIPTOR_BYTES) {
        let offset_bytes = u64_le(descriptor, 16);
        if u64_le(descriptor, 24) != sequence || !offset_bytes.is_multiple_of(SECTOR_BYTES as u64) {
            return None;
        }
        let patch = match descriptor.get(..4)? {
            b"zero" => Patch { offset_bytes, length_bytes: u64_le(descriptor, 8), data: None },
            b"desc" => {
                let sector = sectors.next()?;
                let stored = u64::from(u32_le(sector, 4)) << 32 | u64::from(u32_le(sector, SECTOR_BYTES - 4));
                if !sector.starts_with(b"data") || stored != sequence {
                    return None;
                }
                // The first eight and the last four bytes stand in the descriptor.
                let data = [&descriptor[8..16], &sector[8..SECTOR_BYTES - 4], &descriptor[4..8]].concat();
                Patch { offset_bytes, length_bytes: SECTOR_BYTES as u64, data: Some(data.into_boxed_slice()) }
            }
            _ => return None,
        };
        patches.push(patch);
    }
    Some(())
}
