//! Lost things at the command line: a new kit, two-factor that is to go off and stays, a reset that waits.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Computer, EMAIL, Owner, PASSWORD, Ran, Service, keyhaven};

/// The newest notice that holds this, once it is there.
fn notice(folder: &Path, holds: &str) -> String {
    for _ in 0..500 {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut texts: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|extension| extension == "txt"))
            .map(|file| (file.clone(), std::fs::read_to_string(file).unwrap()))
            .filter(|(_, text)| text.contains(holds))
            .collect();
        texts.sort();
        if let Some((_, text)) = texts.pop() {
            return text;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no notice with {holds:?}")
}

/// The code of a notice: the line that stands alone and is indented.
fn code_in(notice: &str) -> String {
    notice.lines().find_map(|line| line.strip_prefix("  ")).unwrap().trim().to_owned()
}

fn two_factor(owner: &mut Owner, word: &str) -> Ran {
    let code = owner.phone.fresh_code();
    let mut words = vec!["account", "two-factor", word];
    words.extend((word == "off").then_some("--yes"));
    owner.computer.with_code(&code, &words)
}

#[test]
fn a_new_kit_is_written_and_the_one_before_is_void() {
    let service = Service::start();
    let mut owner = service.owner();
    let (before, after) = (owner.computer.path("kit.txt"), owner.computer.path("new-kit.txt"));
    let new_kit = ["account", "new-kit", "--kit-out", after.to_str().unwrap()];
    assert_eq!(owner.computer.with_code("000000", &new_kit).code(1), "factor.code_wrong");
    assert!(!after.exists());
    let code = owner.phone.fresh_code();
    assert_eq!(owner.computer.with_code(&code, &new_kit).report()["kit_replaced"], true);
    let recover = |kit: &Path, code: &str, out: &str| {
        let laptop = service.computer();
        let mut command = laptop.command(&["account", "recover", "--email", EMAIL]);
        command.arg("--kit-file").arg(kit).arg("--kit-out").arg(laptop.path(out));
        command.env_remove("KEYHAVEN_ACCOUNT_PASSWORD").env("KEYHAVEN_CODE", code);
        laptop.finish(command.env("KEYHAVEN_NEW_ACCOUNT_PASSWORD", "four green kites above the bay"))
    };
    assert_eq!(recover(&before, "000000", "a.txt").code(1), "auth.invalid");
    assert_eq!(recover(&after, &owner.phone.fresh_code(), "b.txt").report()["password_changed"], true);
}

#[test]
fn two_factor_that_is_to_go_off_is_told_and_cancelled() {
    let service = Service::with_notices();
    let mut owner = service.enrolled();
    let status = |computer: &Computer| computer.run(&["account", "two-factor", "status"]).report();
    assert_eq!(status(&owner.computer)["two_factor"], true);
    // Without a terminal it has to be said that it is meant.
    owner.computer.run(&["account", "two-factor", "off"]).failure(2);
    assert_eq!(owner.computer.run(&["account", "two-factor", "cancel"]).status, 1);
    assert!(two_factor(&mut owner, "off").report()["off_at"].is_string());
    let found = status(&owner.computer);
    assert_eq!(
        (found["two_factor"].as_bool(), found["waiting"][0]["kind"].as_str()),
        (Some(true), Some("two-factor-off"))
    );
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    assert_eq!(owner.computer.run(&["account", "two-factor", "cancel"]).report()["cancelled"], 1);
    assert_eq!(status(&owner.computer)["waiting"].as_array().unwrap().len(), 0);

    // The code of the mail does it where nobody is signed in.
    std::thread::sleep(Duration::from_millis(1100));
    two_factor(&mut owner, "off").report();
    std::thread::sleep(Duration::from_millis(2500));
    let code = code_in(&notice(&service.notices(), "stop asking for a second factor"));
    let stranger = service.computer();
    let cancel = |code: &str| {
        let mut command = stranger.command(&["account", "cancel"]);
        stranger.finish(command.env("KEYHAVEN_CANCEL_CODE", code))
    };
    assert_eq!(cancel("ABCD-EFGH").code(1), "wait.over");
    assert_eq!(cancel(&code).report()["cancelled"], 1);
    assert_eq!(cancel(&code).code(1), "wait.over");
    assert_eq!(status(&owner.computer)["waiting"].as_array().unwrap().len(), 0);
}

#[test]
fn a_key_and_the_account_are_to_be_deleted_and_kept_after_all() {
    let service = Service::with_notices();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let keys = owner.computer.run(&["keys", "list"]).report();
    let key_id = keys["keys"][0]["key_id"].as_str().unwrap().to_owned();
    let listed = |owner: &Owner| owner.computer.run(&["keys", "list"]).report()["keys"][0]["delete_at"].clone();
    // Without a terminal it has to be said that it is meant.
    owner.computer.run(&["keys", "delete", &key_id]).failure(2);
    owner.computer.run(&["account", "delete"]).failure(2);
    assert!(listed(&owner).is_null());
    let code = owner.phone.fresh_code();
    let begun = owner.computer.with_code(&code, &["keys", "delete", &key_id, "--yes"]).report();
    assert!(begun["delete_at"].is_string() && begun["more_of_this_key"] == 0);
    assert_eq!(listed(&owner), begun["delete_at"]);
    notice(&service.notices(), "A saved recovery key is to be deleted");
    assert_eq!(owner.computer.run(&["keys", "delete", &key_id, "--yes"]).status, 1, "it goes already");
    assert_eq!(owner.computer.run(&["keys", "delete", &key_id, "--undo"]).report()["cancelled"], 1);
    assert!(listed(&owner).is_null());
    owner.computer.run(&["keys", "delete", &key_id, "--undo"]).failure(1);
    let code = owner.phone.fresh_code();
    assert!(owner.computer.with_code(&code, &["account", "delete", "--yes"]).report()["delete_at"].is_string());
    notice(&service.notices(), "Your account is to be deleted");
    let status = owner.computer.run(&["account", "two-factor", "status"]).report();
    assert_eq!(status["waiting"][0]["kind"], "delete-account");
    assert_eq!(owner.computer.run(&["account", "cancel"]).report()["cancelled"], 1);
}

#[test]
fn lost_factors_wait_and_only_their_owner_can_finish() {
    let service = Service::with_notices();
    let mut owner = service.owner();
    let operator = |email: &str| {
        let mut command = keyhaven();
        command.args(["serve", "reset-factors", "--json", "--email", email, "--data"]).arg(service.data());
        command.arg("--notices").arg(service.notices());
        Ran::new(&command.output().unwrap())
    };
    operator("nobody@example.org").failure(1);
    assert!(operator(EMAIL).report()["finish_after"].is_string());
    assert!(
        notice(&service.notices(), "A reset of your second factors was begun").contains("Whoever runs the service")
    );
    let found = owner.computer.run(&["account", "two-factor", "status"]).report();
    assert_eq!(found["waiting"][0]["begun_by"], "operator");
    // A factor that is used says that it is not lost.
    let laptop = service.computer();
    let code = owner.phone.fresh_code();
    laptop.with_code(&code, &["account", "sign-in", "--email", EMAIL]).report();
    assert_eq!(laptop.run(&["account", "two-factor", "status"]).report()["waiting"].as_array().unwrap().len(), 0);
    let mut command = keyhaven();
    command.args(["serve", "reset-factors", "--json", "--email", EMAIL, "--data"]).arg(service.data());
    let silent = Ran::new(&command.output().unwrap()).failure(2);
    assert!(silent["hint"].as_str().unwrap().contains("--smtp"), "{silent}");

    let mut command = laptop.command(&["account", "reset-factors", "--email", EMAIL]);
    command.env("KEYHAVEN_ACCOUNT_PASSWORD", PASSWORD).env("KEYHAVEN_MAILED_CODE", "000000");
    assert_eq!(laptop.finish(&mut command).code(1), "auth.email_code_invalid");
}

/// A code for a file that the program reads when it wants the code: written once it was mailed.
fn mailed_into(fifo: &Path, notices: &Path, holds: &'static str) -> std::thread::JoinHandle<()> {
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
    let (fifo, notices) = (fifo.to_owned(), notices.to_owned());
    std::thread::spawn(move || {
        let code = code_in(&notice(&notices, holds));
        std::fs::write(fifo, format!("{code}\n")).unwrap();
    })
}

#[test]
fn password_and_kit_are_lost_and_whoever_signs_in_ends_the_new_start() {
    let service = Service::with_notices();
    let mut owner = service.enrolled();
    let stranger = service.computer();
    let start = |fifo: &Path, more: &[&str]| {
        let mut command = stranger.command(&["account", "start-over", "--email", EMAIL]);
        command.args(more).arg("--mailed-code-file").arg(fifo);
        command.env_remove("KEYHAVEN_ACCOUNT_PASSWORD");
        stranger.finish(&mut command)
    };
    let holds = "the password and the emergency kit of your account are lost. If it was you";
    let fifo = stranger.path("code.fifo");
    let typist = mailed_into(&fifo, &service.notices(), holds);
    let begun = start(&fifo, &["--factors-lost"]).report();
    typist.join().unwrap();
    assert!(begun["renewed"] == false && begun["finish_after"].is_string(), "{begun}");
    let wrong = stranger.path("wrong.txt");
    std::fs::write(&wrong, "000000\n").unwrap();
    assert_eq!(start(&wrong, &["--factors-lost"]).code(1), "auth.email_code_invalid");
    notice(&service.notices(), "New keys for your account were asked for");
    let found = owner.computer.run(&["account", "two-factor", "status"]).report();
    assert_eq!(found["waiting"][0]["kind"], "new-keys");
    let code = owner.phone.fresh_code();
    service.computer().with_code(&code, &["account", "sign-in", "--email", EMAIL]).report();
    let found = owner.computer.run(&["account", "two-factor", "status"]).report();
    assert_eq!(found["waiting"].as_array().unwrap().len(), 0);
    // Nothing of before a new start is there to be brought over.
    let kit = stranger.path("kit.txt");
    std::fs::write(&kit, "AAAA\n").unwrap();
    let refused = owner.computer.run(&["keys", "bring-over", "--kit-file", kit.to_str().unwrap()]);
    assert!(refused.failure(1)["error"].as_str().unwrap().contains("no keys of before"), "{refused:?}");
}
