//! Volumes formatted and filled here, judged by `fsck.fat`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use block_io::{BlockRead, BlockWrite, FileDisk, Geometry, MemoryDisk};
use fs_view::{EntryKind, Error, FileSystem, FileSystemKind, fat32};

/// A disk full of old content that fails the test when a reserved range is written.
struct Guarded {
    disk: MemoryDisk,
    reserved: Vec<Range<u64>>,
    violations: Mutex<Vec<u64>>,
}

impl Guarded {
    fn new(length: usize, reserved: &[Range<u64>]) -> Self {
        let old = vec![0xA5; length];
        Self { disk: MemoryDisk::new(old), reserved: reserved.to_vec(), violations: Mutex::default() }
    }
}

impl BlockRead for Guarded {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), block_io::Error> {
        self.disk.read_exact_at(offset, buffer)
    }
    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }
}

impl BlockWrite for Guarded {
    fn write_all_at(&self, offset: u64, data: &[u8]) -> Result<(), block_io::Error> {
        let end = offset + data.len() as u64;
        if self.reserved.iter().any(|range| offset < range.end && range.start < end) {
            self.violations.lock().unwrap().push(offset);
        }
        self.disk.write_all_at(offset, data)
    }
    fn flush(&self) -> Result<(), block_io::Error> {
        Ok(())
    }
}

fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

/// Clusters in use, bad ones included, as `fsck.fat` counts them; it must find nothing to mend, and it compares the
/// free clusters with the summary.
fn used_clusters(path: &Path) -> u64 {
    let fsck = ["/usr/sbin/fsck.fat", "/sbin/fsck.fat"].into_iter().find(|path| Path::new(path).exists());
    let output = Command::new(fsck.unwrap_or("fsck.fat")).arg("-n").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let summary = text.lines().last().unwrap();
    summary.split_once("files, ").unwrap().1.split('/').next().unwrap().parse().unwrap()
}

fn read(volume: &FileSystem<impl BlockRead>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert_eq!(volume.read(path, &mut bytes, &mut |_| {}).unwrap(), bytes.len() as u64);
    bytes
}

#[test]
fn reserved_ranges_stay_untouched_and_are_counted_as_bad() {
    let mib = 1 << 20;
    // The third of them ends in the middle of a cluster; the last reaches past the end of the clusters.
    let reserved =
        [2 * mib..2 * mib + 65_536, 20 * mib..20 * mib + 65_536, 40 * mib..40 * mib + 100, 64 * mib - 512..65 * mib];
    let guarded = Guarded::new(64 << 20, &reserved);
    fat32::format(&guarded, "keyhaven", &reserved).unwrap();
    let content = pattern(45 << 20, 1);
    fat32::create_dir(&guarded, "/Größe").unwrap();
    fat32::create_dir(&guarded, "/Größe/a directory with a long name").unwrap();
    fat32::write_file(&guarded, "/Größe/a directory with a long name/große Datei.bin", &mut &content[..]).unwrap();
    fat32::write_file(&guarded, "empty", &mut std::io::empty()).unwrap();
    assert!(guarded.violations.lock().unwrap().is_empty());

    let bytes = guarded.disk.to_vec();
    for range in &reserved[..3] {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(bytes[range].iter().all(|byte| *byte == 0xA5));
    }
    let volume = FileSystem::open(&guarded).unwrap();
    assert_eq!(volume.kind(), FileSystemKind::Fat32);
    assert_eq!(volume.label().unwrap().as_deref(), Some("KEYHAVEN"));
    assert!(read(&volume, "größe/A DIRECTORY WITH A LONG NAME/große datei.bin") == content);
    assert_eq!(volume.stat("empty").unwrap().size_bytes, 0);

    if testkit::programs(&["fsck.fat"]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        std::fs::write(&path, bytes).unwrap();
        let (content, directories, bad) = (45 << 11, 3, 128 + 128 + 1 + 1);
        assert_eq!(used_clusters(&path), content + directories + bad);
    }
}

#[test]
fn other_sizes_are_sound() {
    if !testkit::programs(&["fsck.fat"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (index, mib) in [34_u64, 259, 261, 300, 1025, 8193].into_iter().enumerate() {
        let path = folder.path().join(index.to_string());
        let disk = FileDisk::create_new(&path, (mib << 20) + 512 * index as u64).unwrap();
        let plan = fat32::plan(disk.geometry().length_bytes).unwrap();
        let reserved = plan.data_start_bytes..plan.data_start_bytes + 65_536;
        fat32::format(&disk, "", std::slice::from_ref(&reserved)).unwrap();
        fat32::write_file(&disk, "file", &mut &pattern(3 << 20, 2)[..]).unwrap();
        let cluster = u64::from(plan.cluster_bytes);
        assert_eq!(used_clusters(&path), (3 << 20) / cluster + 1 + 65_536_u64.div_ceil(cluster), "{mib} MiB");
        let volume = FileSystem::open(&disk).unwrap();
        assert_eq!(volume.kind(), FileSystemKind::Fat32);
        assert!(read(&volume, "file") == pattern(3 << 20, 2));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let disk = MemoryDisk::new(vec![0; 40 << 20]);
    let start = fat32::plan(40 << 20).unwrap().data_start_bytes;
    for range in [0..512, start - 1..start + 9] {
        let refused = fat32::format(&disk, "", std::slice::from_ref(&range));
        assert!(matches!(refused, Err(Error::ReservedInUse { .. })));
    }
    assert!(disk.to_vec().iter().all(|byte| *byte == 0));
    fat32::format(&disk, "", &[]).unwrap();
    assert!(matches!(fat32::write_file(&disk, "no/file", &mut std::io::empty()), Err(Error::NotFound { .. })));
    assert!(matches!(fat32::write_file(&disk, "../file", &mut std::io::empty()), Err(Error::BadPath { .. })));
    // A volume that runs full keeps nothing of the file.
    let too_much = &mut std::io::repeat(1).take(60 << 20);
    assert!(fat32::write_file(&disk, "file", too_much).is_err());
    let volume = FileSystem::open(&disk).unwrap();
    assert!(volume.list("/").unwrap().entries.is_empty());
    // Writing again replaces.
    fat32::write_file(&disk, "file", &mut &b"first, longer"[..]).unwrap();
    fat32::write_file(&disk, "FILE", &mut &b"second"[..]).unwrap();
    assert_eq!(read(&FileSystem::open(&disk).unwrap(), "file"), b"second");
    fat32::create_dir(&disk, "folder").unwrap();
    fat32::create_dir(&disk, "folder").unwrap();
    assert!(fat32::create_dir(&disk, "file").is_err());
    assert!(fat32::write_file(&disk, "folder", &mut std::io::empty()).is_err());
    assert_eq!(FileSystem::open(&disk).unwrap().stat("folder").unwrap().kind, EntryKind::Directory);
}
