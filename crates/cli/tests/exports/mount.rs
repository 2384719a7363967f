//! `mount --raw`: the plain volume as one file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::harness::{Bench, Ran, pattern};
use crate::running::{Running, fuse, is_mounted};

const OPEN: &str = "--password-file password";

/// The plain volume as `decrypt` gives it.
fn plain(bench: &Bench, image: &str) -> Vec<u8> {
    let path = bench.path("plain");
    let _ = std::fs::remove_file(&path);
    bench.run(&format!("decrypt {image} --output plain {OPEN}")).text();
    std::fs::read(path).unwrap()
}

fn writable(path: &std::path::Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn eight_readers_at_once_see_what_decrypt_gives() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    let expected = plain(&bench, "d.img");
    let running = Running::mount(&bench, &format!("d.img m --raw {OPEN}"), "m");
    assert_eq!(running.report["bytes"].as_u64(), Some(expected.len() as u64));
    let volume = bench.path("m/volume.img");
    assert_eq!(volume.metadata().unwrap().len(), expected.len() as u64);
    std::thread::scope(|scope| {
        for reader in 0..8_usize {
            let (volume, expected) = (&volume, &expected);
            scope.spawn(move || {
                let file = File::open(volume).unwrap();
                // Every reader another size and another place to begin.
                let size = [512, 4096, 4097, 65_536, 100_000, 262_144, 1 << 20, 3 << 20][reader];
                let mut buffer = vec![0; size];
                let chunks = expected.len().div_ceil(size);
                for chunk in (0..chunks).map(|index| (index + reader * chunks / 8) % chunks) {
                    let start = chunk * size;
                    let read = file.read_at(&mut buffer, start as u64).unwrap();
                    assert_eq!(read, size.min(expected.len() - start));
                    assert!(buffer[..read] == expected[start..start + read], "reader {reader} at {start}");
                }
            });
        }
    });
    assert_eq!(File::open(&volume).unwrap().read_at(&mut [0; 8], expected.len() as u64).unwrap(), 0);
    let refused = OpenOptions::new().write(true).open(&volume).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
    running.terminate();
    assert!(!is_mounted(&bench.path("m")));
    assert_eq!(plain(&bench, "d.img"), expected, "reading changes nothing");
}

#[test]
fn what_is_written_through_the_mount_is_on_the_drive() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    let mut expected = plain(&bench, "d.img");
    let running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    let volume = bench.path("m/volume.img");
    // As block devices, it takes being cleared before it is written, and never changes its length.
    let file = OpenOptions::new().read(true).write(true).truncate(true).open(&volume).unwrap();
    assert_eq!(file.metadata().unwrap().len(), expected.len() as u64);
    assert!(file.set_len(100).is_err());
    let bytes = pattern(1_500_000);
    // In front of the metadata at 33 MiB, behind it, and up to the last byte.
    for (at, length) in [(20_000_001, 1_500_000), (36_000_513, 511), (30 << 20, 1 << 20), (expected.len() - 7, 7)] {
        file.write_all_at(&bytes[..length], at as u64).unwrap();
        expected[at..at + length].copy_from_slice(&bytes[..length]);
        let mut back = vec![0; length];
        file.read_exact_at(&mut back, at as u64).unwrap();
        assert!(back == bytes[..length]);
    }
    let full = file.write_at(&bytes[..10], expected.len() as u64).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(&bytes[..10], expected.len() as u64 - 5).unwrap(), 5);
    let end = expected.len() - 5;
    expected[end..].copy_from_slice(&bytes[..5]);
    drop(file);
    let ran = bench.run("unmount m");
    ran.text();
    assert_eq!(running.ended().status, 0);
    assert!(plain(&bench, "d.img") == expected);
}

#[test]
fn bitlockers_own_regions_refuse_other_bytes_and_keep_the_neighbours() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    let mut expected = plain(&bench, "d.img");
    let running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    let file = writable(&bench.path("m/volume.img"));
    let (metadata, around) = (33 << 20, 8192);
    let error = file.write_all_at(&vec![7; 2 * around], (metadata - around) as u64).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5), "EIO");
    expected[metadata - around..metadata].fill(7);
    // The zeros that are shown there can be written: programs that clear a disk come through.
    file.write_all_at(&vec![0; 2 * around], (metadata - around) as u64).unwrap();
    file.write_all_at(&vec![8; around], (metadata - around) as u64).unwrap();
    expected[metadata - around..metadata].fill(8);
    file.sync_all().unwrap();
    drop(file);
    running.terminate();
    assert!(plain(&bench, "d.img") == expected);
}

#[test]
fn a_completed_fsync_survives_the_death_of_the_process() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    let mut expected = plain(&bench, "d.img");
    let running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    let file = writable(&bench.path("m/volume.img"));
    let bytes = pattern(3_000_000);
    file.write_all_at(&bytes, 43_000_000).unwrap();
    file.sync_all().unwrap();
    running.kill();
    assert!(file.write_at(&bytes, 0).is_err(), "nobody answers any more");
    drop(file);
    let again = bench.run(&format!("mount d.img m --raw {OPEN}"));
    assert!(again.refused(1).contains("keyhaven unmount m"), "{}", again.stderr);
    // The folder of a dead mount can be had back.
    bench.run("unmount m").text();
    assert!(!is_mounted(&bench.path("m")));
    expected[43_000_000..46_000_000].copy_from_slice(&bytes);
    assert!(plain(&bench, "d.img") == expected);
}

#[test]
fn a_mount_in_use_waits_for_its_users_and_then_ends() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
        let file = writable(&bench.path("m/volume.img"));
        running.signal(signal);
        running.hears("still use the mount");
        file.write_all_at(b"late, and safe", 50_000_000).unwrap();
        drop(file);
        let ran = running.ended();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert!(!is_mounted(&bench.path("m")));
    }
    assert_eq!(&plain(&bench, "d.img")[50_000_000..50_000_014], b"late, and safe");
}

#[test]
fn a_second_signal_takes_the_mount_from_its_users() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    let mut running = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    let file = writable(&bench.path("m/volume.img"));
    file.write_all_at(b"written in time", 50_000_000).unwrap();
    running.signal("-INT");
    running.hears("still use the mount");
    running.signal("-INT");
    let ran = running.ended();
    assert!(ran.status == 1 && ran.stderr.contains("is in use"), "{}", ran.stderr);
    assert!(!is_mounted(&bench.path("m")));
    drop(file);
    assert_eq!(&plain(&bench, "d.img")[50_000_000..50_000_015], b"written in time");
}

#[test]
fn what_cannot_be_mounted_is_told_before_a_secret_is_asked_for() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    for (words, status, says) in [
        ("mount d.img nowhere --raw", 2, "mkdir nowhere"),
        ("mount d.img tree --raw", 1, "is not empty"),
        ("mount d.img password --raw", 2, "cannot mount on password"),
        ("unmount tree", 1, "nothing is mounted on"),
        ("unmount nowhere", 2, "nowhere"),
    ] {
        assert!(bench.run(words).refused(status).contains(says), "{words}");
    }
    let usage = bench.run(&format!("mount d.img m --write {OPEN}"));
    assert!(usage.status == 2 && usage.stderr.contains("--raw"), "{}", usage.stderr);
}

#[test]
fn a_drive_that_is_written_belongs_to_one_mount() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    std::fs::create_dir(bench.path("other")).unwrap();
    let try_it = |more: &str| bench.run(&format!("mount d.img other --raw {OPEN} {more}"));
    let writing = Running::mount(&bench, &format!("d.img m --raw --write {OPEN}"), "m");
    assert!(try_it("").refused(1).contains("is in use"));
    assert!(try_it("--write").refused(1).contains("is in use"));
    writing.terminate();
    let reading = Running::mount(&bench, &format!("d.img m --raw {OPEN}"), "m");
    assert!(try_it("--write").refused(1).contains("is in use"));
    let second = Running::mount(&bench, &format!("d.img other --raw {OPEN}"), "other");
    second.terminate();
    reading.terminate();
}

#[test]
fn a_mount_takes_down_no_mount_but_its_own() {
    if !fuse() || !testkit::programs(&["mount", "umount"]) {
        return;
    }
    let bench = Bench::with_drive();
    let mut running = Running::mount(&bench, &format!("d.img m --raw {OPEN}"), "m");
    let folder = bench.path("m");
    let second = bench.run(&format!("mount d.img m --raw {OPEN}"));
    assert!(second.refused(1).contains("is mounted on m already"), "{}", second.stderr);
    let covered = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&folder).status().unwrap();
    if !covered.success() {
        running.terminate();
        return testkit::skip("only root mounts something else");
    }
    assert!(bench.run("unmount m").refused(1).contains("nothing is mounted"));
    std::fs::write(folder.join("theirs"), b"x").unwrap();
    running.signal("-TERM");
    running.hears("still use the mount");
    std::thread::sleep(std::time::Duration::from_millis(600));
    let theirs = folder.join("theirs").exists();
    let uncovered = Command::new("umount").arg(&folder).status().unwrap();
    assert!(theirs && uncovered.success());
    assert_eq!(running.ended().status, 0);
    assert!(!is_mounted(&folder));
}

#[test]
fn a_drive_that_must_not_be_written_refuses_write() {
    if !fuse() {
        return;
    }
    let bench = Bench::with_drive();
    // A copy of the metadata that differs: which one is right would be a guess.
    bench.damaged("torn.img", |bytes| bytes[(33 << 20) + 100] ^= 1);
    std::fs::create_dir(bench.path("m")).unwrap();
    let ran = bench.run(&format!("mount torn.img m --raw --write {OPEN}"));
    assert!(ran.refused(1).contains("cannot be written"), "{}", ran.stderr);
    let running = Running::mount(&bench, &format!("torn.img m --raw {OPEN}"), "m");
    running.terminate();
}

/// An account without rights of its own mounts through `fusermount3`.
#[test]
fn without_root_it_works_as_well() {
    if !fuse() || !testkit::programs(&["setpriv", "unshare"]) {
        return;
    }
    let user = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    if user.trim() != "0" {
        // All the other tests run without root then.
        return;
    }
    let bench = Bench::with_drive();
    std::fs::create_dir(bench.path("m")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_keyhaven"), bench.path("keyhaven")).unwrap();
    let script = format!(
        "./keyhaven mount d.img m --raw --write {OPEN} & \
         for i in $(seq 100); do [ -e m/volume.img ] && break; sleep 0.1; done; \
         printf 'by nobody' | dd of=m/volume.img bs=1 seek=50000000 conv=notrunc,fsync status=none && \
         ./keyhaven unmount m && wait $!"
    );
    bench.file("script", script.as_bytes());
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(bench.folder.path()).status().unwrap();
    assert!(owned.success());
    // In a name space of its own, the device is there for everybody, as most systems have it.
    let setting = "mknod fuse c 10 229 && chmod 666 fuse && mount --bind fuse /dev/fuse && \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups sh script";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", setting]).current_dir(bench.folder.path());
    Ran::new(command.output().unwrap()).text();
    assert_eq!(&plain(&bench, "d.img")[50_000_000..50_000_009], b"by nobody");
}
