//! Partition tables made by `sfdisk` and `sgdisk`, sound and damaged.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use block_io::{BlockRead, BlockWrite, Geometry, MemoryDisk};
use disk_image::{DiskImage, Error, PartitionTable, TableKind, TableProblem, partitions};

const MIB: u64 = 1 << 20;

/// An image of so many MiB with the table that `sfdisk` makes of a script.
fn disk(folder: &Path, mib: u64, script: &str) -> PathBuf {
    let path = folder.join("disk.img");
    let _ = std::fs::remove_file(&path);
    std::fs::File::create(&path).unwrap().set_len(mib * MIB).unwrap();
    let mut command = Command::new("/usr/sbin/sfdisk");
    command.args(["-q", "--no-reread", "--no-tell-kernel"]).arg(&path).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{script}");
    path
}

/// An image with a table in sectors of 4096 bytes, by the commands that `fdisk` takes.
fn disk_of_4k_sectors(folder: &Path, mib: u64, commands: &str) -> PathBuf {
    let path = folder.join("disk-4k.img");
    std::fs::File::create(&path).unwrap().set_len(mib * MIB).unwrap();
    let mut command = Command::new("/usr/sbin/fdisk");
    command.args(["-b", "4096"]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    child.wait().unwrap();
    path
}

fn places(table: &PartitionTable) -> Vec<(u32, u64, u64)> {
    table.partitions.iter().map(|found| (found.number, found.start_bytes, found.length_bytes)).collect()
}

/// What sfdisk itself says: number, start and length in bytes.
fn as_sfdisk_says(path: &Path, unit: u64) -> Vec<(u32, u64, u64)> {
    let output = Command::new("/usr/sbin/sfdisk").args(["-d"]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let name = path.display().to_string();
    let number_in = |line: &str, key: &str| -> u64 {
        line.split_once(key).unwrap().1.trim_start().split(',').next().unwrap().trim().parse().unwrap()
    };
    text.lines()
        .filter(|line| line.starts_with(&name) && !line.contains("type=5") && !line.contains("type=f"))
        .map(|line| {
            let number = line[name.len()..].split_whitespace().next().unwrap().parse().unwrap();
            (number, number_in(line, "start=") * unit, number_in(line, "size=") * unit)
        })
        .filter(|(_, _, length)| *length > 0)
        .collect()
}

#[test]
fn mbr_with_logical_partitions_is_numbered_as_linux_does() {
    if !testkit::programs(&["sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "label: dos\n2048,2048,7\n4096,2048,83\n6144,+,5\n8192,2048,7\n12288,4096,7\n18432,1024,b\n";
    let path = disk(folder.path(), 32, script);
    let table = partitions(&DiskImage::open(&path).unwrap()).unwrap();
    assert_eq!((table.kind, &table.problems[..]), (TableKind::Mbr, &[][..]));
    assert_eq!(places(&table), as_sfdisk_says(&path, 512));
    let numbers: Vec<u32> = table.partitions.iter().map(|found| found.number).collect();
    assert_eq!(numbers, [1, 2, 5, 6, 7]);
    assert_eq!(table.partitions[4].kind, "FAT");
}

#[test]
fn gpt_in_sectors_of_512_and_4096_bytes_is_numbered_by_its_entries() {
    if !testkit::programs(&["sgdisk", "sfdisk", "fdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "label: gpt\nsize=2MiB,type=U,name=\"boot\"\nsize=4MiB,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,name=\"Daten für alle\"\n";
    let path = disk(folder.path(), 32, script);
    let sgdisk = |arguments: &[&str]| {
        assert!(Command::new("/usr/sbin/sgdisk").args(arguments).arg(&path).output().unwrap().status.success())
    };
    // Entry 7 is used, 3 to 6 are not.
    sgdisk(&["-n", "7:0:+3M", "-t", "7:0700"]);
    sgdisk(&["-d", "1"]);
    let table = partitions(&DiskImage::open(&path).unwrap()).unwrap();
    assert_eq!((table.kind, &table.problems[..]), (TableKind::Gpt, &[][..]));
    assert_eq!(places(&table), as_sfdisk_says(&path, 512));
    assert_eq!(table.partitions.iter().map(|found| found.number).collect::<Vec<_>>(), [2, 7]);
    assert_eq!(
        (table.partitions[0].name.as_deref(), &*table.partitions[0].kind),
        (Some("Daten für alle"), "Windows data")
    );

    let path = disk_of_4k_sectors(folder.path(), 32, "g\nn\n1\n256\n767\nn\n2\n768\n1791\nw\n");
    let table = partitions(&DiskImage::open(&path).unwrap()).unwrap();
    assert_eq!((table.kind, table.sector_bytes, &table.problems[..]), (TableKind::Gpt, 4096, &[][..]));
    assert_eq!(places(&table), [(1, MIB, 2 * MIB), (2, 3 * MIB, 4 * MIB)]);
}

/// Something done to a disk.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

fn gpt_bytes() -> Option<Vec<u8>> {
    if !testkit::programs(&["sfdisk"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    Some(std::fs::read(disk(folder.path(), 16, "label: gpt\nsize=2MiB\nsize=4MiB\n")).unwrap())
}

#[test]
fn a_damaged_gpt_is_read_from_its_backup() {
    let Some(bytes) = gpt_bytes() else { return };
    let good = partitions(&MemoryDisk::new(bytes.clone())).unwrap();
    assert_eq!(good.partitions.len(), 2);
    let end = bytes.len();
    let read = |change: Change<'_>| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        partitions(&MemoryDisk::new(bytes))
    };
    // The header, its signature, the entries, and a header whose numbers are sealed and impossible.
    let sealed = |bytes: &mut Vec<u8>| {
        bytes[512 + 84..512 + 88].copy_from_slice(&129_u32.to_le_bytes());
        bytes[512 + 16..512 + 20].fill(0);
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[512..512 + 92]);
        bytes[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
    };
    let changes: [Change<'_>; 5] = [
        &|bytes| bytes[512 + 40] ^= 1,
        &|bytes| bytes[512..1024].fill(0),
        &|bytes| bytes[1024 + 32] ^= 1,
        &|bytes| bytes[1024..1024 + 128 * 128].fill(0),
        &sealed,
    ];
    for change in changes {
        let table = read(change).unwrap();
        assert!(matches!(table.problems[..], [TableProblem::BackupUsed { .. }]), "{:?}", table.problems);
        assert_eq!(table.partitions, good.partitions);
    }
    for change in [&|bytes: &mut Vec<u8>| bytes[end - 500] ^= 1, &|bytes: &mut Vec<u8>| bytes.truncate(end - 512)]
        as [Change<'_>; 2]
    {
        let table = read(change).unwrap();
        assert!(matches!(table.problems[..], [TableProblem::BackupDamaged { .. }]), "{:?}", table.problems);
        assert_eq!(table.partitions, good.partitions);
    }
    // A disk that has become larger has its backup before its end.
    let table = read(&|bytes| bytes.resize(end + (1 << 20), 0)).unwrap();
    assert_eq!((&table.problems[..], &table.partitions), (&[][..], &good.partitions));
    let both = |bytes: &mut Vec<u8>| {
        bytes[512 + 40] ^= 1;
        bytes[end - 500] ^= 1;
    };
    let error = read(&both).unwrap_err();
    assert!(matches!(error, Error::BadTable { kind: TableKind::Gpt, .. }), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
    // Without its announcement the table is used all the same.
    let table = read(&|bytes| bytes[..512].fill(0)).unwrap();
    assert_eq!((&table.problems[..], &table.partitions), (&[TableProblem::NotAnnounced][..], &good.partitions));
}

/// A record with these entries: type, first sector, sectors.
fn record(entries: &[(u8, u32, u32)]) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    for (index, (kind, first, sectors)) in entries.iter().enumerate() {
        let at = 446 + 16 * index;
        sector[at + 4] = *kind;
        sector[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        sector[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
    }
    sector
}

fn mbr(records: &[(usize, [u8; 512])]) -> PartitionTable {
    let mut bytes = vec![0; 1 << 20];
    for (sector, record) in records {
        bytes[sector * 512..sector * 512 + 512].copy_from_slice(record);
    }
    partitions(&MemoryDisk::new(bytes)).unwrap()
}

#[test]
fn nonsense_in_an_mbr_is_told() {
    let table = mbr(&[(0, record(&[(7, 100, 200), (7, 250, 100), (7, 1000, u32::MAX), (7, 3000, 5000)]))]);
    assert_eq!(table.partitions.len(), 4);
    for expected in
        [TableProblem::Overlap(1, 2), TableProblem::PastEnd(3), TableProblem::PastEnd(4), TableProblem::Overlap(3, 4)]
    {
        assert!(table.problems.contains(&expected), "{expected}: {:?}", table.problems);
    }
    // One partition that covers several.
    let table = mbr(&[(0, record(&[(7, 100, 1000), (7, 200, 10), (7, 300, 10)]))]);
    assert_eq!(table.problems, [TableProblem::Overlap(1, 2), TableProblem::Overlap(1, 3)]);
    // A chain in a circle, at itself, to nowhere, and out of the disk.
    let circle = mbr(&[
        (0, record(&[(5, 100, 900)])),
        (100, record(&[(7, 1, 10), (5, 50, 10)])),
        (150, record(&[(7, 1, 10), (5, 0, 10)])),
    ]);
    assert_eq!(places(&circle), [(5, 101 * 512, 5120), (6, 151 * 512, 5120)]);
    let broken = |table: &PartitionTable| matches!(table.problems[..], [TableProblem::BrokenChain { .. }]);
    assert!(broken(&circle), "{:?}", circle.problems);
    assert!(broken(&mbr(&[(0, record(&[(5, 100, 900)])), (100, record(&[(7, 1, 10), (5, 60, 10)]))])));
    assert!(broken(&mbr(&[(0, record(&[(15, 100, 900)])), (100, record(&[(7, 1, 10), (5, u32::MAX, 10)]))])));
    // An extended partition with nothing in it is sound.
    assert_eq!(mbr(&[(0, record(&[(7, 1, 10), (5, 100, 900)]))]).problems, []);
}

#[test]
fn the_unit_of_an_mbr_is_that_of_its_boot_sectors() {
    let boot = |unit: u16| {
        let mut sector = record(&[]);
        sector[11..13].copy_from_slice(&unit.to_le_bytes());
        sector
    };
    let table =
        |records: &[(usize, [u8; 512])]| mbr(&[&[(0, record(&[(7, 16, 32), (0x83, 64, 8)]))], records].concat());
    assert_eq!(places(&table(&[(16 * 8, boot(4096))])), [(1, 65_536, 131_072), (2, 262_144, 32_768)]);
    assert_eq!(places(&table(&[(16, boot(512))])), [(1, 8192, 16_384), (2, 32_768, 4096)]);
    // Without a boot sector, and with one that belongs to something else, the disk's own.
    assert_eq!(table(&[]).sector_bytes, 512);
    assert_eq!(table(&[(16 * 8, boot(512))]).sector_bytes, 512);
    assert_eq!(table(&[(16, boot(512)), (16 * 8, boot(4096))]).sector_bytes, 512);
}

#[test]
fn a_long_chain_ends() {
    let mut bytes = vec![0; 4 << 20];
    bytes[..512].copy_from_slice(&record(&[(5, 1, 8000)]));
    for index in 0..4000 {
        let at = (index + 1) * 512;
        bytes[at..at + 512].copy_from_slice(&record(&[(7, 1, 1), (5, u32::try_from(index).unwrap() + 1, 1)]));
    }
    let table = partitions(&MemoryDisk::new(bytes)).unwrap();
    assert_eq!(table.partitions.len(), 256);
    assert!(table.problems.iter().any(|problem| matches!(problem, TableProblem::BrokenChain { .. })));
}

#[test]
fn a_boot_sector_is_no_table() {
    let mut sector = [0xAB; 4096];
    sector[510..512].copy_from_slice(&[0x55, 0xAA]);
    assert_eq!(partitions(&MemoryDisk::new(sector.to_vec())).unwrap().kind, TableKind::None);
    let mut ntfs = [0; 4096];
    ntfs[3..11].copy_from_slice(b"NTFS    ");
    ntfs[450] = 7;
    ntfs[510..512].copy_from_slice(&[0x55, 0xAA]);
    assert_eq!(partitions(&MemoryDisk::new(ntfs.to_vec())).unwrap().kind, TableKind::None);
    for length in [0, 1, 511, 512, 513, 1024] {
        assert_eq!(partitions(&MemoryDisk::new(vec![0; length])).unwrap().kind, TableKind::None);
    }
}

#[test]
fn a_partition_is_storage_of_its_own() {
    let disk = MemoryDisk::new({
        let mut bytes = vec![0; 1 << 20];
        bytes[..512].copy_from_slice(&record(&[(7, 100, 200), (7, 1900, 400)]));
        bytes
    });
    let table = partitions(&disk).unwrap();
    let first = table.partitions[0].of(&disk).unwrap();
    assert_eq!(first.geometry(), Geometry { length_bytes: 200 * 512, sector_bytes: 512 });
    first.write_all_at(0, &[9]).unwrap();
    assert_eq!(disk.to_vec()[51_200], 9);
    // The end of the disk cuts the second.
    assert_eq!(table.partitions[1].of(&disk).unwrap().geometry().length_bytes, 148 * 512);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]
    #[test]
    fn flipped_bits_in_tables_are_survived(flips in proptest::collection::vec((0..40_usize * 512, 0..8_u32), 1..20), at_end: bool) {
        let mut bytes = TABLES[usize::from(at_end)].clone();
        let length = bytes.len();
        for (at, bit) in flips {
            let at = if at_end { length - 1 - at } else { at };
            bytes[at] ^= 1 << bit;
        }
        let disk = MemoryDisk::new(bytes);
        if let Ok(table) = partitions(&disk) {
            for partition in &table.partitions {
                let _ = partition.of(&disk);
            }
        }
    }
}

/// An MBR with logical partitions, and a GPT where `sfdisk` is there.
static TABLES: std::sync::LazyLock<[Vec<u8>; 2]> = std::sync::LazyLock::new(|| {
    let mut bytes = vec![0; 2 << 20];
    bytes[..512].copy_from_slice(&record(&[(7, 1, 3), (5, 10, 900)]));
    bytes[5120..5632].copy_from_slice(&record(&[(7, 1, 2), (5, 20, 10)]));
    bytes[30 * 512..31 * 512].copy_from_slice(&record(&[(7, 1, 2)]));
    [bytes.clone(), gpt_bytes().unwrap_or(bytes)]
});
