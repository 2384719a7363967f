//! Reads of a volume: what is small goes through a cache of pages that all threads share.
//!
//! Structures are read a few bytes at a time, by turns in file table, directories and content; an encrypted volume
//! underneath costs the same for one byte as for a whole sector. Long reads of content go straight into the buffer of
//! the caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use block_io::BlockRead;

use crate::Error;
use crate::bytes::index;

/// Unit of the cache.
const PAGE_BYTES: u64 = 64 * 1024;
/// Each part of the cache has a lock of its own.
const SHARDS: usize = 8;
/// Pages kept by each part: 16 MiB in all.
const SHARD_PAGES: usize = 32;
/// Requests from this size on go past the cache.
const DIRECT_BYTES: usize = 32 * 1024;

#[derive(Default)]
struct Shard {
    clock: u64,
    pages: HashMap<u64, Page>,
}

struct Page {
    last_used: u64,
    bytes: Arc<[u8]>,
}

/// Pages that were read lately. The volume must not change while it is in use.
#[derive(Default)]
pub(crate) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
}

impl Cache {
    fn shard(&self, number: u64) -> std::sync::MutexGuard<'_, Shard> {
        self.shards[index(number % SHARDS as u64)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, number: u64) -> Option<Arc<[u8]>> {
        let mut shard = self.shard(number);
        shard.clock += 1;
        let clock = shard.clock;
        let page = shard.pages.get_mut(&number)?;
        page.last_used = clock;
        Some(Arc::clone(&page.bytes))
    }

    fn keep(&self, number: u64, bytes: Arc<[u8]>) {
        let mut shard = self.shard(number);
        if shard.pages.len() >= SHARD_PAGES
            && let Some(oldest) = shard.pages.iter().min_by_key(|(_, page)| page.last_used).map(|(number, _)| *number)
        {
            shard.pages.remove(&oldest);
        }
        let last_used = shard.clock;
        shard.pages.insert(number, Page { last_used, bytes });
    }
}

/// A volume and its cache, as the readers of file systems get it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'d> {
    device: &'d dyn BlockRead,
    cache: &'d Cache,
    length: u64,
}

impl<'d> Source<'d> {
    pub(crate) fn new(device: &'d dyn BlockRead, cache: &'d Cache) -> Self {
        Self { device, cache, length: device.geometry().length_bytes }
    }

    /// Length of the volume in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` from `offset`.
    pub(crate) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return Err(Error::damaged("a structure points behind the end of the volume"));
        }
        if buffer.len() >= DIRECT_BYTES {
            return Ok(self.device.read_exact_at(offset, buffer)?);
        }
        let mut rest = buffer;
        let mut offset = offset;
        while !rest.is_empty() {
            let number = offset / PAGE_BYTES;
            let inside = index(offset % PAGE_BYTES);
            let Some(page) = self.page(number) else {
                // Something in the page cannot be read; what is asked for perhaps can.
                return Ok(self.device.read_exact_at(offset, rest)?);
            };
            let available = page.get(inside..).unwrap_or_default();
            let count = available.len().min(rest.len());
            if count == 0 {
                return Err(Error::damaged("a structure points behind the end of the volume"));
            }
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&available[..count]);
            rest = later;
            offset += count as u64;
        }
        Ok(())
    }

    fn page(&self, number: u64) -> Option<Arc<[u8]>> {
        if let Some(page) = self.cache.find(number) {
            return Some(page);
        }
        let start = number * PAGE_BYTES;
        let mut bytes = vec![0; index((self.length - start).min(PAGE_BYTES))];
        self.device.read_exact_at(start, &mut bytes).ok()?;
        let page: Arc<[u8]> = bytes.into();
        self.cache.keep(number, Arc::clone(&page));
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use block_io::{Geometry, MemoryDisk};

    use super::*;

    /// A disk with one byte that cannot be read.
    struct Scratched(MemoryDisk, u64);

    impl BlockRead for Scratched {
        fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
            if (offset_bytes..offset_bytes + buffer.len() as u64).contains(&self.1) {
                return Err(block_io::Error::Refused { offset_bytes, reason: "scratched" });
            }
            self.0.read_exact_at(offset_bytes, buffer)
        }

        fn geometry(&self) -> Geometry {
            self.0.geometry()
        }
    }

    #[test]
    fn reads_equal_the_disk_and_go_around_what_cannot_be_read() {
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let disk = Scratched(MemoryDisk::new(bytes.clone()), 70_000);
        let cache = Cache::default();
        let source = Source::new(&disk, &cache);
        for (offset, length) in [(0, 10), (65_000, 2000), (1_199_990, 10), (500_000, 200_000), (69_000, 1000)] {
            let mut buffer = vec![0; length];
            source.read_exact_at(offset as u64, &mut buffer).unwrap();
            assert!(buffer == bytes[offset..offset + length], "{offset}");
        }
        assert!(matches!(source.read_exact_at(69_999, &mut [0; 2]), Err(Error::Storage(_))));
        assert!(matches!(source.read_exact_at(1_199_999, &mut [0; 2]), Err(Error::Damaged { .. })));
        assert!(matches!(source.read_exact_at(u64::MAX, &mut [0; 2]), Err(Error::Damaged { .. })));
    }

    #[test]
    fn the_cache_stays_small() {
        let disk = MemoryDisk::new(vec![7; 64 << 20]);
        let cache = Cache::default();
        let source = Source::new(&disk, &cache);
        for page in 0..1024 {
            source.read_exact_at(page * PAGE_BYTES, &mut [0; 1]).unwrap();
        }
        let kept: usize = cache.shards.iter().map(|shard| shard.lock().unwrap().pages.len()).sum();
        assert_eq!(kept, SHARDS * SHARD_PAGES);
    }
}
