//! Conversion in place: every method and sector size, paused, turned round and read at every boundary, and with each request
//! to the disk failing once.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "power_cuts/small.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the simulation")]
mod small;

use block_io::{BlockRead, BlockWrite, MemoryDisk};
use fve::convert::{Converter, Direction, EncryptOptions, Outcome, Step};
use fve::{EncryptionMethod, Volume, VolumeState};
use small::{ALL, HEADER, Kind, Known, METADATA, SMALL, content, recovery, resume, run, same_outside};
use testkit::simulation::{Fault, SimDisk};

use EncryptionMethod::{AesCbc128, AesCbc128Diffuser, AesCbc256, AesCbc256Diffuser, AesXts128, AesXts256};

const KINDS: [(EncryptionMethod, u32); 10] = [
    (AesXts128, 512),
    (AesXts256, 512),
    (AesCbc128, 512),
    (AesCbc256, 512),
    (AesCbc128Diffuser, 512),
    (AesCbc256Diffuser, 512),
    (AesXts128, 4096),
    (AesXts256, 4096),
    (AesCbc128, 4096),
    (AesCbc256, 4096),
];

fn kind(method: EncryptionMethod, sector_bytes: u32) -> Kind {
    Kind { method, sector_bytes, volume_bytes: 0x7_0000 + u64::from(sector_bytes), ..SMALL }
}

/// The key of a volume, so that nothing has to be stretched again.
fn key(disk: &impl BlockRead) -> Known {
    Known(Volume::open(disk).unwrap().unwrap_vmk(&recovery()).unwrap().0)
}

fn finished(disk: &impl BlockRead) -> bool {
    let volume = Volume::open(disk).unwrap();
    volume.in_place_conversion().is_none() && volume.state() == (VolumeState::Encrypted, VolumeState::Encrypted)
}

/// An encrypted volume of this kind, and its key.
fn encrypted(kind: &Kind) -> (SimDisk, Known) {
    let disk = SimDisk::new(kind.plain()).with_sector_bytes(kind.sector_bytes);
    let converter = Converter::encrypt(&disk, &kind.options()).unwrap();
    assert_eq!(run(converter, Direction::Encrypt, ALL).unwrap(), Outcome::Finished);
    let key = key(&disk);
    (disk, key)
}

#[test]
fn every_method_there_and_back_again() {
    for (method, sector_bytes) in KINDS {
        let kind = kind(method, sector_bytes);
        let (disk, key) = encrypted(&kind);
        assert!(finished(&disk), "{kind:?}");
        same_outside(&content(&disk, &key).unwrap(), &kind.reserved()).unwrap();
        let stored = disk.to_vec();
        let plain = kind.plain();
        let kept = |at: &usize| {
            plain[*at..*at + 16].iter().any(|byte| *byte != 0) && stored[*at..].starts_with(&plain[*at..*at + 16])
        };
        let left = (512..plain.len() - 16).step_by(512).filter(kept).count();
        assert_eq!(left, 0, "{kind:?}: pieces that are still plain");
        let beginnings = |bytes: &[u8]| bytes.windows(16).any(|window| window == &plain[0x6_1000..0x6_1010]);
        assert!(beginnings(&plain) && !beginnings(&stored), "{kind:?}: the journal keeps plain data");

        let options = kind.decrypt_options(kind.release());
        let converter = Converter::decrypt(Volume::open(&disk).unwrap(), &key, &options).unwrap();
        assert_eq!(run(converter, Direction::Decrypt, ALL).unwrap(), Outcome::Finished);
        same_outside(&disk.to_vec(), &plain).unwrap();
        let (now, region) = (disk.to_vec(), 0x1_0000);
        for (at, length) in [(METADATA[0], region), (METADATA[1], region), (METADATA[2], region), (HEADER, 0x2000)] {
            let at = usize::try_from(at).unwrap();
            assert!(now[at..at + length].iter().all(|byte| *byte == 0), "{kind:?}: {at:#x} is not wiped");
        }
        assert!(!now.windows(5).any(|window| window == b"KHVN-"), "{kind:?}: some of the journal is left");
    }
}

#[test]
fn a_torn_sector_cannot_be_settled_with_the_diffuser_so_it_is_refused() {
    let kind = kind(AesCbc128Diffuser, 4096);
    let disk = MemoryDisk::new(kind.plain());
    assert!(matches!(Converter::encrypt(&disk, &kind.options()), Err(fve::Error::CannotConvert(_))));
    assert!(disk.to_vec() == kind.plain());
}

#[test]
fn many_threads_do_the_same_as_one() {
    let kind = Kind { batch_bytes: 0x1_0000, ..SMALL };
    let disk = MemoryDisk::new(kind.plain());
    let converter = Converter::encrypt(&disk, &kind.options()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    converter.with_workers(5).run(Direction::Encrypt, &mut |_| {}, &stop).unwrap();
    same_outside(&content(&disk, &recovery()).unwrap(), &kind.reserved()).unwrap();
}

#[test]
fn paused_at_every_boundary_it_reads_tells_where_it_is_and_looks_like_nothing_else() {
    for (method, sector_bytes) in [(AesXts128, 512), (AesCbc256, 4096)] {
        let kind = kind(method, sector_bytes);
        let disk = SimDisk::new(kind.plain());
        let options = kind.options();
        let (converter, identifier) = (Converter::encrypt(&disk, &options).unwrap(), options.recovery_identifier);
        let key = key(&disk);
        assert_eq!(Volume::open(&disk).unwrap().in_place_conversion().unwrap().step, Step::Preparing);
        same_outside(&content(&disk, &key).unwrap(), &kind.reserved()).unwrap();
        drop(converter);
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let mut last = None;
            while resume(&disk, &key, direction, 1).unwrap() == Outcome::Paused {
                let now = Volume::open(&disk).unwrap().in_place_conversion().unwrap();
                assert_eq!((now.direction, now.step), (direction, Step::Converting));
                assert!(last.is_none_or(|last| now.done_bytes() > last), "{now:?}");
                last = Some(now.done_bytes());
                same_outside(&content(&disk, &key).unwrap(), &kind.reserved()).unwrap();
                let stored = disk.to_vec();
                assert!(stored[510..512] != [0x55, 0xAA] && !stored.windows(8).any(|window| window == b"-FVE-FS-"));
                let last_sector = stored.len() - usize::try_from(sector_bytes).unwrap();
                assert_ne!(&stored[last_sector + 3..last_sector + 7], b"NTFS");
                let volume = Volume::open(&disk).unwrap();
                assert_eq!(volume.protectors().len(), 1);
                assert_eq!(volume.protectors()[0].identifier, identifier);
                let (unlocked, _) = volume.unlock(&key, fve::UnlockOptions::default()).unwrap();
                assert!(unlocked.write_all_at(0x6_0000, &[0]).is_err(), "nothing may change meanwhile");
            }
            assert!(last.is_some());
            if direction == Direction::Encrypt {
                assert!(finished(&disk));
                let options = kind.decrypt_options(kind.release());
                drop(Converter::decrypt(Volume::open(&disk).unwrap(), &key, &options).unwrap());
            }
        }
        same_outside(&disk.to_vec(), &kind.plain()).unwrap();
    }
}

#[test]
fn turned_round_at_every_boundary_in_both_directions() {
    let kind = kind(AesXts256, 512);
    let (disk, _) = encrypted(&kind);
    let (ready, ready_key) = (disk.fork(), key(&disk));
    let begun = SimDisk::new(kind.plain());
    drop(Converter::encrypt(&begun, &kind.options()).unwrap());
    let key = key(&begun);
    for batches in 0.. {
        // Forwards, then back to the plain volume.
        let disk = begun.fork();
        let outcome = resume(&disk, &key, Direction::Encrypt, batches).unwrap();
        // Backwards, then on to the encrypted one.
        let back = ready.fork();
        let options = kind.decrypt_options(kind.release());
        let converter = Converter::decrypt(Volume::open(&back).unwrap(), &ready_key, &options).unwrap();
        assert_eq!(run(converter, Direction::Decrypt, batches).unwrap(), outcome);
        if outcome == Outcome::Finished {
            assert!(batches > 10, "{batches}");
            return;
        }
        assert_eq!(resume(&back, &ready_key, Direction::Encrypt, ALL).unwrap(), Outcome::Finished);
        assert!(finished(&back));
        same_outside(&content(&back, &ready_key).unwrap(), &kind.reserved()).unwrap();
        assert_eq!(resume(&disk, &key, Direction::Decrypt, ALL).unwrap(), Outcome::Finished);
        same_outside(&disk.to_vec(), &kind.plain()).unwrap();
    }
}

/// Whatever request fails, the error says so, nothing is lost, and it goes on afterwards.
#[test]
fn each_request_fails_once() {
    let kind = Kind { batch_bytes: 0x4000, ..SMALL };
    let (disk, key) = encrypted(&kind);
    for number in 0.. {
        let disk = disk.fork();
        disk.set_fault(Fault { fail_request: Some(number), ..Fault::default() });
        let outcome = Volume::open(&disk).and_then(|volume| {
            let converter = Converter::decrypt(volume, &key, &kind.decrypt_options(kind.release()))?;
            run(converter, Direction::Decrypt, ALL)
        });
        if disk.requests() <= number {
            assert_eq!(outcome.unwrap(), Outcome::Finished);
            assert!(number > 100, "{number} requests");
            return;
        }
        disk.set_fault(Fault::default());
        match outcome {
            // Only reading one of the metadata copies, or of the journal headers, may fail without an error.
            Ok(_) => continue,
            Err(fve::Error::Storage(block_io::Error::Io { .. }) | fve::Error::CannotConvert(_)) => {}
            Err(other) => panic!("request {number}: {other}"),
        }
        if same_outside(&disk.to_vec(), &kind.plain()).is_ok() {
            // The last wiping failed: nothing to take up.
            continue;
        }
        same_outside(&content(&disk, &key).unwrap(), &kind.reserved())
            .or_else(|_| same_outside(&content(&disk, &key).unwrap(), &kind.plain()))
            .unwrap_or_else(|error| panic!("request {number}: {error}"));
        if Volume::open(&disk).unwrap().in_place_conversion().is_some() {
            assert_eq!(resume(&disk, &key, Direction::Decrypt, ALL).unwrap(), Outcome::Finished, "request {number}");
            same_outside(&disk.to_vec(), &kind.plain()).unwrap_or_else(|error| panic!("request {number}: {error}"));
        }
    }
}

/// The same while encrypting, from the moment on when the conversion has begun.
#[test]
fn each_request_of_an_encryption_fails_once() {
    let kind = Kind { batch_bytes: 0x4000, ..SMALL };
    let begun = SimDisk::new(kind.plain());
    drop(Converter::encrypt(&begun, &kind.options()).unwrap());
    let key = key(&begun);
    for number in 0.. {
        let disk = begun.fork();
        disk.set_fault(Fault { fail_request: Some(number), ..Fault::default() });
        let outcome = resume(&disk, &key, Direction::Encrypt, ALL);
        if disk.requests() <= number {
            assert_eq!(outcome.unwrap(), Outcome::Finished);
            assert!(number > 80, "{number} requests");
            return;
        }
        disk.set_fault(Fault::default());
        same_outside(&content(&disk, &key).unwrap(), &kind.reserved())
            .unwrap_or_else(|error| panic!("request {number}: {error}"));
        match outcome {
            Ok(_) | Err(fve::Error::Storage(block_io::Error::Io { .. })) => {}
            Err(other) => panic!("request {number}: {other}"),
        }
        if !finished(&disk) {
            assert_eq!(resume(&disk, &key, Direction::Encrypt, ALL).unwrap(), Outcome::Finished, "request {number}");
        }
        assert!(finished(&disk), "request {number}");
        same_outside(&content(&disk, &key).unwrap(), &kind.reserved())
            .unwrap_or_else(|error| panic!("request {number}: {error}"));
    }
}

/// A sector that cannot be written stops the conversion with its place; what is readable stays so, and it goes back.
#[test]
fn a_bad_sector_stops_it_and_it_can_go_back() {
    let kind = SMALL;
    let disk = SimDisk::new(kind.plain());
    drop(Converter::encrypt(&disk, &kind.options()).unwrap());
    let key = key(&disk);
    let bad = 0x6_1200..0x6_1400;
    disk.set_fault(Fault { unwritable: Some(bad.clone()), ..Fault::default() });
    for _ in 0..2 {
        match resume(&disk, &key, Direction::Encrypt, ALL) {
            Err(fve::Error::Storage(block_io::Error::Io { operation: "write", offset_bytes, .. })) => {
                assert!(offset_bytes <= bad.start && bad.start < offset_bytes + 0x8_0000, "{offset_bytes:#x}");
            }
            other => panic!("{other:?}"),
        }
        same_outside(&content(&disk, &key).unwrap(), &kind.reserved()).unwrap();
    }
    // The drive works again, or was copied to another one.
    disk.set_fault(Fault::default());
    assert_eq!(resume(&disk, &key, Direction::Decrypt, ALL).unwrap(), Outcome::Finished);
    same_outside(&disk.to_vec(), &kind.plain()).unwrap();
}

#[test]
fn what_cannot_be_converted_is_refused_and_left_alone() {
    let kind = SMALL;
    let refused = |bytes: Vec<u8>, change: &dyn Fn(&mut EncryptOptions)| {
        let disk = MemoryDisk::new(bytes.clone());
        let mut options = kind.options();
        change(&mut options);
        let error = Converter::encrypt(&disk, &options).map(|_| ()).unwrap_err();
        assert!(disk.to_vec() == bytes, "{error}");
        error.to_string()
    };
    let none = |_: &mut EncryptOptions| {};
    let (disk, _) = encrypted(&kind);
    assert!(refused(disk.to_vec(), &none).contains("BitLocker volume already"));
    let disk = SimDisk::new(kind.plain());
    drop(Converter::encrypt(&disk, &kind.options()).unwrap());
    assert!(refused(disk.to_vec(), &none).contains("under way already"));
    let mut other = kind.plain();
    other[0x0C] = 16;
    assert!(refused(other, &none).contains("another size"));
    let plain = kind.plain();
    type Change = fn(&mut EncryptOptions);
    let changes: [(Change, &str); 7] = [
        (|options| options.journal.end = options.journal.start + 8192, "journal"),
        (|options| options.journal = 0x1_8000..0x2_0000, "which is not possible"),
        (|options| options.volume.placement.volume_bytes -= 512, "another size"),
        (|options| options.volume.placement.header_offset_bytes = 0x1_F000, "relocated volume header"),
        (|options| options.writes[2].offset_bytes = 0x1_0000, "a write to the file system"),
        (|options| options.writes[2].offset_bytes = u64::MAX - 3, "a write to the file system"),
        (|options| options.sector_bytes = 4096, "another size"),
    ];
    for (change, text) in changes {
        let found = refused(plain.clone(), &change);
        assert!(found.contains(text), "{found}, not {text}");
    }
}

/// A drive on which no conversion was begun, and a header and journal that somebody without the key put there: it must not be
/// decrypted for them.
#[test]
fn a_conversion_that_was_made_up_without_the_key_is_refused() {
    let kind = SMALL;
    let (disk, key) = encrypted(&kind);
    // Begun on another volume with the same places, and copied over, with the right volume header in it.
    let (other, other_key) = encrypted(&kind);
    let options = kind.decrypt_options(kind.release());
    drop(Converter::decrypt(Volume::open(&other).unwrap(), &other_key, &options).unwrap());
    let made_up = other.to_vec();
    disk.write_all_at(0, &made_up[..512]).unwrap();
    let journal = usize::try_from(small::JOURNAL.start).unwrap()..usize::try_from(small::JOURNAL.end).unwrap();
    disk.write_all_at(small::JOURNAL.start, &made_up[journal]).unwrap();
    assert!(Volume::open(&disk).unwrap().in_place_conversion().is_some());
    for direction in [Direction::Encrypt, Direction::Decrypt] {
        let refused = resume(&disk, &key, direction, ALL);
        assert!(matches!(refused, Err(fve::Error::BadConversion { .. })), "{refused:?}");
    }
    assert!(content(&disk, &key).is_err_and(|text| text.contains("key of the volume")));
}
