//! An unlocked volume: the plain bytes, as block storage.

use std::sync::{PoisonError, RwLock};

use block_io::{BlockRead, BlockWrite, Error, Geometry, check_range};
use fve_crypto::SectorCipher;

use crate::convert::settle_sector;
use crate::map::{AddressMap, Segment, Source};
use crate::vista::BootSectorPatch;

/// Data encrypted in one go before it is written: bounds the memory of a write.
const WRITE_CHUNK_BYTES: usize = 256 * 1024;

/// The plain view of a volume. Reads decrypt, writes encrypt; nothing is cached, so the ordering contract is that of the
/// storage underneath.
///
/// BitLocker's own regions read as zeros; writing there is refused. Sector data carries no authentication: damaged or
/// forged sectors decrypt to noise without an error.
pub struct UnlockedVolume<D> {
    storage: D,
    parts: Parts,
    /// Writes of whole sectors share it; a write of part of a sector holds it alone, because it reads, changes and
    /// writes back bytes that another write may be changing.
    partial: RwLock<()>,
}

/// What an unlocked volume is put together from.
pub(crate) struct Parts {
    /// `None` where nothing is encrypted.
    pub(crate) cipher: Option<SectorCipher>,
    pub(crate) sector_bytes: u32,
    pub(crate) map: AddressMap,
    pub(crate) length_bytes: u64,
    pub(crate) read_only: Option<&'static str>,
    pub(crate) boot_sector: Option<BootSectorPatch>,
}

impl<D: BlockRead> UnlockedVolume<D> {
    pub(crate) fn new(storage: D, parts: Parts) -> Self {
        Self { storage, parts, partial: RwLock::new(()) }
    }

    /// Why writing is refused; `None` when it is allowed.
    pub fn why_read_only(&self) -> Option<&'static str> {
        self.parts.read_only
    }

    /// From now on writing is refused, for this reason unless there is one already.
    pub(crate) fn refuse_writes(&mut self, reason: &'static str) {
        self.parts.read_only.get_or_insert(reason);
    }

    /// Runs of the plain volume and where they come from, in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> {
        self.parts.map.segments()
    }

    pub(crate) fn into_parts(self) -> (D, Parts) {
        (self.storage, self.parts)
    }

    /// The storage underneath.
    pub(crate) fn storage(&self) -> &D {
        &self.storage
    }

    fn sector(&self) -> usize {
        // 4096 at most, checked before the volume is unlocked.
        usize::try_from(self.parts.sector_bytes).unwrap_or(512)
    }

    fn cipher(&self, at: u64) -> Result<&SectorCipher, Error> {
        self.parts.cipher.as_ref().ok_or(Error::Refused {
            offset_bytes: at,
            reason: "the volume is decrypted and has no key, but its conversion map calls this place encrypted",
        })
    }

    /// Calls `work` for each part of a request that lies in one segment: where it starts inside the request, its
    /// length, and its source moved to the part's first byte.
    fn for_each_part(
        &self,
        offset_bytes: u64,
        length: usize,
        mut work: impl FnMut(std::ops::Range<usize>, Source) -> Result<(), Error>,
    ) -> Result<(), Error> {
        check_range(offset_bytes, length, self.parts.length_bytes)?;
        let mut done = 0;
        while done < length {
            let here = offset_bytes + done as u64;
            let mut run = self.run_at(here, length - done)?;
            // Neighbouring chunks of a conversion are mostly in the same state: one request for all of them.
            let end = offset_bytes + length as u64;
            while run.end_bytes < end {
                let next = self.run_at(run.end_bytes, length - done)?;
                if !run.continues_into(&next) {
                    break;
                }
                run.end_bytes = next.end_bytes;
            }
            let left = usize::try_from(run.end_bytes - here).unwrap_or(usize::MAX);
            let part = done..length.min(done.saturating_add(left));
            done = part.end;
            work(part, run.source)?;
        }
        Ok(())
    }

    fn run_at(&self, offset_bytes: u64, length: usize) -> Result<Segment, Error> {
        self.parts.map.run_at(offset_bytes).ok_or(Error::OutOfRange {
            offset_bytes,
            length_bytes: length as u64,
            storage_bytes: self.parts.length_bytes,
        })
    }

    /// Part of a boot sector that Windows Vista patched.
    fn read_patched(&self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let (sector_at, skip) = self.sector_of(at);
        let mut sector = [0; 4096];
        let sector = &mut sector[..self.sector()];
        self.storage.read_exact_at(sector_at, sector)?;
        if let Some(patch) = &self.parts.boot_sector {
            patch.undo(sector);
        }
        out.copy_from_slice(&sector[skip..skip + out.len()]);
        Ok(())
    }

    /// Decrypts from the sector address `at`, which need not be aligned, into `out`.
    fn read_cipher(&self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let split = SectorSplit::new(at, out.len(), self.sector());
        let (head, rest) = out.split_at_mut(split.head);
        let (whole, tail) = rest.split_at_mut(split.whole);
        self.read_partial(at, head)?;
        let whole_at = at + head.len() as u64;
        if !whole.is_empty() {
            self.storage.read_exact_at(whole_at, whole)?;
            self.cipher(whole_at)?.decrypt(whole_at, whole);
        }
        self.read_partial(whole_at + whole.len() as u64, tail)
    }

    /// Part of one sector.
    fn read_partial(&self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let (sector_at, skip) = self.sector_of(at);
        let mut sector = [0; 4096];
        let sector = &mut sector[..self.sector()];
        self.storage.read_exact_at(sector_at, sector)?;
        self.cipher(sector_at)?.decrypt(sector_at, sector);
        out.copy_from_slice(&sector[skip..skip + out.len()]);
        Ok(())
    }

    /// Sectors that a conversion in place left half converted, from `at`, which need not be aligned, into `out`.
    fn read_in_between(&self, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < out.len() {
            let (sector_at, skip) = self.sector_of(at + done as u64);
            let mut sector = [0; 4096];
            let sector = &mut sector[..self.sector()];
            self.storage.read_exact_at(sector_at, sector)?;
            settle_sector(self.cipher(sector_at)?, sector_at, sector, self.parts.map.encrypted_pieces(sector_at));
            let count = (sector.len() - skip).min(out.len() - done);
            out[done..done + count].copy_from_slice(&sector[skip..skip + count]);
            done += count;
        }
        Ok(())
    }

    /// Start of the sector that holds `at`, and how far into it `at` is.
    fn sector_of(&self, at: u64) -> (u64, usize) {
        let inside = at % self.sector() as u64;
        // Below the sector size, so it fits.
        (at - inside, usize::try_from(inside).unwrap_or(0))
    }
}

impl<D: BlockWrite> UnlockedVolume<D> {
    fn write_cipher(&self, at: u64, data: &[u8]) -> Result<(), Error> {
        let split = SectorSplit::new(at, data.len(), self.sector());
        let (head, rest) = data.split_at(split.head);
        let (whole, tail) = rest.split_at(split.whole);
        self.write_partial(at, head)?;
        let mut here = at + head.len() as u64;
        if !whole.is_empty() {
            let _shared = self.partial.read().unwrap_or_else(PoisonError::into_inner);
            let mut buffer = vec![0; whole.len().min(WRITE_CHUNK_BYTES)];
            for chunk in whole.chunks(WRITE_CHUNK_BYTES) {
                let buffer = &mut buffer[..chunk.len()];
                buffer.copy_from_slice(chunk);
                self.cipher(here)?.encrypt(here, buffer);
                self.storage.write_all_at(here, buffer)?;
                here += chunk.len() as u64;
            }
        }
        self.write_partial(here, tail)
    }

    fn write_partial(&self, at: u64, data: &[u8]) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        let _alone = self.partial.write().unwrap_or_else(PoisonError::into_inner);
        let (sector_at, skip) = self.sector_of(at);
        let mut sector = [0; 4096];
        let sector = &mut sector[..self.sector()];
        self.storage.read_exact_at(sector_at, sector)?;
        self.cipher(sector_at)?.decrypt(sector_at, sector);
        sector[skip..skip + data.len()].copy_from_slice(data);
        self.cipher(sector_at)?.encrypt(sector_at, sector);
        self.storage.write_all_at(sector_at, sector)
    }
}

impl<D: BlockRead> BlockRead for UnlockedVolume<D> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.for_each_part(offset_bytes, buffer.len(), |part, source| {
            let out = &mut buffer[part];
            match source {
                Source::Zeros => out.fill(0),
                Source::Plain(at) => self.storage.read_exact_at(at, out)?,
                Source::Cipher(at) => self.read_cipher(at, out)?,
                Source::Patched(at) => self.read_patched(at, out)?,
                Source::InBetween(at) => self.read_in_between(at, out)?,
            }
            Ok(())
        })
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.parts.length_bytes, sector_bytes: self.parts.sector_bytes }
    }
}

impl<D: BlockWrite> BlockWrite for UnlockedVolume<D> {
    fn write_all_at(&self, offset_bytes: u64, data: &[u8]) -> Result<(), Error> {
        if let Some(reason) = self.parts.read_only {
            return Err(Error::Refused { offset_bytes, reason });
        }
        // First pass: a request that touches BitLocker's own regions is refused whole.
        self.for_each_part(offset_bytes, data.len(), |part, source| match source {
            Source::Zeros | Source::Patched(_) | Source::InBetween(_) => Err(Error::Refused {
                offset_bytes: offset_bytes + part.start as u64,
                reason: "BitLocker's own metadata lies there",
            }),
            _ => Ok(()),
        })?;
        self.for_each_part(offset_bytes, data.len(), |part, source| match source {
            Source::Zeros | Source::Patched(_) | Source::InBetween(_) => Ok(()),
            Source::Plain(at) => self.storage.write_all_at(at, &data[part]),
            Source::Cipher(at) => self.write_cipher(at, &data[part]),
        })
    }

    fn flush(&self) -> Result<(), Error> {
        self.storage.flush()
    }
}

/// How an unaligned run divides into part of a sector, whole sectors, part of a sector.
struct SectorSplit {
    head: usize,
    whole: usize,
}

impl SectorSplit {
    fn new(at: u64, length: usize, sector: usize) -> Self {
        let inside = usize::try_from(at % sector as u64).unwrap_or(0);
        let head = if inside == 0 { 0 } else { length.min(sector - inside) };
        let whole = (length - head) - (length - head) % sector;
        Self { head, whole }
    }
}
