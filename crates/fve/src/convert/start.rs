//! The beginning of a conversion: everything is checked, then written into free places and read back, and only then does the
//! conversion header go into sector 0. A power cut before that leaves the volume as it was.

use std::ops::Range;

use block_io::{BlockRead, BlockWrite};
use fve_crypto::{SectorCipher, sha256};
use fve_format::in_place::{
    ConversionHeader, Direction, FsWrite, JournalHeader, LogRecord, MASKED_SIGNATURE, MAX_BATCH_BYTES, PAYLOAD_MARK,
    Phase, UNIT_BYTES, encode_writes,
};
use fve_format::{Guid, METADATA_REGION_BYTES, VOLUME_HEADER_BYTES, VolumeHeader, VolumeLayout, VolumeState};

use crate::convert::engine::Converter;
use crate::convert::journal::unknown;
use crate::convert::space::Space;
use crate::convert::{BATCH_BYTES, Places};
use crate::create::{HEADER_BYTES, metadata_block, random_array, random_guid, volume_header};
use crate::keys::sector_method;
use crate::{
    CopyHealth, CreateOptions, EncryptionMethod, Error, Fvek, KeyMaterial, Placement, UnlockOptions, Vmk, Volume,
};

/// What a volume shall become.
pub struct EncryptOptions {
    /// Method, secrets and description. Its placement is the size of the volume, in whole sectors, and the places of the
    /// metadata.
    pub volume: CreateOptions,
    /// Identifier that the recovery-password protector gets: known before anything is written, so that the recovery
    /// password can be saved with it first.
    pub recovery_identifier: Guid,
    /// Size of the sectors to encrypt: that of the file system inside.
    pub sector_bytes: u32,
    /// Where the journal goes.
    pub journal: Range<u64>,
    /// Writes by which the file system inside gives up the places of the metadata; of those that overlap, the later counts.
    pub writes: Vec<FsWrite>,
    /// Bytes converted in one go; less where the journal has no room. [`BATCH_BYTES`] unless there is a reason.
    pub batch_bytes: u32,
}

/// How a volume is decrypted.
pub struct DecryptOptions {
    /// Where the journal goes.
    pub journal: Range<u64>,
    /// Writes by which the file system inside gets the places of the metadata back; of those that overlap, the later counts.
    pub writes: Vec<FsWrite>,
    /// As for encrypting.
    pub batch_bytes: u32,
}

/// How long the journal should be, for writes of `writes_bytes` in all, `writes` of them.
#[must_use]
pub fn journal_bytes(batch_bytes: u32, writes: usize, writes_bytes: u64) -> u64 {
    // Each is kept twice, and may be cut in three where first and last sectors begin and end.
    let lists = 2 * writes_bytes + 12 * 6 * writes as u64 + HEADER_BYTES + 4 * UNIT_BYTES;
    let lists = u32::try_from(lists).unwrap_or(u32::MAX - 4096);
    ConversionHeader::journal_bytes(round_up(lists), round_up(lists.max(ConversionHeader::kept_bytes(batch_bytes))))
}

impl EncryptOptions {
    /// Options with a new identifier and batches of the usual size.
    #[must_use]
    pub fn new(volume: CreateOptions, sector_bytes: u32, places: &Places, writes: Vec<FsWrite>) -> Self {
        let placement = Placement {
            volume_bytes: volume.placement.volume_bytes,
            metadata_offsets: places.metadata_offsets,
            header_offset_bytes: places.header_offset_bytes,
        };
        let volume = CreateOptions { placement, ..volume };
        let (recovery_identifier, journal) = (random_guid(), places.journal.clone());
        Self { volume, recovery_identifier, sector_bytes, journal, writes, batch_bytes: BATCH_BYTES }
    }
}

impl<D: BlockWrite> Converter<D> {
    /// Begins to encrypt a plain volume. `storage` is the volume; less than a sector behind its end stays as it is.
    ///
    /// # Errors
    /// [`Error::CannotConvert`], [`Error::BadSize`], [`Error::BadPlace`], [`Error::UnsupportedMethod`], [`Error::Storage`]:
    /// the volume is as it was, outside the places.
    pub fn encrypt(storage: D, options: &EncryptOptions) -> Result<Self, Error> {
        let (placement, sector_bytes) = (&options.volume.placement, options.sector_bytes);
        check_size(&storage, placement.volume_bytes, sector_bytes)?;
        check_method(options.volume.method, sector_bytes)?;
        let mut head = vec![0; usize::try_from(HEADER_BYTES).unwrap_or(0)];
        storage.read_exact_at(0, &mut head)?;
        check_plain(&head, sector_bytes)?;

        let mut header = ConversionHeader {
            identifier: random_array(),
            sector_bytes,
            batch_bytes: options.batch_bytes,
            volume_bytes: placement.volume_bytes,
            metadata_offsets: placement.metadata_offsets,
            header_offset_bytes: placement.header_offset_bytes,
            header_bytes: HEADER_BYTES,
            journal_offset_bytes: options.journal.start,
            payload_bytes: round_up(0),
            body_bytes: round_up(0),
        };
        let tail = placement.volume_bytes - u64::from(sector_bytes)..placement.volume_bytes;
        let own = |header: &ConversionHeader| own_places(header, &options.journal);
        let writes = apart(&options.writes);
        check_writes(&writes, placement.volume_bytes, &own(&header))?;
        let mut lists = Lists { reserve: Vec::new(), release: before(&storage, &writes)? };
        let mut last = vec![0; usize::try_from(sector_bytes).unwrap_or(0)];
        storage.read_exact_at(tail.start, &mut last)?;
        apply(&writes, 0, &mut head);
        apply(&writes, tail.start, &mut last);
        lists.reserve = writes.iter().flat_map(|write| cut_out(write, &[0..HEADER_BYTES, tail.clone()])).collect();
        lists.reserve.push(FsWrite { offset_bytes: tail.start, bytes: last });
        let lists = fit(&mut header, lists, &options.journal)?;
        let space = Space::new(&header, storage.geometry().length_bytes)?;

        let (vmk, fvek) = (Vmk::random(), Fvek::random(options.volume.method)?);
        let mut region =
            metadata_block(&options.volume, sector_bytes, &vmk, &fvek, options.recovery_identifier)?.encode()?;
        region[..MASKED_SIGNATURE.len()].copy_from_slice(&MASKED_SIGNATURE);
        let cipher = SectorCipher::new(sector_method(fvek.method)?, fvek.key.expose(), sector_bytes)
            .map_err(|_| Error::UnsupportedMethod(fvek.method))?;
        let first: [u8; VOLUME_HEADER_BYTES] =
            *head.first_chunk().ok_or(Error::CannotConvert("it has no first sector"))?;
        let volume_header = volume_header(first, sector_bytes, placement);
        cipher.encrypt(header.header_offset_bytes, &mut head);

        let mut writes = journal_writes(&header, &lists, volume_header, &cipher, Phase::Preparing, &space)?;
        writes.push((header.header_offset_bytes, head));
        writes.extend(header.metadata_offsets.map(|at| (at, region.clone())));
        begin(&storage, &header, &writes)?;
        Ok(Self::started(storage, cipher, header, volume_header, space, lists, Phase::Preparing))
    }

    /// Begins to decrypt a finished volume.
    ///
    /// # Errors
    /// As [`Volume::unlock`]; [`Error::CannotConvert`], [`Error::BadPlace`], [`Error::Storage`]: the volume is as it was,
    /// outside the journal's place.
    pub fn decrypt(volume: Volume<D>, material: &dyn KeyMaterial, options: &DecryptOptions) -> Result<Self, Error> {
        check_finished(&volume)?;
        let volume_header = volume.header().encode();
        let (sector_bytes, volume_bytes) = (volume.sector_bytes(), volume.volume_bytes());
        let method = volume.metadata().method;
        let (metadata_offsets, (header_offset_bytes, header_bytes)) = volume.places_of_structures();
        check_method(method, sector_bytes)?;
        let (unlocked, _) = volume.unlock(material, UnlockOptions::default())?;
        if let Some(reason) = unlocked.why_read_only() {
            return Err(Error::CannotConvert(reason));
        }
        let (storage, parts) = unlocked.into_parts();
        let cipher = parts.cipher.ok_or(Error::Decrypted)?;
        let mut header = ConversionHeader {
            identifier: random_array(),
            sector_bytes,
            batch_bytes: options.batch_bytes,
            volume_bytes,
            metadata_offsets,
            header_offset_bytes,
            header_bytes,
            journal_offset_bytes: options.journal.start,
            payload_bytes: round_up(0),
            body_bytes: round_up(0),
        };
        let release = apart(&options.writes);
        check_writes(&release, volume_bytes, &own_places(&header, &options.journal))?;
        let lists = Lists { reserve: Vec::new(), release };
        let lists = fit(&mut header, lists, &options.journal)?;
        let space = Space::new(&header, storage.geometry().length_bytes)?;
        let writes = journal_writes(&header, &lists, volume_header, &cipher, Phase::Converting, &space)?;
        begin(&storage, &header, &writes)?;
        Ok(Self::started(storage, cipher, header, volume_header, space, lists, Phase::Converting))
    }
}

/// Writes to the file system, in both directions.
pub(crate) struct Lists {
    pub(crate) reserve: Vec<FsWrite>,
    pub(crate) release: Vec<FsWrite>,
}

/// Writes everything into free places, reads it back, and then writes the conversion header.
fn begin(storage: &impl BlockWrite, header: &ConversionHeader, writes: &[(u64, Vec<u8>)]) -> Result<(), Error> {
    for (at, bytes) in writes {
        storage.write_all_at(*at, bytes)?;
    }
    storage.flush()?;
    let mut read = Vec::new();
    for (at, bytes) in writes {
        read.resize(bytes.len(), 0);
        storage.read_exact_at(*at, &mut read)?;
        if read != *bytes {
            return Err(Error::CannotConvert("what was written into its free space does not read back"));
        }
    }
    storage.write_all_at(0, &header.encode())?;
    storage.flush()?;
    Ok(())
}

/// Both copies of the journal header with their payloads, and the first record.
fn journal_writes(
    header: &ConversionHeader,
    lists: &Lists,
    volume_header: [u8; VOLUME_HEADER_BYTES],
    cipher: &SectorCipher,
    phase: Phase,
    space: &Space,
) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let (reserve, release) = (encode_writes(&lists.reserve)?, encode_writes(&lists.release)?);
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut writes = Vec::new();
    for copy in 0..2 {
        let mut payload = [PAYLOAD_MARK.as_slice(), &reserve, &release].concat();
        payload.resize(header.payload_bytes as usize, 0);
        cipher.encrypt(header.payload_at(copy), &mut payload);
        let journal = JournalHeader {
            identifier: header.identifier,
            reserve_bytes: size(&reserve),
            release_bytes: size(&release),
            payload_hash: sha256(&payload),
            volume_header,
        };
        writes.push((header.payload_at(copy), payload));
        writes.push((header.journal_header_at(copy), journal.encode().to_vec()));
    }
    let (direction, start) = match phase {
        Phase::Preparing => (Direction::Encrypt, 0),
        _ => (Direction::Decrypt, space.total()),
    };
    let record = LogRecord {
        identifier: header.identifier,
        sequence: 1,
        phase,
        direction,
        start,
        length: 0,
        body_bytes: 0,
        is_settled: true,
        body_hash: sha256(&[]),
    };
    writes.push((header.slot_at(1), record.encode().to_vec()));
    Ok(writes)
}

/// Sizes the parts of the journal, with batches as large as it has room for.
fn fit(header: &mut ConversionHeader, lists: Lists, journal: &Range<u64>) -> Result<Lists, Error> {
    let room = journal.end.saturating_sub(journal.start);
    let payload = PAYLOAD_MARK.len() + encode_writes(&lists.reserve)?.len() + encode_writes(&lists.release)?.len();
    // The last record holds the first and the last sectors and what is written when the places are released.
    let cut = 12 * 3 * (lists.release.len() + 1);
    let ends = usize::try_from(header.header_bytes).unwrap_or(usize::MAX).saturating_add(header.sector_bytes as usize);
    let last = ends.saturating_add(encode_writes(&lists.release)?.len() + cut);
    let size = |bytes: usize| u32::try_from(bytes).ok().filter(|bytes| *bytes <= 4 << 20).map(round_up);
    let too_many = Error::CannotConvert("its file system needs more changes than the journal takes");
    let (Some(payload), Some(last)) = (size(payload), size(last)) else { return Err(too_many) };
    header.payload_bytes = payload;
    let mut batch = round_up(options_batch(header.batch_bytes));
    loop {
        header.batch_bytes = batch;
        header.body_bytes = last.max(round_up(ConversionHeader::kept_bytes(batch)));
        if ConversionHeader::journal_bytes(header.payload_bytes, header.body_bytes) <= room {
            return Ok(lists);
        }
        if batch <= round_up(0) {
            return Err(Error::BadPlace {
                what: "the journal of the conversion in too little space",
                offset_bytes: journal.start,
            });
        }
        batch = round_up(batch / 2);
    }
}

fn options_batch(bytes: u32) -> u32 {
    bytes.clamp(1, MAX_BATCH_BYTES)
}

/// To whole units, one at least.
fn round_up(bytes: u32) -> u32 {
    bytes.max(1).next_multiple_of(4096)
}

fn check_size(storage: &impl BlockRead, volume_bytes: u64, sector_bytes: u32) -> Result<(), Error> {
    let storage_bytes = storage.geometry().length_bytes;
    if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
        return Err(Error::CannotConvert("its sectors are of a size that BitLocker does not use"));
    }
    if storage_bytes - storage_bytes % u64::from(sector_bytes) != volume_bytes {
        return Err(Error::BadSize {
            found_bytes: volume_bytes,
            reason: "the storage has another size than the volume",
        });
    }
    Ok(())
}

fn check_method(method: EncryptionMethod, sector_bytes: u32) -> Result<(), Error> {
    use EncryptionMethod::{AesCbc128Diffuser, AesCbc256Diffuser};
    sector_method(method)?;
    if sector_bytes > 512 && matches!(method, AesCbc128Diffuser | AesCbc256Diffuser) {
        // A sector torn by a power cut could not be told apart: with the diffuser every byte depends on every other.
        return Err(Error::CannotConvert("the diffuser with sectors larger than 512 bytes is not supported"));
    }
    Ok(())
}

fn check_plain(head: &[u8], sector_bytes: u32) -> Result<(), Error> {
    if VolumeHeader::parse(head).is_ok() {
        return Err(Error::CannotConvert("it is a BitLocker volume already"));
    }
    if ConversionHeader::is_signed(head) {
        return Err(Error::CannotConvert("a conversion is under way already"));
    }
    let stated = u32::from(u16::from_le_bytes([head[0x0B], head[0x0C]]));
    // exFAT has no sector size there.
    if head.get(510..512) == Some(&[0x55, 0xAA]) && stated != 0 && stated != sector_bytes {
        return Err(Error::CannotConvert("the sectors of its file system are of another size"));
    }
    Ok(())
}

/// Only what Windows, or we, finished.
fn check_finished<D: BlockRead>(volume: &Volume<D>) -> Result<(), Error> {
    if volume.in_place().is_some() {
        return Err(Error::CannotConvert("a conversion is under way already"));
    }
    match volume.header().layout {
        VolumeLayout::Fixed => {}
        VolumeLayout::ToGo => {
            return Err(Error::CannotConvert("it is a BitLocker To Go drive with a discovery file system in front"));
        }
        VolumeLayout::Vista => return Err(Error::CannotConvert("volumes of Windows Vista are read only")),
    }
    if volume.header().encrypt_on_write.is_some()
        || volume.state() != (VolumeState::Encrypted, VolumeState::Encrypted)
        || volume.interrupted_range().is_some()
    {
        return Err(Error::CannotConvert("Windows has begun a conversion and not finished it"));
    }
    if volume.encrypted_bytes() == 0 || volume.encrypted_bytes() > volume.storage_bytes() {
        return Err(Error::CannotConvert("its storage has another size than the volume"));
    }
    if !volume.copies().iter().all(|copy| matches!(copy.health, CopyHealth::Good)) {
        return Err(Error::CannotConvert("its metadata copies are damaged or differ; they must be repaired first"));
    }
    Ok(())
}

/// The places that nothing else may be written to.
fn own_places(header: &ConversionHeader, journal: &Range<u64>) -> Vec<Range<u64>> {
    let place = |at: u64, length: u64| at..at.saturating_add(length);
    let mut own: Vec<Range<u64>> =
        header.metadata_offsets.iter().map(|at| place(*at, METADATA_REGION_BYTES as u64)).collect();
    own.push(place(header.header_offset_bytes, header.header_bytes));
    own.push(journal.clone());
    own
}

fn check_writes(writes: &[FsWrite], volume_bytes: u64, own: &[Range<u64>]) -> Result<(), Error> {
    let mut ranges: Vec<Range<u64>> = writes.iter().map(FsWrite::range).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let touches = |a: &Range<u64>, b: &Range<u64>| a.start < b.end && b.start < a.end;
    for (index, range) in ranges.iter().enumerate() {
        let bad = range.is_empty()
            || range.end > volume_bytes
            || own.iter().any(|own| touches(own, range))
            || ranges.get(index + 1).is_some_and(|next| touches(next, range));
        if bad {
            return Err(Error::BadPlace { what: "a write to the file system", offset_bytes: range.start });
        }
    }
    Ok(())
}

/// The same writes without what a later one writes over.
fn apart(writes: &[FsWrite]) -> Vec<FsWrite> {
    let mut taken: Vec<Range<u64>> = Vec::new();
    let mut parts = Vec::new();
    for write in writes.iter().rev() {
        parts.extend(cut_out(write, &taken));
        taken.push(write.range());
    }
    parts
}

/// What is at the places of the writes now.
fn before(storage: &impl BlockRead, writes: &[FsWrite]) -> Result<Vec<FsWrite>, Error> {
    let mut out = Vec::with_capacity(writes.len());
    for write in writes {
        let mut bytes = vec![0; write.bytes.len()];
        storage.read_exact_at(write.offset_bytes, &mut bytes)?;
        out.push(FsWrite { offset_bytes: write.offset_bytes, bytes });
    }
    Ok(out)
}

/// Does to `bytes`, which lie at `at`, what the writes do there.
pub(crate) fn apply(writes: &[FsWrite], at: u64, bytes: &mut [u8]) {
    for write in writes {
        let (from, to) = (write.range().start.max(at), write.range().end.min(at + bytes.len() as u64));
        let index = |place: u64, base: u64| usize::try_from(place - base).unwrap_or(0);
        if from < to {
            bytes[index(from, at)..index(to, at)]
                .copy_from_slice(&write.bytes[index(from, write.offset_bytes)..index(to, write.offset_bytes)]);
        }
    }
}

/// The parts of a write that lie outside all the ranges.
pub(crate) fn cut_out(write: &FsWrite, ranges: &[Range<u64>]) -> Vec<FsWrite> {
    let mut parts = vec![write.range()];
    for range in ranges {
        parts = parts
            .into_iter()
            .flat_map(|part| [part.start..part.end.min(range.start), part.start.max(range.end)..part.end])
            .filter(|part| part.start < part.end)
            .collect();
    }
    let index = |place: u64| usize::try_from(place - write.offset_bytes).unwrap_or(0);
    parts
        .into_iter()
        .map(|part| FsWrite {
            offset_bytes: part.start,
            bytes: write.bytes[index(part.start)..index(part.end)].to_vec(),
        })
        .collect()
}

/// A journal whose payload does not decrypt to writes: the key is another.
pub(crate) fn check_lists(lists: &Lists, header: &ConversionHeader) -> Result<(), Error> {
    let own = own_places(header, &header.journal());
    let tail = header.volume_bytes.saturating_sub(u64::from(header.sector_bytes))..header.volume_bytes;
    check_writes(&lists.reserve, header.volume_bytes, &own)?;
    check_writes(&lists.release, header.volume_bytes, &own)?;
    let beside = |write: &FsWrite| {
        write.range() == tail || (write.range().start >= header.header_bytes && write.range().end <= tail.start)
    };
    if lists.reserve.iter().all(beside) { Ok(()) } else { Err(unknown("a write in its journal is not possible")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_cut_at_the_borders() {
        let write = FsWrite { offset_bytes: 10, bytes: (10..30).collect() };
        let parts = cut_out(&write, &[0..12, 20..22, 28..40]);
        let places: Vec<Range<u64>> = parts.iter().map(FsWrite::range).collect();
        assert_eq!(places, [12..20, 22..28]);
        assert_eq!(parts[1].bytes, (22..28).collect::<Vec<u8>>());
        let mut bytes = [0; 8];
        apply(std::slice::from_ref(&write), 26, &mut bytes);
        assert_eq!(bytes, [26, 27, 28, 29, 0, 0, 0, 0]);
        let over = FsWrite { offset_bytes: 14, bytes: vec![99; 3] };
        let parts = apart(&[write, over.clone()]);
        assert_eq!(parts[0], over);
        assert_eq!(parts[1..].iter().map(FsWrite::range).collect::<Vec<_>>(), [10..14, 17..30]);
    }
}
