//! What a device saved is looked for every week: rows that were lost or changed behind the service's back come back.

use std::process::Command;

use serde_json::json;
use vault_client::problem::Code;
use vault_client::{Error, Finding, Method};

use crate::harness::{Owner, Service};
use crate::hostile::{flip, lied_to};

/// Changes the database behind the back of a service that is down, triggers and all.
fn behind_its_back(service: &Service, sql: &str) {
    let file = service.config().database_file();
    let script = format!(
        "PRAGMA foreign_keys=OFF; DROP TRIGGER IF EXISTS records_no_update; DROP TRIGGER IF EXISTS records_no_delete;
         DROP TRIGGER IF EXISTS receipts_no_delete; DROP TRIGGER IF EXISTS receipts_no_update; {sql}"
    );
    let done = Command::new("sqlite3").arg("-bail").arg(file).arg(script).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What happens to the rows of one record.
const DAMAGES: [&str; 10] = [
    "DELETE FROM records;",
    "DELETE FROM receipts; DELETE FROM record_index; DELETE FROM record_state; DELETE FROM records;",
    "DELETE FROM records; DELETE FROM record_state;",
    "UPDATE records SET secret = zeroblob(length(secret));",
    "UPDATE records SET secret = zeroblob(0);",
    "UPDATE records SET meta = secret;",
    "UPDATE records SET header = CAST(replace(CAST(header AS TEXT), '\"generation\":1', '\"generation\":2') AS BLOB);",
    "UPDATE records SET signature = x'7b7d';",
    "UPDATE records SET body_sha256 = zeroblob(32), secret = zeroblob(10);",
    "UPDATE records SET secret = CAST(secret || x'00' AS BLOB), body_sha256 = zeroblob(32);",
];

fn reveals(owner: &Owner, password: &secret::RecoveryPassword) {
    let record = owner.client().records().unwrap().remove(0);
    assert!(record.verified);
    let revealed = owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    assert!(revealed.password == *password);
}

#[test]
fn rows_that_are_lost_or_changed_are_stored_anew() {
    if !testkit::programs(&["sqlite3"]) {
        return;
    }
    let mut replaced = 0;
    for damage in DAMAGES {
        let mut service = Service::start();
        let owner = service.enrolled("ada@example.org");
        let (password, record) = owner.save_one();
        let report = owner.client().check_held().unwrap();
        assert_eq!((report.held, report.resent.len(), report.lost.len()), (1, 0, 0));
        let state = owner.computer.folder.path().join("state");
        let receipt = || std::fs::read(state.join(format!("receipts/{}.json", record.record_id))).unwrap();
        let before = receipt();
        assert!(!owner.client().held_is_due().unwrap());
        service.stop();
        behind_its_back(&service, damage);
        service.run();
        let report = owner.client().check_held().unwrap();
        assert_eq!(report.resent, [record.record_id], "{damage}: {report:?}");
        assert!(report.lost.is_empty() && report.unasked.is_empty(), "{damage}: {report:?}");
        // A receipt in whose place there is another one proves what the service had: it is kept.
        let kept = std::fs::read_dir(state.join("evidence")).into_iter().flatten();
        let kept: Vec<_> = kept.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        let expected = if receipt() == before { Vec::new() } else { vec![before] };
        assert!(kept == expected, "{damage}: {}", kept.len());
        replaced += expected.len();
        assert_eq!(owner.client().check_held().unwrap().held, 1, "{damage}");
        reveals(&owner, &password);
        // The owner is told, under the device's signature.
        assert_eq!(owner.client().deliver_reports().unwrap().0, 1, "{damage}");
        let found = owner.client().records().unwrap().remove(0).finding.unwrap();
        assert_eq!((found.0, found.2.as_str()), (Finding::Resent, "workshop PC"), "{damage}");
        let entries = owner.client().audit_trail().unwrap().entries;
        assert!(entries.iter().any(|entry| entry.action == "key_resent"), "{damage}");
        let verified = owner.client().audit_verify().unwrap();
        assert!(verified.problems.is_empty(), "{damage}: {:?}", verified.problems);
    }
    assert!(replaced > 0, "some are saved anew, with another receipt");
}

#[test]
fn a_damaged_row_stays_as_it_is() {
    if !testkit::programs(&["sqlite3"]) {
        return;
    }
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (password, _) = owner.save_one();
    for _ in 0..2 {
        service.stop();
        behind_its_back(&service, "UPDATE records SET secret = x'6261642e';");
        // The copy is damaged, too, the second time.
        behind_its_back(
            &service,
            "DROP TRIGGER IF EXISTS record_copies_no_update; UPDATE record_copies SET secret = x'626164';",
        );
        service.run();
        assert_eq!(owner.client().check_held().unwrap().resent.len(), 1);
        reveals(&owner, &password);
    }
    service.stop();
    let file = service.config().database_file();
    let rows = Command::new("sqlite3")
        .arg(file)
        .arg("SELECT CAST(secret AS TEXT) FROM records; SELECT COUNT(*) FROM record_copies;")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&rows.stdout), "bad.\n2\n", "evidence is kept, and no copy overwritten");
}

#[test]
fn other_bytes_under_a_name_that_is_in_use_stay_a_conflict() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    service.stop();
    owner.client().save(&crate::harness::key_to_save()).unwrap();
    service.run();
    let (id, request) = crate::authority::waiting(&owner);
    owner.client().deliver_outbox().unwrap();
    // The same save again is the same receipt, and no copy is made.
    let path = vault_protocol::routes::with_id(vault_protocol::routes::RECORD, &id);
    let entries = || owner.client().audit_trail().unwrap().entries.len();
    let before = entries();
    assert_eq!(service.raw(Method::Put, &path, None, &request).status, 200);
    let mut changed = request.clone();
    changed["secret"] = json!("e30");
    assert!(service.raw(Method::Put, &path, None, &changed).status >= 400);
    assert_eq!(entries(), before);
}

#[test]
fn a_service_that_lies_about_what_it_holds_is_found_out() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    // A wrong answer, whatever is sent: it is told as lost, since it cannot be made good.
    let wrong = lied_to(&service, &owner, "/held", |answer| flip(&mut answer["digest"]));
    let report = wrong.check_held().unwrap();
    assert_eq!((report.held, report.resent.len(), report.lost.len()), (0, 0, 1), "{report:?}");
    // A replayed answer does not fit the next nonce.
    let first = std::sync::Mutex::new(None);
    let replay = lied_to(&service, &owner, "/held", |answer| {
        let kept = first.lock().unwrap().get_or_insert_with(|| answer.clone()).clone();
        *answer = kept;
    });
    assert_eq!(replay.check_held().unwrap().held, 1);
    assert_eq!(replay.check_held().unwrap().lost.len(), 1);
    drop(replay);
    // A receipt that is not genuine makes nothing good either.
    let lying = crate::hostile::Tampering::new(service.transport(), |_, path, response| {
        if path.ends_with("/held") {
            response.status = 404;
            response.body = serde_json::to_vec(&Code::RecordNotFound.problem()).unwrap();
        } else if path.starts_with("/v1/records/") {
            let mut body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            flip(&mut body["receipt"]["s"]);
            response.body = serde_json::to_vec(&body).unwrap();
        }
    });
    let state = vault_client::State::new(owner.computer.folder.path().join("state"));
    let report = vault_client::Client::new(lying, state).check_held().unwrap();
    assert!(matches!(report.lost[0].1, Error::Unverified { .. }), "{report:?}");
}

#[test]
fn a_service_that_is_away_is_asked_again_later() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    for _ in 0..4 {
        owner.save_one();
    }
    service.stop();
    let report = owner.client().check_held().unwrap();
    assert_eq!((report.held, report.unasked.len()), (0, 2), "the others are not tried in vain");
    assert!(owner.client().held_is_due().unwrap(), "nothing was found out, so it stays due");
    service.run();
    assert_eq!(owner.client().check_held().unwrap().held, 4);
}

#[test]
fn drives_are_held_against_what_is_saved() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let keys = [crate::harness::key_to_save(), crate::harness::key_to_save()];
    for key in &keys {
        owner.client().save(key).unwrap();
    }
    let [first, second] = keys.map(|key| key.meta.key_id);
    let stranger = crate::harness::key_to_save().meta.key_id;
    assert!(owner.client().drive_is_due("D1").unwrap());
    let check = owner.client().check_drive("D1", &[first.clone(), second.clone(), stranger.clone()]).unwrap();
    assert_eq!((check.verified.len(), check.missing.len(), check.unknown), (2, 0, vec![stranger.clone()]));
    assert!(!owner.client().drive_is_due("D1").unwrap());
    owner.client().note_unknown(&stranger).unwrap();
    owner.client().deliver_reports().unwrap();
    let finding = |key: &str| owner.client().find_records(key).unwrap()[0].finding.clone().map(|found| found.0);
    assert_eq!(finding(&first), Some(Finding::Verified));
    // A key that is gone is missed on its drive, and on no other.
    service.clock.advance_ms(1);
    let check = owner.client().check_drive("D1", std::slice::from_ref(&first)).unwrap();
    assert_eq!((check.verified.len(), check.missing.len()), (1, 1));
    assert!(owner.client().check_drive("D2", &[]).unwrap().missing.is_empty());
    owner.client().deliver_reports().unwrap();
    assert_eq!(finding(&second), Some(Finding::Missing));
    let told = |action: &str| {
        owner.client().audit_trail().unwrap().entries.iter().filter(|entry| entry.action == action).count()
    };
    assert_eq!((told("key_missing"), told("key_unknown")), (1, 1));
    // Told once, missed until it is back.
    assert_eq!(owner.client().check_drive("D1", std::slice::from_ref(&first)).unwrap().missing.len(), 1);
    owner.client().deliver_reports().unwrap();
    assert_eq!(told("key_missing"), 1);
    assert!(owner.client().check_drive("D1", &[first, second]).unwrap().missing.is_empty());
}

#[test]
fn notes_are_taken_from_the_device_that_saved() {
    let service = Service::start();
    let ada = service.enrolled("ada@example.org");
    let (_, record) = ada.save_one();
    let laptop = service.computer();
    ada.sign_in(&laptop.client).unwrap();
    laptop.client.enrol_this_computer("laptop", &ada.presence()).unwrap();
    // The other device knows the record's name, and may not speak of it.
    laptop.client.note_retired(record.record_id, &record.meta.as_ref().unwrap().key_id).unwrap();
    assert_eq!(laptop.client.deliver_reports().unwrap().0, 0);
    let listed = ada.client().records().unwrap().remove(0);
    assert_eq!((listed.state.as_str(), listed.finding.is_none()), ("live", true));
    ada.client().note_retired(record.record_id, &record.meta.as_ref().unwrap().key_id).unwrap();
    assert_eq!(ada.client().deliver_reports().unwrap().0, 1);
    let listed = ada.client().records().unwrap().remove(0);
    assert_eq!((listed.state.as_str(), listed.finding.unwrap().0), ("retired", Finding::Retired));
    // Retired is not gone: it is readable as before.
    ada.client().reveal(record.record_id, "drill", &ada.presence()).unwrap();
    // A note that the service makes up, or moves to another record, counts for nothing.
    let changed = lied_to(&service, &ada, "/v1/records", |page| flip(&mut page["records"][0]["note"]["p"]));
    assert!(changed.records().unwrap()[0].finding.is_none());
    drop(changed);
    ada.save_one();
    let moved = lied_to(&service, &ada, "/v1/records", |page| {
        page["records"][1]["note"] = page["records"][0]["note"].clone();
    });
    assert!(moved.records().unwrap()[1].finding.is_none());
}
