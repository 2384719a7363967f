//! Keys from elsewhere come in, all keys go out.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secret::RecoveryPassword;
use serde_json::Value;
use testkit::leaks;

use crate::harness::{Computer, Owner, PASSWORD, Ran, Service, digits_in};

const PASSPHRASE: &str = "nine quiet herons left before noon";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/imports").join(name)
}

/// The key of the fixtures with this number.
fn key(number: u64) -> (String, String) {
    let all: Value = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let entry = all.as_array().unwrap().iter().find(|entry| entry["n"] == number).unwrap();
    (entry["id"].as_str().unwrap().to_owned(), entry["key"].as_str().unwrap().to_owned())
}

fn import(computer: &Computer, files: &[&Path], more: &[&str]) -> Ran {
    let files = files.iter().map(|file| file.as_os_str());
    let arguments: Vec<_> = ["keys", "import"].iter().map(std::ffi::OsStr::new).chain(files).collect();
    let mut command = computer.command(&arguments);
    computer.finish(command.args(more))
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no report: {ran:?}"))
}

fn counts(report: &Value) -> [u64; 5] {
    ["saved", "waiting", "already_there", "refused", "would_save"].map(|name| report[name].as_u64().unwrap())
}

fn show(owner: &mut Owner, key_id: &str) -> String {
    let file = owner.computer.path(&format!("{key_id}.txt"));
    let code = owner.phone.fresh_code();
    let arguments = ["keys", "show", key_id, "--out", file.to_str().unwrap()];
    owner.computer.with_code(&code, &arguments).report();
    digits_in(&file)
}

#[test]
fn what_is_imported_twice_is_saved_once() {
    let service = Service::start();
    let mut owner = service.owner();
    let files = ["recovery-file-ja.txt", "manage-bde-en.txt", "get-bitlockervolume.json"].map(fixture);
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();

    let dry = import(&owner.computer, &files, &["--dry-run"]).report();
    assert_eq!(counts(&dry), [0, 0, 0, 0, 5]);
    assert_eq!(owner.computer.run(&["keys", "list"]).report()["keys"].as_array().unwrap().len(), 0);
    assert!(!owner.computer.path("state/outbox").exists() && !owner.computer.path("state/receipts").exists());

    let first = import(&owner.computer, &files, &[]).report();
    assert_eq!(counts(&first), [5, 0, 0, 0, 0]);
    let row = &first["files"][1]["rows"][0];
    assert_eq!((row["place"].as_str(), row["result"].as_str()), (Some("line 16"), Some("saved")));
    assert_eq!(row["receipt_verified"], true);
    let again = import(&owner.computer, &files, &[]).report();
    assert_eq!(counts(&again), [0, 0, 5, 0, 0]);

    let listed = owner.computer.run(&["keys", "list", &key(8).0[..8]]).report();
    let entry = &listed["keys"][0];
    assert_eq!((entry["verified"].as_bool(), entry["saved_by"].as_str()), (Some(true), Some("owner")));
    assert_eq!((entry["computer"].as_str(), entry["drive"].as_str()), (Some("PC-104"), Some("C:")));
    assert_eq!(show(&mut owner, &key(5).0[..8]), key(5).1);
    let verified = owner.computer.run(&["audit", "verify"]).report();
    assert_eq!((verified["receipts"].as_u64(), verified["problems"].as_array().map(Vec::len)), (Some(5), Some(0)));
}

#[test]
fn no_imported_key_is_left_in_outputs_state_database_or_log() {
    let service = Service::start();
    let owner = service.owner();
    let files = ["directory.ldif", "devices.csv", "account-page.txt"].map(fixture);
    let ran = import(&owner.computer, &files.each_ref().map(PathBuf::as_path), &[]);
    assert_eq!(ran.status, 1, "{ran:?}");
    for number in [13, 15, 16, 23] {
        let forms = leaks::forms(&RecoveryPassword::parse(&key(number).1).unwrap());
        let said = owner.computer.said.borrow().clone();
        assert!(said.len() > 500 && leaks::search(said.as_bytes(), &forms).is_empty(), "{number}");
        for folder in [owner.computer.path("state"), service.folder.path().to_owned()] {
            let (found, searched) = leaks::search_folder(&folder, &forms).unwrap();
            assert!(found.is_empty() && searched > 1000, "{found:?}, {searched} bytes");
        }
    }
}

#[test]
fn bad_rows_are_refused_with_their_reason_and_the_others_are_saved() {
    let service = Service::start();
    let mut owner = service.owner();
    let ran = import(&owner.computer, &[&fixture("directory.ldif")], &[]);
    assert_eq!(ran.failure(1)["error"], "1 of the rows was refused");
    let done = report(&ran);
    assert_eq!(counts(&done), [2, 0, 0, 1, 0]);
    let refused = &done["files"][0]["rows"][2];
    assert_eq!((refused["place"].as_str(), refused["computer"].as_str()), (Some("entry 3"), Some("PC-107")));
    assert!(refused["why"].as_str().unwrap().contains("group 2"), "{refused}");
    assert_eq!(show(&mut owner, &key(13).0[..8]), key(13).1);

    // Two keys under one identifier: one of them must be wrong.
    let (id, first) = key(1);
    let text = format!("{id}\n{first}\n{id}\n{first}\n{id}\n{}\n", key(2).1);
    let contradicting = owner.computer.file("contradicting.txt", &text);
    let ran = import(&owner.computer, &[&contradicting], &[]);
    assert_eq!(counts(&report(&ran)), [1, 0, 1, 1, 0]);
    assert!(ran.stdout.contains("another key with the same key ID stands in"), "{ran:?}");

    let without = owner.computer.file("without.txt", &key(3).1);
    let ran = import(&owner.computer, &[&without], &[]);
    assert!(ran.status == 1 && ran.stdout.contains("no key ID stands by it"), "{ran:?}");
    let named = owner.computer.file(&format!("BitLocker Recovery Key {}.TXT", key(3).0), &key(3).1);
    assert_eq!(counts(&import(&owner.computer, &[&named], &[]).report()), [1, 0, 0, 0, 0]);
    let nothing = owner.computer.file("nothing.txt", "no keys here");
    let failure = import(&owner.computer, &[&nothing], &[]).failure(1);
    assert!(failure["error"].as_str().unwrap().contains("looks like a recovery key"), "{failure}");
}

#[test]
fn keys_imported_while_the_service_is_down_wait_sealed() {
    let mut service = Service::start();
    let owner = service.owner();
    let file = fixture("manage-bde-en.txt");
    service.kill();
    for expected in [[0, 2, 0, 0, 0], [0, 0, 2, 0, 0]] {
        let ran = import(&owner.computer, &[&file], &[]);
        assert_eq!(counts(&report(&ran)), expected, "{ran:?}");
    }
    let forms = leaks::forms(&RecoveryPassword::parse(&key(4).1).unwrap());
    assert!(leaks::search_folder(&owner.computer.path("state"), &forms).unwrap().0.is_empty());
    service.run();
    let delivered = owner.computer.run(&["keys", "deliver"]).report();
    assert_eq!(delivered["saved"].as_array().unwrap().len(), 2);
    assert_eq!(counts(&import(&owner.computer, &[&file], &[]).report()), [0, 0, 2, 0, 0]);
}

#[test]
fn standard_input_columns_and_a_computer_name() {
    let service = Service::start();
    let owner = service.owner();
    let mut child = owner
        .computer
        .command(&["keys", "import", "-", "--column", "key=secret", "--column", "id=prot", "--computer", "STORE-1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(fixture("own-columns.csv")).unwrap()).unwrap();
    let done = Ran::new(&child.wait_with_output().unwrap()).report();
    assert_eq!(counts(&done), [1, 0, 0, 0, 0]);
    let listed = owner.computer.run(&["keys", "list", &key(22).0]).report();
    assert_eq!(listed["keys"][0]["computer"], "STORE-1");
    let wrong = import(&owner.computer, &[&fixture("own-columns.csv")], &["--column", "key=nothing"]).failure(2);
    assert!(wrong["cause"].as_str().unwrap().contains("no column named nothing"), "{wrong}");
    let unknown = import(&owner.computer, &[&fixture("own-columns.csv")], &["--column", "colour=x"]);
    assert!(unknown.status == 2 && unknown.stderr.contains("can be assigned"), "{unknown:?}");
}

#[test]
fn who_is_not_signed_in_can_look_and_not_import() {
    let service = Service::start();
    let computer = service.computer();
    let file = fixture("graph.json");
    let ran = import(&computer, &[&file], &["--dry-run"]);
    assert_eq!(counts(&report(&ran)), [0, 0, 0, 1, 2]);
    let failure = import(&computer, &[&file], &[]).failure(2);
    assert!(failure["hint"].as_str().unwrap().contains("keyhaven account sign-in"), "{failure}");
    assert!(import(&computer, &[Path::new("/nowhere/x.csv")], &[]).status == 2);
}

#[test]
fn all_keys_go_out_into_an_encrypted_file() {
    let service = Service::start();
    let mut owner = service.owner();
    import(&owner.computer, &[&fixture("get-bitlockervolume.json")], &[]).report();
    let passphrase = owner.computer.file("passphrase", PASSPHRASE);
    let file = owner.computer.path("keys.age");
    let code = owner.phone.fresh_code();
    let export = |output: &Path, more: &[&str]| {
        let mut command = owner.computer.command(&["keys", "export", "--output", output.to_str().unwrap()]);
        owner.computer.finish(command.args(more).env("KEYHAVEN_CODE", &code))
    };
    let ran = export(&file, &["--passphrase-file", passphrase.to_str().unwrap()]);
    assert_eq!(ran.report()["keys"], 2);
    assert!(ran.stderr.contains("2 keys will be released"), "{ran:?}");

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let sealed = std::fs::read(&file).unwrap();
    let forms = leaks::forms(&RecoveryPassword::parse(&key(8).1).unwrap());
    assert!(leaks::search(&sealed, &forms).is_empty());
    let identity = age::scrypt::Identity::new(PASSPHRASE.to_owned().into());
    let decryptor = age::Decryptor::new(sealed.as_slice()).unwrap();
    let mut plain = Vec::new();
    let identity: &dyn age::Identity = &identity;
    decryptor.decrypt(std::iter::once(identity)).unwrap().read_to_end(&mut plain).unwrap();
    let document: Value = serde_json::from_slice(&plain).unwrap();
    let all = document["keys"].as_array().unwrap();
    for number in [8, 9] {
        let (id, digits) = key(number);
        let entry = all.iter().find(|entry| entry["key_id"] == id.as_str()).unwrap();
        assert!(entry["recovery_key"] == digits.as_str() && entry["receipt"].is_object() && entry["save"].is_object());
    }

    // Each release is in the trail, and nothing of it is left on this computer or at the service.
    let trail = owner.computer.run(&["audit", "show"]).report();
    let exports = trail["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "export").count();
    assert_eq!(exports, 2);
    let verified = owner.computer.run(&["audit", "verify"]).report();
    assert_eq!((verified["reveals"].as_u64(), verified["problems"].as_array().map(Vec::len)), (Some(2), Some(0)));
    let said = owner.computer.said.borrow().clone();
    assert!(
        leaks::search(said.as_bytes(), &forms).is_empty() && !said.contains(PASSPHRASE) && !said.contains(PASSWORD)
    );
    for folder in [owner.computer.path("state"), service.folder.path().to_owned()] {
        assert!(leaks::search_folder(&folder, &forms).unwrap().0.is_empty());
    }

    // What cannot be written or is too weak is found before anything is released.
    let weak = owner.computer.file("weak", "1234");
    let other = owner.computer.path("other.age");
    let again = export(&file, &["--passphrase-file", passphrase.to_str().unwrap()]).failure(2);
    assert!(again["error"].as_str().unwrap().contains("exists already"), "{again}");
    let refused = export(&other, &["--passphrase-file", weak.to_str().unwrap()]).failure(1);
    assert!(refused["error"].as_str().unwrap().contains("too easy to guess"), "{refused}");
    assert_eq!(export(&other, &["--recipient", "age1nonsense"]).failure(2)["error"], "this is not an age recipient");
    let wrong = owner.computer.with_code(
        "000000",
        &["keys", "export", "--output", other.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()],
    );
    assert_eq!(wrong.code(1), "factor.code_wrong");
    assert!(!other.exists());
}

#[test]
fn the_age_program_reads_an_export() {
    if !testkit::programs(&["age", "age-keygen"]) {
        return;
    }
    let service = Service::start();
    let mut owner = service.owner();
    import(&owner.computer, &[&fixture("recovery-file-de.txt")], &[]).report();
    let (identity, file) = (owner.computer.path("identity"), owner.computer.path("keys.age"));
    let made = Command::new("age-keygen").arg("-o").arg(&identity).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let public = Command::new("age-keygen").arg("-y").arg(&identity).output().unwrap();
    let recipient = String::from_utf8(public.stdout).unwrap();
    let code = owner.phone.fresh_code();
    let arguments = ["keys", "export", "--output", file.to_str().unwrap(), "--recipient", recipient.trim()];
    owner.computer.with_code(&code, &arguments).report();
    let read = Command::new("age").args(["--decrypt", "--identity"]).args([&identity, &file]).output().unwrap();
    let document: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert!(document["keys"][0]["recovery_key"] == key(1).1.as_str());
}
