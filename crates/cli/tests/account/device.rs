//! Computers by link, their names, and what `device run` does for them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Computer, Drive, Owner, Ran, Service, wait_for_line};

/// The identifiers of the drive's recovery keys.
fn recovery_keys(computer: &Computer, drive: &Drive) -> Vec<String> {
    let info = computer.run(&["info", text(&drive.image)]).report();
    let protectors = info["protectors"].as_array().unwrap();
    let recovery = protectors.iter().filter(|it| it["kind"] == "recovery password");
    recovery.map(|it| it["identifier"].as_str().unwrap().to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The keys that the account lists, by identifier.
fn listed(computer: &Computer, identifier: &str) -> Vec<Value> {
    let listed = computer.run(&["keys", "list"]).report();
    listed["keys"].as_array().unwrap().iter().filter(|key| key["key_id"] == identifier).cloned().collect()
}

fn run_command(computer: &Computer, drive: &Drive, more: &[&str]) -> Command {
    let mut command = computer.command(&["device", "run", "--once", "--drive", text(&drive.image)]);
    command.args(more);
    command
}

fn run_once(computer: &Computer, drive: &Drive, more: &[&str]) -> Ran {
    computer.finish(&mut run_command(computer, drive, more))
}

/// What one round told.
fn events(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn count(ran: &Ran, event: &str) -> usize {
    events(ran).iter().filter(|it| it["event"] == event).count()
}

/// Shows the key of a drive, which orders it to be replaced.
fn show(owner: &mut Owner, drive: &Drive, more: &[&str]) -> Value {
    let code = owner.phone.fresh_code();
    let out = owner.computer.path(&format!("shown-{code}.txt"));
    let mut arguments = vec!["keys", "show", &drive.key_id, "--reason", "drill", "--out", text(&out)];
    arguments.extend(more);
    owner.computer.with_code(&code, &arguments).report()
}

fn opens_with_old(computer: &Computer, drive: &Drive) -> bool {
    let ran = computer.run(&["verify", text(&drive.image), "--recovery-password-file", text(&drive.key)]);
    assert!(ran.status < 2, "{ran:?}");
    ran.status == 0
}

#[test]
fn a_computer_joins_by_link() {
    let service = Service::start();
    let mut owner = service.owner();
    let laptop = service.computer();
    let link = laptop.path("link.txt");
    let mut enrolment = laptop.command(&["device", "enrol", "--link", "--name", "laptop", "--link-out", text(&link)]);
    let mut enrolment = enrolment.stdout(Stdio::null()).spawn().unwrap();
    let shown = wait_for_line(&link);
    assert!(shown.contains("/enrol#"), "{shown}");
    let wrong = owner.computer.file("wrong.txt", &shown.replace("enrol#", "enrol?"));
    let refused = owner.computer.with_code("000000", &["device", "approve", "--link-file", text(&wrong)]).failure(1);
    assert!(refused["error"].as_str().unwrap().contains("not the link"), "{refused}");
    let code = owner.phone.fresh_code();
    owner.computer.with_code(&code, &["device", "approve", "--link-file", text(&link)]).report();
    assert!(enrolment.wait().unwrap().success());
    let drive = laptop.drive("stick.img");
    laptop.backup(&drive).report();

    owner.computer.run(&["device", "rename", "laptop", "kitchen"]).report();
    let devices = owner.computer.run(&["device", "list"]).report();
    let device = &devices["devices"][0];
    assert_eq!((device["name"].as_str(), device["enrolled_as"].as_str()), (Some("kitchen"), Some("laptop")));
    assert_eq!(
        (device["missing_saves"].clone(), device["capability"].as_str()),
        (serde_json::json!([]), Some("records.append"))
    );
    assert_eq!(listed(&owner.computer, &recovery_keys(&laptop, &drive)[0])[0]["saved_by"], "kitchen");
    let nobody = owner.computer.run(&["device", "rename", "pantry", "x"]).failure(1);
    assert!(nobody["hint"].as_str().unwrap().contains("device list"), "{nobody}");
    assert_eq!(owner.computer.run(&["device", "rename", "kitchen", "a\nb"]).status, 1);
}

#[test]
fn the_link_is_shown_with_its_picture_and_said_to_nobody_else() {
    let service = Service::start();
    let laptop = service.computer();
    let out = laptop.path("shown.txt");
    let mut enrolment = crate::harness::keyhaven();
    let mut enrolment = enrolment
        .args(["device", "enrol", "--link", "--name", "laptop"])
        .env("KEYHAVEN_STATE", laptop.path("state"))
        .env("KEYHAVEN_SERVER", &service.origin)
        .stdout(std::fs::File::create(&out).unwrap())
        .spawn()
        .unwrap();
    let shown = wait_for_line(&out);
    enrolment.kill().unwrap();
    enrolment.wait().unwrap();
    assert!(shown.contains(&format!("{}/enrol#", service.origin)) && shown.contains('▀'), "{shown}");
    let log = std::fs::read_to_string(service.log()).unwrap();
    assert!(
        !log.contains("enrol#")
            && !log.contains(shown.split("enrol#").nth(1).unwrap().split_whitespace().next().unwrap())
    );
}

#[test]
fn a_key_that_was_shown_is_replaced_by_the_computer_that_saved_it() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let old = recovery_keys(&owner.computer, &drive).remove(0);
    owner.computer.backup(&drive).report();
    let key = ["--password-file", text(&drive.password)].map(str::to_owned);
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    assert_eq!(run_once(&owner.computer, &drive, &key).status, 0);

    let shown = show(&mut owner, &drive, &["--no-rotate"]);
    assert_eq!(shown["rotation"], Value::Null);
    let quiet = run_once(&owner.computer, &drive, &key);
    assert_eq!((quiet.status, count(&quiet, "rotated"), count(&quiet, "notice")), (0, 0, 1), "{quiet:?}");

    let shown = show(&mut owner, &drive, &[]);
    assert_eq!(shown["rotation"]["ordered"], true, "{shown}");
    assert_eq!(owner.computer.run(&["device", "list"]).report()["devices"][0]["open_orders"], 1);
    // Without anything that opens the drive it cannot be done, and is told.
    let without = run_once(&owner.computer, &drive, &[]);
    assert_eq!(without.status, 1, "{without:?}");
    assert!(opens_with_old(&owner.computer, &drive));

    let rotated = run_once(&owner.computer, &drive, &key);
    assert_eq!((rotated.status, count(&rotated, "rotated"), count(&rotated, "order_done")), (0, 1, 1), "{rotated:?}");
    let now = recovery_keys(&owner.computer, &drive);
    assert!(now.len() == 1 && now[0] != old);
    assert!(!opens_with_old(&owner.computer, &drive));
    assert_eq!(listed(&owner.computer, &old)[0]["state"], "retired");
    let new = &listed(&owner.computer, &now[0])[0];
    assert_eq!((new["state"].as_str(), new["verified"].clone()), (Some("live"), true.into()));
    assert_eq!(owner.computer.run(&["device", "list"]).report()["devices"][0]["open_orders"], 0);
    let trail = owner.computer.run(&["audit", "show"]).report();
    let actions: Vec<&str> =
        trail["entries"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str()).collect();
    for action in ["rotate_ordered", "rotate_taken", "rotate_done", "key_retired"] {
        let there = actions.iter().filter(|it| **it == action).count();
        // `taken` and `done` may go out together: the newest word counts.
        assert!(there == 1 || action == "rotate_taken", "{action}: {actions:?}");
    }
    assert_eq!(owner.computer.run(&["audit", "verify"]).report()["sound"], true);
    // Nothing is left to do.
    let again = run_once(&owner.computer, &drive, &key);
    assert_eq!((again.status, count(&again, "rotated")), (0, 0), "{again:?}");
    assert_eq!(recovery_keys(&owner.computer, &drive), now);
}

/// The program is killed at one moment after the other while it carries out an order, and the service with it sometimes.
#[test]
fn an_order_that_is_broken_off_leaves_a_saved_key_that_opens() {
    let mut service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let old = recovery_keys(&owner.computer, &drive).remove(0);
    owner.computer.backup(&drive).report();
    let key = ["--password-file", text(&drive.password)].map(str::to_owned);
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    run_once(&owner.computer, &drive, &key);
    assert_eq!(show(&mut owner, &drive, &[])["rotation"]["ordered"], true);
    for moment in 0..8_u64 {
        let mut child =
            run_command(&owner.computer, &drive, &key).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100 + moment * 250));
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
        let saved = there.iter().any(|key| listed(&owner.computer, key).iter().any(|it| it["verified"] == true));
        assert!(saved, "moment {moment}: {there:?}");
    }
    let ran = run_once(&owner.computer, &drive, &key);
    assert_eq!(ran.status, 0, "{ran:?}");
    let now = recovery_keys(&owner.computer, &drive);
    assert!(now.len() == 1 && now[0] != old, "one key, and another: {now:?}");
    assert_eq!(listed(&owner.computer, &now[0])[0]["state"], "live");
    assert_eq!(listed(&owner.computer, &old)[0]["state"], "retired");
    let devices = owner.computer.run(&["device", "list"]).report();
    assert_eq!(devices["devices"][0]["open_orders"], 0);
    assert_eq!(devices["devices"][0]["missing_saves"], serde_json::json!([]));
}

#[test]
fn keys_that_are_not_saved_are_saved_and_keys_that_are_gone_are_missed() {
    let service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let saved = |identifier: &str| !listed(&owner.computer, identifier).is_empty();
    let first = recovery_keys(&owner.computer, &drive).remove(0);
    // Without a key for the drive it is told that its recovery key is saved nowhere.
    let told = run_once(&owner.computer, &drive, &["--check-now"]);
    assert_eq!((told.status, count(&told, "unknown")), (1, 1), "{told:?}");
    assert!(!saved(&first));
    let key = ["--check-now", "--password-file", text(&drive.password)];
    let ran = run_once(&owner.computer, &drive, &key);
    assert_eq!((ran.status, count(&ran, "saved")), (0, 1), "{ran:?}");
    assert!(saved(&first));
    assert_eq!(listed(&owner.computer, &first)[0]["found"]["as"], "verified");

    // Somebody replaces the key by hand, past the program.
    let out = owner.computer.path("second.txt");
    let password = ["--password-file", text(&drive.password)];
    let add = ["protectors", "add", "recovery-password", text(&drive.image), "--recovery-out", text(&out)];
    owner.computer.run(&[&add[..], &password].concat()).report();
    owner.computer.run(&[&["protectors", "remove", text(&drive.image), &first][..], &password].concat()).report();
    let ran = run_once(&owner.computer, &drive, &key);
    assert_eq!((ran.status, count(&ran, "missing"), count(&ran, "saved")), (1, 1, 1), "{ran:?}");
    assert_eq!(listed(&owner.computer, &first)[0]["found"]["as"], "missing");
    assert_eq!(listed(&owner.computer, &first)[0]["state"], "live", "found missing is not retired");
}

#[test]
fn a_drives_file_names_what_opens_each() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let list = owner.computer.file(
        "drives",
        &format!("# ours\n{}\tpassword-file:{}\n/nowhere/at/all\n", text(&drive.image), text(&drive.password)),
    );
    let run = |more: &[&str]| {
        owner.computer.run(&[&["device", "run", "--once", "--drives-file", text(&list)][..], more].concat())
    };
    let ran = run(&["--check-now"]);
    assert_eq!((ran.status, count(&ran, "saved"), count(&ran, "absent") > 0), (0, 1, true), "{ran:?}");
    let bad = owner.computer.file("bad", "a\tb\n");
    let failure = owner.computer.run(&["device", "run", "--once", "--drives-file", text(&bad)]).failure(2);
    assert!(failure["error"].as_str().unwrap().contains("line 1"), "{failure}");
    // Away: nothing is lost, and it says to come back.
    service.kill();
    assert_eq!(run(&[]).status, 2);
    service.run();
    assert_eq!(run(&[]).status, 0);
    let other = service.computer();
    assert!(other.run(&["device", "run", "--once"]).failure(2)["hint"].as_str().unwrap().contains("device enrol"));
}

#[test]
fn the_loop_ends_at_a_signal() {
    let service = Service::start();
    let owner = service.enrolled();
    let out = owner.computer.path("log");
    let mut child = owner.computer.command(&["device", "run", "--check-now"]);
    let mut child = child.stdout(std::fs::File::create(&out).unwrap()).spawn().unwrap();
    let first = wait_for_line(&out);
    assert!(first.contains("\"held\""), "{first}");
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read_to_string(&out).unwrap().contains("\"stopped\""));
}

/// A drive and its copy; what `device run` is to open each of them with stands in a list.
fn list_of(computer: &Computer, name: &str, drives: &[(&Path, Option<&Path>)]) -> String {
    let line = |(drive, password): &(&Path, Option<&Path>)| {
        let opener = password.map(|file| format!("\tpassword-file:{}", text(file))).unwrap_or_default();
        format!("{}{opener}\n", text(drive))
    };
    let list: String = drives.iter().map(line).collect();
    text(&computer.file(name, &list)).to_owned()
}

#[test]
fn an_order_is_done_when_no_copy_of_the_drive_has_the_key() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let copy = owner.computer.path("copy.img");
    std::fs::copy(&drive.image, &copy).unwrap();
    let copied = Drive { image: copy.clone(), key: drive.key.clone(), ..owner.computer.drive("other.img") };
    assert_eq!(show(&mut owner, &drive, &[])["rotation"]["ordered"], true);
    let run = |list: &str| owner.computer.run(&["device", "run", "--once", "--drives-file", list]);
    let open_orders = || owner.computer.run(&["device", "list"]).report()["devices"][0]["open_orders"].clone();
    // The copy, which nothing opens, comes first: the other one is replaced all the same, and the order stays open.
    let half =
        list_of(&owner.computer, "half", &[(&copy, None), (&drive.image, Some(&drive.password)), (&drive.image, None)]);
    let ran = run(&half);
    assert_eq!((ran.status, count(&ran, "rotated"), count(&ran, "order_done")), (1, 1, 0), "{ran:?}");
    assert!(!opens_with_old(&owner.computer, &drive) && opens_with_old(&owner.computer, &copied));
    assert_eq!(open_orders(), 1);
    let ran = run(&half);
    assert_eq!((ran.status, count(&ran, "rotated"), count(&ran, "order_done")), (1, 0, 0), "{ran:?}");
    let whole = list_of(
        &owner.computer,
        "whole",
        &[(&drive.image, Some(&drive.password)), (&copy, Some(&drive.password)), (&copy, None)],
    );
    let ran = run(&whole);
    assert_eq!((ran.status, count(&ran, "rotated"), count(&ran, "order_done")), (0, 1, 1), "{ran:?}");
    assert!(!opens_with_old(&owner.computer, &copied));
    assert_eq!(open_orders(), 0);
    for drive in [&drive, &copied] {
        let key = recovery_keys(&owner.computer, drive).remove(0);
        assert_eq!(listed(&owner.computer, &key)[0]["state"], "live");
    }
}

#[test]
fn what_was_begun_is_ended_and_nothing_begun_that_nobody_ordered() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    service.kill();
    let rotate = ["rotate", text(&drive.image), "--password-file", text(&drive.password)];
    assert_eq!(owner.computer.run(&rotate).status, 1);
    let both = recovery_keys(&owner.computer, &drive);
    assert_eq!(both.len(), 2);
    service.run();
    // Two names of one file: when the second one's turn comes, the rotation has ended.
    let other = owner.computer.path("other name.img");
    std::fs::hard_link(&drive.image, &other).unwrap();
    let ran = run_once(&owner.computer, &drive, &["--drive", text(&other), "--password-file", text(&drive.password)]);
    assert_eq!((ran.status, count(&ran, "rotated")), (0, 1), "{ran:?}");
    let now = recovery_keys(&owner.computer, &drive);
    assert!(now.len() == 1 && both.contains(&now[0]), "the key that was begun, and no further one: {now:?} {both:?}");
}

#[test]
fn a_key_that_waits_is_neither_unknown_nor_sealed_again() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    service.kill();
    for _ in 0..3 {
        let ran = run_once(&owner.computer, &drive, &["--check-now", "--password-file", text(&drive.password)]);
        assert_eq!((ran.status, count(&ran, "unknown"), count(&ran, "waits")), (2, 0, 1), "{ran:?}");
        assert_eq!(std::fs::read_dir(owner.computer.path("state/outbox")).unwrap().count(), 1);
    }
    service.run();
    let ran = run_once(&owner.computer, &drive, &["--check-now", "--password-file", text(&drive.password)]);
    assert_eq!((ran.status, count(&ran, "saved"), count(&ran, "waits")), (0, 1, 0), "{ran:?}");
    assert_eq!(listed(&owner.computer, &recovery_keys(&owner.computer, &drive)[0]).len(), 1);
}

#[test]
fn reports_that_cannot_be_read_end_neither_round_nor_service() {
    let service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    std::fs::create_dir_all(owner.computer.path("state/reports")).unwrap();
    owner.computer.file("state/reports/a.json", "{");
    let ran = run_once(&owner.computer, &drive, &["--check-now", "--password-file", text(&drive.password)]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(count(&ran, "failed") > 0 && count(&ran, "saved") == 1 && count(&ran, "held") == 1, "{ran:?}");
    assert!(ran.failure(1)["error"].as_str().unwrap().contains("something needs you"), "{ran:?}");
}

/// Where acts are confirmed by mail nobody is asked for the code of an authenticator.
#[test]
fn an_approval_asks_for_what_the_account_asks_for() {
    let service = Service::start();
    let owner = service.owner();
    let laptop = service.computer();
    let link = laptop.path("link.txt");
    let mut enrolment = laptop.command(&["device", "enrol", "--link", "--name", "laptop", "--link-out", text(&link)]);
    let mut enrolment = enrolment.stdout(Stdio::null()).spawn().unwrap();
    wait_for_line(&link);
    let approve = ["device", "approve", "--link-file", text(&link)];
    let asked = owner.computer.run(&approve).failure(2);
    assert!(asked["hint"].as_str().unwrap().contains("KEYHAVEN_CODE"), "{asked}");
    let session = owner.computer.path("state/session.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&session).unwrap()).unwrap();
    kept["confirms_by_mail"] = true.into();
    std::fs::write(&session, serde_json::to_vec(&kept).unwrap()).unwrap();
    let asked = owner.computer.run(&approve);
    assert!(asked.status > 0 && !asked.stderr.contains("KEYHAVEN_CODE"), "{asked:?}");
    enrolment.kill().unwrap();
    enrolment.wait().unwrap();
}
