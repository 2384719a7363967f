//! E01, the Expert Witness Format of forensic programs: a disk in chunks, compressed or not, over one file or many.
//!
//! Every structure and every chunk has a checksum, and each is checked when it is read. All numbers are little-endian.
//! Source: libyal, documentation of the Expert Witness Compression Format.

mod sections;
mod segments;

use std::path::Path;
use std::sync::Arc;

use block_io::{BlockRead, Error as IoError, FileDisk, Geometry, check_range};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use self::sections::{ENTRY_BYTES, Media, Table};
use crate::Error;
use crate::ImageFormat;
use crate::bytes::u32_le;
use crate::inflated::Inflated;
use crate::mapped::{read_block, refused};

/// Set in the entry of a chunk that is compressed; the other bits are its place.
const COMPRESSED: u32 = 1 << 31;

/// An E01 image.
struct Ewf {
    segments: Vec<FileDisk>,
    media: Media,
    /// In the order of the chunks.
    tables: Vec<Table>,
    chunks: Inflated,
}

/// Opens the image whose first file this is, and the files that follow it.
pub(crate) fn open(path: &Path, first: FileDisk) -> Result<impl BlockRead + use<>, Error> {
    let (segments, media, tables) = segments::read_all(path, first)?;
    Ok(Ewf { segments, media, tables, chunks: Inflated::default() })
}

impl Ewf {
    fn chunk(&self, number: u64) -> Result<Arc<[u8]>, IoError> {
        self.chunks.block(number, || {
            let at = number * self.media.chunk_bytes;
            let (file, start, end, compressed) = self.place(number, at)?;
            let damaged = || refused(at, "a chunk of the E01 image is damaged");
            let length_bytes = self.media.chunk_bytes.min(self.media.length_bytes - at);
            let length = usize::try_from(length_bytes).map_err(|_| damaged())?;
            let stored = end.checked_sub(start).filter(|stored| *stored <= 2 * self.media.chunk_bytes + 1024);
            let mut bytes = vec![0; stored.and_then(|stored| usize::try_from(stored).ok()).ok_or_else(damaged)?];
            read_block(file, start, &mut bytes, at)?;
            if compressed {
                let limit = usize::try_from(self.media.chunk_bytes).map_err(|_| damaged())?;
                bytes = decompress_to_vec_zlib_with_limit(&bytes, limit).map_err(|_| damaged())?;
            } else {
                let (data, checksum) = bytes.split_at_checked(length).ok_or_else(damaged)?;
                if checksum.len() < 4 || adler2::adler32_slice(data) != u32_le(checksum, 0) {
                    return Err(damaged());
                }
            }
            if bytes.len() < length {
                return Err(damaged());
            }
            bytes.truncate(length);
            Ok(bytes)
        })
    }

    /// The file of a chunk, its first byte there, its end, and whether it is compressed.
    fn place(&self, number: u64, at: u64) -> Result<(&FileDisk, u64, u64, bool), IoError> {
        let missing = || refused(at, "the E01 image holds no chunk for that place");
        let table = self.tables.partition_point(|table| table.first_chunk <= number).checked_sub(1);
        let table = table.and_then(|index| self.tables.get(index)).ok_or_else(missing)?;
        let index = number - table.first_chunk;
        if index >= table.count {
            return Err(missing());
        }
        let file = self.segments.get(table.segment).ok_or_else(missing)?;
        let entries = table.entries(file).ok_or_else(|| refused(at, "a table of the E01 image is damaged"))?;
        let mut bytes = [0; 8];
        let last = index + 1 == table.count;
        let wanted = if last { &mut bytes[..4] } else { &mut bytes[..] };
        read_block(file, entries + ENTRY_BYTES * index, wanted, at)?;
        let entry = u32_le(&bytes, 0);
        let start = table.base_bytes.saturating_add(u64::from(entry & !COMPRESSED));
        let next = table.base_bytes.saturating_add(u64::from(u32_le(&bytes, 4) & !COMPRESSED));
        let end = if last { table.data_end_bytes } else { next };
        Ok((file, start, end, entry & COMPRESSED != 0))
    }
}

impl BlockRead for Ewf {
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), IoError> {
        check_range(offset_bytes, buffer.len(), self.media.length_bytes)?;
        let (mut at, mut rest) = (offset_bytes, buffer);
        while !rest.is_empty() {
            let chunk = self.chunk(at / self.media.chunk_bytes)?;
            let inside = usize::try_from(at % self.media.chunk_bytes).unwrap_or(usize::MAX);
            let source = chunk.get(inside..).unwrap_or_default();
            let count = source.len().min(rest.len());
            if count == 0 {
                return Err(refused(at, "a chunk of the E01 image is too short"));
            }
            let (piece, behind) = rest.split_at_mut(count);
            piece.copy_from_slice(&source[..count]);
            rest = behind;
            at += count as u64;
        }
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        Geometry { length_bytes: self.media.length_bytes, sector_bytes: self.media.sector_bytes }
    }
}

fn damaged(what: &'static str, offset_bytes: u64) -> Error {
    Error::Damaged { format: ImageFormat::Ewf, what, offset_bytes }
}
