//! The address map: where each byte of the plain volume comes from.
//!
//! First match wins:
//! 1. The first sectors (the relocated volume header) come from where they were moved to.
//! 2. The metadata regions and the place of the relocated header read as zeros.
//! 3. In state 2, the sectors that were being converted read as zeros.
//! 4. Below the encrypted size data is encrypted at its own address, above it is stored plain.
//!
//! Source: the rules of `docs/format`; cryptsetup, dislocker and libbde agree on 1, 2 and 4.

use fve_format::{METADATA_REGION_BYTES, MetadataBlock, VolumeState};

use crate::Error;

/// Where the bytes of a segment come from. Addresses are bytes from the start of the volume on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Zeros: BitLocker's own structures lie there.
    Zeros,
    /// Stored as they are, from this address on.
    Plain(u64),
    /// Encrypted, from this address on.
    Cipher(u64),
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

/// Sorted, disjoint segments that cover the plain volume.
#[derive(Debug, Clone)]
pub(crate) struct AddressMap {
    segments: Vec<Segment>,
}

impl AddressMap {
    /// Builds the map of a version-2 volume of `volume_bytes`, checking that every place makes sense.
    pub(crate) fn build(block: &MetadataBlock, volume_bytes: u64, sector_bytes: u32) -> Result<Self, Error> {
        let places = Places::check(block, volume_bytes, u64::from(sector_bytes))?;
        let mut borders: Vec<u64> = places.borders().into_iter().filter(|border| *border < volume_bytes).collect();
        borders.push(volume_bytes);
        borders.sort_unstable();
        borders.dedup();
        let mut segments: Vec<Segment> = Vec::new();
        for pair in borders.windows(2) {
            let segment = Segment { start_bytes: pair[0], end_bytes: pair[1], source: places.source(pair[0]) };
            match segments.last_mut() {
                Some(last) if last.continues_into(&segment) => last.end_bytes = segment.end_bytes,
                _ => segments.push(segment),
            }
        }
        Ok(Self { segments })
    }

    /// All segments, in order.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segment that holds `offset_bytes`; `None` past the end.
    pub(crate) fn segment_at(&self, offset_bytes: u64) -> Option<&Segment> {
        let index = self.segments.partition_point(|segment| segment.end_bytes <= offset_bytes);
        self.segments.get(index)
    }
}

impl Segment {
    fn continues_into(&self, next: &Self) -> bool {
        let length = self.end_bytes - self.start_bytes;
        match (self.source, next.source) {
            (Source::Zeros, Source::Zeros) => true,
            (Source::Plain(at), Source::Plain(next)) | (Source::Cipher(at), Source::Cipher(next)) => {
                at + length == next
            }
            _ => false,
        }
    }
}

/// The places that decide the map, checked.
struct Places {
    header_at: u64,
    header_bytes: u64,
    metadata: [u64; 3],
    encrypted_bytes: u64,
    converting: std::ops::Range<u64>,
}

impl Places {
    fn check(block: &MetadataBlock, volume_bytes: u64, sector_bytes: u64) -> Result<Self, Error> {
        let header = &block.header;
        let (header_at, header_bytes) = match block.virtualization() {
            Some(virtualization) => (virtualization.offset_bytes, virtualization.length_bytes),
            None => (header.header_offset_bytes, u64::from(header.header_sectors) * sector_bytes),
        };
        let inside = |what, start: u64, length: u64| match start.checked_add(length) {
            Some(end) if end <= volume_bytes && start.is_multiple_of(sector_bytes) => Ok(start..end),
            _ => Err(Error::BadPlace { what, offset_bytes: start }),
        };
        let first_sectors = inside("the end of the relocated volume header", header_bytes, 0)?;
        let mut taken = Vec::with_capacity(5);
        taken.push(0..first_sectors.start);
        let mut add = |what, start, length| {
            let range = inside(what, start, length)?;
            if taken.iter().any(|other| range.start < other.end && other.start < range.end) {
                return Err(Error::BadPlace { what, offset_bytes: start });
            }
            taken.push(range);
            Ok(())
        };
        add("the relocated volume header", header_at, header_bytes)?;
        for offset in header.metadata_offsets {
            add("a metadata block", offset, METADATA_REGION_BYTES as u64)?;
        }
        let encrypted_bytes = header.encrypted_bytes;
        if !encrypted_bytes.is_multiple_of(sector_bytes) {
            return Err(Error::BadPlace { what: "the encrypted size", offset_bytes: encrypted_bytes });
        }
        let converting = if header.state == VolumeState::Converting {
            inside("the sectors being converted", encrypted_bytes, u64::from(header.conversion_bytes))?
        } else {
            0..0
        };
        Ok(Self { header_at, header_bytes, metadata: header.metadata_offsets, encrypted_bytes, converting })
    }

    /// Every offset at which the source may change.
    fn borders(&self) -> Vec<u64> {
        let region = METADATA_REGION_BYTES as u64;
        let mut borders = vec![0, self.header_bytes, self.header_at, self.header_at + self.header_bytes];
        borders.extend(self.metadata.iter().flat_map(|offset| [*offset, offset + region]));
        borders.extend([self.encrypted_bytes, self.converting.start, self.converting.end]);
        // The relocated header changes source where its stored place crosses the encrypted size.
        borders.extend(self.encrypted_bytes.checked_sub(self.header_at).filter(|at| *at < self.header_bytes));
        borders
    }

    fn source(&self, offset: u64) -> Source {
        let region = METADATA_REGION_BYTES as u64;
        if offset < self.header_bytes {
            return self.stored(self.header_at + offset);
        }
        let in_header = (self.header_at..self.header_at + self.header_bytes).contains(&offset);
        let in_metadata = self.metadata.iter().any(|start| (*start..start + region).contains(&offset));
        if in_header || in_metadata || self.converting.contains(&offset) {
            return Source::Zeros;
        }
        self.stored(offset)
    }

    fn stored(&self, at: u64) -> Source {
        if at < self.encrypted_bytes { Source::Cipher(at) } else { Source::Plain(at) }
    }
}
