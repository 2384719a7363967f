//! The plain volume as one run of bytes.
//!
//! Order of an export's end: whoever serves takes no new requests, finishes those under way, and calls [`Disk::finish`],
//! which refuses later writes and makes everything durable. Only then may the program say that it is done.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use block_io::{BlockWrite, Error, Geometry, check_range};

/// Whether a disk may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every write is refused.
    ReadOnly,
    /// Writes go to the device.
    ReadWrite,
}

/// Block storage as it is shown to others, who send requests that are not made for it: pieces that a kernel put together
/// from the writes of several programs, or the zeros of a program that clears a whole disk.
///
/// - A write is done as far as the device takes it. Where the device refuses a part, the rest is written all the same:
///   the rest may be somebody else's data. A refused part that already holds the very bytes is no error.
/// - [`Disk::flush`] returns once everything that was written before is durable. After one flush failed, all fail:
///   nobody can tell any more which of the writes are safe.
pub struct Disk {
    device: Box<dyn BlockWrite>,
    access: Access,
    geometry: Geometry,
    /// Writes that returned, and how many of them the last good flush covered.
    written: AtomicU64,
    flushed: AtomicU64,
    flush_failed: AtomicBool,
    /// Held by whoever flushes. A system tells a failure to one of two who flush at once, and the other would hear that all
    /// is well. Whoever waits is mostly covered by the flush of another then.
    flushing: Mutex<()>,
    finished: AtomicBool,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Disk")
            .field("access", &self.access)
            .field("geometry", &self.geometry)
            .finish_non_exhaustive()
    }
}

impl Disk {
    /// Shows `device`.
    #[must_use]
    pub fn new(device: Box<dyn BlockWrite>, access: Access) -> Self {
        let geometry = device.geometry();
        Self {
            device,
            access,
            geometry,
            written: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            flush_failed: AtomicBool::new(false),
            flushing: Mutex::new(()),
            finished: AtomicBool::new(false),
        }
    }

    /// Length in bytes; constant.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.geometry.length_bytes
    }

    /// Size of a sector in bytes.
    #[must_use]
    pub fn sector_bytes(&self) -> u32 {
        self.geometry.sector_bytes
    }

    /// Whether writes are allowed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.access == Access::ReadWrite
    }

    /// Fills all of `buffer` from `offset_bytes`.
    ///
    /// # Errors
    /// Those of the device.
    pub fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.device.read_exact_at(offset_bytes, buffer)
    }

    /// Writes `data` at `offset_bytes`, as far as the device takes it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::OutOfRange`], without effect; [`Error::Refused`] when a part was refused and holds
    /// other bytes; those of the device.
    pub fn write_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        if !self.is_writable() {
            return Err(Error::ReadOnly);
        }
        if self.finished.load(Ordering::SeqCst) {
            return Err(Error::Refused { offset_bytes, reason: "the export has ended" });
        }
        check_range(offset_bytes, data.len(), self.geometry.length_bytes)?;
        let done = self.write_parts(offset_bytes, data);
        // Also after a failure: a part may have been written.
        self.written.fetch_add(1, Ordering::SeqCst);
        done
    }

    /// Returns once every write that returned before this call is durable; at once when there is none.
    ///
    /// # Errors
    /// [`Error::Io`] when this flush or an earlier one failed.
    pub fn flush(&self) -> Result<(), Error> {
        let wanted = self.written.load(Ordering::SeqCst);
        let _alone = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.flush_failed.load(Ordering::SeqCst) {
            let source = io::Error::other("an earlier flush failed; what was written since may be lost");
            return Err(Error::Io { operation: "flush", offset_bytes: 0, source });
        }
        if self.flushed.load(Ordering::SeqCst) >= wanted {
            return Ok(());
        }
        let written = self.written.load(Ordering::SeqCst);
        match self.device.flush() {
            Ok(()) => {
                self.flushed.store(written, Ordering::SeqCst);
                Ok(())
            }
            Err(error) => {
                self.flush_failed.store(true, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    /// Ends the export: later writes are refused, earlier ones are durable when this returns.
    ///
    /// # Errors
    /// As [`Disk::flush`].
    pub fn finish(&self) -> Result<(), Error> {
        self.finished.store(true, Ordering::SeqCst);
        self.flush()
    }

    /// Halves a refused write until the refused part is one sector.
    fn write_parts(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        let refusal = match self.device.write_all_at(offset_bytes, data) {
            Err(refusal @ Error::Refused { .. }) => refusal,
            other => return other,
        };
        match self.middle_sector(offset_bytes, data.len()) {
            Some(middle) => {
                let (first, second) = data.split_at(middle);
                let first = self.write_parts(offset_bytes, first);
                let second = self.write_parts(offset_bytes + middle as u64, second);
                first.and(second)
            }
            None if self.holds(offset_bytes, data) => Ok(()),
            None => Err(refusal),
        }
    }

    /// Where to cut a request: a boundary of sectors near its middle; `None` when there is none inside.
    fn middle_sector(&self, offset_bytes: u64, length: usize) -> Option<usize> {
        let sector = u64::from(self.geometry.sector_bytes.max(1));
        let end = offset_bytes + length as u64;
        let middle = (offset_bytes + length as u64 / 2) / sector * sector;
        let cut = if middle > offset_bytes { middle } else { offset_bytes / sector * sector + sector };
        if cut < end { usize::try_from(cut - offset_bytes).ok() } else { None }
    }

    fn holds(&self, offset_bytes: u64, data: &[u8]) -> bool {
        let mut there = vec![0; data.len()];
        self.device.read_exact_at(offset_bytes, &mut there).is_ok() && there == data
    }
}

/// What an error of a disk means to whoever asked for it over a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Writing is not allowed.
    ReadOnly,
    /// The request reaches past the end.
    OutOfRange,
    /// There is no room left for what was written.
    NoSpace,
    /// Everything else.
    Failed,
}

impl Fault {
    /// Sorts an error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::ReadOnly => Self::ReadOnly,
            Error::OutOfRange { .. } => Self::OutOfRange,
            Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Self::NoSpace,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use block_io::{BlockRead, MemoryDisk};

    use super::*;

    /// A device with a region that reads as zeros and takes no writes, and whose flush can be made to fail.
    struct Fenced {
        inner: MemoryDisk,
        fence: std::ops::Range<u64>,
        flush_fails: AtomicBool,
        flushes: AtomicU64,
        /// As systems do: a failure is told to one flush, the next is told that all is well.
        fails_once_slowly: AtomicBool,
    }

    impl BlockRead for Fenced {
        fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
            self.inner.read_exact_at(offset_bytes, buffer)
        }
        fn geometry(&self) -> Geometry {
            self.inner.geometry()
        }
    }

    impl BlockWrite for Fenced {
        fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
            if offset_bytes < self.fence.end && offset_bytes + data.len() as u64 > self.fence.start {
                return Err(Error::Refused { offset_bytes, reason: "fenced" });
            }
            self.inner.write_all_at(offset_bytes, data)
        }
        fn flush(&self) -> Result<(), Error> {
            self.flushes.fetch_add(1, Ordering::SeqCst);
            if self.fails_once_slowly.swap(false, Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(200));
                return Err(Error::Io { operation: "flush", offset_bytes: 0, source: io::Error::other("medium") });
            }
            if self.flush_fails.load(Ordering::SeqCst) {
                return Err(Error::Io { operation: "flush", offset_bytes: 0, source: io::Error::other("medium") });
            }
            Ok(())
        }
    }

    fn fenced() -> (Arc<Fenced>, Disk) {
        let device = Arc::new(Fenced {
            inner: MemoryDisk::new(vec![0; 16384]),
            fence: 5120..6656,
            flush_fails: AtomicBool::new(false),
            flushes: AtomicU64::new(0),
            fails_once_slowly: AtomicBool::new(false),
        });
        (device.clone(), Disk::new(Box::new(device), Access::ReadWrite))
    }

    #[test]
    fn around_a_refused_part_everything_is_written() {
        let (device, disk) = fenced();
        assert!(matches!(disk.write_at(100, &[7; 16000]), Err(Error::Refused { offset_bytes: 5120.., .. })));
        let bytes = device.inner.to_vec();
        for (at, byte) in bytes.iter().enumerate() {
            let expected = if (100..16100).contains(&at) && !(5120..6656).contains(&at) { 7 } else { 0 };
            assert_eq!(*byte, expected, "byte {at}");
        }
    }

    #[test]
    fn writing_what_is_there_already_is_no_error() {
        let (device, disk) = fenced();
        disk.write_at(0, &[1; 5120]).unwrap();
        disk.write_at(0, &[0; 16384]).unwrap();
        assert_eq!(device.inner.to_vec(), vec![0; 16384]);
    }

    #[test]
    fn a_flush_without_writes_asks_nothing_and_a_failed_one_stays_failed() {
        let (device, disk) = fenced();
        disk.flush().unwrap();
        assert_eq!(device.flushes.load(Ordering::SeqCst), 0);
        disk.write_at(0, &[1]).unwrap();
        disk.flush().unwrap();
        disk.flush().unwrap();
        assert_eq!(device.flushes.load(Ordering::SeqCst), 1);
        disk.write_at(0, &[1]).unwrap();
        device.flush_fails.store(true, Ordering::SeqCst);
        assert!(disk.flush().is_err());
        device.flush_fails.store(false, Ordering::SeqCst);
        assert!(disk.flush().is_err());
        assert!(disk.finish().is_err());
    }

    #[test]
    fn of_many_who_flush_at_once_none_is_told_that_lost_data_is_safe() {
        let (device, disk) = fenced();
        disk.write_at(0, &[1]).unwrap();
        device.fails_once_slowly.store(true, Ordering::SeqCst);
        let told = std::thread::scope(|scope| {
            let flushes: Vec<_> = (0..8).map(|_| scope.spawn(|| disk.flush().is_ok())).collect();
            flushes.into_iter().map(|flush| flush.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(told, [false; 8]);
    }

    #[test]
    fn read_only_and_ended_disks_take_no_writes() {
        let disk = Disk::new(Box::new(MemoryDisk::new(vec![0; 512])), Access::ReadOnly);
        assert!(matches!(disk.write_at(0, &[1]), Err(Error::ReadOnly)));
        let disk = Disk::new(Box::new(MemoryDisk::new(vec![0; 512])), Access::ReadWrite);
        assert!(matches!(disk.write_at(512, &[1]), Err(Error::OutOfRange { .. })));
        disk.finish().unwrap();
        assert!(matches!(disk.write_at(0, &[1]), Err(Error::Refused { .. })));
    }
}
