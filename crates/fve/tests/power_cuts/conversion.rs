//! Conversions in place: there, back, turned round, and cut again while they are taken up.

use block_io::BlockRead;
use fve::convert::{Converter, Direction, Outcome};
use fve::{EncryptionMethod, KeyMaterial, Volume, VolumeState};
use testkit::simulation::{Crashed, Fault, Random, SimDisk, Simulation};

use crate::simulation;
use crate::small::{ALL, Kind, Known, SMALL, content, recovery, resume, same_outside};

/// A conversion has begun: it must be found from now on.
const BEGUN: u64 = 1;
/// It has ended.
const ENDED: u64 = 2;

/// A volume on which a conversion begins: all the stretching is done once.
pub(crate) struct Scene {
    pub(crate) kind: Kind,
    pub(crate) key: Known,
    /// The plain volume.
    pub(crate) plain: Vec<u8>,
    /// The same with the places reserved: what a conversion reads as.
    pub(crate) reserved: Vec<u8>,
}

impl Scene {
    /// The scene, and a disk whose history is the beginning of an encryption.
    fn begun(kind: Kind) -> (Self, SimDisk) {
        let disk = SimDisk::new(kind.plain()).with_sector_bytes(kind.sector_bytes);
        drop(Converter::encrypt(&disk, &kind.options()).unwrap());
        disk.mark(BEGUN);
        let (vmk, _) = Volume::open(&disk).unwrap().unwrap_vmk(&recovery()).unwrap();
        (Self { plain: kind.plain(), reserved: kind.reserved(), key: Known(vmk), kind }, disk)
    }

    /// The scene, and a finished volume.
    pub(crate) fn finished(kind: Kind) -> (Self, SimDisk) {
        let (scene, disk) = Self::begun(kind);
        assert_eq!(resume(&disk, &scene.key, Direction::Encrypt, ALL).unwrap(), Outcome::Finished);
        (scene, disk.fork())
    }

    fn begin_decrypting(&self, disk: &SimDisk) {
        let options = self.kind.decrypt_options(self.kind.release());
        drop(Converter::decrypt(Volume::open(disk).unwrap(), &self.key, &options).unwrap());
        disk.mark(BEGUN);
    }

    /// Whether the volume is what it may be, and nothing is lost.
    fn judge(&self, disk: &SimDisk) -> Result<State, String> {
        let volume = match Volume::open(disk) {
            Ok(volume) => volume,
            Err(fve::Error::NotBitLocker { .. }) => {
                same_outside(&disk.to_vec(), &self.plain).map_err(|text| format!("the plain volume: {text}"))?;
                return Ok(State::Plain);
            }
            Err(error) => return Err(error.to_string()),
        };
        let converting = volume.in_place_conversion().is_some();
        let is_plain = volume.is_decrypted();
        let expected = if is_plain { &self.plain } else { &self.reserved };
        same_outside(&content(disk, &self.key)?, expected).map_err(|text| format!("while converting: {text}"))?;
        match converting {
            true if is_plain => Ok(State::Restoring),
            true => Ok(State::Converting),
            false if volume.state() == (VolumeState::Encrypted, VolumeState::Encrypted) => Ok(State::Encrypted),
            false => Err("neither converting nor encrypted".to_owned()),
        }
    }

    /// Takes the conversion up to its end, in either direction, and judges the end.
    fn complete(&self, disk: &SimDisk, direction: Direction) -> Result<(), String> {
        let outcome = resume(disk, &self.key, direction, ALL).map_err(|error| format!("to take it up: {error}"))?;
        let end = self.judge(disk)?;
        let right = if direction == Direction::Encrypt { State::Encrypted } else { State::Plain };
        if (outcome, end) == (Outcome::Finished, right) { Ok(()) } else { Err(format!("{direction:?} ended {end:?}")) }
    }

    fn check(&self, crashed: &Crashed, random: &mut Random, before: State, after: State) -> Result<(), String> {
        let state = self.judge(&crashed.disk)?;
        match crashed.acknowledged {
            ENDED if state != after => return Err(format!("it had ended, and is {state:?}")),
            BEGUN if state == before => return Err(format!("it had begun, and is {state:?}")),
            0 if ![before, State::Converting].contains(&state) => {
                return Err(format!("it had not begun, and is {state:?}"));
            }
            _ => {}
        }
        let direction = match state {
            State::Plain | State::Encrypted => return Ok(()),
            State::Restoring => Direction::Decrypt,
            State::Converting if random.one_in(2) => Direction::Encrypt,
            State::Converting => Direction::Decrypt,
        };
        // One in three is cut again while it is taken up, and sometimes a third time.
        let mut disk = crashed.disk.fork();
        while random.one_in(3) {
            let batches = if random.one_in(2) { random.index(4) } else { ALL };
            let paused = resume(&disk, &self.key, direction, batches);
            paused.map_err(|error| format!("to take it up: {error}"))?;
            let again = disk.crash(random.index(disk.crash_points()), random);
            disk = again.disk;
            match self.judge(&disk)? {
                State::Plain | State::Encrypted => return Ok(()),
                State::Restoring => return self.complete(&disk, Direction::Decrypt),
                State::Converting => {}
            }
        }
        self.complete(&disk, direction)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Converting,
    /// Plain but for the last steps.
    Restoring,
    Encrypted,
}

/// Encrypts, in one go, and cuts.
pub(crate) fn encrypting(simulation: &Simulation, name: &str, kind: Kind, lying: bool) -> Result<u64, String> {
    let (scene, disk) = Scene::begun(kind);
    disk.set_fault(Fault { ignore_flushes: lying, ..Fault::default() });
    simulation
        .run(
            name,
            &disk,
            |disk| {
                resume(disk, &scene.key, Direction::Encrypt, ALL).unwrap();
                disk.mark(ENDED);
            },
            |crashed, random| scene.check(&crashed, random, State::Plain, State::Encrypted),
        )
        .map_err(|failure| failure.to_string())
}

fn decrypting(name: &str, kind: Kind) {
    let (scene, disk) = Scene::finished(kind);
    let record = |disk: &SimDisk| {
        scene.begin_decrypting(disk);
        resume(disk, &scene.key, Direction::Decrypt, ALL).unwrap();
        disk.mark(ENDED);
    };
    let check = |crashed: Crashed, random: &mut Random| scene.check(&crashed, random, State::Encrypted, State::Plain);
    simulation().run(name, &disk, record, check).unwrap_or_else(|failure| panic!("{failure}"));
}

const CBC_4096: Kind =
    Kind { method: EncryptionMethod::AesCbc128, sector_bytes: 4096, volume_bytes: 0x7_1000, batch_bytes: 0x4000 };
const DIFFUSER: Kind = Kind { method: EncryptionMethod::AesCbc128Diffuser, ..SMALL };

#[test]
fn encrypting_in_place() {
    encrypting(&simulation(), "encrypting_in_place", SMALL, false).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn encrypting_sectors_of_4096_bytes_that_are_torn() {
    let name = "encrypting_sectors_of_4096_bytes_that_are_torn";
    encrypting(&simulation(), name, CBC_4096, false).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn decrypting_in_place() {
    decrypting("decrypting_in_place", SMALL);
}

#[test]
fn decrypting_with_the_diffuser() {
    decrypting("decrypting_with_the_diffuser", DIFFUSER);
}

#[test]
fn decrypting_sectors_of_4096_bytes_that_are_torn() {
    decrypting("decrypting_sectors_of_4096_bytes_that_are_torn", CBC_4096);
}

/// There, back, there again, with a few batches each time, and in the end back.
#[test]
fn turned_round_several_times() {
    let (scene, disk) = Scene::begun(SMALL);
    let record = |disk: &SimDisk| {
        for (direction, batches) in
            [(Direction::Encrypt, 7), (Direction::Decrypt, 3), (Direction::Encrypt, 2), (Direction::Decrypt, ALL)]
        {
            resume(disk, &scene.key, direction, batches).unwrap();
        }
        disk.mark(ENDED);
    };
    let check = |crashed: Crashed, random: &mut Random| {
        let state = scene.judge(&crashed.disk)?;
        // It ends where it began, so the plain volume may be either.
        if state == State::Plain { Ok(()) } else { scene.check(&crashed, random, State::Encrypted, State::Plain) }
    };
    simulation().run("turned_round_several_times", &disk, record, check).unwrap_or_else(|failure| panic!("{failure}"));
}

/// The program is killed again and again, which loses nothing that it wrote, but much of it is not flushed; it is taken up, and
/// then the power fails.
#[test]
fn killed_and_taken_up_before_the_power_fails() {
    let (scene, disk) = Scene::begun(Kind { batch_bytes: 4096, ..SMALL });
    let record = |disk: &SimDisk| {
        let (mut random, mut kills) = (Random::new(5), 0);
        for _ in 0..40 {
            let direction = if random.one_in(3) { Direction::Decrypt } else { Direction::Encrypt };
            // Opening and unlocking are about 20 requests, a batch 6.
            let last = disk.requests() + 20 + random.below(24);
            disk.set_fault(Fault { fail_from: Some(last), ..Fault::default() });
            let ended = resume(disk, &scene.key, direction, ALL);
            disk.set_fault(Fault::default());
            if ended.is_ok() {
                break;
            }
            kills += 1;
        }
        assert!(kills >= 20, "it was killed {kills} times only");
        if scene.judge(disk).unwrap() == State::Converting {
            resume(disk, &scene.key, Direction::Encrypt, ALL).unwrap();
        }
        disk.mark(ENDED);
    };
    let check = |crashed: Crashed, random: &mut Random| scene.check(&crashed, random, State::Plain, State::Encrypted);
    let name = "killed_and_taken_up_before_the_power_fails";
    simulation().run(name, &disk, record, check).unwrap_or_else(|failure| panic!("{failure}"));
}

/// The beginning of what is written down stays readable by whoever has the key, whatever else happens.
#[test]
fn the_scene_is_what_it_claims() {
    let (scene, disk) = Scene::begun(SMALL);
    assert!(scene.key.unwrap_vmk(&Volume::open(&disk).unwrap().protectors()[0]).is_some());
    assert_eq!(scene.judge(&disk).unwrap(), State::Converting);
    let (scene, disk) = Scene::finished(SMALL);
    assert_eq!(scene.judge(&disk).unwrap(), State::Encrypted);
    // The judge notices one changed byte.
    let changed = SimDisk::new({
        let mut bytes = disk.to_vec();
        bytes[0x6_0000] ^= 1;
        bytes
    });
    assert!(scene.judge(&changed).is_err());
    assert!(changed.geometry().length_bytes > 0);
}
