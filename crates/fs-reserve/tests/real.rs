//! File systems made and filled by other implementations: after the changes their own checkers have nothing to say, no
//! driver touches what was reserved, and giving it back leaves no trace.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../fs-view/tests/images/mod.rs"]
mod images;

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use block_io::{FileDisk, MemoryDisk};
use fs_reserve::{Error, FileSystem, Unclean, Want, Write};
use fs_view::Visited;
use images::{Image, Mounted, pattern};

const KIB: u64 = 1024;

/// What an encrypted volume needs: three regions, a header with what follows it.
const WANTS: [Want; 4] = [
    Want { bytes: 64 * KIB + 8 * KIB + 64 * KIB, align_bytes: 4096, at_least_offset: 33 << 20 },
    Want { bytes: 64 * KIB, align_bytes: 4096, at_least_offset: 40 << 20 },
    Want { bytes: 64 * KIB, align_bytes: 4096, at_least_offset: 44 << 20 },
    Want { bytes: 3 * KIB, align_bytes: 512, at_least_offset: 0 },
];

fn open(path: &Path) -> FileSystem<FileDisk> {
    FileSystem::open(FileDisk::open(path).unwrap()).unwrap()
}

fn apply(path: &Path, writes: &[Write]) {
    let file = File::options().write(true).open(path).unwrap();
    for write in writes {
        file.write_all_at(&write.bytes, write.offset_bytes).unwrap();
    }
}

/// Every file with its content, through another reader.
fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let volume = fs_view::FileSystem::open(FileDisk::open(path).unwrap()).unwrap();
    let mut names = Vec::new();
    let mut visitor = |visited: Visited<'_>| {
        match visited {
            Visited::Entry { path, entry, .. } if entry.kind == fs_view::EntryKind::File => {
                names.push(path.to_owned());
            }
            Visited::Entry { .. } => {}
            Visited::Problem(problem) => panic!("{problem:?}"),
        }
        ControlFlow::Continue(())
    };
    volume.walk("", &mut visitor).unwrap();
    let read = |name: &String| {
        let mut content = Vec::new();
        volume.read(name, &mut content, &mut |_| {}).unwrap();
        content
    };
    names.iter().filter(|name| !name.contains("fill")).map(|name| (name.clone(), read(name))).collect()
}

/// Puts bytes into the ranges that nobody may change.
fn put(path: &Path, ranges: &[Range<u64>]) {
    let file = File::options().write(true).open(path).unwrap();
    for range in ranges {
        file.write_all_at(&content(range), range.start).unwrap();
    }
}

fn content(range: &Range<u64>) -> Vec<u8> {
    pattern(usize::try_from(range.end - range.start).unwrap(), u32::try_from(range.start).unwrap())
}

fn assert_kept(path: &Path, ranges: &[Range<u64>]) {
    let file = File::open(path).unwrap();
    for range in ranges {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        file.read_exact_at(&mut bytes, range.start).unwrap();
        assert!(bytes == content(range), "{range:?} was changed");
    }
}

/// Runs a checker, which must be content, and gives what it says.
fn judge(program: &str, arguments: &[&str], image: &Path) -> String {
    let found = ["/usr/sbin/", "/sbin/"].map(|folder| format!("{folder}{program}"));
    let name = found.into_iter().find(|path| Path::new(path).exists()).unwrap_or_else(|| program.to_owned());
    let output = Command::new(&name).env("LC_ALL", "C").args(arguments).arg(image).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // `ntfsresize` has no way to check alone: that a full volume cannot be made smaller is no complaint.
    let full = program == "ntfsresize" && text.contains("ERROR: Volume is full");
    assert!(output.status.success() || full, "{name}: {text}");
    text.replace("ERROR: Volume is full", "")
}

/// Which checkers a file system has.
#[derive(Clone, Copy)]
enum Checkers {
    Fat,
    ExFat,
    Ntfs,
}

impl Checkers {
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Fat => &["mkfs.fat", "fsck.fat", "mcopy"],
            Self::ExFat => &["mkfs.exfat", "fsck.exfat"],
            Self::Ntfs => &["mkntfs", "ntfsfix", "ntfsresize", "ntfscluster", "ntfsinfo"],
        }
    }

    fn run(self, image: &Path) {
        match self {
            Self::Fat => {
                let text = judge("fsck.fat", &["-n", "-v"], image);
                for word in ["wrong", "differ", "Reclaim", "dirty", "orphan"] {
                    assert!(!text.contains(word), "{text}");
                }
            }
            Self::ExFat => {
                let text = judge("fsck.exfat", &["-n"], image);
                assert!(text.contains("clean") && !text.contains("ERROR"), "{text}");
            }
            Self::Ntfs => {
                let text = judge("ntfsfix", &["-n"], image);
                assert!(text.contains("processed successfully") && !text.contains("FAILED"), "{text}");
                judge("ntfsinfo", &["-m"], image);
                // Counts the clusters of every file and compares them with the bitmap.
                let text = judge("ntfsresize", &["--info", "--force", "--bad-sectors", "--no-progress-bar"], image);
                assert!(!text.contains("ERROR") && !text.contains("mismatch"), "{text}");
            }
        }
    }
}

/// Reserves, has it judged, fills the rest, and gives it back.
fn check(image: &Image, checkers: Checkers, fill: &dyn Fn(&Path, u64) -> Option<()>) {
    if !testkit::programs(checkers.programs()) {
        return;
    }
    let path = image.path();
    checkers.run(&path);
    let (volume, before, first) = (open(&path), files(&path), fs::read(&path).unwrap());
    volume.check_clean().unwrap();
    let free = volume.free_bytes().unwrap();
    let ranges = volume.find(&WANTS).unwrap();
    for (range, want) in ranges.iter().zip(WANTS) {
        assert!(range.end - range.start == want.bytes && range.start.is_multiple_of(want.align_bytes));
        assert!(range.start >= want.at_least_offset.max(8192), "{range:?}");
    }
    let writes = volume.reserve(&ranges).unwrap();
    put(&path, &ranges);
    apply(&path, &writes);
    let reserved = fs::read(&path).unwrap();
    apply(&path, &writes);
    assert!(fs::read(&path).unwrap() == reserved, "the same writes again changed something");
    let changed: usize = writes.iter().map(|write| write.bytes.len()).sum();
    assert!(changed < 32 * 1024, "{changed} bytes");

    checkers.run(&path);
    assert!(files(&path) == before);
    let taken = free - volume.free_bytes().unwrap();
    let wanted: u64 = WANTS.iter().map(|want| want.bytes).sum();
    assert!((wanted..wanted + 8 * volume.cluster_bytes()).contains(&taken), "{taken}");
    assert!(
        matches!(volume.reserve(&ranges[..1]), Err(Error::NotFree { offset_bytes }) if ranges[0].contains(&offset_bytes) || offset_bytes <= ranges[0].start)
    );
    if matches!(checkers, Checkers::Ntfs) {
        for range in &ranges {
            let cluster = |offset: u64| offset / volume.cluster_bytes();
            let clusters = format!("{}-{}", cluster(range.start), cluster(range.end - 1));
            let text = judge("ntfscluster", &["-f", "-c", &clusters], &path);
            assert!(text.contains("$BadClus/$DATA($Bad)"), "{text}");
        }
    }

    if fill(&path, volume.free_bytes().unwrap()).is_some() {
        checkers.run(&path);
        assert_kept(&path, &ranges);
        assert!(files(&path) == before);
    }

    fs::write(&path, &reserved).unwrap();
    let inner = volume.cluster_area().start;
    assert!(matches!(volume.release(std::slice::from_ref(&(inner..inner + 1))), Err(Error::NotReserved { .. })));
    apply(&path, &volume.release(&ranges).unwrap());
    checkers.run(&path);
    assert_eq!(volume.free_bytes().unwrap(), free);
    assert!(files(&path) == before);
    // What was in the ranges is all that differs; on NTFS also the numbers that detect torn writes, and on exFAT the share
    // of used space in the boot sector, which not every driver keeps right.
    let now = fs::read(&path).unwrap();
    let outside = |offset: &usize| !ranges.iter().any(|range| range.contains(&(*offset as u64)));
    let blocks = now.chunks(4096).zip(first.chunks(4096)).enumerate().filter(|(_, (now, then))| now != then);
    let bytes = blocks.flat_map(|(number, _)| number * 4096..((number + 1) * 4096).min(now.len()));
    let differing: Vec<usize> = bytes.filter(|at| now[*at] != first[*at]).filter(outside).collect();
    match checkers {
        Checkers::Fat => assert!(differing.is_empty(), "{differing:?}"),
        Checkers::ExFat => assert!(differing.iter().all(|at| *at == 112), "{differing:?}"),
        Checkers::Ntfs => {
            let view = fs_view::FileSystem::open(FileDisk::open(&path).unwrap()).unwrap();
            // Where clusters are large, the mirror holds the record, too.
            let record = view.ntfs_record(8).unwrap();
            let length = record.bytes.len() as u64;
            let mirror = view.ntfs_stream(1, "").unwrap().unwrap();
            let copy = Some(8 * length).filter(|offset| *offset < mirror.size_bytes());
            let copy = copy.map(|offset| mirror.piece_at(offset).unwrap().place_bytes.unwrap());
            let places: Vec<u64> = [record.places[0].0].into_iter().chain(copy).collect();
            let inside = |at: &usize| places.iter().any(|place| (*place..place + length).contains(&(*at as u64)));
            assert!(differing.iter().all(inside), "{differing:?}");
            assert!(differing.len() <= places.len() * 2 * (1 + record.bytes.len() / 512), "{differing:?}");
        }
    }
}

/// Writes until nothing more fits, then once more in small pieces.
fn fill_folder(folder: &Path) {
    for (name, length) in [("fill", 1 << 20), ("fill small", 64 * 1024), ("fill smallest", 512)] {
        let Ok(mut file) = File::create(folder.join(name)) else { continue };
        let bytes = vec![0xEE; length];
        while file.write_all(&bytes).is_ok() {}
        // What is told late is told here.
        let _ = file.sync_all();
    }
}

fn fat_files() -> [(&'static str, &'static [u8]); 2] {
    [("a.txt", b"a file"), ("large.bin", &[0x5A; 300_000])]
}

/// One file takes all that is free; another does not fit any more.
fn fill_fat(path: &Path, free: u64) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str, length: u64| {
        let source = folder.path().join(name);
        File::create(&source).unwrap().set_len(length).unwrap();
        let mut command = Command::new("mcopy");
        command.arg("-i").arg(path).arg(&source).arg(format!("::{name}"));
        command.output().unwrap().status.success()
    };
    assert!(copy("fill", free), "{free} bytes were free");
    assert!(!copy("fill2", 1));
    assert_eq!(open(path).free_bytes().unwrap(), 0);
    Some(())
}

#[test]
fn fat() {
    if !testkit::programs(Checkers::Fat.programs()) {
        return;
    }
    for (length, bits) in [(64 << 20, 12), (100 << 20, 16), (100 << 20, 32), (600 << 20, 32)] {
        let image = Image::fat(length, bits, &fat_files(), &["dir"]);
        check(&image, Checkers::Fat, &fill_fat);
    }
}

#[test]
fn exfat() {
    if !testkit::programs(Checkers::ExFat.programs()) {
        return;
    }
    for options in [&[][..], &["-c", "512"], &["-c", "128K"]] {
        let image = Image::new(120 << 20);
        let made = Command::new("mkfs.exfat").args(options).arg(image.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let Some(mounted) = Mounted::exfat(&image.path()) else { return };
        fs::create_dir(mounted.path().join("dir")).unwrap();
        fs::write(mounted.path().join("dir/file"), pattern(3_000_000, 1)).unwrap();
        drop(mounted);
        check(&image, Checkers::ExFat, &|path, _| {
            let mounted = Mounted::exfat(path)?;
            fill_folder(mounted.path());
            drop(mounted);
            Some(())
        });
    }
}

#[test]
fn ntfs() {
    if !testkit::programs(Checkers::Ntfs.programs()) {
        return;
    }
    for options in [&[][..], &["-c", "512"], &["-c", "65536"], &["-s", "4096"]] {
        let image = Image::ntfs(120 << 20, options, &[("a.txt", b"a file"), ("large", &pattern(3_000_000, 2))]);
        check(&image, Checkers::Ntfs, &|path, _| {
            let mounted = Mounted::new("ntfs-3g", "rw", path)?;
            fill_folder(mounted.path());
            drop(mounted);
            Some(())
        });
    }
}

fn unclean(bytes: Vec<u8>) -> Unclean {
    let volume = FileSystem::open(MemoryDisk::new(bytes)).unwrap();
    let ranges = volume.find(&WANTS[3..]).unwrap();
    let Err(Error::NotClean(refused)) = volume.reserve(&ranges) else { panic!("it is not clean") };
    let Err(Error::NotClean(unclean)) = volume.check_clean() else { panic!("it is not clean") };
    assert_eq!(unclean, refused);
    unclean
}

#[test]
fn what_is_not_clean_is_refused() {
    if !testkit::programs(&["mkfs.fat", "mkfs.exfat", "mkntfs", "ntfscp"]) {
        return;
    }
    let fat = Image::fat(64 << 20, 32, &[], &[]).bytes();
    let table = usize::from(u16::from_le_bytes([fat[14], fat[15]])) * 512;
    for (offset, bit, media) in [(0x41, 1, false), (0x41, 2, true), (table + 7, 8, false), (table + 7, 4, true)] {
        let mut bytes = fat.clone();
        bytes[offset] ^= bit;
        assert_eq!(matches!(unclean(bytes), Unclean::MediaFailure { .. }), media);
    }
    let exfat = Image::new(64 << 20);
    assert!(Command::new("mkfs.exfat").arg(exfat.path()).output().unwrap().status.success());
    let mut bytes = exfat.bytes();
    bytes[106] |= 2;
    assert_eq!(unclean(bytes), Unclean::Dirty { place: "the boot sector", flags: 2 });

    let ntfs = Image::ntfs(64 << 20, &[], &[("x", b"y")]);
    let hibernated = Image::ntfs(64 << 20, &[], &[("hiberfil.sys", &[&b"HIBR"[..], &[0; 8000]].concat())]);
    assert!(matches!(unclean(hibernated.bytes()), Unclean::Hibernated { signature: ['H', 'I', 'B', 'R'] }));
    let awake = Image::ntfs(64 << 20, &[], &[("hiberfil.sys", &[&b"wake"[..], &[0; 8000]].concat())]);
    open(&awake.path()).check_clean().unwrap();
    // ntfsfix without -n empties the log and marks the volume for a check by Windows.
    judge("ntfsfix", &[], &ntfs.path());
    assert_eq!(unclean(ntfs.bytes()), Unclean::Dirty { place: "$Volume", flags: 1 });
    judge("ntfsfix", &["-d"], &ntfs.path());
    open(&ntfs.path()).check_clean().unwrap();

    let bytes = ntfs.bytes();
    let volume = fs_view::FileSystem::open(MemoryDisk::new(bytes.clone())).unwrap();
    let log = volume.ntfs_stream(2, "").unwrap().unwrap().piece_at(0).unwrap().place_bytes.unwrap();
    let log = usize::try_from(log).unwrap();
    let restart = |major: u8, users: u16, flags: u16| {
        let mut bytes = bytes.clone();
        bytes[log..log + 8192].fill(0xFF);
        let page = &mut bytes[log..log + 4096];
        page.fill(0);
        page[..4].copy_from_slice(b"RSTR");
        page[16..20].copy_from_slice(&4096_u32.to_le_bytes());
        (page[24], page[28]) = (0x30, major);
        page[0x3C..0x3E].copy_from_slice(&users.to_le_bytes());
        page[0x3E..0x40].copy_from_slice(&flags.to_le_bytes());
        bytes
    };
    FileSystem::open(MemoryDisk::new(restart(1, 0xFFFF, 0))).unwrap().check_clean().unwrap();
    assert_eq!(unclean(restart(1, 0, 0)), Unclean::OpenLog { offset_bytes: 0, flags: 0 });
    assert_eq!(unclean(restart(2, 0xFFFF, 2)), Unclean::FastStartup { major: 2, minor: 0 });
    let mut nothing = bytes;
    nothing[log..log + 8192].fill(0);
    assert!(matches!(unclean(nothing), Unclean::UnreadableLog(_)));
}

#[test]
fn free_runs_and_what_does_not_fit() {
    if !testkit::programs(&["mkntfs"]) {
        return;
    }
    let image = Image::ntfs(64 << 20, &[], &[]);
    let volume = open(&image.path());
    let runs = volume.free_runs(3).unwrap();
    let lengths: Vec<u64> = runs.iter().map(|run| run.end - run.start).collect();
    assert!(lengths.len() == 3 && lengths.is_sorted_by(|a, b| a >= b));
    let too_much = Want { bytes: lengths[0] + 4096, align_bytes: 4096, at_least_offset: 0 };
    let Err(Error::NotEnoughSpace { needed_bytes, largest_bytes }) = volume.find(&[too_much]) else {
        panic!("there is no such run")
    };
    assert_eq!((needed_bytes, largest_bytes), (lengths[0] + 4096, lengths[0]));
    // As many pieces as the record of NTFS can never list.
    let free = runs[0].clone();
    let pieces: Vec<_> = (0..200).map(|index| free.start + index * 16384..free.start + index * 16384 + 1).collect();
    assert!(matches!(volume.reserve(&pieces), Err(Error::NoRoom { available_bytes: 1024, .. })));
    assert!(matches!(volume.reserve(std::slice::from_ref(&(0..1 << 40))), Err(Error::Outside { .. })));
    assert!(matches!(volume.reserve(std::slice::from_ref(&(0..4096))), Err(Error::NotFree { offset_bytes: 0 })));
}
