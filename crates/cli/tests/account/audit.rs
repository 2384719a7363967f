//! The audit trail checked online, by a computer that only saves, and from a file.

use serde_json::Value;

use crate::harness::Service;

#[test]
fn the_trail_is_checked_here_and_from_a_file_elsewhere() {
    let mut service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    let report = owner.computer.run(&["audit", "verify"]).report();
    assert_eq!((report["sound"].clone(), report["logged"].clone()), (true.into(), report["entries"].clone()));
    assert_eq!(report["first_bad_entry"], Value::Null);

    let file = owner.computer.path("trail.json");
    let file = file.to_str().unwrap();
    let exported = owner.computer.run(&["audit", "export", file]).report();
    assert_eq!(owner.computer.run(&["audit", "export", file]).status, 2, "never overwritten");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains(&drive.digits()) && !text.contains(&drive.key_id));

    service.kill();
    let verify = |computer: &crate::harness::Computer, file: &str, account: &str, service: &str| {
        let prints = ["--fingerprint", account, "--service-fingerprint", service];
        computer.run(&[&["audit", "verify", "--bundle", file], &prints[..]].concat())
    };
    let (account, keys) =
        (exported["fingerprint"].as_str().unwrap(), exported["service_fingerprint"].as_str().unwrap());
    let elsewhere = service.computer();
    assert_eq!(verify(&elsewhere, file, account, keys).report()["sound"], true);
    assert_eq!(verify(&elsewhere, file, keys, keys).code(1), "log.inconsistent");
    assert_eq!(elsewhere.run(&["audit", "verify", "--bundle", file]).status, 2);
    assert_eq!(owner.computer.run(&["audit", "verify", "--bundle", file]).report()["sound"], true);

    let mut bundle: Value = serde_json::from_str(&text).unwrap();
    bundle["entries"].as_array_mut().unwrap().remove(2);
    let changed = elsewhere.file("changed.json", &bundle.to_string());
    let refused = verify(&elsewhere, changed.to_str().unwrap(), account, keys);
    assert_eq!(refused.code(1), "log.inconsistent");
    let report: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(report["first_bad_entry"], 3);
    let no_bundle = elsewhere.file("no.json", "{}");
    assert_eq!(elsewhere.run(&["audit", "verify", "--bundle", no_bundle.to_str().unwrap()]).status, 1);
}

#[test]
fn a_computer_that_only_saves_checks_its_own_saves() {
    let service = Service::start();
    let owner = service.enrolled();
    let drive = owner.computer.drive("stick.img");
    owner.computer.backup(&drive).report();
    owner.computer.run(&["account", "sign-out"]).report();
    // A save takes its place in the log a moment later.
    let begun = std::time::Instant::now();
    loop {
        let report = owner.computer.run(&["audit", "verify"]).report();
        assert_eq!(report["sound"], true);
        if report["logged"] == 1 {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{report}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let key = owner.computer.run(&["audit", "verify", "--witness", "nobody"]);
    assert_eq!(key.status, 2, "{key:?}");
}
