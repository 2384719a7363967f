//! Import in the owner's name, and several records released under one grant.

use serde_json::{Value, json};
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Error, MAX_EXPORT, Outcome, RecordId};
use vault_protocol::routes;
use vault_server::Limits;

use crate::harness::{Owner, Service, code_of, key_to_save};

/// Keys of an account without any device.
fn imported(owner: &Owner, count: usize) -> Vec<RecordId> {
    let keys: Vec<_> = (0..count).map(|_| key_to_save()).collect();
    let known = owner.client().known_keys().unwrap();
    let outcomes = owner.client().import(&keys, &known).unwrap();
    let record = |outcome: &Outcome| match outcome {
        Outcome::Saved { record_id, .. } => *record_id,
        Outcome::Waiting { why, .. } => panic!("{why}"),
    };
    outcomes.iter().map(record).collect()
}

#[test]
pub(crate) fn the_owner_imports_without_a_device_and_finds_by_blind_index() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let (first, second) = (key_to_save(), key_to_save());
    let known = owner.client().known_keys().unwrap();
    assert!(!known.has(&first.meta.key_id));
    owner.client().import(std::slice::from_ref(&first), &known).unwrap();
    assert_eq!(owner.client().state().waiting().unwrap(), 0);

    // Another computer of the same person knows it, too, by its whole identifier or its start.
    let other = service.computer();
    owner.sign_in(&other.client).unwrap();
    let known = other.client.known_keys().unwrap();
    assert!(known.has(&first.meta.key_id) && known.has(&first.meta.key_id[..8]));
    assert!(!known.has(&second.meta.key_id) && !known.has(&second.meta.key_id[..8]));
    other.client.import(std::slice::from_ref(&second), &known).unwrap();
    let records = other.client.records().unwrap();
    let told: Vec<_> = records.iter().map(|record| (record.seq, record.author.as_str(), record.verified)).collect();
    assert_eq!(told, [(1, "owner", true), (2, "owner", true)]);
    let released = other.client.reveal(records[0].record_id, "drill", &owner.presence()).unwrap();
    assert!(released.password == first.password);
    assert!(other.client.audit_verify().unwrap().problems.is_empty());
}

#[test]
fn whose_session_has_ended_imports_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let known = owner.client().known_keys().unwrap();
    owner.client().sign_out().unwrap();
    assert!(matches!(owner.client().known_keys().err(), Some(Error::NotSignedIn)));
    assert!(matches!(owner.client().import(&[key_to_save()], &known).err(), Some(Error::NotSignedIn)));
    assert_eq!(owner.client().state().waiting().unwrap(), 0);
}

#[test]
pub(crate) fn an_export_releases_what_was_asked_for_and_audits_each() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let ids = imported(&owner, 3);
    let exported = owner.client().export(&ids[1..], &owner.presence()).unwrap();
    let found: Vec<RecordId> = exported.iter().map(|key| key.record_id).collect();
    assert_eq!(found, ids[1..]);
    let entries = owner.client().audit_trail().unwrap().entries;
    let targets: Vec<&str> =
        entries.iter().filter(|entry| entry.action == "export").map(|entry| entry.target.as_str()).collect();
    assert_eq!(targets, [ids[1].to_string(), ids[2].to_string()]);
    let revealed: Vec<bool> =
        owner.client().records().unwrap().iter().map(|record| record.revealed_at.is_some()).collect();
    assert_eq!(revealed, [false, true, true]);
    let report = owner.client().audit_verify().unwrap();
    assert_eq!((report.reveals, report.problems.len()), (2, 0));
}

#[test]
fn a_grant_exports_exactly_the_records_it_names() {
    let service = Service::start();
    let (owner, stranger) = (service.account("ada@example.org"), service.account("eve@example.org"));
    let ids = imported(&owner, 2);
    let foreign = imported(&stranger, 1);
    // Another account's record: nothing at all is released.
    assert_eq!(
        code_of(owner.client().export(&[ids[0], foreign[0]], &owner.presence()).map(drop)),
        Code::RecordNotFound
    );
    assert!(owner.client().records().unwrap().iter().all(|record| record.revealed_at.is_none()));
    for wrong in [Vec::new(), vec![ids[0], ids[0]], vec![ids[0]; MAX_EXPORT + 1]] {
        let refused = owner.client().export(&wrong, &owner.presence()).map(drop);
        assert_eq!(code_of(refused), Code::RequestInvalid, "{}", wrong.len());
    }
    // Without a grant, or with one that is none.
    let ask = |body: &Value| service.raw(Post, routes::EXPORT, Some(&owner.token()), body);
    assert_eq!(ask(&json!({ "records": ids })).code(), "stepup.required");
    let made_up = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
    assert_eq!(ask(&json!({ "grant": made_up, "records": ids })).code(), "stepup.grant_used");
    // A grant for a change of factors opens nothing here.
    let other = crate::authority::grant(&service, &owner, "factors", "totp");
    assert_eq!(ask(&json!({ "grant": other, "records": ids })).code(), "stepup.grant_used");
}

#[test]
fn exports_are_limited_and_refused_ones_do_not_count() {
    let service = Service::with_limits(Limits { exports_per_day: 1, ..Limits::default() });
    let owner = service.account("ada@example.org");
    let ids = imported(&owner, 1);
    assert_eq!(code_of(owner.client().export(&[RecordId::new()], &owner.presence()).map(drop)), Code::RecordNotFound);
    owner.client().export(&ids, &owner.presence()).unwrap();
    assert_eq!(code_of(owner.client().export(&ids, &owner.presence()).map(drop)), Code::RevealLimit);
}

#[test]
fn a_full_batch_fits_into_one_answer() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let ids = imported(&owner, MAX_EXPORT);
    assert_eq!(owner.client().export(&ids, &owner.presence()).unwrap().len(), MAX_EXPORT);
}
