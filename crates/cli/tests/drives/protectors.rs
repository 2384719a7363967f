//! Changing the keys of a drive.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Bench, PASSWORD, Ran, digits_in};

const WITH_PASSWORD: &str = "--password-file password";

/// The protectors of `d.img`: kind and identifier.
fn protectors(bench: &Bench) -> Vec<(String, String)> {
    let listed = bench.run("protectors list d.img --json").json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    listed["protectors"].as_array().unwrap().iter().map(|it| (text(&it["kind"]), text(&it["identifier"]))).collect()
}

fn identifier(bench: &Bench, kind: &str) -> String {
    protectors(bench).into_iter().find(|(found, _)| found == kind).unwrap().1
}

fn opens(bench: &Bench, words: &str) -> bool {
    let ran = bench.run(&format!("verify d.img {words}"));
    assert!(ran.status < 2, "{ran:?}");
    ran.status == 0
}

/// The three copies are the same, and the files are what they were.
fn is_sound(bench: &Bench, words: &str) {
    let info = bench.run("info d.img --json").json();
    for copy in info["metadata_copies"].as_array().unwrap() {
        assert_eq!(copy["health"], "good", "{info}");
    }
    assert_eq!(bench.run(&format!("cat d.img tree/hello.txt {words}")).text(), "hello");
}

#[test]
fn every_kind_is_listed_added_and_removed() {
    let bench = Bench::with_drive();
    assert_eq!(protectors(&bench).len(), 2);
    assert!(bench.run("protectors list d.img").text().contains("recovery password"));

    let added = bench.run(&format!("protectors add recovery-password d.img {WITH_PASSWORD} --json")).json();
    bench.file("second", added["recovery_key"].as_str().unwrap().as_bytes());
    let written = format!("protectors add recovery-password d.img --recovery-out third.txt {WITH_PASSWORD} --json");
    let written = bench.run(&written).json();
    assert_eq!(written["recovery_key"], Value::Null);
    assert_eq!(std::fs::metadata(bench.path("third.txt")).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::create_dir(bench.path("stick")).unwrap();
    let key = bench.run(&format!("protectors add external-key d.img --out stick {WITH_PASSWORD} --json")).json();
    let bek = format!("stick/{}.BEK", key["identifier"].as_str().unwrap());
    assert_eq!(key["file"], bek);
    assert_eq!(std::fs::read(bench.path(&bek)).unwrap().len(), 156);
    for secret in
        ["--recovery-password-file second", "--recovery-password-file third.txt", &format!("--startup-key {bek}")]
    {
        is_sound(&bench, secret);
    }

    // All recovery keys are shown to whoever opens the drive, and to nobody else.
    let shown = bench.run(&format!("protectors list d.img --show {WITH_PASSWORD} --json")).json();
    let digits: Vec<&str> =
        shown["protectors"].as_array().unwrap().iter().filter_map(|it| it["recovery_key"].as_str()).collect();
    let third = digits_in(&std::fs::read(bench.path("third.txt")).unwrap());
    assert!(digits.len() == 3 && digits.contains(&third.as_str()));
    assert!(digits.contains(&added["recovery_key"].as_str().unwrap()));
    assert!(bench.run("protectors list d.img --password-file password").refused(2).contains("--show"));

    for (short, secret) in [(&added, "--recovery-password-file second"), (&key, &format!("--startup-key {bek}"))] {
        let short = short["key_id"].as_str().unwrap();
        let removed = bench.run(&format!("protectors remove d.img {short} {WITH_PASSWORD} --json")).json();
        assert_eq!((removed["key_id"].as_str(), removed["master_key_replaced"].as_bool()), (Some(short), Some(false)));
        assert!(!opens(&bench, secret));
    }
    assert_eq!(protectors(&bench).len(), 3);
    is_sound(&bench, WITH_PASSWORD);
    is_sound(&bench, "--recovery-password-file key.txt");
}

#[test]
fn the_last_key_is_not_removed() {
    let bench = Bench::with_drive();
    let (word, digits) = (identifier(&bench, "password"), identifier(&bench, "recovery password"));
    let replace =
        format!("protectors remove d.img {word} --replace-master-key --recovery-password-file key.txt --json");
    assert_eq!(bench.run(&replace).json()["master_key_replaced"], true);
    let before = std::fs::read(bench.path("d.img")).unwrap();
    for more in ["", "--leave-hardware-only"] {
        let refused = bench.run(&format!("protectors remove d.img {digits} {more} --recovery-password-file key.txt"));
        assert!(refused.refused(1).contains("the last key"), "{refused:?}");
    }
    for (named, said) in [("12345678", "no key protector"), ("123", "too short")] {
        let refused = bench.run(&format!("protectors remove d.img {named} --recovery-password-file key.txt"));
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    assert_eq!(std::fs::read(bench.path("d.img")).unwrap(), before);
    is_sound(&bench, "--recovery-password-file key.txt");
}

#[test]
fn the_password_is_changed() {
    let bench = Bench::with_drive();
    bench.file("new", b"seven slow otters\n");
    let before = identifier(&bench, "password");
    let words = format!("protectors change-password d.img {WITH_PASSWORD} --new-password-file new --json");
    assert_eq!(bench.run(&words).json()["identifier"], before);
    assert!(!opens(&bench, WITH_PASSWORD));
    is_sound(&bench, "--password-file new");
    // From standard input, and back.
    let typed =
        bench.run_typing("protectors change-password d.img --password-file new --new-password-file -", PASSWORD);
    typed.text();
    is_sound(&bench, WITH_PASSWORD);
    let both = bench.run("protectors change-password d.img --password-file - --new-password-file -");
    assert!(both.refused(2).contains("standard input"));
    let second = bench.run(&format!("protectors add password d.img --new-password-file new {WITH_PASSWORD}"));
    assert!(second.refused(1).contains("change-password"), "{second:?}");
    bench.file("short", b"1234");
    let short = format!("protectors change-password d.img {WITH_PASSWORD} --new-password-file short");
    let short = bench.run(&short);
    assert!(short.status == 0 && short.stderr.contains("less than 8"), "{short:?}");
}

#[test]
fn without_a_terminal_the_new_password_is_not_guessed() {
    if !testkit::programs(&["setsid"]) {
        return;
    }
    let bench = Bench::with_drive();
    let before = std::fs::read(bench.path("d.img")).unwrap();
    let output = Command::new("setsid")
        .args(["-w", env!("CARGO_BIN_EXE_keyhaven"), "protectors", "change-password", "d.img"])
        .args(["--password-file", "password"])
        .env_remove("KEYHAVEN_NEW_PASSWORD")
        .current_dir(bench.folder.path())
        .output()
        .unwrap();
    let ran = Ran::new(output);
    assert!(ran.refused(2).contains("KEYHAVEN_NEW_PASSWORD"), "{ran:?}");
    assert!(std::fs::read(bench.path("d.img")).unwrap() == before);
}

#[test]
fn protection_is_suspended_and_resumed() {
    let bench = Bench::with_drive();
    assert!(bench.run(&format!("unsuspend d.img {WITH_PASSWORD}")).refused(1).contains("not suspended"));
    assert_eq!(bench.run(&format!("suspend d.img {WITH_PASSWORD} --json")).json()["suspended"], true);
    is_sound(&bench, "");
    assert!(bench.run("suspend d.img").refused(1).contains("already"));
    let clear = identifier(&bench, "clear key");
    assert!(bench.run(&format!("protectors remove d.img {clear}")).refused(1).contains("unsuspend"));
    let resumed = bench.run("unsuspend d.img --json").json();
    assert_eq!((resumed["suspended"].as_bool(), resumed["master_key_replaced"].as_bool()), (Some(false), Some(true)));
    assert!(protectors(&bench).iter().all(|(kind, _)| kind != "clear key"));
    is_sound(&bench, WITH_PASSWORD);
    is_sound(&bench, "--recovery-password-file key.txt");
}

#[test]
fn files_that_are_there_stay_and_keep_the_drive_as_it_was() {
    let bench = Bench::with_drive();
    let before = std::fs::read(bench.path("d.img")).unwrap();
    for words in [
        "protectors add recovery-password d.img --recovery-out key.txt",
        "protectors add external-key d.img --out key.txt",
        "protectors export-package d.img --output key.txt",
        "rotate d.img --to file:key.txt",
        "protectors add external-key d.img --out nowhere/key.bek",
        "rotate d.img --to file:nowhere/key.txt",
    ] {
        bench.run(&format!("{words} {WITH_PASSWORD}")).refused(2);
    }
    assert_eq!(std::fs::read(bench.path("d.img")).unwrap(), before);
    let wrong = bench.file("wrong", b"not the password").display().to_string();
    bench.run(&format!("protectors add external-key d.img --out k.bek --password-file {wrong}")).refused(1);
    assert!(!bench.path("k.bek").exists());
}

#[test]
fn a_drive_that_cannot_be_written_is_told_and_no_key_file_is_left() {
    let bench = Bench::with_drive();
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let image = |name: &str| bench.path(name).display().to_string();
    let made =
        Command::new("qemu-img").args(["convert", "-O", "qcow2", &image("d.img"), &image("d.qcow2")]).output().unwrap();
    assert!(made.status.success());
    let refused = bench.run(&format!("protectors add external-key d.qcow2 --out k.bek {WITH_PASSWORD}"));
    assert!(refused.refused(1).contains("cannot be written"), "{refused:?}");
    assert!(!bench.path("k.bek").exists());
}

#[test]
fn a_key_package_is_written_for_the_recovery_key() {
    let bench = Bench::with_drive();
    let written = bench.run(&format!("protectors export-package d.img --output d.kpg {WITH_PASSWORD} --json")).json();
    assert_eq!(written["identifier"].as_str().unwrap(), identifier(&bench, "recovery password"));
    let bytes = std::fs::read(bench.path("d.kpg")).unwrap();
    let package = fve::KeyPackage::parse(&bytes).unwrap();
    let digits = digits_in(&std::fs::read(bench.path("key.txt")).unwrap());
    let digits = secret::RecoveryPassword::parse(&digits).unwrap();
    assert!(fve::open_key_package(&package, &digits).is_ok());
    let behind_the_lock = bench.run(&format!("protectors export-package d.img --output d.img {WITH_PASSWORD}"));
    assert!(behind_the_lock.refused(1).contains("lies on the drive"), "{behind_the_lock:?}");
    bench.run(&format!("protectors add recovery-password d.img {WITH_PASSWORD}")).text();
    let several = bench.run(&format!("protectors export-package d.img --output e.kpg {WITH_PASSWORD}"));
    assert!(several.refused(1).contains("--protector"), "{several:?}");
}

#[test]
fn damaged_and_older_copies_are_restored_by_the_next_change() {
    let bench = Bench::with_drive();
    let places: Vec<usize> = bench.run("info d.img --json").json()["metadata_copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| usize::try_from(copy["offset_bytes"].as_u64().unwrap()).unwrap())
        .collect();
    let older = std::fs::read(bench.path("d.img")).unwrap()[places[1]..places[1] + 0x1_0000].to_vec();
    bench.run(&format!("suspend d.img {WITH_PASSWORD}")).text();
    let mut bytes = std::fs::read(bench.path("d.img")).unwrap();
    bytes[places[0] + 0x100] ^= 1;
    bytes[places[1]..places[1] + 0x1_0000].copy_from_slice(&older);
    bench.file("d.img", &bytes);
    let resumed = bench.run(&format!("unsuspend d.img {WITH_PASSWORD}"));
    assert!(resumed.status == 0 && resumed.stderr.contains("copies 1 and 2 of 3 is restored"), "{resumed:?}");
    is_sound(&bench, WITH_PASSWORD);
}

/// What a rotation leaves when it is cut off before the new key is saved.
fn begin_rotation(bench: &Bench, old: &str) {
    let disk = block_io::FileDisk::open_writable(&bench.path("d.img")).unwrap();
    let password = fve::Password(secret::SecretString::from(PASSWORD));
    let mut editor = fve::Volume::open(disk).unwrap().edit(&password, fve::Filetime(135_000_000_000_000_000)).unwrap();
    let name = format!("Keyhaven: replaces {old}");
    editor.add_recovery_password(&secret::RecoveryPassword::random(), Some(&name)).unwrap();
    editor.commit().unwrap();
}

#[test]
fn a_recovery_key_is_rotated_into_a_file_and_a_rotation_that_was_cut_goes_on() {
    let bench = Bench::with_drive();
    let old = identifier(&bench, "recovery password");
    let rotated = bench.run(&format!("rotate d.img --to file:new.txt {WITH_PASSWORD} --json")).json();
    assert_eq!((rotated["removed"][0].as_str(), rotated["resumed"].as_bool()), (Some(old.as_str()), Some(false)));
    assert!(!opens(&bench, "--recovery-password-file key.txt"));
    is_sound(&bench, "--recovery-password-file new.txt");
    let listed = bench.run("protectors list d.img --json").json();
    assert!(listed["protectors"].as_array().unwrap().iter().all(|it| it["name"].is_null()), "{listed}");

    // A rotation that a power cut stopped behind its first step: the next run goes on, whatever it is asked for.
    let old = identifier(&bench, "recovery password");
    begin_rotation(&bench, &old);
    assert_eq!(protectors(&bench).len(), 3);
    is_sound(&bench, "--recovery-password-file new.txt");
    std::fs::create_dir(bench.path("later")).unwrap();
    let resumed = bench.run(&format!("rotate d.img --to file:later/key.txt {WITH_PASSWORD} --json"));
    assert!(resumed.stderr.contains("goes on"), "{resumed:?}");
    assert_eq!(resumed.json()["resumed"], true);
    assert_eq!(protectors(&bench).len(), 2);
    assert!(!opens(&bench, "--recovery-password-file new.txt"));
    is_sound(&bench, "--recovery-password-file later/key.txt");
}

#[test]
fn of_several_recovery_keys_one_is_named_or_all() {
    let bench = Bench::with_drive();
    let first = identifier(&bench, "recovery password");
    let second = bench.run(&format!("protectors add recovery-password d.img {WITH_PASSWORD} --json")).json();
    bench.file("second", second["recovery_key"].as_str().unwrap().as_bytes());
    let refused = bench.run(&format!("rotate d.img --to file:new.txt {WITH_PASSWORD}"));
    assert!(refused.refused(1).contains(&first[..8]), "{refused:?}");
    let word = identifier(&bench, "password");
    let refused = bench.run(&format!("rotate d.img --to file:new.txt --protector {word} {WITH_PASSWORD}"));
    assert!(refused.refused(1).contains("no recovery key"), "{refused:?}");
    assert!(!bench.path("new.txt").exists());
    bench.run(&format!("rotate d.img --to file:new.txt --protector {} {WITH_PASSWORD}", &first[..8])).text();
    assert!(!opens(&bench, "--recovery-password-file key.txt"));
    assert!(opens(&bench, "--recovery-password-file second"));
    bench.run(&format!("rotate d.img --all --to file:all.txt {WITH_PASSWORD}")).text();
    assert_eq!(protectors(&bench).len(), 2);
    is_sound(&bench, "--recovery-password-file all.txt");
}

#[test]
fn a_drive_that_is_in_use_is_left_alone() {
    let bench = Bench::with_drive();
    let lock = std::fs::File::open(bench.path("d.img")).unwrap();
    lock.lock_shared().unwrap();
    for words in ["suspend d.img", "rotate d.img --to file:x.txt", "protectors remove d.img 12345678"] {
        assert!(bench.run(&format!("{words} {WITH_PASSWORD}")).refused(1).contains("in use"), "{words}");
    }
}

/// Every secret that was added is taken by the other implementations, and every one that was removed is refused.
#[test]
fn other_implementations_see_the_changes() {
    if !testkit::programs(&["cryptsetup"]) {
        return;
    }
    let bench = Bench::with_drive();
    let takes = |secret: &str| testkit::judges::cryptsetup_takes(&bench.path("d.img"), secret);
    let first = digits_in(&std::fs::read(bench.path("key.txt")).unwrap());
    assert!(takes(&first) && takes(PASSWORD));
    bench.file("new", b"seven slow otters");
    bench.run(&format!("protectors change-password d.img {WITH_PASSWORD} --new-password-file new")).text();
    bench.run("rotate d.img --to file:new.txt --password-file new").text();
    bench.run("suspend d.img --password-file new").text();
    bench.run("unsuspend d.img").text();
    let second = digits_in(&std::fs::read(bench.path("new.txt")).unwrap());
    assert!(takes(&second) && takes("seven slow otters"));
    assert!(!takes(&first) && !takes(PASSWORD));
}
