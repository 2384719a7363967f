//! Drives that are damaged, shown all the same.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use crate::harness::{Bench, pattern};
use crate::inner::Inner;
use crate::running::{Running, fuse};

const OPEN: &str = "--password-file password";

#[test]
fn of_a_drive_that_ends_in_the_middle_the_rest_can_be_read() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    bench.run(&format!("decrypt d.img --output plain {OPEN}")).text();
    let expected = fs::read(bench.path("plain")).unwrap();
    let image = OpenOptions::new().write(true).open(bench.path("d.img")).unwrap();
    image.set_len(60_000_256).unwrap();
    fs::create_dir(bench.path("m")).unwrap();
    assert!(bench.run(&format!("mount d.img m --raw {OPEN}")).refused(1).contains("--allow-short"));
    let write = bench.run(&format!("mount d.img m --raw --write --allow-short {OPEN}"));
    assert!(write.refused(1).contains("cannot be written"), "{}", write.stderr);
    let running = Running::mount(&bench, &format!("d.img m --raw --allow-short {OPEN}"), "m");
    let file = File::open(bench.path("m/volume.img")).unwrap();
    let length = file.metadata().unwrap().len();
    assert_eq!(length, 60_000_256);
    assert_eq!(file.read_at(&mut [0; 8], length).unwrap(), 0);

    // The medium ends earlier than it did when it was mounted, as a failing one does.
    let there = 50_000_384;
    image.set_len(there as u64).unwrap();
    let mut buffer = vec![0; 1 << 20];
    for round in 0..2 {
        for at in [there as u64 + 4096, 59_000_000] {
            let error = file.read_exact_at(&mut buffer[..4096], at).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5), "EIO at {at}");
        }
        for at in (0..there - (2 << 20)).step_by(1 << 20) {
            file.read_exact_at(&mut buffer, at as u64).unwrap();
            assert!(buffer == expected[at..at + buffer.len()], "{at} in round {round}");
        }
    }
    drop(file);
    running.terminate();
}

#[test]
fn beside_a_damaged_record_all_other_files_are_there() {
    if !fuse() || !Inner::Ntfs.is_possible() {
        return;
    }
    let bench = Bench::new();
    for index in 0..50_u32 {
        bench.file(&format!("model/file {index}"), &pattern(5000 + index));
    }
    bench.run(&format!("create d.img --size 128M --filesystem none --used-space-only {OPEN}")).text();
    let running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    let volume = bench.path("m/volume.img");
    Inner::Ntfs.make(&volume);
    Inner::Ntfs.fill(&bench, &volume, &bench.path("model"));
    let file = OpenOptions::new().read(true).write(true).open(&volume).unwrap();
    let mut boot = [0; 512];
    file.read_exact_at(&mut boot, 0).unwrap();
    let table = u64::from_le_bytes(boot[0x30..0x38].try_into().unwrap()) * 4096;
    let name: Vec<u8> = "file 7".encode_utf16().flat_map(u16::to_le_bytes).chain([0, 0]).collect();
    let mut record = [0; 1024];
    let damaged = (24..200).find(|index| {
        file.read_exact_at(&mut record, table + index * 1024).unwrap();
        record.starts_with(b"FILE") && record.windows(name.len()).any(|part| part == name)
    });
    file.write_all_at(&[0xA5; 1024], table + damaged.unwrap() * 1024).unwrap();
    drop(file);
    running.terminate();

    let running = Running::mount(&bench, &format!("d.img shown {OPEN}"), "shown");
    let victim = fs::read(bench.path("shown/file 7")).unwrap_err();
    assert!(victim.kind() == io::ErrorKind::NotFound || victim.raw_os_error() == Some(5), "{victim}");
    let names: Vec<_> = fs::read_dir(bench.path("shown")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for index in (0..50).filter(|index| *index != 7) {
        let name = format!("file {index}");
        assert!(names.contains(&name.clone().into()), "{name} is not listed");
        let content = fs::read(bench.path("shown").join(&name)).unwrap();
        assert!(content == fs::read(bench.path("model").join(&name)).unwrap(), "{name}");
    }
    running.terminate();
}
