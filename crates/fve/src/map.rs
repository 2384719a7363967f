//! The address map: where each byte of the plain volume comes from.
//!
//! First match wins:
//! 1. The first sectors (the relocated volume header) come from where they were moved to. On Vista they were not moved:
//!    they are stored plain, the first one patched.
//! 2. The metadata regions, the place of the relocated header and the records of a conversion read as zeros.
//! 3. In state 2, the sectors that were being converted read as zeros, those of the relocated header included.
//! 4. During a conversion in place, writes that are not done yet come from its journal, and it knows what is encrypted.
//! 5. During an encrypt-on-write conversion the map of chunks decides; otherwise data below the encrypted size is encrypted
//!    at its own address, and above it stored plain.
//!
//! The map is computed place by place, so a volume of any size and any pattern of chunks costs the same memory.
//!
//! Source: the rules of `docs/format`; cryptsetup, dislocker and libbde agree on 1, 2 and 4.

use std::ops::Range;

use fve_format::{MetadataBlock, VolumeState};

use crate::conversion::Conversion;
use crate::convert::{InPlaceMap, Stored};
use crate::{Error, VolumeLayout};

/// Where the bytes of a segment come from. Addresses are bytes from the start of the volume on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Zeros: BitLocker's own structures lie there.
    Zeros,
    /// Stored as they are, from this address on.
    Plain(u64),
    /// Encrypted, from this address on.
    Cipher(u64),
    /// A boot sector at this address that Windows Vista patched; reading undoes the patch.
    Patched(u64),
    /// Sectors, from this address on, of which some pieces are encrypted and others are not: the power was cut while they
    /// were converted in place.
    InBetween(u64),
}

impl Source {
    /// The source `bytes` further on in the same segment.
    pub(crate) fn advanced(self, bytes: u64) -> Self {
        match self {
            Self::Zeros => Self::Zeros,
            Self::Plain(at) => Self::Plain(at + bytes),
            Self::Cipher(at) => Self::Cipher(at + bytes),
            Self::Patched(at) => Self::Patched(at + bytes),
            Self::InBetween(at) => Self::InBetween(at + bytes),
        }
    }
}

/// A run of the plain volume with one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First byte in the plain volume.
    pub start_bytes: u64,
    /// First byte behind it.
    pub end_bytes: u64,
    /// Where its first byte comes from.
    pub source: Source,
}

impl Segment {
    pub(crate) fn continues_into(&self, next: &Self) -> bool {
        // A patched sector stands alone: reading undoes the patch of a whole sector.
        !matches!(next.source, Source::Patched(_))
            && self.source.advanced(self.end_bytes - self.start_bytes) == next.source
    }
}

/// What decides whether a stored sector is encrypted.
#[derive(Debug)]
pub(crate) enum Encrypted {
    /// Everything before this address.
    Below(u64),
    /// An encrypt-on-write conversion.
    Chunks(Conversion),
    /// A conversion in place.
    InPlace(InPlaceMap),
}

/// What the map is made from, beside the metadata block.
pub(crate) struct Ground {
    pub(crate) layout: VolumeLayout,
    pub(crate) volume_bytes: u64,
    pub(crate) sector_bytes: u32,
    /// Length of a metadata region: 64 KiB; on Vista 16 KiB rounded up to a cluster.
    pub(crate) region_bytes: u64,
    pub(crate) conversion: Option<Conversion>,
    pub(crate) in_place: Option<InPlaceMap>,
    /// A patched backup of the boot sector (Vista).
    pub(crate) patched_backup: Option<u64>,
}

/// The map of a volume.
#[derive(Debug)]
pub(crate) struct AddressMap {
    volume_bytes: u64,
    sector_bytes: u64,
    /// Length of what was moved away from the start, and where to.
    relocated: Option<(u64, u64)>,
    /// Vista: bytes at the start that are stored plain.
    plain_start_bytes: u64,
    patched: Vec<u64>,
    /// Sorted, disjoint.
    zeros: Vec<Range<u64>>,
    /// Stored sectors that are neither plain nor encrypted; empty unless a conversion was interrupted.
    in_between: Range<u64>,
    encrypted: Encrypted,
}

/// Vista leaves this much at the start as it is.
const VISTA_PLAIN_BYTES: u64 = 0x2000;

impl AddressMap {
    /// Builds the map, checking that every place makes sense.
    pub(crate) fn build(block: &MetadataBlock, ground: Ground) -> Result<Self, Error> {
        let mut places = Places::new(&ground);
        let header = &block.header;
        let vista = ground.layout == VolumeLayout::Vista;
        let relocated = if vista { None } else { Some(places.relocated_header(block)?) };
        for offset in header.metadata_offsets {
            places.take("a metadata block", offset, ground.region_bytes)?;
        }
        if let Some(conversion) = &ground.conversion {
            for range in conversion.own_ranges() {
                places.take("a record of the conversion", range.start, range.end - range.start)?;
            }
            // Windows' maps leave nothing out. In a decrypted volume it would not matter: all of it is plain.
            let known = merged(places.taken.iter().cloned().chain(conversion.mapped_ranges()).collect());
            let covers = known.first().is_some_and(|first| first.start == 0 && first.end >= ground.volume_bytes);
            if !covers && header.state != VolumeState::Decrypted {
                return Err(Error::NoConversionMap { reason: "its maps leave out a part of the volume" });
            }
        }
        if let Some(in_place) = &ground.in_place {
            let journal = in_place.journal();
            places.take("the journal of the conversion", journal.start, journal.end - journal.start)?;
        }
        // Outside state 2 no volume with a length here was seen; what it would mean there is not guessed either.
        let in_between = match header.conversion_bytes {
            0 => 0..0,
            // These sectors hold data, so other structures may lie in their midst.
            converting => {
                places.inside("the sectors being converted", header.encrypted_bytes, u64::from(converting))?
            }
        };
        let zeros = merged(places.zeros);
        let encrypted = match (ground.in_place, ground.conversion) {
            (Some(map), _) => Encrypted::InPlace(map),
            (None, Some(conversion)) => Encrypted::Chunks(conversion),
            // An encrypted volume without a boundary, as Vista makes them: all of it is encrypted.
            _ if header.state == VolumeState::Encrypted && header.encrypted_bytes == 0 => Encrypted::Below(u64::MAX),
            _ if header.encrypted_bytes.is_multiple_of(u64::from(ground.sector_bytes)) => {
                Encrypted::Below(header.encrypted_bytes)
            }
            _ => return Err(Error::BadPlace { what: "the encrypted size", offset_bytes: header.encrypted_bytes }),
        };
        Ok(Self {
            volume_bytes: ground.volume_bytes,
            sector_bytes: u64::from(ground.sector_bytes),
            relocated,
            plain_start_bytes: if vista { VISTA_PLAIN_BYTES } else { 0 },
            patched: if vista { std::iter::once(0).chain(ground.patched_backup).collect() } else { Vec::new() },
            zeros,
            in_between,
            encrypted,
        })
    }

    /// The map of a volume whose metadata is lost: all of it encrypted, but for `zeros`, BitLocker's own places as far as they
    /// are known. Without the relocated header (length, place) the first `plain_start_bytes` come as they lie.
    pub(crate) fn without_metadata(
        volume_bytes: u64,
        sector_bytes: u32,
        relocated: Option<(u64, u64)>,
        plain_start_bytes: u64,
        zeros: Vec<Range<u64>>,
    ) -> Self {
        Self {
            volume_bytes,
            sector_bytes: u64::from(sector_bytes),
            relocated,
            plain_start_bytes,
            patched: Vec::new(),
            zeros: merged(zeros),
            in_between: 0..0,
            encrypted: Encrypted::Below(u64::MAX),
        }
    }

    /// A run that starts at `offset_bytes` and has one source; it may end before the segment does. `None` past the end.
    pub(crate) fn run_at(&self, offset_bytes: u64) -> Option<Segment> {
        if offset_bytes >= self.volume_bytes {
            return None;
        }
        let (end_bytes, source) = self.resolve(offset_bytes);
        Some(Segment { start_bytes: offset_bytes, end_bytes: end_bytes.min(self.volume_bytes), source })
    }

    /// All segments, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment> {
        let mut next = self.run_at(0);
        std::iter::from_fn(move || {
            let mut segment = next?;
            loop {
                next = self.run_at(segment.end_bytes);
                match next {
                    Some(run) if segment.continues_into(&run) => segment.end_bytes = run.end_bytes,
                    _ => return Some(segment),
                }
            }
        })
    }

    /// Which 512-byte pieces of the sector stored at `at` are encrypted: a bit for each.
    pub(crate) fn encrypted_pieces(&self, at: u64) -> u8 {
        match &self.encrypted {
            Encrypted::InPlace(map) => map.encrypted_pieces(at),
            _ => 0,
        }
    }

    /// Where a byte comes from, and up to where that holds.
    fn resolve(&self, offset: u64) -> (u64, Source) {
        let Encrypted::InPlace(map) = &self.encrypted else { return self.resolve_stored(offset) };
        match map.overlay(offset) {
            (end, Some(source)) => (end, source),
            (border, None) => {
                let (end, source) = self.resolve_stored(offset);
                (end.min(border), source)
            }
        }
    }

    fn resolve_stored(&self, offset: u64) -> (u64, Source) {
        if let Some(at) = self.patched.iter().find(|at| (**at..**at + self.sector_bytes).contains(&offset)) {
            return (at + self.sector_bytes, Source::Patched(offset));
        }
        let patched = self.patched.iter().copied().filter(|at| *at > offset).min().unwrap_or(u64::MAX);
        if let Some((length, moved_to)) = self.relocated.filter(|(length, _)| offset < *length) {
            let at = moved_to + offset;
            let (end, source) = self.stored(at);
            return (length.min(offset.saturating_add(end - at)), source);
        }
        let index = self.zeros.partition_point(|range| range.end <= offset);
        let border = match self.zeros.get(index) {
            Some(range) if range.start <= offset => return (range.end, Source::Zeros),
            Some(range) => range.start.min(patched),
            None => patched,
        };
        if offset < self.plain_start_bytes {
            return (border.min(self.plain_start_bytes), Source::Plain(offset));
        }
        let (end, source) = self.stored(offset);
        (end.min(border), source)
    }

    /// Whether the sector stored at `at` is encrypted, and up to where that holds.
    fn stored(&self, at: u64) -> (u64, Source) {
        if self.in_between.contains(&at) {
            return (self.in_between.end, Source::Zeros);
        }
        if let Encrypted::InPlace(map) = &self.encrypted {
            let (end, stored) = map.state_at(at);
            return match stored {
                Stored::Plain => (end, Source::Plain(at)),
                Stored::Encrypted => (end, Source::Cipher(at)),
                Stored::InBetween => (end, Source::InBetween(at)),
            };
        }
        let border = if at < self.in_between.start { self.in_between.start } else { u64::MAX };
        let (end, encrypted) = match &self.encrypted {
            Encrypted::Below(size) if at < *size => (*size, true),
            Encrypted::Below(_) | Encrypted::InPlace(_) => (u64::MAX, false),
            Encrypted::Chunks(conversion) => conversion.state_at(at),
        };
        (end.min(border), if encrypted { Source::Cipher(at) } else { Source::Plain(at) })
    }
}

/// Checks places as they are named: inside the volume, whole sectors, disjoint.
struct Places<'a> {
    ground: &'a Ground,
    taken: Vec<Range<u64>>,
    zeros: Vec<Range<u64>>,
}

impl<'a> Places<'a> {
    fn new(ground: &'a Ground) -> Self {
        Self { ground, taken: Vec::new(), zeros: Vec::new() }
    }

    /// Length of what was moved, and where to.
    fn relocated_header(&mut self, block: &MetadataBlock) -> Result<(u64, u64), Error> {
        let sector_bytes = u64::from(self.ground.sector_bytes);
        let (at, length) = match block.virtualization() {
            Some(virtualization) => (virtualization.offset_bytes, virtualization.length_bytes),
            None => (block.header.header_offset_bytes, u64::from(block.header.header_sectors) * sector_bytes),
        };
        self.inside("the end of the relocated volume header", length, 0)?;
        if length == 0 {
            // The first sector is BitLocker's own header: a write there would be the end of the volume.
            return Err(Error::BadPlace { what: "the end of the relocated volume header", offset_bytes: 0 });
        }
        self.taken.push(0..length);
        self.take("the relocated volume header", at, length)?;
        Ok((length, at))
    }

    fn inside(&self, what: &'static str, start: u64, length: u64) -> Result<Range<u64>, Error> {
        let whole = |place: u64| place.is_multiple_of(u64::from(self.ground.sector_bytes));
        match start.checked_add(length) {
            Some(end) if end <= self.ground.volume_bytes && whole(start) && whole(end) => Ok(start..end),
            _ => Err(Error::BadPlace { what, offset_bytes: start }),
        }
    }

    /// A region of BitLocker's own, which reads as zeros.
    fn take(&mut self, what: &'static str, start: u64, length: u64) -> Result<(), Error> {
        let range = self.inside(what, start, length)?;
        if self.taken.iter().any(|other| range.start < other.end && other.start < range.end) {
            return Err(Error::BadPlace { what, offset_bytes: start });
        }
        self.taken.push(range.clone());
        self.zeros.push(range);
        Ok(())
    }
}

/// Sorted, touching and overlapping ranges joined, empty ones left out.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut out: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}
