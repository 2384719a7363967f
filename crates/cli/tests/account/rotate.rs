//! Rotating recovery keys: whatever is cut off, a key opens the drive that is saved.

use std::process::Stdio;
use std::time::Duration;

use crate::harness::{Computer, DRIVE_PASSWORD, Drive, Owner, Ran, Service};

/// The identifiers of the drive's recovery keys.
fn recovery_keys(computer: &Computer, drive: &Drive) -> Vec<String> {
    let info = computer.run(&["info", drive.image.to_str().unwrap()]).report();
    let protectors = info["protectors"].as_array().unwrap();
    let recovery = protectors.iter().filter(|it| it["kind"] == "recovery password");
    recovery.map(|it| it["identifier"].as_str().unwrap().to_owned()).collect()
}

fn rotate(computer: &Computer, drive: &Drive) -> Ran {
    computer.run(&["rotate", drive.image.to_str().unwrap(), "--password-file", drive.password.to_str().unwrap()])
}

fn opens_with_old(computer: &Computer, drive: &Drive) -> bool {
    let key = drive.key.to_str().unwrap();
    let ran = computer.run(&["verify", drive.image.to_str().unwrap(), "--recovery-password-file", key]);
    assert!(ran.status < 2, "{ran:?}");
    ran.status == 0
}

/// The records that the account has of a key.
fn records(computer: &Computer, identifier: &str) -> usize {
    let listed = computer.run(&["keys", "list"]).report();
    listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["key_id"] == identifier && key["verified"] == true)
        .count()
}

/// The account releases the key, and it opens the drive.
fn opens_from_account(owner: &mut Owner, drive: &Drive) {
    let code = owner.phone.fresh_code();
    let verified = owner.computer.with_code(&code, &["verify", drive.image.to_str().unwrap(), "--from-account"]);
    assert_eq!(verified.report()["opens"], true);
}

#[test]
fn the_new_key_is_in_the_account_before_the_old_one_goes() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let before = recovery_keys(&owner.computer, &drive);
    let rotated = rotate(&owner.computer, &drive).report();
    assert_eq!(
        (&rotated["saved"][0]["receipt_verified"], &rotated["removed"][0]),
        (&true.into(), &before[0].clone().into())
    );
    let after = recovery_keys(&owner.computer, &drive);
    assert!(after.len() == 1 && after != before);
    assert_eq!(records(&owner.computer, &after[0]), 1);
    assert!(!opens_with_old(&owner.computer, &drive));
    opens_from_account(&mut owner, &drive);

    // The new key was said nowhere, and is left nowhere in the clear.
    let disk = block_io::FileDisk::open(&drive.image).unwrap();
    let volume = fve::Volume::open(disk).unwrap();
    let (vmk, _) = volume.unwrap_vmk(&fve::Password(secret::SecretString::from(DRIVE_PASSWORD))).unwrap();
    let forms = testkit::leaks::forms(&volume.recovery_passwords(&vmk)[0].1);
    let said = owner.computer.said.borrow().clone();
    assert!(said.len() > 500 && testkit::leaks::search(said.as_bytes(), &forms).is_empty());
    let (found, searched) = testkit::leaks::search_folder(&owner.computer.path("state"), &forms).unwrap();
    assert!(found.is_empty() && searched > 1000, "{found:?}");
}

#[test]
fn while_the_service_is_down_the_old_key_stays_and_the_rotation_goes_on_later() {
    let mut service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let old = recovery_keys(&owner.computer, &drive);
    service.kill();
    for _ in 0..3 {
        let failure = rotate(&owner.computer, &drive).failure(1);
        assert_eq!(failure["code"], "server.busy");
        assert!(failure["error"].as_str().unwrap().contains("not rotated yet"), "{failure}");
        assert!(failure["hint"].as_str().unwrap().contains("keyhaven rotate"), "{failure}");
        assert_eq!(recovery_keys(&owner.computer, &drive).len(), 2, "neither removed nor a third one");
        assert!(opens_with_old(&owner.computer, &drive));
        // One save waits, however often it is tried.
        assert_eq!(std::fs::read_dir(owner.computer.path("state/outbox")).unwrap().count(), 1);
    }
    service.run();
    let resumed = rotate(&owner.computer, &drive).report();
    assert_eq!((&resumed["resumed"], &resumed["removed"][0]), (&true.into(), &old[0].clone().into()));
    let new = recovery_keys(&owner.computer, &drive);
    assert_eq!((new.len(), records(&owner.computer, &new[0])), (1, 1));
    assert!(!opens_with_old(&owner.computer, &drive));
    opens_from_account(&mut owner, &drive);
}

/// Another command delivered the save meanwhile: it is not made again.
#[test]
fn a_save_that_came_through_since_counts() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    service.kill();
    rotate(&owner.computer, &drive).failure(1);
    service.run();
    assert_eq!(owner.computer.run(&["keys", "deliver"]).report()["saved"].as_array().unwrap().len(), 1);
    rotate(&owner.computer, &drive).report();
    let new = recovery_keys(&owner.computer, &drive);
    assert_eq!((new.len(), records(&owner.computer, &new[0])), (1, 1));
}

/// What was begun stands on the drive: a computer that knows nothing of it goes on.
#[test]
fn a_computer_without_notes_goes_on() {
    let mut service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    service.kill();
    rotate(&owner.computer, &drive).failure(1);
    let state = owner.computer.path("state");
    std::fs::remove_dir_all(state.join("outbox")).unwrap();
    std::fs::remove_dir_all(state.join("rotations")).unwrap();
    service.run();
    assert_eq!(rotate(&owner.computer, &drive).report()["resumed"], true);
    assert_eq!(recovery_keys(&owner.computer, &drive).len(), 1);
    opens_from_account(&mut owner, &drive);
}

#[test]
fn a_computer_that_may_not_save_changes_nothing() {
    let service = Service::start();
    let owner = service.owner();
    let drive = owner.computer.drive("stick.img");
    let before = std::fs::read(&drive.image).unwrap();
    let failure = rotate(&owner.computer, &drive).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("keyhaven device enrol"), "{failure}");
    assert!(std::fs::read(&drive.image).unwrap() == before);
}

/// The program is killed at one moment after the other, and the service with it sometimes.
#[test]
fn a_rotation_that_is_killed_leaves_a_saved_key_that_opens() {
    let mut service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let (image, password) = (drive.image.to_str().unwrap().to_owned(), drive.password.to_str().unwrap().to_owned());
    // Fewer than the new keys that a device may save in a day: each rotation that gets far enough saves one.
    for moment in 0..8_u64 {
        let mut command = owner.computer.command(&["rotate", &image, "--password-file", &password]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200 + moment * 220));
        if moment % 3 == 2 {
            service.kill();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if moment % 3 == 2 {
            service.run();
        }
        let there = recovery_keys(&owner.computer, &drive);
        assert!((1..=2).contains(&there.len()), "{there:?}");
        // Of what opens the drive now, one is in the account.
        assert!(there.iter().any(|key| records(&owner.computer, key) > 0), "moment {moment}: {there:?}");
    }
    rotate(&owner.computer, &drive).report();
    assert_eq!(recovery_keys(&owner.computer, &drive).len(), 1);
    opens_from_account(&mut owner, &drive);
}

#[test]
fn a_new_recovery_key_is_saved_when_it_is_added() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let (image, password) = (drive.image.to_str().unwrap(), drive.password.to_str().unwrap());
    let add = ["protectors", "add", "recovery-password", image, "--to", "account", "--password-file", password];
    let added = owner.computer.run(&add).report();
    assert_eq!(added["recovery_key"], serde_json::Value::Null, "it is saved, so it need not be shown");
    assert_eq!(records(&owner.computer, added["identifier"].as_str().unwrap()), 1);
    service.kill();
    let failed = owner.computer.run(&add);
    assert_eq!(failed.code(2), "server.busy");
    let shown: serde_json::Value = serde_json::from_str(&failed.stdout).unwrap();
    assert!(shown["recovery_key"].is_string(), "saved nowhere, so it is shown: {failed:?}");
}
