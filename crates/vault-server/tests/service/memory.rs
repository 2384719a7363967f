//! What a client remembers: it is neither set back nor replaced, whatever a service says and other processes do meanwhile.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use vault_client::problem::Code;
use vault_client::{AuditBundle, BundleTrust, Client, Error, Outcome, Response, State, Transport};
use vault_protocol::routes;

use crate::harness::{Owner, Service, code_of, key_to_save};
use crate::hostile::{Tampering, flip, lied_to, lying};

fn state_of(owner: &Owner) -> State {
    State::new(owner.computer.folder.path().join("state"))
}

fn file(owner: &Owner, name: &str) -> Value {
    let path = owner.computer.folder.path().join("state").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn files(owner: &Owner, folder: &str) -> Vec<PathBuf> {
    let folder = owner.computer.folder.path().join("state").join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).map(|all| all.map(|file| file.unwrap().path()).collect()).unwrap_or_default();
    files.sort();
    files
}

/// The owner's client; while it waits for the first answer of a path, another process does something.
fn meanwhile(service: &Service, owner: &Owner, path: &'static str, act: impl Fn()) -> Client<impl Transport> {
    let done = AtomicBool::new(false);
    let answers = Tampering::new(service.transport(), move |_, found, _| {
        if found.starts_with(path) && !done.swap(true, Ordering::SeqCst) {
            act();
        }
    });
    Client::new(answers, state_of(owner))
}

#[test]
fn a_process_that_read_further_meanwhile_is_not_set_back() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    let further = || {
        owner.save_one();
        assert!(owner.client().audit_verify().unwrap().problems.is_empty());
    };
    for verify in [false, true] {
        let client = meanwhile(&service, &owner, routes::AUDIT, further);
        let before = file(&owner, "profile.json")["audit_head"]["seq"].as_u64().unwrap();
        if verify {
            assert_eq!(client.audit_verify().unwrap().problems, Vec::<String>::new());
        } else {
            client.audit_trail().unwrap();
        }
        let honest = owner.client().audit_trail().unwrap().entries.len() as u64;
        assert!(before < honest);
        assert_eq!(file(&owner, "profile.json")["audit_head"]["seq"], honest, "{verify}");
    }
}

#[test]
fn an_account_that_signed_in_meanwhile_stays() {
    let service = Service::start();
    let (ada, eve) = (service.enrolled("ada@example.org"), service.account("eve@example.org"));
    let account = eve.client().account().unwrap().account_id;
    let other = Client::new(service.transport(), state_of(&ada));
    let client = meanwhile(&service, &ada, routes::AUDIT, || {
        eve.sign_in(&other).unwrap();
    });
    client.audit_trail().unwrap();
    let profile = file(&ada, "profile.json");
    assert_eq!((&profile["email"], &profile["account_id"]), (&json!("eve@example.org"), &json!(account)));
}

#[test]
fn a_trail_that_does_not_hold_what_was_seen_meanwhile_is_found_out() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    owner.client().audit_trail().unwrap();
    // Another process saw an entry that this reading has otherwise.
    let path = owner.computer.folder.path().join("state/profile.json");
    let honest = std::fs::read(&path).unwrap();
    let forked = || {
        let mut profile: Value = serde_json::from_slice(&honest).unwrap();
        flip(&mut profile["audit_head"]["hash"]);
        std::fs::write(&path, serde_json::to_vec(&profile).unwrap()).unwrap();
    };
    let client = meanwhile(&service, &owner, routes::AUDIT, forked);
    assert_eq!(code_of(client.audit_trail()), Code::LogInconsistent);
    std::fs::write(&path, &honest).unwrap();
    let client = meanwhile(&service, &owner, routes::AUDIT, forked);
    let report = client.audit_verify().unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
}

static TOLD: AtomicUsize = AtomicUsize::new(0);

#[test]
fn the_log_of_a_service_is_checked_with_its_own_key() {
    let (first, second) = (Service::start(), Service::start());
    let owner = first.enrolled("ada@example.org");
    let elsewhere = second.account("ada@example.org");
    // The computer is enrolled at one service, and its owner is signed in at another.
    let client = Client::new(second.transport(), state_of(&owner)).telling_log_faults(|_| {
        TOLD.fetch_add(1, Ordering::SeqCst);
    });
    elsewhere.sign_in(&client).unwrap();
    let known = client.known_keys().unwrap();
    std::fs::remove_file(owner.computer.folder.path().join("state/log.json")).unwrap();
    let outcomes = client.import(&[key_to_save()], &known).unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Saved { .. }]), "{outcomes:?}");
    assert_eq!(TOLD.load(Ordering::SeqCst), 0, "the other service's key fits no checkpoint of this one");
    assert_eq!(file(&owner, "log.json")["logs"].as_object().unwrap().len(), 1);
    assert!(files(&owner, "evidence").is_empty());
}

#[test]
fn a_number_that_is_too_large_silences_nothing() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let jumps = |number: u64| {
        lied_to(&service, &owner, routes::DEVICE_STATUS, move |answer| answer["audit_seq"] = json!(number))
    };
    let reveal = || owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    for number in [u64::MAX, i64::MAX.unsigned_abs(), 1_000_000] {
        // Asked for the first time it may say anything; the next honest word takes it back, and is told.
        std::fs::remove_file(owner.computer.folder.path().join("state/watch.json")).ok();
        assert!(!jumps(number).device_status().unwrap().trail_jumped);
        assert!(owner.client().device_status().unwrap().trail_jumped, "{number}");
        reveal();
        let status = owner.client().device_status().unwrap();
        assert_eq!((status.trail_jumped, status.notices.len()), (false, 1), "{number}");
        // Later it cannot jump at all.
        assert!(jumps(number).device_status().unwrap().trail_jumped, "{number}");
        reveal();
        let status = owner.client().device_status().unwrap();
        assert_eq!((status.trail_jumped, status.notices.len()), (false, 1), "{number}");
        assert!(jumps(0).device_status().unwrap().trail_jumped, "shorter than it was");
    }
}

#[test]
fn a_receipt_is_for_the_record_that_is_shown() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, first) = owner.save_one();
    let (_, second) = owner.save_one();
    let other = file(&owner, &format!("receipts/{}.json", second.record_id));
    let client = lied_to(&service, &owner, "/reveal", move |answer| answer["receipt"] = other.clone());
    let refused = client.reveal(first.record_id, "drill", &owner.presence()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Answer("the receipt is for something else")), "{refused}");
    let exported = lied_to(&service, &owner, routes::EXPORT, |answer| {
        let records = answer["records"].as_array_mut().unwrap();
        (records[0]["receipt"], records[1]["receipt"]) = (records[1]["receipt"].clone(), records[0]["receipt"].clone());
    });
    let refused = exported.export(&[first.record_id, second.record_id], &owner.presence()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Answer("the receipt is for something else")), "{refused}");
}

#[test]
fn a_bundle_is_held_against_what_this_computer_remembers() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    let bundle = owner.client().audit_export().unwrap().to_bytes().unwrap();
    // Whoever made it left out what it should be held against.
    let mut bare: Value = serde_json::from_slice(&bundle).unwrap();
    (bare["reveals"], bare["receipts"]) = (json!([]), json!([]));
    let verify = |bundle: &Value| {
        let bundle = AuditBundle::parse(&serde_json::to_vec(bundle).unwrap()).unwrap();
        owner.client().audit_verify_bundle(&bundle, &BundleTrust::State, &[]).unwrap()
    };
    for bundle in [serde_json::from_slice(&bundle).unwrap(), bare.clone()] {
        let report = verify(&bundle);
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!((report.remembered, report.receipts), (1, 1));
    }
    // The bundle has other entries in the places of those that are remembered.
    let reveals = owner.computer.folder.path().join("state/reveals.json");
    let honest = std::fs::read(&reveals).unwrap();
    let mut changed: Value = serde_json::from_slice(&honest).unwrap();
    flip(&mut changed[0]["entry"]["hash"]);
    std::fs::write(&reveals, serde_json::to_vec(&changed).unwrap()).unwrap();
    let report = verify(&bare);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].contains("remembers has no entry"), "{:?}", report.problems);
    // What came after the bundle was made does not count against it.
    changed[0]["entry"]["seq"] = json!(1_000_000);
    std::fs::write(&reveals, serde_json::to_vec(&changed).unwrap()).unwrap();
    owner.save_one();
    assert_eq!(verify(&bare).problems, Vec::<String>::new());
}

/// Gives the first answer of a path again and again, changed; gives up when it is asked too often.
fn repeating(service: &Service, path: &'static str, change: fn(&mut Value)) -> impl Transport {
    let (first, asked) = (Mutex::new(None), AtomicUsize::new(0));
    lying(service, path, move |answer| {
        assert!(asked.fetch_add(1, Ordering::SeqCst) < 50, "it never ends");
        let mut repeated = first.lock().unwrap().get_or_insert_with(|| answer.clone()).clone();
        change(&mut repeated);
        *answer = repeated;
    })
}

#[test]
fn pages_that_never_end_are_not_read_for_ever() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    for _ in 0..3 {
        owner.save_one();
    }
    let client = |path, change| Client::new(repeating(&service, path, change), state_of(&owner));
    let records = client(routes::RECORDS, |page| page["more"] = json!(true));
    assert!(matches!(records.records().unwrap_err(), Error::Answer("records out of order")));
    let twice = client(routes::RECORDS, |page| {
        let first = page["records"][0].clone();
        page["records"].as_array_mut().unwrap().insert(0, first);
    });
    assert!(matches!(twice.records().unwrap_err(), Error::Answer("records out of order")));
    let trail = client(routes::AUDIT, |page| page["head"]["seq"] = json!(u64::MAX));
    assert_eq!(code_of(trail.audit_trail()), Code::LogInconsistent);
    let too_much = client(routes::AUDIT, |page| {
        let first = page["entries"][0].clone();
        page["entries"] = json!(vec![first; 1001]);
    });
    assert!(matches!(too_much.audit_trail().unwrap_err(), Error::Answer(_)));
    let proofs = client(routes::AUDIT_PROOFS, |page| {
        let first = page["proofs"][0].clone();
        page["proofs"] = json!(vec![first; 101]);
    });
    assert!(matches!(proofs.audit_verify().unwrap_err(), Error::Answer("more proofs than asked for")));
}

#[test]
fn a_word_that_is_reported_while_a_newer_one_is_made_does_not_take_it_along() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let shown = vault_client::Afterwards::Rotate;
    owner.client().reveal_any(record.record_id, "drill", &owner.presence(), shown).unwrap();
    let order = owner.client().device_status().unwrap().orders.remove(0);
    owner.client().begin_order(&order, "D1").unwrap();
    std::thread::scope(|scope| {
        let (done, state) = (AtomicBool::new(false), state_of(&owner));
        let (service, ended) = (&service, order.clone());
        let answers = Tampering::new(service.transport(), move |_, path, _: &mut Response| {
            if path.ends_with("/report") && !done.swap(true, Ordering::SeqCst) {
                let (other, ended) = (Client::new(service.transport(), state.clone()), ended.clone());
                scope.spawn(move || other.order_done(&ended, None).unwrap());
                // Time enough to write it, were nothing in its way.
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        });
        Client::new(answers, state_of(&owner)).deliver_reports().unwrap();
    });
    assert!(files(&owner, "reports").iter().any(|file| file.to_string_lossy().contains("order-")));
    owner.client().deliver_reports().unwrap();
    assert_eq!(owner.client().orders().unwrap()[0].state, "done");
}

#[test]
fn the_end_of_an_order_that_did_not_arrive_is_reported_again() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let shown = vault_client::Afterwards::Rotate;
    owner.client().reveal_any(record.record_id, "drill", &owner.presence(), shown).unwrap();
    let order = owner.client().device_status().unwrap().orders.remove(0);
    owner.client().begin_order(&order, "D1").unwrap();
    owner.client().order_failed(&order, "key_gone").unwrap();
    for report in files(&owner, "reports") {
        std::fs::remove_file(report).unwrap();
    }
    let status = owner.client().device_status().unwrap();
    assert!(status.orders.is_empty() && status.refused.is_empty(), "{:?}", status.refused);
    assert_eq!(status.ended, [order.id()]);
    owner.client().deliver_reports().unwrap();
    let entries = owner.client().audit_trail().unwrap().entries;
    let failed = entries.iter().find(|entry| entry.action == "rotate_failed").unwrap();
    assert_eq!(failed.reason.as_deref(), Some("key_gone"));
    assert!(owner.client().device_status().unwrap().ended.is_empty());
}
