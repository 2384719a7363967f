//! From sign-up to a released key.

use testkit::leaks;
use vault_client::{Outcome, SignedIn};

use crate::harness::{Service, key_to_save};

#[test]
pub(crate) fn a_key_is_saved_found_and_released_while_two_factor_is_on() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    assert!(owner.client().account().unwrap().two_factor);
    owner.client().enrol_this_computer("workshop PC", &owner.presence()).unwrap();

    // Saving needs nobody to be signed in, and asks nobody anything.
    owner.client().sign_out().unwrap();
    let key = key_to_save();
    assert!(matches!(owner.client().save(&key).unwrap(), Outcome::Saved { .. }));
    assert_eq!(owner.client().state().waiting().unwrap(), 0);

    // Another computer, months later.
    let phone = service.computer();
    assert!(matches!(owner.sign_in(&phone.client).unwrap(), SignedIn::Fully { known_before: false, .. }));
    let found = phone.client.find_records(&key.meta.key_id[..8].to_lowercase()).unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].verified);
    assert_eq!(found[0].author, "workshop PC");
    assert_eq!(found[0].meta.as_ref().unwrap().label, "HOLIDAY");

    let revealed = phone.client.reveal(found[0].record_id, "password_forgotten", &owner.presence()).unwrap();
    assert!(revealed.password == key.password);
    assert_eq!(revealed.meta.key_id, key.meta.key_id);

    let report = phone.client.audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!((report.records, report.reveals), (1, 1));
    let actions: Vec<String> =
        phone.client.audit_trail().unwrap().entries.into_iter().map(|entry| entry.action).collect();
    let expected = ["signup", "factor_added", "stepup", "device_enrolled", "save", "login", "stepup", "reveal"];
    assert_eq!(actions, expected);

    // The computer that saved holds the receipt and finds it in the trail.
    owner.sign_in(owner.client()).unwrap();
    let report = owner.client().audit_verify().unwrap();
    assert_eq!((report.receipts, report.problems.len()), (1, 0));
}

#[test]
pub(crate) fn the_trail_tells_who_did_what_and_why() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    let entries = owner.client().audit_trail().unwrap().entries;
    let save = entries.iter().find(|entry| entry.action == "save").unwrap();
    assert_eq!((save.actor.kind.as_str(), save.target.as_str()), ("device", record.record_id.to_string().as_str()));
    let reveal = entries.last().unwrap();
    assert_eq!((reveal.action.as_str(), reveal.actor.kind.as_str()), ("reveal", "owner"));
    assert_eq!(reveal.reason.as_deref(), Some("drill"));
    assert_eq!(reveal.net, "127.0.0.0/24");
    assert!(reveal.client.starts_with("keyhaven/"));
}

#[test]
fn nothing_the_server_keeps_holds_the_key_in_any_form() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let mut passwords = Vec::new();
    for _ in 0..3 {
        let (password, record) = owner.save_one();
        owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
        passwords.push(password);
    }
    // Twice: with the write-ahead log in place, and after it was folded into the database.
    for stopped in [false, true] {
        if stopped {
            service.stop();
        }
        for password in &passwords {
            let (found, searched) = leaks::search_folder(service.folder.path(), &leaks::forms(password)).unwrap();
            assert!(found.is_empty(), "{found:?}");
            assert!(searched > 50_000, "only {searched} bytes were searched");
        }
    }
    // The search would have found it.
    std::fs::write(service.folder.path().join("planted"), passwords[0].to_text().expose()).unwrap();
    let (found, _) = leaks::search_folder(service.folder.path(), &leaks::forms(&passwords[0])).unwrap();
    assert!(!found.is_empty());
}

#[test]
fn the_owners_computer_keeps_no_plain_key_either() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (password, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    let (found, _) = leaks::search_folder(owner.computer.folder.path(), &leaks::forms(&password)).unwrap();
    assert!(found.is_empty(), "{found:?}");
}
