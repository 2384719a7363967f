//! The GUID partition table, read by the crate `gpt`.
//!
//! The crate takes the first header whose own checksum fits, whatever the table behind it is like, and trusts the
//! numbers of the header. Here each copy is read by itself, its numbers are bounded before the table is touched, and the
//! backup is used when anything is wrong with the first.

use block_io::{BlockRead, Cursor, Slice};
use gpt::disk::LogicalBlockSize;
use gpt::header::{Header, read_header_from_arbitrary_device};
use gpt::partition::file_read_partitions;

use super::{Partition, PartitionTable, TableKind, TableProblem, partition};
use crate::Error;

/// The table has 128 entries; programs make up to a few thousand.
const MAX_ENTRIES: u32 = 16 << 10;
/// Entries of other sizes are allowed by the standard and used by nobody.
const ENTRY_BYTES: u32 = 128;
const SIGNATURE: &[u8] = b"EFI PART";

/// Which copy.
#[derive(Clone, Copy)]
enum Copy {
    First,
    Backup,
}

/// Reads the table; `None` when there is none.
pub(super) fn read(disk: &dyn BlockRead, announced: bool) -> Result<Option<PartitionTable>, Error> {
    let own = disk.geometry().sector_bytes;
    let mut sizes = vec![own];
    sizes.extend([512, 4096].into_iter().filter(|size| *size != own));
    let mut first_reason = None;
    for size in sizes {
        let units: LogicalBlockSize = match size {
            512 => LogicalBlockSize::Lb512,
            4096 => LogicalBlockSize::Lb4096,
            _ => continue,
        };
        if !is_there(disk, size, Copy::First) && !is_there(disk, size, Copy::Backup) {
            continue;
        }
        let backup = read_copy(disk, units, size, Copy::Backup);
        match (read_copy(disk, units, size, Copy::First), backup) {
            (Ok(table), Ok(_)) => return Ok(Some(table)),
            (Ok(table), Err(reason)) => return Ok(Some(with(table, TableProblem::BackupDamaged { reason }))),
            (Err(reason), Ok(table)) => return Ok(Some(with(table, TableProblem::BackupUsed { reason }))),
            (Err(reason), Err(_)) => first_reason = first_reason.or(Some(reason)),
        }
    }
    // What no record announces may be a leftover of an older use of the disk.
    match first_reason {
        Some(what) if announced => Err(Error::BadTable {
            kind: TableKind::Gpt,
            what: format!("{what}, and its backup at the end is no better"),
        }),
        None if announced => Err(Error::BadTable {
            kind: TableKind::Gpt,
            what: "the first sector announces it, and it is neither at the start nor at the end of the disk".to_owned(),
        }),
        _ => Ok(None),
    }
}

fn with(mut table: PartitionTable, problem: TableProblem) -> PartitionTable {
    table.problems.insert(0, problem);
    table
}

/// Where the header of a copy lies.
fn place(disk: &dyn BlockRead, size: u32, copy: Copy) -> Option<u64> {
    let (length, size) = (disk.geometry().length_bytes, u64::from(size));
    match copy {
        Copy::First => Some(size),
        Copy::Backup => (length / size).checked_sub(1)?.checked_mul(size),
    }
}

fn is_there(disk: &dyn BlockRead, size: u32, copy: Copy) -> bool {
    let mut start = [0; 8];
    place(disk, size, copy).is_some_and(|place| disk.read_exact_at(place, &mut start).is_ok() && start == *SIGNATURE)
}

fn read_copy(disk: &dyn BlockRead, units: LogicalBlockSize, size: u32, copy: Copy) -> Result<PartitionTable, String> {
    let length = disk.geometry().length_bytes;
    let place = place(disk, size, copy).ok_or_else(|| "the disk is too small".to_owned())?;
    // The crate looks for a header in the second sector of what it is given.
    let start = place.checked_sub(u64::from(size)).ok_or_else(|| "the disk is too small".to_owned())?;
    let around = Slice::new(disk, start, length - start).map_err(|error| error.to_string())?;
    let header =
        read_header_from_arbitrary_device(&mut Cursor::new(around), units).map_err(|error| error.to_string())?;
    check(&header, place / u64::from(size))?;
    let entries = file_read_partitions(&mut Cursor::new(disk), &header, units).map_err(|error| error.to_string())?;
    let mut table =
        PartitionTable { kind: TableKind::Gpt, sector_bytes: size, partitions: Vec::new(), problems: Vec::new() };
    for (number, entry) in entries.iter().filter(|(_, entry)| entry.is_used()) {
        let sectors = entry.last_lba.checked_sub(entry.first_lba).and_then(|count| count.checked_add(1));
        let kind = kind_name(&entry.part_type_guid.guid.to_string());
        let found = sectors.and_then(|sectors| partition(*number, size, entry.first_lba, sectors, kind));
        let name = Some(entry.name.clone()).filter(|name| !name.is_empty());
        match found {
            Some(found) => table.partitions.push(Partition { name, ..found }),
            None => table.problems.push(TableProblem::Impossible(*number)),
        }
    }
    Ok(table)
}

/// Bounds what the crate takes as it is.
fn check(header: &Header, place: u64) -> Result<(), String> {
    if header.current_lba != place {
        return Err("its header belongs to another place".to_owned());
    }
    if header.part_size != ENTRY_BYTES || header.num_parts > MAX_ENTRIES {
        return Err("the number or the size of its entries is impossible".to_owned());
    }
    Ok(())
}

fn kind_name(guid: &str) -> String {
    match guid.to_ascii_uppercase().as_str() {
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7" => "Windows data",
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE" => "Windows reserved",
        "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" => "Windows recovery",
        "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3" => "Windows dynamic disk",
        "AF9B60A0-1431-4F62-BC68-3311714A69AD" => "Windows dynamic disk data",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" => "EFI system",
        "21686148-6449-6E6F-744E-656564454649" => "BIOS boot",
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4" => "Linux",
        "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F" => "Linux swap",
        "E6D6D379-F507-44C2-A23C-238F2A3DF928" => "Linux LVM",
        "48465300-0000-11AA-AA11-00306543ECAC" => "Apple HFS",
        "7C3457EF-0000-11AA-AA11-00306543ECAC" => "Apple APFS",
        other => return format!("type {other}"),
    }
    .to_owned()
}
