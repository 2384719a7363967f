//! What a volume tells while it is converted in place: without a key, where it stands; with one, what to read from where.

use std::ops::Range;

use block_io::{BlockRead, Geometry};
use fve_crypto::SectorCipher;
use fve_format::in_place::{ConversionHeader, JournalHeader, LogRecord, MASKED_SIGNATURE, Phase, parse_writes};
use fve_format::{MetadataBlock, VOLUME_HEADER_BYTES};

use crate::convert::journal::{Payload, read_body, read_header, read_records, unknown};
use crate::convert::mixed::{MixedBatch, all_pieces};
use crate::convert::space::Space;
use crate::convert::{ConversionProgress, Step};
use crate::{Error, Source};

/// What metadata blocks start with.
pub(crate) const SIGNATURE: [u8; 8] = *b"-FVE-FS-";

/// A conversion as the volume tells it.
#[derive(Debug, Clone)]
pub(crate) struct InPlace {
    pub(crate) header: ConversionHeader,
    pub(crate) journal: JournalHeader,
    /// Which copy of the journal header, and so of the payload, is used.
    pub(crate) copy: u64,
    pub(crate) space: Space,
    /// Those that count, oldest first; never empty.
    pub(crate) records: Vec<LogRecord>,
    newest: LogRecord,
}

impl InPlace {
    /// `None` where the first sector is not a conversion header.
    ///
    /// # Errors
    /// [`Error::BadConversion`] where it is one and header or journal cannot be used; as [`Space::new`].
    pub(crate) fn read(
        storage: &impl BlockRead,
        first_sector: &[u8; VOLUME_HEADER_BYTES],
    ) -> Result<Option<Self>, Error> {
        if !ConversionHeader::is_signed(first_sector) {
            return Ok(None);
        }
        let header = ConversionHeader::parse(first_sector).map_err(|_| unknown("its header is damaged"))?;
        let space = Space::new(&header, storage.geometry().length_bytes)?;
        let (journal, copy) = read_header(storage, &header)?;
        let records = read_records(storage, &header, &space)?;
        let Some(newest) = records.last().copied() else { return Err(unknown("its log is empty")) };
        Ok(Some(Self { header, journal, copy, space, records, newest }))
    }

    /// The volume header of the encrypted volume.
    pub(crate) fn volume_header(&self) -> [u8; VOLUME_HEADER_BYTES] {
        self.journal.volume_header
    }

    pub(crate) fn newest(&self) -> &LogRecord {
        &self.newest
    }

    pub(crate) fn progress(&self) -> ConversionProgress {
        let encrypted_bytes = self.records.iter().map(|record| record.start + record.length).max().unwrap_or(0);
        ConversionProgress {
            direction: self.newest.direction,
            step: step(self.newest.phase),
            encrypted_bytes,
            total_bytes: self.space.total(),
        }
    }

    /// Whether nothing is encrypted any more.
    pub(crate) fn is_plain(&self) -> bool {
        self.newest.phase == Phase::Restoring
    }

    /// The storage with the metadata blocks' own signature.
    pub(crate) fn unmasked<D: BlockRead>(&self, storage: D) -> Unmasked<D> {
        Unmasked { storage, offsets: self.header.metadata_offsets }
    }

    /// The header is sealed by nothing; what the sealed metadata says, too, must be the same.
    pub(crate) fn check_against(
        &self,
        block: &MetadataBlock,
        volume_bytes: u64,
        sector_bytes: u32,
    ) -> Result<(), Error> {
        let header = &self.header;
        let relocated = block.virtualization().map(|place| (place.offset_bytes, place.length_bytes));
        let same = block.header.metadata_offsets == header.metadata_offsets
            && relocated.is_none_or(|place| place == (header.header_offset_bytes, header.header_bytes))
            && (volume_bytes, sector_bytes) == (header.volume_bytes, header.sector_bytes);
        if same { Ok(()) } else { Err(unknown("its header and the metadata tell different places or sizes")) }
    }

    /// The map for reading. `cipher` may be missing when nothing is encrypted.
    pub(crate) fn map(&self, storage: &impl BlockRead, cipher: Option<&SectorCipher>) -> Result<InPlaceMap, Error> {
        let header = &self.header;
        let mut mixed = Vec::new();
        let mut overlays = Vec::new();
        let payload = match cipher {
            Some(cipher) => Some(Payload::read(storage, header, &self.journal, self.copy, cipher)?),
            None => None,
        };
        match self.newest.phase {
            Phase::Converting => {
                for record in &self.records {
                    let body = read_body(storage, header, record)?;
                    let body = body.ok_or(unknown("a record of its log changed while it was read"))?;
                    mixed.push(MixedBatch::read(storage, &self.space, record, &body)?);
                }
            }
            Phase::Preparing => {
                let payload = payload.ok_or(Error::Decrypted)?;
                let at = header.payload_at(self.copy);
                overlays = overlays_of(payload.reserve_places()?, |start| Source::Cipher(at + start))?;
            }
            Phase::Restoring => {
                let body = read_body(storage, header, &self.newest)?;
                let body = body.ok_or(unknown("a record of its log changed while it was read"))?;
                let places = parse_writes(&body).map_err(|_| unknown("the last record of its log is damaged"))?;
                let at = header.body_at(self.newest.sequence);
                overlays = overlays_of(places, |start| Source::Plain(at + start))?;
            }
            Phase::Finishing => {}
        }
        mixed.retain(|batch| !batch.range.is_empty());
        Ok(InPlaceMap {
            is_plain: self.is_plain(),
            sector_bytes: u64::from(header.sector_bytes),
            journal: header.journal(),
            space: self.space.clone(),
            boundary: self.progress().encrypted_bytes,
            mixed,
            overlays,
        })
    }
}

pub(crate) fn step(phase: Phase) -> Step {
    match phase {
        Phase::Preparing => Step::Preparing,
        Phase::Converting => Step::Converting,
        Phase::Finishing => Step::Finishing,
        Phase::Restoring => Step::Restoring,
    }
}

fn overlays_of(
    places: Vec<(u64, Range<usize>)>,
    source: impl Fn(u64) -> Source,
) -> Result<Vec<(Range<u64>, Source)>, Error> {
    let mut overlays: Vec<(Range<u64>, Source)> = places
        .into_iter()
        .map(|(offset, range)| (offset..offset + range.len() as u64, source(range.start as u64)))
        .collect();
    overlays.sort_unstable_by_key(|(range, _)| range.start);
    if overlays.windows(2).any(|pair| pair[0].0.end > pair[1].0.start) {
        return Err(unknown("writes to the file system in its journal overlap"));
    }
    Ok(overlays)
}

/// Storage whose metadata blocks have their own signature in place of the masked one.
pub(crate) struct Unmasked<D> {
    storage: D,
    offsets: [u64; 3],
}

impl<D: BlockRead> BlockRead for Unmasked<D> {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
        self.storage.read_exact_at(offset_bytes, buffer)?;
        // Blocks are read from their start.
        if self.offsets.contains(&offset_bytes) && buffer.starts_with(&MASKED_SIGNATURE) {
            buffer[..SIGNATURE.len()].copy_from_slice(&SIGNATURE);
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        self.storage.geometry()
    }
}

/// What a stored sector is.
pub(crate) enum Stored {
    Plain,
    Encrypted,
    /// Some pieces are encrypted, others are not.
    InBetween,
}

/// What decides about each sector during a conversion in place.
#[derive(Debug)]
pub(crate) struct InPlaceMap {
    is_plain: bool,
    sector_bytes: u64,
    journal: Range<u64>,
    space: Space,
    /// Positions below are encrypted.
    boundary: u64,
    /// Where each piece has to be looked at instead. Two at most.
    mixed: Vec<MixedBatch>,
    /// Places whose content is in the journal. Sorted, disjoint.
    overlays: Vec<(Range<u64>, Source)>,
}

impl InPlaceMap {
    pub(crate) fn journal(&self) -> Range<u64> {
        self.journal.clone()
    }

    /// Where the content of a place of the plain volume is in the journal, and up to where that holds; else where the next
    /// such place begins.
    pub(crate) fn overlay(&self, offset: u64) -> (u64, Option<Source>) {
        let index = self.overlays.partition_point(|(range, _)| range.end <= offset);
        match self.overlays.get(index) {
            Some((range, source)) if range.start <= offset => (range.end, Some(source.advanced(offset - range.start))),
            Some((range, _)) => (range.start, None),
            None => (u64::MAX, None),
        }
    }

    /// What is stored at `at`, and up to where that holds.
    pub(crate) fn state_at(&self, at: u64) -> (u64, Stored) {
        if self.is_plain {
            return (u64::MAX, Stored::Plain);
        }
        let Some((position, run_end)) = self.space.position_of(at) else {
            // The first sectors where they were moved to, and the last sector.
            let border = self.space.next_run_at(at).unwrap_or(u64::MAX);
            return (border, Stored::Encrypted);
        };
        let end = |to: u64| run_end.min(at.saturating_add(to - position));
        let Some(batch) = self.mixed.iter().find(|batch| batch.range.contains(&position)) else {
            let ahead = self.mixed.iter().map(|batch| batch.range.start).filter(|start| *start > position).min();
            let border = end(ahead.unwrap_or(u64::MAX));
            return if position < self.boundary {
                (border.min(end(self.boundary)), Stored::Encrypted)
            } else {
                (border, Stored::Plain)
            };
        };
        let sector = position - position % self.sector_bytes;
        let stored = match batch.pieces(sector, self.sector_bytes) {
            0 => Stored::Plain,
            all if all == all_pieces(self.sector_bytes) => Stored::Encrypted,
            _ => Stored::InBetween,
        };
        (end(sector + self.sector_bytes), stored)
    }

    /// Which pieces of the sector stored at `at` are encrypted.
    pub(crate) fn encrypted_pieces(&self, at: u64) -> u8 {
        let position = self.space.position_of(at).map_or(0, |(position, _)| position);
        let batch = self.mixed.iter().find(|batch| batch.range.contains(&position));
        batch.map_or(0, |batch| batch.pieces(position, self.sector_bytes))
    }
}
