//! The stream that the library for writing FAT works on: cached reads, writes straight through.

use std::io::{self, Read, Seek, SeekFrom, Write};

use block_io::{BlockRead, BlockWrite};

/// Unit of the cache. Libraries read a few bytes at a time, by turns in the file table, directories and content.
const SLOT_BYTES: usize = 16 * 1024;
/// Slots kept: 1 MiB in all.
const SLOTS: usize = 64;
/// Requests from this size on go past the cache.
const DIRECT_BYTES: usize = 32 * 1024;

struct Slot {
    start: u64,
    last_used: u64,
    bytes: Vec<u8>,
}

/// A position on a device, with a small cache.
pub(crate) struct WriteStream<D> {
    device: D,
    length: u64,
    position: u64,
    clock: u64,
    slots: Vec<Slot>,
}

impl<D: BlockRead> WriteStream<D> {
    /// A stream at byte 0.
    pub(crate) fn new(device: D) -> Self {
        let length = device.geometry().length_bytes;
        Self { device, length, position: 0, clock: 0, slots: Vec::new() }
    }

    fn direct(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.device.read_exact_at(self.position, buffer)?;
        Ok(())
    }

    /// The cached bytes from the current position to the end of their slot.
    fn cached(&mut self) -> io::Result<&[u8]> {
        let start = self.position - self.position % SLOT_BYTES as u64;
        self.clock += 1;
        let index = match self.slots.iter().position(|slot| slot.start == start) {
            Some(index) => index,
            None => self.load(start)?,
        };
        let slot = &mut self.slots[index];
        slot.last_used = self.clock;
        let distance = usize::try_from(self.position - start).unwrap_or(usize::MAX);
        Ok(slot.bytes.get(distance..).unwrap_or_default())
    }

    /// Reads a slot from the device in place of the one that was not used for longest.
    fn load(&mut self, start: u64) -> io::Result<usize> {
        let count = usize::try_from(self.length.saturating_sub(start)).unwrap_or(usize::MAX).min(SLOT_BYTES);
        let mut bytes = vec![0; count];
        self.device.read_exact_at(start, &mut bytes)?;
        let slot = Slot { start, last_used: self.clock, bytes };
        if self.slots.len() < SLOTS {
            self.slots.push(slot);
            return Ok(self.slots.len() - 1);
        }
        let oldest = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.last_used).map_or(0, |(index, _)| index);
        self.slots[oldest] = slot;
        Ok(oldest)
    }
}

/// Copies the part of `source` (which stands at `source_start`) that lies in `target` (at `target_start`).
fn copy_overlap(source_start: u64, source: &[u8], target_start: u64, target: &mut [u8]) {
    let start = source_start.max(target_start);
    let end = (source_start + source.len() as u64).min(target_start + target.len() as u64);
    let index = |position: u64, base: u64| usize::try_from(position - base).unwrap_or(usize::MAX);
    if start < end {
        target[index(start, target_start)..index(end, target_start)]
            .copy_from_slice(&source[index(start, source_start)..index(end, source_start)]);
    }
}

impl<D: BlockRead> Read for WriteStream<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        if buffer.is_empty() {
            return Ok(0);
        }
        if left == 0 {
            // Not an end of file: file systems know where they end, so that only a wrong pointer leads here.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a structure points behind the end of the volume"));
        }
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = if wanted >= DIRECT_BYTES {
            self.direct(&mut buffer[..wanted])?;
            wanted
        } else {
            let cached = self.cached()?;
            let count = cached.len().min(wanted);
            buffer[..count].copy_from_slice(&cached[..count]);
            count
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl<D: BlockRead> Seek for WriteStream<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(distance) => self.length.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before byte 0"))?;
        Ok(self.position)
    }
}

impl<D: BlockWrite> Write for WriteStream<D> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.device.write_all_at(self.position, data)?;
        for slot in &mut self.slots {
            copy_overlap(self.position, data, slot.start, &mut slot.bytes);
        }
        self.position += data.len() as u64;
        Ok(data.len())
    }

    /// Nothing: `fatfs` flushes after every entry. The caller flushes the device once at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
