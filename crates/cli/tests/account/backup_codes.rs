//! Backup codes at the command line: kept in a private file, used once, void after new ones, in no output.

use crate::harness::{EMAIL, Owner, Service};

/// The codes in the file that the command wrote.
fn make(owner: &mut Owner, name: &str) -> Vec<String> {
    let out = owner.computer.path(name);
    let code = owner.phone.fresh_code();
    let report = owner.computer.with_code(&code, &["factors", "backup-codes", "--out", out.to_str().unwrap()]).report();
    assert_eq!(report["backup_codes"], 10);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let text = std::fs::read_to_string(out).unwrap();
    let is_code = |word: &&str| word.len() == 14 && word.matches('-').count() == 2;
    let codes: Vec<_> = text.split_whitespace().filter(is_code).map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{text}");
    codes
}

#[test]
fn a_lost_phone_is_replaced_with_a_backup_code() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let codes = make(&mut owner, "codes.txt");
    assert_eq!(owner.computer.run(&["factors", "list"]).report()["backup_codes_left"], 10);

    let laptop = service.computer();
    let sign_in = ["account", "sign-in", "--email", EMAIL];
    assert_eq!(laptop.with_code("AAAA-AAAA-AAAA", &sign_in).code(1), "factor.code_wrong");
    let signed_in = laptop.with_code(&codes[0], &sign_in);
    assert_eq!(signed_in.report()["must_add_factor"], true);
    assert!(signed_in.stderr.contains("9 left"), "{signed_in:?}");
    assert_eq!(laptop.with_code(&codes[0], &sign_in).code(1), "factor.code_used");
    let refused = laptop.run(&["keys", "list"]).failure(1);
    assert_eq!(refused["code"], "factor.enrol_needed");
    assert!(refused["hint"].as_str().unwrap().contains("keyhaven factors add"), "{refused}");
    // Saving goes on, on a computer that asks nobody.
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();

    laptop.add_factor("new phone");
    assert_eq!(laptop.run(&["keys", "list"]).report()["keys"].as_array().unwrap().len(), 1);
    let factors = laptop.run(&["factors", "list"]).report();
    assert_eq!((factors["factors"].as_array().unwrap().len(), &factors["backup_codes_left"]), (2, &9.into()));
    // The lost phone goes, confirmed by another code.
    let gone = laptop.with_code(&codes[1], &["factors", "remove", "authenticator"]);
    assert!(gone.report()["removed"] == "authenticator" && gone.stderr.contains("8 left"), "{gone:?}");
}

#[test]
fn codes_are_void_after_new_ones_and_never_shown_again() {
    let service = Service::start();
    let mut owner = service.owner();
    let old = make(&mut owner, "old.txt");
    // A file that is there is not overwritten, and the old codes stay good.
    let code = owner.phone.fresh_code();
    let old_file = owner.computer.path("old.txt");
    let again = ["factors", "backup-codes", "--out", old_file.to_str().unwrap()];
    let refused = owner.computer.with_code(&code, &again).failure(2);
    assert!(refused["hint"].as_str().unwrap().contains("never overwritten"), "{refused}");
    assert!(old_file.exists());
    let laptop = service.computer();
    let sign_in = ["account", "sign-in", "--email", EMAIL];
    laptop.with_code(&old[0], &sign_in).report();

    let new = make(&mut owner, "new.txt");
    assert_eq!(laptop.with_code(&old[1], &sign_in).code(1), "factor.code_wrong");
    laptop.with_code(&new[0], &sign_in).report();

    let said = format!("{}{}", owner.computer.said.borrow(), laptop.said.borrow());
    let log = std::fs::read_to_string(service.log()).unwrap();
    let database = std::fs::read(service.data().join("vault.sqlite")).unwrap();
    let wal = std::fs::read(service.data().join("vault.sqlite-wal")).unwrap_or_default();
    for code in old.iter().chain(&new) {
        let letters = code.replace('-', "");
        for text in [said.as_bytes(), log.as_bytes(), &database, &wal] {
            for form in [code.as_bytes(), letters.as_bytes()] {
                assert!(!text.windows(form.len()).any(|window| window == form), "a code got out");
            }
        }
    }
}
