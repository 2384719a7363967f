//! The master boot record: four entries in the first sector, and a chain of further records for logical partitions.

use std::collections::HashSet;

use block_io::BlockRead;

use super::{Partition, PartitionTable, TableKind, TableProblem, partition};
use crate::bytes::{u16_le, u32_le};

const ENTRIES_AT: usize = 446;
const ENTRY_BYTES: usize = 16;
const PROTECTIVE: u8 = 0xEE;
/// Linux stops at 256 partitions, too.
const MAX_LOGICAL: u32 = 256;

/// A record: the four entries.
#[derive(Debug)]
pub(super) struct Record {
    entries: [Entry; 4],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    status: u8,
    kind: u8,
    first: u32,
    sectors: u32,
}

impl Entry {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.sectors != 0
    }

    fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0F | 0x85)
    }
}

impl Record {
    /// Whether it says that the disk has a GPT.
    pub(super) fn announces_gpt(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == PROTECTIVE)
    }
}

/// The record in a sector. `None` where there is none: a boot sector of a file system ends with the same signature, but
/// has other things where the entries would be.
pub(super) fn parse(sector: &[u8; 512]) -> Option<Record> {
    const FILE_SYSTEMS: [(usize, &[u8]); 5] =
        [(3, b"NTFS    "), (3, b"EXFAT   "), (0x36, b"FAT12"), (0x36, b"FAT16"), (0x52, b"FAT32")];
    let signed = sector[510..] == [0x55, 0xAA];
    if !signed || FILE_SYSTEMS.iter().any(|(at, name)| sector[*at..].starts_with(name)) {
        return None;
    }
    let entries = [0, 1, 2, 3].map(|index| {
        let at = ENTRIES_AT + ENTRY_BYTES * index;
        Entry {
            status: sector[at],
            kind: sector[at + 4],
            first: u32_le(sector, at + 8),
            sectors: u32_le(sector, at + 12),
        }
    });
    let sound = entries.iter().all(|entry| entry.status & 0x7F == 0);
    let used = entries.iter().any(|entry| entry.kind != 0);
    (sound && used).then_some(Record { entries })
}

/// The partitions that the record names, and the logical ones.
pub(super) fn read(disk: &dyn BlockRead, record: &Record) -> PartitionTable {
    let sector_bytes = unit(disk, record);
    let mut table = PartitionTable { kind: TableKind::Mbr, sector_bytes, partitions: Vec::new(), problems: Vec::new() };
    for (number, entry) in (1..).zip(&record.entries) {
        if entry.is_used() && !entry.is_extended() {
            add(&mut table, number, u64::from(entry.first), entry);
        }
    }
    let mut next = 5;
    for extended in record.entries.iter().filter(|entry| entry.is_used() && entry.is_extended()) {
        next = read_logical(disk, &mut table, u64::from(extended.first), next);
    }
    table
}

/// In which unit the record counts. That is the sector size of the disk, but not always of what we have: an image tells
/// none, and a disk that was taken out of its case may have another than before. The record itself does not say; boot
/// sectors at the start of partitions do, as they lie where the right unit leads and name it.
fn unit(disk: &dyn BlockRead, record: &Record) -> u32 {
    let own = disk.geometry().sector_bytes;
    let leads_to_boot_sectors = |unit: u32| {
        record.entries.iter().filter(|entry| entry.is_used() && !entry.is_extended()).any(|entry| {
            let mut sector = [0; 512];
            let read = disk.read_exact_at(u64::from(entry.first) * u64::from(unit), &mut sector);
            read.is_ok() && sector[510..] == [0x55, 0xAA] && u32::from(u16_le(&sector, 11)) == unit
        })
    };
    let other = [512, 4096].into_iter().filter(|unit| *unit != own);
    std::iter::once(own).chain(other).find(|unit| leads_to_boot_sectors(*unit)).unwrap_or(own)
}

fn add(table: &mut PartitionTable, number: u32, first: u64, entry: &Entry) {
    let found = partition(number, table.sector_bytes, first, u64::from(entry.sectors), kind_name(entry.kind));
    table.partitions.extend(found.filter(|found: &Partition| found.start_bytes > 0));
}

/// Follows the chain from the first sector of an extended partition. Each record has an entry for a logical partition,
/// relative to itself, and one for the next record, relative to the extended partition. Gives the next free number.
fn read_logical(disk: &dyn BlockRead, table: &mut PartitionTable, base: u64, mut number: u32) -> u32 {
    let mut seen = HashSet::new();
    let mut at = base;
    loop {
        let mut broken = |reason| table.problems.push(TableProblem::BrokenChain { reason });
        if !seen.insert(at) {
            broken("their chain leads in a circle");
            return number;
        }
        if number - 5 >= MAX_LOGICAL {
            broken("there are too many");
            return number;
        }
        let mut sector = [0; 512];
        if disk.read_exact_at(at.saturating_mul(u64::from(table.sector_bytes)), &mut sector).is_err() {
            broken("their chain leads to a sector that cannot be read");
            return number;
        }
        // An extended partition with nothing in it has no entries, or no record at all.
        let Some(record) = parse(&sector) else {
            if sector[510..] != [0x55, 0xAA] && at != base {
                broken("their chain leads to a sector that is no record");
            }
            return number;
        };
        for entry in record.entries.iter().filter(|entry| entry.is_used() && !entry.is_extended()) {
            add(table, number, at + u64::from(entry.first), entry);
            number += 1;
        }
        match record.entries.iter().find(|entry| entry.is_used() && entry.is_extended()) {
            Some(next) => at = base + u64::from(next.first),
            None => return number,
        }
    }
}

fn kind_name(kind: u8) -> String {
    match kind {
        0x01 | 0x04 | 0x06 | 0x0B | 0x0C | 0x0E => "FAT",
        0x07 => "NTFS or exFAT",
        0x27 => "Windows recovery",
        0x42 => "Windows dynamic disk",
        0x82 => "Linux swap",
        0x83 => "Linux",
        0x8E => "Linux LVM",
        0xAF => "Apple HFS",
        0xEE => "GPT",
        0xEF => "EFI system",
        _ => return format!("type 0x{kind:02X}"),
    }
    .to_owned()
}
