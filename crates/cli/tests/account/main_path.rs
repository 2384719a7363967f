//! From sign-up to an opened drive, on two computers.

use crate::harness::{EMAIL, Service, digits_in};

#[test]
fn a_key_is_saved_with_two_factor_on_and_opens_the_drive_elsewhere() {
    let service = Service::start();
    let mut owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    let show = owner.computer.run(&["account", "show"]).report();
    assert_eq!((show["two_factor"].clone(), show["this_computer_enrolled"].clone()), (true.into(), true.into()));

    // Signed out, and without any code: saving asks nobody anything.
    owner.computer.run(&["account", "sign-out"]).report();
    let saved = owner.computer.backup(&drive).report();
    let saved = &saved["saved"][0];
    assert_eq!(
        (saved["key_id"].as_str().unwrap(), saved["receipt_verified"].clone()),
        (drive.key_id.as_str(), true.into())
    );

    let other = service.computer();
    let code = owner.phone.fresh_code();
    let signed_in = other.with_code(&code, &["account", "sign-in", "--email", EMAIL]).report();
    assert_eq!(signed_in["known_before"], false);
    let found = other.run(&["keys", "list", &drive.key_id.to_lowercase()]).report();
    let found = &found["keys"][0];
    assert_eq!((found["verified"].clone(), found["saved_by"].as_str()), (true.into(), Some("workshop PC")));

    // The code of the sign-in is used up.
    let image = drive.image.to_str().unwrap();
    assert_eq!(other.with_code(&code, &["verify", image, "--from-account"]).code(1), "factor.code_used");
    let code = owner.phone.fresh_code();
    let content = other.with_code(&code, &["cat", image, "hello.txt", "--from-account"]);
    assert_eq!((content.status, content.stdout.as_str()), (0, "hello"), "{content:?}");

    let out = other.path("shown.txt");
    let code = owner.phone.fresh_code();
    let arguments = ["keys", "show", &drive.key_id, "--reason", "drill", "--out", out.to_str().unwrap()];
    let shown = other.with_code(&code, &arguments);
    assert!(shown.report()["recovery_key"].is_null());
    assert_eq!(digits_in(&out), drive.digits());

    let report = other.run(&["audit", "verify"]).report();
    assert_eq!((report["sound"].clone(), report["reveals"].clone()), (true.into(), 2.into()));
    let trail = other.run(&["audit", "show"]).report();
    let reasons: Vec<_> =
        trail["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "reveal").collect();
    assert_eq!((reasons[0]["reason"].as_str(), reasons[1]["reason"].as_str()), (Some("drive_access"), Some("drill")));
}

#[test]
fn a_computer_joins_by_code_and_saves_without_ever_signing_in() {
    let service = Service::start();
    let mut owner = service.owner();
    let laptop = service.computer();
    let out = laptop.path("codes.json");
    let mut enrolment = laptop.command(&["device", "enrol", "--by-code", "--name", "laptop"]);
    let mut enrolment = enrolment.stdout(std::fs::File::create(&out).unwrap()).spawn().unwrap();
    let codes = loop {
        let text = std::fs::read_to_string(&out).unwrap();
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(codes) => break codes,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let user_code = codes["user_code"].as_str().unwrap();
    let wrong = owner.computer.file("wrong.txt", &format!("{user_code}\nBCDF-GHJK\n"));
    let code = owner.phone.fresh_code();
    let approve = |file: &std::path::Path, code: &str| {
        owner.computer.with_code(code, &["device", "approve", "--device-codes-file", file.to_str().unwrap()])
    };
    assert_eq!(approve(&wrong, &code).code(1), "device.check_failed");
    let right = owner.computer.file("right.txt", &format!("{user_code}\n{}\n", codes["check_code"].as_str().unwrap()));
    approve(&right, &code).report();
    assert!(enrolment.wait().unwrap().success());

    let drive = laptop.drive("stick.img");
    laptop.backup(&drive).report();
    assert_eq!(laptop.run(&["keys", "list"]).code(2), "auth.session_expired");
    let found = owner.computer.run(&["keys", "list"]).report();
    assert_eq!(found["keys"][0]["saved_by"], "laptop");
    let devices = owner.computer.run(&["device", "list"]).report();
    assert_eq!(
        (devices["devices"][0]["name"].as_str(), devices["devices"][0]["saves"].as_u64()),
        (Some("laptop"), Some(1))
    );

    let code = owner.phone.fresh_code();
    owner.computer.with_code(&code, &["device", "revoke", "laptop"]).report();
    let refused = laptop.backup(&drive);
    assert_eq!(refused.code(2), "device.revoked");
    assert!(refused.stderr.contains("nothing is lost"), "{refused:?}");
}
