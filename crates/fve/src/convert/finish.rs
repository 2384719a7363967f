//! The steps at the ends of a conversion. Each can be done again from its beginning: a power cut in its midst costs nothing.

use std::ops::Range;

use block_io::BlockWrite;
use fve_format::in_place::{Direction, FsWrite, LOG_RECORD_BYTES, LogRecord, MASKED_SIGNATURE, Phase, encode_writes};
use fve_format::{METADATA_REGION_BYTES, MetadataBlock};

use crate::Error;
use crate::convert::engine::Converter;
use crate::convert::journal::{owned, read_body, unknown};
use crate::convert::start::{apply, cut_out};
use crate::convert::state::SIGNATURE;

/// Zeros written in one go.
const WIPE_BYTES: usize = 1024 * 1024;
/// What every disk writes whole.
const FIRST_BYTES: usize = 512;

impl<D: BlockWrite> Converter<D> {
    /// Encryption begins: the file system gives up the places, its first sectors go, its last sector is encrypted.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        let tail = self.space.tail();
        for write in &self.lists.reserve {
            let mut bytes = write.bytes.clone();
            if write.range() == tail {
                self.cipher()?.encrypt(tail.start, &mut bytes);
            }
            self.storage.write_all_at(write.offset_bytes, &bytes)?;
        }
        let first = FIRST_BYTES as u64;
        self.wipe(first..self.header.header_bytes)?;
        self.storage.flush()?;
        Ok(())
    }

    /// Takes the signature of the metadata blocks away, so that nothing finds a finished volume.
    pub(crate) fn mask_metadata(&self) -> Result<(), Error> {
        self.sign_metadata(SIGNATURE, MASKED_SIGNATURE)
    }

    fn sign_metadata(&self, from: [u8; 8], to: [u8; 8]) -> Result<(), Error> {
        let mut changed = false;
        for at in self.header.metadata_offsets {
            let mut first = [0; FIRST_BYTES];
            self.storage.read_exact_at(at, &mut first)?;
            if first.starts_with(&from) {
                first[..to.len()].copy_from_slice(&to);
                self.storage.write_all_at(at, &first)?;
                changed = true;
            }
        }
        if changed {
            self.storage.flush()?;
        }
        Ok(())
    }

    /// All is encrypted: the volume gets its signatures and, last, its header. What the journal kept of the plain data is
    /// gone before that.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.direction = Direction::Encrypt;
        let end = self.space.total();
        for _ in 0..2 {
            self.write_record(Phase::Finishing, end..end, true, &[])?;
            self.storage.flush()?;
            // The body's place is not read any more.
            let body = self.header.body_at(self.sequence);
            self.wipe(body..body + u64::from(self.header.body_bytes))?;
        }
        self.storage.flush()?;
        self.sign_metadata(MASKED_SIGNATURE, SIGNATURE)?;
        for at in self.header.metadata_offsets {
            let mut region = vec![0; METADATA_REGION_BYTES];
            self.storage.read_exact_at(at, &mut region)?;
            MetadataBlock::parse(&region)?;
        }
        self.storage.write_all_at(0, &self.volume_header)?;
        self.storage.flush()?;
        // Free space of the file system again: encrypted zeros, as if nothing had ever been there.
        let cipher = self.cipher()?;
        self.fill(self.header.journal(), |at, zeros| cipher.encrypt(at, zeros))?;
        self.storage.flush()?;
        Ok(())
    }

    /// All is plain but the first and the last sectors: writes down what is left to do, so that no key is needed for it.
    pub(crate) fn begin_restoring(&mut self) -> Result<(), Error> {
        let (cipher, tail) = (self.cipher()?, self.space.tail());
        let mut head = vec![0; usize::try_from(self.header.header_bytes).unwrap_or(0)];
        self.storage.read_exact_at(self.header.header_offset_bytes, &mut head)?;
        cipher.decrypt(self.header.header_offset_bytes, &mut head);
        let mut last = vec![0; usize::try_from(tail.end - tail.start).unwrap_or(0)];
        self.storage.read_exact_at(tail.start, &mut last)?;
        cipher.decrypt(tail.start, &mut last);
        apply(&self.lists.release, 0, &mut head);
        apply(&self.lists.release, tail.start, &mut last);
        let ends = [0..self.header.header_bytes, tail.clone()];
        let mut writes: Vec<FsWrite> = self.lists.release.iter().flat_map(|write| cut_out(write, &ends)).collect();
        writes.push(FsWrite { offset_bytes: tail.start, bytes: last });
        writes.push(FsWrite { offset_bytes: 0, bytes: head });
        self.write_record(Phase::Restoring, 0..0, true, &encode_writes(&writes)?)?;
        self.storage.flush()?;
        Ok(())
    }

    /// All is plain, and the log says what is left to do: the file system gets its places and its last and first sectors
    /// back, and then nothing of BitLocker is left.
    pub(crate) fn restore(&mut self) -> Result<(), Error> {
        let mut first = None;
        for write in self.last_writes()? {
            match write.bytes.split_first_chunk::<FIRST_BYTES>() {
                Some((sector, behind)) if write.offset_bytes == 0 => {
                    self.storage.write_all_at(FIRST_BYTES as u64, behind)?;
                    first = Some(*sector);
                }
                _ => self.storage.write_all_at(write.offset_bytes, &write.bytes)?,
            }
        }
        let first = first.ok_or(unknown("the last record of its log has no first sector"))?;
        self.storage.flush()?;
        self.storage.write_all_at(0, &first)?;
        self.storage.flush()?;
        for at in self.header.metadata_offsets {
            self.wipe(at..at + METADATA_REGION_BYTES as u64)?;
        }
        let moved = self.header.header_offset_bytes;
        self.wipe(moved..moved + self.header.header_bytes)?;
        self.wipe(self.header.journal())?;
        self.storage.flush()?;
        Ok(())
    }

    /// What the record of the last steps says. Read from the volume, so that it is the same whoever wrote it.
    fn last_writes(&self) -> Result<Vec<FsWrite>, Error> {
        let mut bytes = [0; LOG_RECORD_BYTES];
        self.storage.read_exact_at(self.header.slot_at(self.sequence), &mut bytes)?;
        let record = LogRecord::parse(&bytes)?;
        if (record.phase, record.sequence) != (Phase::Restoring, self.sequence) {
            return Err(unknown("the last record of its log is another"));
        }
        let body = read_body(&self.storage, &self.header, &record)?;
        let writes = owned(&body.ok_or(unknown("the last record of its log is damaged"))?)?;
        let volume_bytes = self.header.volume_bytes;
        if writes.iter().any(|write| write.range().end > volume_bytes) {
            return Err(unknown("the last record of its log writes outside the volume"));
        }
        Ok(writes)
    }

    fn wipe(&self, range: Range<u64>) -> Result<(), Error> {
        self.fill(range, |_, _| ())
    }

    /// Writes over a range what `make` makes of zeros.
    fn fill(&self, range: Range<u64>, make: impl Fn(u64, &mut [u8])) -> Result<(), Error> {
        let mut at = range.start;
        while at < range.end {
            let count = WIPE_BYTES.min(usize::try_from(range.end - at).unwrap_or(WIPE_BYTES));
            let mut zeros = vec![0; count];
            make(at, &mut zeros);
            self.storage.write_all_at(at, &zeros)?;
            at += count as u64;
        }
        Ok(())
    }
}
