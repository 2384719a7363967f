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
        let first = u64::from(size);
        let backups = places_of_backup(disk, first);
        let backup_at = backups.iter().copied().find(|place| is_there(disk, *place));
        if !is_there(disk, first) && backup_at.is_none() {
            continue;
        }
        let backup = read_copy(disk, units, size, backup_at.unwrap_or(backups[0]));
        match (read_copy(disk, units, size, first), backup) {
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

/// Where the header of the backup may lie: at the end of the disk, or where the first header says. They differ when an
/// image has become larger, as `qemu-img` makes it for VHD. What the first says may be damaged; the checksum of the
/// backup tells.
fn places_of_backup(disk: &dyn BlockRead, size: u64) -> [u64; 2] {
    let at_end = (disk.geometry().length_bytes / size).saturating_sub(1) * size;
    let mut named = [0; 8];
    match disk.read_exact_at(size + 32, &mut named) {
        Ok(()) => [at_end, u64::from_le_bytes(named).saturating_mul(size)],
        Err(_) => [at_end, at_end],
    }
}

fn is_there(disk: &dyn BlockRead, place: u64) -> bool {
    let mut start = [0; 8];
    disk.read_exact_at(place, &mut start).is_ok() && start == *SIGNATURE
}

/// Reads the copy whose header is at byte `place`.
fn read_copy(disk: &dyn BlockRead, units: LogicalBlockSize, size: u32, place: u64) -> Result<PartitionTable, String> {
    let length = disk.geometry().length_bytes;
    let too_small = || "the disk is too small".to_owned();
    // The crate looks for a header in the second sector of what it is given.
    let start = place.checked_sub(u64::from(size)).ok_or_else(too_small)?;
    let around = Slice::new(disk, start, length.checked_sub(start).ok_or_else(too_small)?);
    let around = around.map_err(|error| error.to_string())?;
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
