//! Allocation tables of FAT and exFAT: which cluster follows which.

use crate::Error;
use crate::bytes::{index, u16_at, u32_at};
use crate::cache::Source;
use crate::extents::Extents;

/// Bytes of the table that are read at once.
const WINDOW_BYTES: usize = 4096;
/// The first two numbers are not used.
pub(crate) const FIRST_CLUSTER: u32 = 2;

/// Size of a table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Bits12,
    Bits16,
    /// 32 bits, of which FAT32 uses 28.
    Bits28,
    /// exFAT.
    Bits32,
}

/// How far a chain is followed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// To its end, which must come before so many clusters.
    End { clusters: u64 },
    /// For so many clusters, which it must have.
    Length { clusters: u64 },
}

/// The table and the clusters it speaks of. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) width: Width,
    pub(crate) start: u64,
    pub(crate) copies: u64,
    pub(crate) copy_bytes: u64,
    pub(crate) clusters: u64,
    pub(crate) cluster_bytes: u64,
    pub(crate) data_start: u64,
}

/// What the table says of a cluster.
enum Next {
    Cluster(u32),
    End,
}

/// A part of the table in memory.
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Table {
    /// Where a cluster is; `None` for a number that the volume does not have.
    pub(crate) fn place(&self, cluster: u32) -> Option<u64> {
        let number = u64::from(cluster.checked_sub(FIRST_CLUSTER)?);
        (number < self.clusters).then(|| self.data_start + number * self.cluster_bytes)
    }

    /// The clusters of a file or directory. Where the first table is damaged, the second is used.
    pub(crate) fn chain(&self, source: Source<'_>, first: u32, until: Until) -> Result<Extents, Error> {
        let mut result = self.chain_in(source, 0, first, until);
        for copy in 1..self.copies {
            if result.is_ok() {
                break;
            }
            // The first error is the one to tell.
            result = self.chain_in(source, copy, first, until).or(result);
        }
        result
    }

    fn chain_in(&self, source: Source<'_>, copy: u64, first: u32, until: Until) -> Result<Extents, Error> {
        let mut window = Window { start: 0, bytes: Vec::new() };
        let mut extents = Extents::default();
        let (limit, exact) = match until {
            Until::End { clusters } => (clusters.min(self.clusters), false),
            Until::Length { clusters } => (clusters, true),
        };
        let (mut cluster, mut count) = (first, 0);
        // Brent's way to notice a chain that leads back into itself.
        let (mut marked, mut next_mark) = (None, 1);
        while count < limit {
            let place = self.place(cluster).ok_or_else(|| Error::damaged("a chain leads outside of the volume"))?;
            if marked == Some(cluster) {
                return Err(Error::damaged("a chain of clusters leads back into itself"));
            }
            extents.push(self.cluster_bytes, Some(place))?;
            count += 1;
            if count == next_mark {
                (marked, next_mark) = (Some(cluster), next_mark * 2);
            }
            if exact && count == limit {
                return Ok(extents);
            }
            match self.next(source, copy, cluster, &mut window)? {
                Next::Cluster(next) => cluster = next,
                Next::End if exact => {
                    return Err(Error::damaged(format!("a chain ends after {count} of {limit} clusters")));
                }
                Next::End => return Ok(extents),
            }
        }
        if exact { Ok(extents) } else { Err(Error::damaged("a chain of clusters does not end")) }
    }

    fn next(&self, source: Source<'_>, copy: u64, cluster: u32, window: &mut Window) -> Result<Next, Error> {
        let number = u64::from(cluster);
        let base = self.start + copy * self.copy_bytes;
        let mut field = |offset: u64| window.field(source, base + offset, base + self.copy_bytes);
        let short = |bytes: [u8; 4]| u32::from(u16_at(&bytes, 0).unwrap_or(0));
        let (value, last) = match self.width {
            Width::Bits12 => {
                let pair = short(field(number * 3 / 2)?);
                (if number % 2 == 0 { pair & 0xFFF } else { pair >> 4 }, 0xFF7)
            }
            Width::Bits16 => (short(field(number * 2)?), 0xFFF7),
            Width::Bits28 => (u32_at(&field(number * 4)?, 0).unwrap_or(0) & 0x0FFF_FFFF, 0x0FFF_FFF7),
            Width::Bits32 => (u32_at(&field(number * 4)?, 0).unwrap_or(0), 0xFFFF_FFF7),
        };
        match value {
            0 => Err(Error::damaged("a chain leads through a free cluster")),
            _ if value == last => Err(Error::damaged("a chain leads through a bad cluster")),
            _ if value > last => Ok(Next::End),
            _ => Ok(Next::Cluster(value)),
        }
    }
}

impl Window {
    /// Up to four bytes at an offset; zeros behind `end`.
    fn field(&mut self, source: Source<'_>, offset: u64, end: u64) -> Result<[u8; 4], Error> {
        let inside = |window: &Self| {
            let distance = index(offset.checked_sub(window.start)?);
            window.bytes.get(distance..distance.checked_add(4)?)?.first_chunk().copied()
        };
        if let Some(field) = inside(self) {
            return Ok(field);
        }
        self.start = offset;
        self.bytes.resize(WINDOW_BYTES, 0);
        let count = index(end.saturating_sub(offset)).min(WINDOW_BYTES);
        self.bytes[count..].fill(0);
        source.read_exact_at(offset, &mut self.bytes[..count])?;
        Ok(inside(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use block_io::MemoryDisk;

    use super::*;
    use crate::cache::Cache;

    fn chain(width: Width, bytes: &[u8], until: Until) -> Result<u64, Error> {
        let table = Table {
            width,
            start: 0,
            copies: 1,
            copy_bytes: bytes.len() as u64,
            clusters: 5,
            cluster_bytes: 1,
            data_start: 0,
        };
        let (disk, cache) = (MemoryDisk::new(bytes.to_vec()), Cache::default());
        table.chain(Source::new(&disk, &cache), 2, until).map(|extents| extents.covered())
    }

    #[test]
    fn chains() {
        let to_end = Until::End { clusters: 5 };
        let words = |words: [u16; 7]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(chain(Width::Bits16, &words([0, 0, 4, 0, 3, 0, 0]), to_end).ok(), None);
        assert_eq!(chain(Width::Bits16, &words([0, 0, 4, 0xFFFF, 3, 0, 0]), to_end).unwrap(), 3);
        assert!(chain(Width::Bits16, &words([0, 0, 4, 4, 3, 0, 0]), to_end).is_err());
        assert!(chain(Width::Bits16, &words([0, 0, 9, 0, 0, 0, 0]), to_end).is_err());
        let exact = |clusters| Until::Length { clusters };
        assert!(chain(Width::Bits16, &words([0, 0, 4, 0xFFFF, 3, 0, 0]), exact(4)).is_err());
        // What follows behind the end of the file does not matter.
        assert_eq!(chain(Width::Bits16, &words([0, 0, 4, 0, 0, 0, 0]), exact(2)).unwrap(), 2);
        // 2 -> 3 -> 4 -> end in 12 bits.
        let packed = [0xF8, 0xFF, 0xFF, 0x03, 0x40, 0x00, 0xFF, 0x0F, 0x00, 0x00];
        assert_eq!(chain(Width::Bits12, &packed, to_end).unwrap(), 3);
    }
}
