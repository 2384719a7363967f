//! Conversion in place by the program: to the end, paused, killed.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use block_io::{BlockRead, FileDisk};
use fve::convert::{Converter, DecryptOptions, Direction, Outcome};
use fve::{ClearKey, UnlockOptions, Volume};
use testkit::simulation::Random;
use testkit::volumes::{HEADER_BYTES, HEADER_OFFSET, SmallVolume, State, VOLUME_BYTES};

use crate::harness::{Bench, keyhaven, same};

/// Where the program keeps its journal on these drives: behind the relocated header, a region that nothing uses.
const JOURNAL: std::ops::Range<u64> = HEADER_OFFSET + HEADER_BYTES..HEADER_OFFSET + HEADER_BYTES + 0x1_0000;

/// What systems call an account without rights.
const NOBODY: u32 = 65_534;

/// A drive that opens without a key, so that nothing has to be stretched, and where it lies: in memory if possible.
struct Open {
    _folder: tempfile::TempDir,
    image: PathBuf,
    /// Run the program as an ordinary account, although the tests are root's.
    as_nobody: bool,
}

impl Open {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let image = folder.path().join("open.img");
        let open = Self { _folder: folder, image, as_nobody: false };
        open.reset();
        open
    }

    fn reset(&self) {
        let volume = SmallVolume::new(State::Encrypted);
        std::fs::write(&self.image, volume.disk.bytes(0, usize::try_from(VOLUME_BYTES).unwrap())).unwrap();
    }

    /// For an ordinary account, which sees less of a running program than root does.
    fn of_nobody() -> Self {
        let mut open = Self::new();
        open.as_nobody = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if open.as_nobody {
            for path in [open.image.parent().unwrap(), &open.image] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        open
    }

    fn volume(&self) -> Result<Volume<FileDisk>, fve::Error> {
        Volume::open(FileDisk::open_writable(&self.image).unwrap())
    }

    /// The plain content without the journal's place; `None` on a plain drive is what it is stored as.
    fn content(&self) -> Vec<u8> {
        let mut bytes = match self.volume() {
            Err(fve::Error::NotBitLocker { .. }) => std::fs::read(&self.image).unwrap(),
            volume => {
                let volume = volume.unwrap();
                let options = UnlockOptions::default();
                let unlocked = match volume.is_decrypted() {
                    true => volume.open_decrypted(options).unwrap(),
                    false => volume.unlock(&ClearKey, options).unwrap().0,
                };
                let mut bytes = vec![0; usize::try_from(VOLUME_BYTES).unwrap()];
                unlocked.read_exact_at(0, &mut bytes).unwrap();
                bytes
            }
        };
        bytes[usize::try_from(JOURNAL.start).unwrap()..usize::try_from(JOURNAL.end).unwrap()].fill(0);
        bytes
    }

    fn start(&self, words: &str) -> Child {
        let mut command = keyhaven();
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        let words =
            words.split_whitespace().map(|word| if word == "DRIVE" { self.image.to_str().unwrap() } else { word });
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs to its end and gives what it said.
    fn run(&self, words: &str) -> (i32, String) {
        let output = self.start(words).wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    /// Converts a few batches with the engine.
    fn pause_decryption_after(&self, batches: usize) {
        let options = DecryptOptions { journal: JOURNAL, writes: Vec::new(), batch_bytes: 1 << 20 };
        let converter = Converter::decrypt(self.volume().unwrap(), &ClearKey, &options).unwrap();
        let (stop, mut seen) = (AtomicBool::new(false), 0);
        let mut report = |_| {
            seen += 1;
            stop.store(seen > batches, Ordering::Relaxed);
        };
        assert_eq!(converter.run(Direction::Decrypt, &mut report, &stop).unwrap(), Outcome::Paused);
    }
}

#[test]
fn a_drive_decrypted_in_place_holds_the_same_files() {
    if !testkit::programs(&["fsck.fat", "mcopy"]) {
        return;
    }
    let bench = Bench::with_drive();
    let said = bench.run("decrypt d.img --in-place --password-file password").text();
    assert_eq!(said, "d.img is decrypted: it is a plain drive now.\n");
    assert!(bench.run("info d.img").refused(1).contains("a plain FAT volume"));
    let check = std::process::Command::new("/sbin/fsck.fat").arg("-n").arg(bench.path("d.img")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    std::fs::create_dir(bench.path("copied")).unwrap();
    let mut copy = std::process::Command::new("mcopy");
    copy.arg("-s").arg("-i").arg(bench.path("d.img")).args(["::tree"]).arg(bench.path("copied"));
    assert!(copy.env("LC_ALL", "C.UTF-8").status().unwrap().success());
    assert!(same(&bench.path("tree"), &bench.path("copied/tree")));
}

#[test]
fn a_wrong_key_or_a_drive_that_is_not_converted_changes_nothing() {
    let bench = Bench::with_drive();
    let before = std::fs::read(bench.path("d.img")).unwrap();
    bench.file("wrong", b"not the password");
    assert!(bench.run("decrypt d.img --in-place --password-file wrong").refused(1).contains("does not open"));
    assert!(bench.run("resume d.img --password-file password").refused(1).contains("no conversion of d.img"));
    assert!(bench.run("pause d.img").refused(1).contains("nothing is being"));
    assert!(bench.run("decrypt d.img --in-place --output x").refused_usage().contains("cannot be used with"));
    assert!(bench.run("decrypt d.img").refused_usage().contains("--output"));
    assert!(std::fs::read(bench.path("d.img")).unwrap() == before);
}

#[test]
fn a_half_converted_drive_tells_what_it_is_reads_and_goes_either_way() {
    let drive = Open::new();
    let before = drive.content();
    drive.pause_decryption_after(20);
    let (status, text) = drive.run("info DRIVE");
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("being decrypted in place, 83 ") && text.contains("% of it is still encrypted"), "{text}");
    assert!(text.contains("keyhaven resume") && text.contains("--turn-round"), "{text}");
    let (_, json) = drive.run("info DRIVE --json");
    assert!(json.contains("\"direction\": \"decrypting\""), "{json}");
    assert!(drive.content() == before);
    // Not for writing.
    let (status, text) = drive.run("resume DRIVE --turn-round");
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("is encrypted."), "{text}");
    assert!(drive.content() == before);
    drive.pause_decryption_after(30);
    let (status, text) = drive.run("resume DRIVE --json");
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("\"finished\": true") && text.contains("\"state\": \"decrypted\""), "{text}");
    assert!(std::fs::read(&drive.image).unwrap().len() as u64 == VOLUME_BYTES);
    assert!(drive.content() == before);
}

#[test]
fn a_conversion_without_its_journal_is_told_and_not_touched() {
    let drive = Open::new();
    drive.pause_decryption_after(3);
    let mut bytes = std::fs::read(&drive.image).unwrap();
    bytes[usize::try_from(JOURNAL.start).unwrap()..usize::try_from(JOURNAL.end).unwrap()].fill(0x11);
    std::fs::write(&drive.image, &bytes).unwrap();
    for words in ["info DRIVE", "resume DRIVE", "decrypt DRIVE --in-place"] {
        let (status, text) = drive.run(words);
        assert!(status == 1 && text.contains("where the conversion of"), "{words}: {text}");
    }
    assert!(std::fs::read(&drive.image).unwrap() == bytes);
}

#[cfg(target_os = "linux")]
#[test]
fn pausing_from_elsewhere_ends_it_between_two_batches() {
    let drive = Open::of_nobody();
    let before = drive.content();
    // It may end before it is found; it is started again then.
    for _ in 0..20 {
        drive.reset();
        let child = drive.start("decrypt DRIVE --in-place --json");
        let (mut status, mut text) = (1, String::new());
        for _ in 0..200 {
            (status, text) = drive.run("pause DRIVE");
            if status == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if status == 0 && text.contains("is paused") {
            assert!(said.contains("\"finished\": false"), "{said}");
            assert!(drive.volume().unwrap().in_place_conversion().is_some());
            assert!(drive.content() == before);
            return;
        }
    }
    panic!("it was never paused");
}

/// The program is killed 200 times while it converts a drive, in both directions; nothing is ever lost.
#[test]
fn killed_two_hundred_times_it_loses_nothing() {
    const KILLS: usize = 200;
    let drive = Open::new();
    let before = drive.content();
    let mut random = Random::new(7);
    let (mut killed, mut runs) = (0, 0);
    while killed < KILLS {
        runs += 1;
        assert!(runs < 2000, "{killed} kills in {runs} runs");
        let words = match drive.volume() {
            Err(fve::Error::NotBitLocker { .. }) => {
                assert!(drive.content() == before, "after {killed} kills: the plain drive");
                drive.reset();
                continue;
            }
            volume => {
                let volume = volume.unwrap();
                match volume.in_place_conversion() {
                    None => "decrypt DRIVE --in-place",
                    Some(_) if !volume.is_decrypted() && random.one_in(3) => "resume DRIVE --turn-round",
                    Some(_) => "resume DRIVE",
                }
            }
        };
        let mut child = drive.start(words);
        std::thread::sleep(Duration::from_millis(4 + random.below(50)));
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            None => killed += 1,
            Some(0) => {}
            Some(status) => panic!("{words}: {status}, {}", String::from_utf8_lossy(&output.stderr)),
        }
        if killed % 20 == 0 {
            assert!(drive.content() == before, "after {killed} kills");
        }
    }
    assert!(drive.content() == before);
    if drive.volume().is_ok_and(|volume| volume.in_place_conversion().is_some()) {
        let (status, text) = drive.run("resume DRIVE");
        assert_eq!(status, 0, "{text}");
        assert!(drive.content() == before);
    }
}
