//! The power goes, or a request fails, while key protectors are changed: the volume always opens with a key that the person
//! holds, and what was said to be done stays done.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use block_io::{BlockRead, BlockWrite};
use common::{NOW, PASSWORD, assert_content, made, recovery};
use fve::{
    ClearKey, Error, ExternalKey, Guid, KeyMaterial, KeyProtector, MetadataEditor, Password, ProtectorKind, Remaining,
    UnwrapError, Vmk, Volume,
};
use fve_format::METADATA_REGION_BYTES;
use secret::{RecoveryPassword, SecretString};
use testkit::simulation::{Crashed, Fault, Random, SimDisk, Simulation};

/// What became of a secret on one protector.
type Unwrapped = Option<Result<Vmk, UnwrapError>>;
/// A change made in memory.
type Apply<'a> = Box<dyn Fn(&mut MetadataEditor<&SimDisk>) + 'a>;

/// States of each scenario.
const STATES: u64 = 150;

/// A secret that remembers what became of it: stretching takes a third of a second, and states differ little.
struct Known<M> {
    material: M,
    known: Mutex<HashMap<Vec<u8>, Unwrapped>>,
}

impl<M: KeyMaterial> Known<M> {
    fn new(material: M) -> Self {
        Self { material, known: Mutex::default() }
    }
}

impl<M: KeyMaterial> KeyMaterial for Known<M> {
    fn unwrap_vmk(&self, protector: &KeyProtector) -> Option<Result<Vmk, UnwrapError>> {
        let entry = protector.to_entry().unwrap().data.to_vec();
        self.known.lock().unwrap().entry(entry).or_insert_with(|| self.material.unwrap_vmk(protector)).clone()
    }

    fn kind(&self) -> ProtectorKind {
        self.material.kind()
    }

    fn names_protector(&self) -> Option<Guid> {
        self.material.names_protector()
    }
}

/// Content of a volume with a password and a recovery password.
fn volume() -> Arc<Vec<u8>> {
    static VOLUME: OnceLock<Arc<Vec<u8>>> = OnceLock::new();
    let make = || Arc::new(made(Some(PASSWORD)).bytes(0, usize::try_from(common::VOLUME_BYTES).unwrap()));
    Arc::clone(VOLUME.get_or_init(make))
}

fn edit<'a, D: BlockWrite>(disk: &'a D, material: &dyn KeyMaterial) -> MetadataEditor<&'a D> {
    Volume::open(disk).unwrap().edit(material, NOW).unwrap()
}

fn opens(disk: &impl BlockRead, material: &dyn KeyMaterial) -> Result<bool, String> {
    match Volume::open(disk).map_err(|error| error.to_string())?.unwrap_vmk(material) {
        Ok(_) => Ok(true),
        Err(Error::WrongSecret { .. } | Error::NoSuchProtector { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn demand(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn copies(disk: &impl BlockRead) -> Vec<Vec<u8>> {
    let volume = Volume::open(disk).unwrap();
    let mut regions = vec![vec![0; METADATA_REGION_BYTES]; 3];
    for (region, copy) in regions.iter_mut().zip(volume.copies()) {
        disk.read_exact_at(copy.offset_bytes.unwrap(), region).unwrap();
    }
    regions
}

/// What holds in every state: it opens with `holds`; readers agree on the copy; a repair makes the copies one, and a power
/// cut during the repair changes nothing of this.
fn check_state(crashed: &SimDisk, holds: &dyn KeyMaterial, random: &mut Random) -> Result<(), String> {
    demand(opens(crashed, holds)?, "the key that the person holds does not open it")?;
    let opened = Volume::open(crashed).unwrap();
    let first = opened.copies().iter().position(|copy| copy.health.is_usable());
    demand(first == Some(opened.copy_in_use()), "the first copy that is whole is not the newest")?;
    let working = crashed.fork();
    let mut editor = Volume::open(&working).unwrap().edit(holds, NOW).map_err(|error| error.to_string())?;
    editor.repair().map_err(|error| error.to_string())?;
    let stored = copies(&working);
    demand(stored[0] == stored[1] && stored[1] == stored[2], "the copies differ after the repair")?;
    demand(opens(&working, holds)?, "it does not open after the repair")?;
    let again = working.crash(random.index(working.crash_points()), random).disk;
    demand(opens(&again, holds)?, "it does not open after a power cut during the repair")?;
    assert_content(&again, holds);
    Ok(())
}

fn simulate(
    scenario: &str,
    disk: &SimDisk,
    record: impl FnOnce(&SimDisk),
    check: impl Fn(&Crashed, &mut Random) -> Result<(), String>,
) {
    if std::env::var("SCENARIO").is_ok_and(|only| only != scenario) {
        return;
    }
    let done = Simulation::from_environment(STATES).run(scenario, disk, record, |state, random| check(&state, random));
    match done {
        Ok(tried) => assert!(tried > 0),
        Err(failure) => panic!("{failure} (in protector_cuts)"),
    }
}

/// One change with a commit behind it. `before` and `after` say which secrets open the volume then.
struct Change<'a> {
    name: &'static str,
    disk: SimDisk,
    apply: Apply<'a>,
    /// Opens the volume throughout.
    holds: &'a dyn KeyMaterial,
    added: Option<&'a dyn KeyMaterial>,
    removed: Option<&'a dyn KeyMaterial>,
}

impl Change<'_> {
    fn run(&self) {
        let record = |disk: &SimDisk| {
            let mut editor = edit(disk, self.holds);
            (self.apply)(&mut editor);
            editor.commit().unwrap();
            disk.mark(1);
        };
        simulate(self.name, &self.disk, record, |crashed, random| {
            if crashed.acknowledged == 1 {
                for (secret, there) in [(self.added, true), (self.removed, false)] {
                    let opened = secret.map(|secret| opens(&crashed.disk, secret)).transpose()?;
                    demand(opened.is_none_or(|opened| opened == there), "what was said to be done is not done")?;
                }
            }
            // A secret that goes when another comes: one of the two opens it.
            if let (Some(added), Some(removed)) = (self.added, self.removed) {
                demand(opens(&crashed.disk, added)? || opens(&crashed.disk, removed)?, "neither opens it")?;
            }
            check_state(&crashed.disk, self.holds, random)
        });
    }
}

#[test]
fn every_change_survives_power_cuts() {
    let digits = Known::new(recovery());
    let old = Known::new(Password(SecretString::from(PASSWORD)));
    let new = Known::new(Password(SecretString::from("another one")));
    let second = Known::new(RecoveryPassword::from_key(&[5; 16]));
    let disk = || SimDisk::new(volume());
    let suspended = disk();
    let mut editor = edit(&suspended, &digits);
    let file = editor.add_external_key().unwrap();
    editor.suspend().unwrap();
    editor.commit().unwrap();
    let suspended = || suspended.fork();
    let key = ExternalKey::from_file(&file).unwrap();
    let change = |name, disk, apply| Change { name, disk, apply, holds: &digits, added: None, removed: None };
    let password_id = Volume::open(disk()).unwrap().unwrap_vmk(&old).unwrap().1;
    let changes = [
        Change {
            added: Some(&second),
            ..change(
                "add",
                disk(),
                Box::new(|editor| {
                    editor.add_recovery_password(&second.material, None).unwrap();
                }),
            )
        },
        Change {
            added: Some(&new),
            removed: Some(&old),
            ..change(
                "change-password",
                disk(),
                Box::new(|editor| {
                    editor.change_password(&new.material.0).unwrap();
                }),
            )
        },
        Change {
            removed: Some(&old),
            ..change("remove", disk(), Box::new(|editor| editor.remove(password_id, Remaining::PersonsKey).unwrap()))
        },
        Change {
            added: Some(&ClearKey),
            ..change(
                "suspend",
                disk(),
                Box::new(|editor| {
                    editor.suspend().unwrap();
                }),
            )
        },
        Change {
            removed: Some(&ClearKey),
            holds: &key,
            ..change(
                "unsuspend",
                suspended(),
                Box::new(|editor| {
                    editor.unsuspend().unwrap();
                }),
            )
        },
        Change {
            removed: Some(&old),
            ..change(
                "remove-and-replace-master-key",
                suspended(),
                Box::new(|editor| {
                    editor.remove(password_id, Remaining::PersonsKey).unwrap();
                    editor.replace_master_key().unwrap();
                }),
            )
        },
    ];
    for change in &changes {
        change.run();
    }
}

/// The old recovery password goes only after the new one was saved, which the mark stands for.
#[test]
fn a_rotation_survives_power_cuts() {
    let (old, new) = (Known::new(recovery()), Known::new(RecoveryPassword::from_key(&[5; 16])));
    let disk = SimDisk::new(volume());
    let old_id = Volume::open(&disk).unwrap().unwrap_vmk(&old).unwrap().1;
    let record = |disk: &SimDisk| {
        let mut editor = edit(disk, &old);
        let new_id = editor.add_recovery_password(&new.material, Some("replaces")).unwrap();
        editor.commit().unwrap();
        disk.mark(1);
        editor.rename(new_id, None).unwrap();
        editor.remove(old_id, Remaining::PersonsKey).unwrap();
        editor.commit().unwrap();
        disk.mark(2);
    };
    simulate("rotate", &disk, record, |crashed, random| match crashed.acknowledged {
        0 => check_state(&crashed.disk, &old, random),
        done => {
            demand(done < 2 || !opens(&crashed.disk, &old)?, "the old one is still there")?;
            check_state(&crashed.disk, &new, random)
        }
    });
}

/// Two copies are damaged, or one is damaged and one left behind by an earlier change.
#[test]
fn a_repair_in_place_survives_power_cuts() {
    let digits = Known::new(recovery());
    let disk = SimDisk::new(volume());
    let places = Volume::open(&disk).unwrap().copies().each_ref().map(|copy| copy.offset_bytes.unwrap());
    let older = copies(&disk)[0].clone();
    let mut editor = edit(&disk, &digits);
    editor.add_external_key().unwrap();
    editor.commit().unwrap();
    for (name, first, second) in [("repair-front", 0, 1), ("repair-ends", 0, 2), ("repair-behind", 1, 2)] {
        let damaged = disk.fork();
        damaged.write_all_at(places[first] + 0x100, &[0xFF; 64]).unwrap();
        damaged.write_all_at(places[second], &older).unwrap();
        let damaged = damaged.fork();
        let record = |disk: &SimDisk| {
            assert_eq!(edit(disk, &digits).repair().unwrap(), [first, second]);
            disk.mark(1);
        };
        simulate(name, &damaged, record, |crashed, random| {
            let stored = copies(&crashed.disk);
            demand(crashed.acknowledged == 0 || stored[0] == stored[1], "the repair was said to be done")?;
            demand(opens(&crashed.disk, &digits)?, "it does not open")?;
            let mut editor = edit(&crashed.disk, &digits);
            demand(editor.protectors().len() == 3, "the newer change was lost")?;
            editor.repair().map_err(|error| error.to_string())?;
            check_state(&crashed.disk.fork(), &digits, random)
        });
    }
}

/// The volume header is lost with two copies: what is left is found as before at every point, and mended in the end.
#[test]
fn a_repair_of_the_header_survives_power_cuts() {
    let digits = Known::new(recovery());
    let sound = SimDisk::new(volume());
    // The first sector of a file system, which proves the header; made when the volume was, it would be in its header.
    let mut boot = [0; 512];
    boot[3..11].copy_from_slice(b"NTFS    ");
    boot[0x0B..0x0E].copy_from_slice(&[0, 2, 8]);
    boot[0x28..0x30].copy_from_slice(&(common::VOLUME_BYTES / 512 - 1).to_le_bytes());
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    let (unlocked, _) = Volume::open(&sound).unwrap().unlock(&digits, fve::UnlockOptions::default()).unwrap();
    unlocked.write_all_at(0, &boot).unwrap();
    let places = Volume::open(&sound).unwrap().copies().each_ref().map(|copy| copy.offset_bytes.unwrap());
    for (name, lost) in [("header", vec![]), ("header-front", vec![0, 1]), ("header-behind", vec![1, 2])] {
        let damaged = sound.fork();
        damaged.write_all_at(0, &[0; 512]).unwrap();
        for index in &lost {
            damaged.write_all_at(places[*index] + 0x100, &[0xFF; 64]).unwrap();
        }
        let damaged = damaged.fork();
        let mend = |disk: &SimDisk| -> Result<(), String> {
            let mut search = fve::salvage::Search::new(disk);
            let mut found = std::iter::from_fn(|| search.next_volume(&mut |_| {})).filter(|it| it.start_bytes == 0);
            let volume = found.next().ok_or("nothing is found")?.open(disk).map_err(|error| error.to_string())?;
            let plan = volume.plan_repair(&digits, NOW).map_err(|error| error.to_string())?;
            plan.run().map_err(|error| error.to_string())
        };
        let record = |disk: &SimDisk| {
            mend(disk).unwrap();
            disk.mark(1);
        };
        simulate(name, &damaged, record, |crashed, random| {
            let disk = &crashed.disk;
            demand(crashed.acknowledged == 0 || Volume::open(disk).is_ok(), "the repair was said to be done")?;
            // With a header the copies are whole: it goes last.
            if let Ok(volume) = Volume::open(disk) {
                demand(volume.copies().iter().all(|copy| copy.health.is_usable()), "the header came before a copy")?;
            }
            let again = disk.fork();
            mend(&again)?;
            // Another cut during the second repair, and a third repair.
            let cut = again.crash(random.index(again.crash_points()), random).disk;
            mend(&cut)?;
            check_state(&cut.fork(), &digits, random)
        });
    }
}

/// A disk that ignores flushes must be caught, or the simulation sees nothing.
#[test]
fn without_flushes_the_simulation_finds_a_lost_volume() {
    let digits = Known::new(recovery());
    let disk = SimDisk::new(volume());
    disk.set_fault(Fault { ignore_flushes: true, ..Fault::default() });
    let record = |disk: &SimDisk| {
        let mut editor = edit(disk, &digits);
        editor.add_external_key().unwrap();
        editor.commit().unwrap();
    };
    let simulation = Simulation { seed: 1, states: 200, only: None };
    let found = simulation.run("canary", &disk, record, |state, random| check_state(&state.disk, &digits, random));
    assert!(found.is_err());
}

/// Every request fails once, then from each one on all: the error tells how far it came, and the next editor goes on.
#[test]
fn failing_requests_leave_a_volume_that_opens() {
    let digits = Known::new(recovery());
    let added = Known::new(RecoveryPassword::from_key(&[5; 16]));
    let (mut failed, mut at) = (0, 0);
    loop {
        let mut done = true;
        for lasting in [false, true] {
            let disk = SimDisk::new(volume());
            let mut editor = edit(&disk, &digits);
            editor.add_recovery_password(&added.material, None).unwrap();
            let number = disk.requests() + at;
            let fault = if lasting {
                Fault { fail_from: Some(number), ..Fault::default() }
            } else {
                Fault { fail_request: Some(number), ..Fault::default() }
            };
            disk.set_fault(fault);
            let Err(error) = editor.commit() else { continue };
            done = false;
            failed += 1;
            let Error::CopyNotWritten { copy, holding, .. } = error else { panic!("{error}") };
            assert_eq!((copy - 1, holding), (usize::try_from(at / 3).unwrap(), usize::try_from(at / 3).unwrap()));
            disk.set_fault(Fault::default());
            assert!(matches!(editor.commit(), Err(Error::CannotEdit { .. })), "what is stored is not known");
            assert!(opens(&disk, &digits).unwrap());
            edit(&disk, &digits).repair().unwrap();
            let stored = copies(&disk);
            assert!(stored[0] == stored[1] && stored[1] == stored[2]);
        }
        at += 1;
        if done {
            break;
        }
    }
    // Three copies, each written, flushed and read back.
    assert_eq!(failed, 2 * 9);
}

/// A place that cannot be written stops a change before a good copy is touched, when it is a damaged one.
#[test]
fn a_copy_that_cannot_be_restored_stops_the_change() {
    let digits = Known::new(recovery());
    let disk = SimDisk::new(volume());
    let place = Volume::open(&disk).unwrap().copies()[2].offset_bytes.unwrap();
    disk.write_all_at(place + 0x100, &[0xFF; 64]).unwrap();
    let before = copies(&disk);
    disk.set_fault(Fault { unwritable: Some(place..place + 1), ..Fault::default() });
    let mut editor = edit(&disk, &digits);
    editor.add_external_key().unwrap();
    assert!(matches!(editor.commit(), Err(Error::CopyNotWritten { copy: 3, holding: 2, .. })));
    assert_eq!(copies(&disk), before);
}
