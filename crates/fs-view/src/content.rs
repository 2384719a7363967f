//! The content of a file, ready to be read at any offset by any number of threads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;
use crate::bytes::index;
use crate::cache::Source;
use crate::extents::Extents;
use crate::lznt1;

/// Decompressed units kept per open file: readers of one file stay close to each other.
const KEPT_UNITS: usize = 4;

/// How the bytes are stored.
#[derive(Debug)]
enum Storage {
    /// In the file's own record.
    Resident(Vec<u8>),
    /// As they are.
    Plain(Extents),
    /// In units of some clusters; each is compressed by itself.
    Compressed { extents: Extents, unit_bytes: u64, units: Mutex<VecDeque<(u64, Arc<[u8]>)>> },
}

/// Content of a file or of one of its streams.
#[derive(Debug)]
pub(crate) struct Content {
    size: u64,
    /// Bytes behind this were never written and read as zeros, whatever is on the volume there.
    initialized: u64,
    storage: Storage,
}

impl Content {
    pub(crate) fn resident(bytes: Vec<u8>) -> Self {
        let size = bytes.len() as u64;
        Self { size, initialized: size, storage: Storage::Resident(bytes) }
    }

    /// Fails where there are fewer clusters than the size needs, or more than the volume has.
    pub(crate) fn plain(size: u64, initialized: u64, extents: Extents, volume_bytes: u64) -> Result<Self, Error> {
        check(&extents, size, volume_bytes)?;
        Ok(Self { size, initialized: initialized.min(size), storage: Storage::Plain(extents) })
    }

    /// As [`Content::plain`], for LZNT1 in units of `unit_bytes`.
    pub(crate) fn compressed(
        size: u64,
        initialized: u64,
        extents: Extents,
        unit_bytes: u64,
        volume_bytes: u64,
    ) -> Result<Self, Error> {
        check(&extents, size, volume_bytes)?;
        let storage = Storage::Compressed { extents, unit_bytes, units: Mutex::default() };
        Ok(Self { size, initialized: initialized.min(size), storage })
    }

    /// Where the bytes are, when they are on the volume as they are, all of them.
    pub(crate) fn into_plain(self) -> Option<(u64, Extents)> {
        match self.storage {
            Storage::Plain(extents) => Some((self.size, extents)),
            _ => None,
        }
    }

    /// Length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Fills as much of `buffer` as there is content from `offset` on, and tells how much.
    pub(crate) fn read_at(&self, source: Source<'_>, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = index(self.size.saturating_sub(offset)).min(buffer.len());
        let written = index(self.initialized.saturating_sub(offset)).min(count);
        let (now, zeros) = buffer[..count].split_at_mut(written);
        zeros.fill(0);
        match &self.storage {
            Storage::Resident(bytes) => {
                let start = index(offset).min(bytes.len());
                now.copy_from_slice(
                    bytes.get(start..start + written).ok_or_else(|| Error::damaged("content ends early"))?,
                );
            }
            Storage::Plain(extents) => extents.read_exact_at(source, offset, now)?,
            Storage::Compressed { .. } => self.read_compressed(source, offset, now)?,
        }
        Ok(count)
    }

    /// Fills all of `buffer`.
    pub(crate) fn read_exact_at(&self, source: Source<'_>, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        match self.read_at(source, offset, buffer)? {
            count if count == buffer.len() => Ok(()),
            _ => Err(Error::damaged("content ends before its length")),
        }
    }

    fn read_compressed(&self, source: Source<'_>, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let Storage::Compressed { unit_bytes, .. } = &self.storage else { return Ok(()) };
        let (mut offset, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let inside = index(offset % unit_bytes);
            let count = (index(*unit_bytes) - inside).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            self.read_in_unit(source, offset / unit_bytes, inside, now)?;
            rest = later;
            offset += count as u64;
        }
        Ok(())
    }

    /// Reads a part of one unit. The clusters it has tell what it is: none, a hole; all, plain bytes; some, compressed.
    fn read_in_unit(&self, source: Source<'_>, number: u64, inside: usize, buffer: &mut [u8]) -> Result<(), Error> {
        let Storage::Compressed { extents, unit_bytes, units } = &self.storage else { return Ok(()) };
        let start = number * unit_bytes;
        let stored = stored_from(extents, start, *unit_bytes);
        if stored == 0 {
            buffer.fill(0);
            return Ok(());
        }
        if stored == *unit_bytes {
            return extents.read_exact_at(source, start + inside as u64, buffer);
        }
        let lock = || units.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().iter().find(|(known, _)| *known == number).map(|(_, unit)| Arc::clone(unit));
        let unit = match known {
            Some(unit) => unit,
            None => {
                let mut packed = vec![0; index(stored)];
                extents.read_exact_at(source, start, &mut packed)?;
                let mut unit = vec![0; index(*unit_bytes)];
                // The last unit may say nothing of what lies behind the end.
                let needed = index((self.initialized - start).min(*unit_bytes));
                lznt1::decompress(&packed, &mut unit, needed)?;
                let unit: Arc<[u8]> = unit.into();
                let mut units = lock();
                if units.len() >= KEPT_UNITS {
                    units.pop_front();
                }
                units.push_back((number, Arc::clone(&unit)));
                unit
            }
        };
        let bytes = unit.get(inside..inside + buffer.len()).ok_or_else(|| Error::damaged("a unit ends early"))?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// Stored bytes at the start of a unit, up to its first hole.
fn stored_from(extents: &Extents, start: u64, unit_bytes: u64) -> u64 {
    let mut stored = 0;
    while stored < unit_bytes {
        match extents.part_at(start + stored) {
            Some(part) if part.place.is_some() => stored += part.length,
            _ => break,
        }
    }
    stored.min(unit_bytes)
}

fn check(extents: &Extents, size: u64, volume_bytes: u64) -> Result<(), Error> {
    if extents.covered() < size || extents.stored() > volume_bytes {
        return Err(Error::damaged(format!("content of {size} bytes has clusters for {}", extents.covered())));
    }
    Ok(())
}
