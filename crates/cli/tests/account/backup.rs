//! Saving when things go wrong: nothing is lost, and what happened is said.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Service, digits_in};

#[test]
fn a_key_saved_while_the_server_is_down_is_delivered_by_the_next_run() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let (first, second) = (owner.computer.drive("first.img"), owner.computer.drive("second.img"));
    service.kill();
    let failed = owner.computer.backup(&first);
    let failure = failed.failure(2);
    assert_eq!(failure["code"], "server.busy");
    assert!(failure["error"].as_str().unwrap().contains("not yet saved"), "{failure}");
    assert!(failure["hint"].as_str().unwrap().contains("nothing is lost"), "{failure}");
    assert_eq!(owner.computer.run(&["keys", "deliver"]).code(2), "server.busy");

    service.run();
    let listed = owner.computer.run(&["keys", "list"]);
    assert!(listed.stderr.contains("1 key that waited here is now saved"), "{listed:?}");
    assert_eq!(listed.report()["keys"].as_array().unwrap().len(), 1);

    // What was said to be saved survives the service being killed the moment after.
    owner.computer.backup(&second).report();
    service.kill();
    service.run();
    assert_eq!(owner.computer.run(&["keys", "list", &second.key_id]).report()["keys"][0]["verified"], true);
    assert_eq!(owner.computer.run(&["audit", "verify"]).report()["receipts"], 2);
    let delivered = owner.computer.run(&["keys", "deliver"]).report();
    assert_eq!((delivered["saved"].as_array().unwrap().len(), delivered["waiting"].as_array().unwrap().len()), (0, 0));
}

#[test]
fn a_computer_that_is_not_enrolled_says_what_to_do() {
    let service = Service::start();
    let computer = service.computer();
    let drive = computer.drive("stick.img");
    let failure = computer.backup(&drive).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("keyhaven device enrol"), "{failure}");
    let enrol = computer.with_code("123456", &["device", "enrol"]).failure(2);
    assert!(enrol["hint"].as_str().unwrap().contains("keyhaven account sign-in"), "{enrol}");
}

#[test]
fn a_copy_in_a_file_is_what_windows_would_write() {
    let service = Service::start();
    let computer = service.computer();
    let drive = computer.drive("stick.img");
    let folder = computer.path("paper");
    std::fs::create_dir(&folder).unwrap();
    let (image, password) = (drive.image.to_str().unwrap(), drive.password.to_str().unwrap());
    let place = |path: &std::path::Path| format!("file:{}", path.display());
    let single = computer.path("key.txt");
    let arguments = ["backup", image, "--to", &place(&folder), "--to", &place(&single), "--password-file", password];
    let saved = computer.run(&arguments).report();
    assert_eq!(saved["saved"].as_array().unwrap().len(), 2);
    let named = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let identifier = saved["saved"][0]["identifier"].as_str().unwrap();
    assert_eq!(named.file_name().unwrap().to_str().unwrap(), format!("BitLocker Recovery Key {identifier}.TXT"));
    for file in [&named, &single] {
        assert_eq!(digits_in(file), drive.digits());
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // An existing file stays; a place that can be written to is written to all the same.
    let other = place(&computer.path("other.txt"));
    let again = computer.run(&["backup", image, "--to", &place(&single), "--to", &other, "--password-file", password]);
    assert_eq!(again.status, 2, "{again:?}");
    assert!(again.stdout.contains("other.txt") && again.stderr.contains("never overwritten"), "{again:?}");
}

#[test]
fn a_drive_whose_key_is_not_in_the_account_is_told_so() {
    let service = Service::start();
    let mut owner = service.owner();
    let drive = owner.computer.drive("stick.img");
    let code = owner.phone.fresh_code();
    let failure = owner.computer.with_code(&code, &["verify", drive.image.to_str().unwrap(), "--from-account"]);
    let failure = failure.failure(1);
    assert!(failure["error"].as_str().unwrap().contains(&drive.key_id), "{failure}");
    let none = owner.computer.run(&["keys", "show", "FFFFFFFF"]).failure(1);
    assert!(none["error"].as_str().unwrap().contains("no key whose key ID starts with FFFFFFFF"), "{none}");
    let address =
        owner.computer.finish(owner.computer.command(&["keys", "list"]).env("KEYHAVEN_SERVER", "http://example.org"));
    assert_eq!(address.failure(2)["error"], "the address of the account service cannot be used");
}

#[test]
fn a_wrong_drive_secret_saves_nothing() {
    let service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let wrong = owner.computer.file("wrong", "not the password");
    let (image, wrong) = (drive.image.to_str().unwrap(), wrong.to_str().unwrap());
    let failed = owner.computer.run(&["backup", image, "--to", "account", "--password-file", wrong]);
    assert_eq!(failed.status, 1, "{failed:?}");
    assert_eq!(owner.computer.run(&["keys", "list"]).report()["keys"].as_array().unwrap().len(), 0);
}

#[test]
fn a_page_for_printing_holds_the_key_and_never_lies_on_its_own_drive() {
    if !testkit::programs(&["pdftotext"]) {
        return;
    }
    let service = Service::start();
    let computer = service.computer();
    let drive = computer.drive("stick.img");
    let page = computer.path("key.pdf");
    let (image, password) = (drive.image.to_str().unwrap(), drive.password.to_str().unwrap());
    let place = format!("print:{}", page.display());
    let arguments = ["backup", image, "--to", &place, "--paper", "letter", "--password-file", password];
    let saved = computer.run(&arguments).report();
    assert_eq!(saved["saved"][0]["to"], "print");
    assert_eq!(std::fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::process::Command::new("pdftotext").args(["-layout", page.to_str().unwrap(), "-"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    for group in drive.digits().split('-') {
        assert!(text.contains(group), "a group is missing");
    }
    assert!(text.contains(saved["saved"][0]["identifier"].as_str().unwrap()), "{text}");
    let onto_itself = format!("print:{image}");
    let failure = computer.run(&["backup", image, "--to", &onto_itself, "--password-file", password]).failure(1);
    assert!(failure["error"].as_str().unwrap().contains("lies on the drive"), "{failure}");
}
