//! FAT12, FAT16 and FAT32: a bad cluster is one whose entry in the table says so.
//!
//! Source: Microsoft's FAT specification 1.03. Observed: `fsck.fat` and the drivers keep such entries as they are.

use std::ops::Range;

use block_io::BlockRead;
use fs_view::FileSystemKind;
use fs_view::layout::FatLayout;
use fs_view::layout::bytes::{index, u8_at, u16_at, u32_at};

use crate::changes::Changes;
use crate::clusters::{Grid, Runs, Visit, total};
use crate::file_system::{Allocation, Change};
use crate::{Error, Unclean};

/// The first two entries of a table do not stand for clusters.
const FIRST_ENTRY: u64 = 2;
/// Entries that are read at once; even, so that pairs of 12 bits stay together.
const CHUNK_ENTRIES: u64 = 64 * 1024;
const FREE_UNKNOWN: u32 = 0xFFFF_FFFF;

/// The tables of one volume.
pub(crate) struct Fat {
    layout: FatLayout,
}

impl Fat {
    pub(crate) fn new(layout: FatLayout) -> Self {
        Self { layout }
    }

    fn entry_bits(&self) -> u64 {
        match self.layout.kind {
            FileSystemKind::Fat12 => 12,
            FileSystemKind::Fat16 => 16,
            _ => 32,
        }
    }

    /// The mark of a bad cluster.
    fn bad(&self) -> u32 {
        match self.layout.kind {
            FileSystemKind::Fat12 => 0xFF7,
            FileSystemKind::Fat16 => 0xFFF7,
            _ => 0x0FFF_FFF7,
        }
    }

    /// An entry among the bytes of a table that begin with an even one.
    fn entry(&self, bytes: &[u8], number: u64) -> Option<u32> {
        let at = index(number * self.entry_bits() / 8);
        match self.entry_bits() {
            12 => {
                let pair = u32::from(u16_at(bytes, at)?);
                Some(if number.is_multiple_of(2) { pair & 0xFFF } else { pair >> 4 })
            }
            16 => u16_at(bytes, at).map(u32::from),
            _ => u32_at(bytes, at).map(|value| value & 0x0FFF_FFFF),
        }
    }

    fn table_start(&self, table: u64) -> u64 {
        self.layout.fat_start + table * self.layout.fat_bytes
    }

    /// Changes an entry that must have the value `old`.
    fn replace(
        &self,
        table: u64,
        number: u64,
        old: u32,
        new: u32,
        changes: &mut Changes<'_>,
    ) -> Result<Option<u32>, Error> {
        let place = self.table_start(table) + number * self.entry_bits() / 8;
        match self.entry_bits() {
            12 => {
                let pair = u32::from(u16::from_le_bytes(changes.read(place)?));
                let shift = if number.is_multiple_of(2) { 0 } else { 4 };
                let found = pair >> shift & 0xFFF;
                if found != old {
                    return Ok(Some(found));
                }
                let [low, high, ..] = (pair & !(0xFFF << shift) | new << shift).to_le_bytes();
                changes.write(place, &[low, high])?;
            }
            16 => {
                let found = u32::from(u16::from_le_bytes(changes.read(place)?));
                if found != old {
                    return Ok(Some(found));
                }
                let [low, high, ..] = new.to_le_bytes();
                changes.write(place, &[low, high])?;
            }
            _ => {
                // The upper four bits belong to nobody and are kept.
                let found = u32::from_le_bytes(changes.read(place)?);
                if found & 0x0FFF_FFFF != old {
                    return Ok(Some(found & 0x0FFF_FFFF));
                }
                changes.write(place, &(found & 0xF000_0000 | new).to_le_bytes())?;
            }
        }
        Ok(None)
    }

    /// Corrects the number of free clusters that FAT32 keeps, in both copies.
    fn change_hints(&self, clusters: u64, change: Change, changes: &mut Changes<'_>) -> Result<(), Error> {
        let layout = &self.layout;
        if layout.info_sector == 0 {
            return Ok(());
        }
        let mut sectors = vec![layout.info_sector];
        if layout.backup_sector != 0 {
            sectors.push(layout.backup_sector + layout.info_sector);
        }
        let clusters = u32::try_from(clusters).unwrap_or(u32::MAX);
        for sector in sectors {
            let place = sector * layout.sector_bytes;
            // Sectors of the file system itself lie before the tables.
            if place + layout.sector_bytes > layout.fat_start {
                continue;
            }
            if changes.read(place)? != *b"RRaA" || changes.read(place + 484)? != *b"rrAa" {
                continue;
            }
            let free = u32::from_le_bytes(changes.read(place + 488)?);
            if free == FREE_UNKNOWN {
                continue;
            }
            let new = match change {
                Change::Reserve => free.checked_sub(clusters),
                Change::Release => free.checked_add(clusters),
            };
            // A number that was wrong before is told as unknown; drivers count then.
            let possible = new.filter(|new| u64::from(*new) <= layout.clusters).unwrap_or(FREE_UNKNOWN);
            changes.write(place + 488, &possible.to_le_bytes())?;
        }
        Ok(())
    }
}

impl Allocation for Fat {
    fn grid(&self) -> Grid {
        let FatLayout { data_start, cluster_bytes, clusters, .. } = self.layout;
        Grid { start_bytes: data_start, cluster_bytes, clusters }
    }

    fn free_runs(&self, device: &dyn BlockRead, first: u64, visit: Visit<'_>) -> Result<(), Error> {
        let mut runs = Runs::new(first, visit);
        let end = FIRST_ENTRY + self.layout.clusters;
        let mut number = FIRST_ENTRY + first;
        let mut buffer = Vec::new();
        while number < end {
            let count = CHUNK_ENTRIES.min(end - number);
            buffer.resize(index((count * self.entry_bits()).div_ceil(8)), 0);
            let place = self.table_start(0) + number * self.entry_bits() / 8;
            device.read_exact_at(place, &mut buffer)?;
            for inside in 0..count {
                let value = self.entry(&buffer, inside).ok_or(Error::Damaged("the table ends early"))?;
                if runs.push(value == 0, 1).is_break() {
                    return Ok(());
                }
            }
            number += count;
        }
        runs.finish();
        Ok(())
    }

    fn check_clean(&self, device: &dyn BlockRead) -> Result<(), Error> {
        let mut boot = [0; 512];
        device.read_exact_at(0, &mut boot)?;
        // Windows NT keeps flags in a byte of the boot sector, behind which a mark says that the fields are there.
        let at = if self.layout.kind == FileSystemKind::Fat32 { 0x41 } else { 0x25 };
        let has_fields = matches!(u8_at(&boot, at + 1), Some(0x28 | 0x29));
        let flags = if has_fields { u32::from(u8_at(&boot, at).unwrap_or(0)) } else { 0 };
        let place = "the boot sector";
        if flags & 1 != 0 {
            return Err(Error::NotClean(Unclean::Dirty { place, flags }));
        }
        if flags & 2 != 0 {
            return Err(Error::NotClean(Unclean::MediaFailure { place, flags }));
        }
        // And in the second entry of the table, where a bit is cleared to say it.
        let (clean, sound) = match self.layout.kind {
            FileSystemKind::Fat12 => return Ok(()),
            FileSystemKind::Fat16 => (0x8000, 0x4000),
            _ => (0x0800_0000, 0x0400_0000),
        };
        let mut entries = [0; 8];
        device.read_exact_at(self.layout.fat_start, &mut entries)?;
        let flags = self.entry(&entries, 1).unwrap_or(0);
        let place = "the second entry of the table";
        if flags & clean == 0 {
            return Err(Error::NotClean(Unclean::Dirty { place, flags }));
        }
        if flags & sound == 0 {
            return Err(Error::NotClean(Unclean::MediaFailure { place, flags }));
        }
        Ok(())
    }

    fn change(&self, ranges: &[Range<u64>], change: Change, changes: &mut Changes<'_>) -> Result<(), Error> {
        if !self.layout.mirrored {
            return Err(Error::Unsupported("one of its tables is in use alone"));
        }
        let (old, new) = match change {
            Change::Reserve => (0, self.bad()),
            Change::Release => (self.bad(), 0),
        };
        for table in 0..self.layout.fats {
            for cluster in ranges.iter().cloned().flatten() {
                if self.replace(table, FIRST_ENTRY + cluster, old, new, changes)?.is_none() {
                    continue;
                }
                let offset_bytes = self.grid().place(cluster);
                return Err(match change {
                    _ if table > 0 => Error::Damaged("its tables differ"),
                    Change::Reserve => Error::NotFree { offset_bytes },
                    Change::Release => Error::NotReserved { offset_bytes },
                });
            }
        }
        changes.end_step()?;
        self.change_hints(total(ranges), change, changes)
    }
}
