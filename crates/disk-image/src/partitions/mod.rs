//! Partition tables: GPT, MBR, or none.
//!
//! Partitions are counted as Linux counts them: GPT entries by their place in the table, MBR primaries from 1 to 4 and
//! logical ones from 5 on. What is wrong with a table is told beside what could be read of it.

mod gpt_table;
mod mbr;

use std::fmt;

use block_io::{BlockRead, Error as IoError, Slice};

use crate::Error;

/// Kind of a partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableKind {
    /// No table: the whole disk is one volume, or empty.
    None,
    /// Master boot record, with extended and logical partitions.
    Mbr,
    /// GUID partition table.
    Gpt,
}

impl fmt::Display for TableKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Mbr => "MBR",
            Self::Gpt => "GPT",
        })
    }
}

/// The partitions of a disk.
#[derive(Debug)]
pub struct PartitionTable {
    /// Kind of the table.
    pub kind: TableKind,
    /// Unit of the table's numbers: bytes.
    pub sector_bytes: u32,
    /// The partitions, in the order of their numbers. Extended ones, which only hold others, are left out.
    pub partitions: Vec<Partition>,
    /// What is wrong with the table.
    pub problems: Vec<TableProblem>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number, as Linux counts.
    pub number: u32,
    /// Where it starts, in bytes from the start of the disk.
    pub start_bytes: u64,
    /// How long the table says it is, in bytes.
    pub length_bytes: u64,
    /// What its type means, or the type itself where it is not known.
    pub kind: String,
    /// Its name, where the table has one.
    pub name: Option<String>,
}

/// What is wrong with a partition table although it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableProblem {
    /// The GPT at the start cannot be used; the one at the end was.
    BackupUsed {
        /// What is wrong with the first.
        reason: String,
    },
    /// The GPT at the end cannot be used; the one at the start was.
    BackupDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// The first sector does not announce a GPT, and there is one.
    NotAnnounced,
    /// Two partitions share a part of the disk.
    Overlap(u32, u32),
    /// The partition goes on behind the end of the disk.
    PastEnd(u32),
    /// An entry whose end lies before its start, or whose numbers are too large for any disk.
    Impossible(u32),
    /// The chain of logical partitions cannot be followed any further.
    BrokenChain {
        /// Why.
        reason: &'static str,
    },
}

impl fmt::Display for TableProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackupUsed { reason } => {
                write!(
                    formatter,
                    "the partition table at the start of the disk is damaged ({reason}); its backup is used"
                )
            }
            Self::BackupDamaged { reason } => {
                write!(formatter, "the backup of the partition table cannot be used ({reason})")
            }
            Self::NotAnnounced => formatter.write_str("the first sector does not announce the GPT that is there"),
            Self::Overlap(one, other) => write!(formatter, "partitions {one} and {other} overlap"),
            Self::PastEnd(number) => write!(formatter, "partition {number} ends behind the end of the disk"),
            Self::Impossible(number) => write!(formatter, "the entry of partition {number} is impossible"),
            Self::BrokenChain { reason } => write!(formatter, "logical partitions may be missing: {reason}"),
        }
    }
}

/// Reads the partition table of a disk. An image file does not tell the sector size of the disk it was taken from, so a
/// GPT is looked for in both usual units.
///
/// # Errors
/// [`Error::Storage`]; [`Error::BadTable`] when a table is announced and neither copy can be used.
pub fn partitions(disk: &dyn BlockRead) -> Result<PartitionTable, Error> {
    let mut sector = [0; 512];
    if disk.geometry().length_bytes < sector.len() as u64 {
        return Ok(none(disk));
    }
    disk.read_exact_at(0, &mut sector)?;
    let record = mbr::parse(&sector);
    let announced = record.as_ref().is_some_and(mbr::Record::announces_gpt);
    if let Some(mut table) = gpt_table::read(disk, announced)? {
        if !announced {
            table.problems.push(TableProblem::NotAnnounced);
        }
        return Ok(checked(disk, table));
    }
    match record {
        Some(record) => Ok(checked(disk, mbr::read(disk, &record))),
        None => Ok(none(disk)),
    }
}

fn none(disk: &dyn BlockRead) -> PartitionTable {
    let sector_bytes = disk.geometry().sector_bytes;
    PartitionTable { kind: TableKind::None, sector_bytes, partitions: Vec::new(), problems: Vec::new() }
}

/// Adds what is wrong with the places.
fn checked(disk: &dyn BlockRead, mut table: PartitionTable) -> PartitionTable {
    let disk_bytes = disk.geometry().length_bytes;
    let past_end = table.partitions.iter().filter(|partition| partition.end_bytes() > disk_bytes);
    table.problems.extend(past_end.map(|partition| TableProblem::PastEnd(partition.number)));
    let mut by_start: Vec<&Partition> = table.partitions.iter().collect();
    by_start.sort_by_key(|partition| partition.start_bytes);
    // The one that reaches furthest so far: it may cover many that follow.
    let mut furthest: Option<&Partition> = None;
    for partition in by_start {
        if let Some(before) = furthest.filter(|before| before.end_bytes() > partition.start_bytes) {
            let (one, other) = (before.number.min(partition.number), before.number.max(partition.number));
            table.problems.push(TableProblem::Overlap(one, other));
        }
        if furthest.is_none_or(|before| before.end_bytes() < partition.end_bytes()) {
            furthest = Some(partition);
        }
    }
    table
}

impl Partition {
    /// Where it ends, in bytes from the start of the disk.
    #[must_use]
    pub fn end_bytes(&self) -> u64 {
        self.start_bytes.saturating_add(self.length_bytes)
    }

    /// The partition as storage of its own. Where the disk ends too early, it ends there.
    ///
    /// # Errors
    /// [`block_io::Error::OutOfRange`] when it starts behind the end of the disk.
    pub fn of<D: BlockRead>(&self, disk: D) -> Result<Slice<D>, IoError> {
        let there = disk.geometry().length_bytes.saturating_sub(self.start_bytes);
        Slice::new(disk, self.start_bytes, self.length_bytes.min(there))
    }
}

/// A partition out of the first sector and the number of sectors; `None` where the numbers overflow.
fn partition(number: u32, sector_bytes: u32, first: u64, sectors: u64, kind: String) -> Option<Partition> {
    let start_bytes = first.checked_mul(u64::from(sector_bytes))?;
    let length_bytes = sectors.checked_mul(u64::from(sector_bytes))?;
    start_bytes.checked_add(length_bytes)?;
    Some(Partition { number, start_bytes, length_bytes, kind, name: None })
}
