//! Deletions: announced, cancellable, and then for good; what a device does about a key that its owner had deleted.

use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Outcome, wait_kind};
use vault_protocol::audit::action;
use vault_protocol::routes;
use vault_server::Clock;

use crate::authority::grant;
use crate::harness::{Owner, PASSWORD, Service, cancel_code, code_of, key_to_save, sign_in, sign_up_with_kit};

const DAY: i64 = 24 * 3_600_000;
const KEY_BEGUN: &str = "A saved recovery key is to be deleted";
const KEY_DONE: &str = "A saved recovery key was deleted";
const ACCOUNT_BEGUN: &str = "Your account is to be deleted";
const ACCOUNT_DONE: &str = "Your account was deleted";

/// Waits until this notice is out, and noted as sent.
fn announced(service: &Service, subject: &str, at_least: usize) -> Vec<String> {
    let found = service.notices(subject, at_least);
    std::thread::sleep(std::time::Duration::from_millis(200));
    found
}

fn count(owner: &Owner, action: &str) -> usize {
    owner.client().audit_trail().unwrap().entries.iter().filter(|entry| entry.action == action).count()
}

/// The owner signs in again once sessions have ended.
fn again(owner: &Owner) {
    sign_in(owner.client(), &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
}

#[test]
pub(crate) fn a_key_is_deleted_after_thirty_days_and_its_device_does_not_bring_it_back() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let (key, doomed) = owner.save_one();
    let (_, kept) = owner.save_one();
    let begun = owner.client().begin_delete_record(doomed.record_id, &owner.presence()).unwrap();
    assert_eq!(begun.due_at, service.clock.now_ms() + 30 * DAY);
    assert_eq!(owner.client().begin_delete_record(doomed.record_id, &owner.presence()).unwrap(), begun, "it runs");
    let waits = owner.client().waits().unwrap();
    assert_eq!(waits.len(), 1);
    assert_eq!((waits[0].kind.as_str(), &waits[0].target), (wait_kind::DELETE_RECORD, &doomed.record_id.to_string()));
    announced(&service, KEY_BEGUN, 1);
    // Until then it is as saved as any other.
    let revealed = owner.client().reveal(doomed.record_id, "drill", &owner.presence()).unwrap();
    assert!(revealed.password == key);
    assert_eq!(owner.client().check_held().unwrap().held, 2);

    service.clock.advance_ms(27 * DAY);
    announced(&service, KEY_BEGUN, 2);
    service.clock.advance_ms(3 * DAY - 60_000);
    again(&owner);
    assert_eq!(owner.client().records().unwrap().len(), 2, "kept to the last minute");
    service.clock.advance_ms(60_000);
    announced(&service, KEY_DONE, 1);
    again(&owner);
    let left = owner.client().records().unwrap();
    assert_eq!(left.iter().map(|record| record.record_id).collect::<Vec<_>>(), [kept.record_id]);
    let gone = owner.client().reveal(doomed.record_id, "drill", &owner.presence()).map(|_| ());
    assert_eq!(code_of(gone), Code::RecordNotFound);

    // The device learns of it, keeps its sealed copy, and does not send it again.
    let held = owner.client().check_held().unwrap();
    assert_eq!((held.held, &held.deleted[..], held.resent.len()), (1, &[doomed.record_id][..], 0));
    let held = owner.client().check_held().unwrap();
    assert_eq!((held.held, held.deleted.len()), (1, 0));
    // Nothing in the trail is out of place, and no save counts as missing.
    let report = owner.client().audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let devices = owner.client().devices_with_gaps().unwrap();
    assert_eq!(devices[0].gaps.as_deref(), Some(&[][..]));
    assert_eq!((count(&owner, action::DELETE_BEGUN), count(&owner, action::DELETE_DONE)), (1, 1));
    // Saved on purpose, the same key is a new record.
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
}

#[test]
fn a_deletion_is_cancelled_by_the_owner_or_by_the_code_of_its_mail() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let begun = owner.client().begin_delete_record(record.record_id, &owner.presence()).unwrap();
    announced(&service, KEY_BEGUN, 1);
    owner.client().cancel_wait(begun.wait_id).unwrap();
    owner.client().begin_delete_account(&owner.presence()).unwrap();
    let notices = announced(&service, ACCOUNT_BEGUN, 1);
    let stranger = service.computer();
    stranger.client.cancel_wait_with_code(&cancel_code(&notices[0])).unwrap();
    assert_eq!(code_of(stranger.client.cancel_wait_with_code(&cancel_code(&notices[0]))), Code::WaitOver);
    service.clock.advance_ms(40 * DAY);
    again(&owner);
    assert_eq!(owner.client().records().unwrap().len(), 1);
    assert!(owner.client().waits().unwrap().is_empty());
    assert_eq!(count(&owner, action::DELETE_DONE), 0);
}

#[test]
pub(crate) fn an_account_is_deleted_with_everything_and_its_address_is_free() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    owner.client().begin_delete_account(&owner.presence()).unwrap();
    announced(&service, ACCOUNT_BEGUN, 1);
    service.clock.advance_ms(29 * DAY);
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }), "saving goes on meanwhile");
    service.clock.advance_ms(DAY);
    announced(&service, ACCOUNT_DONE, 1);
    let refused = sign_in(owner.client(), &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(refused), Code::AuthInvalid, "as for an address that never had an account");
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Waiting { .. }));
    // The clock of the service is a month ahead of the one that dates invites.
    let invite = service.invite_for(std::time::Duration::from_secs(60 * 24 * 3600));
    sign_up_with_kit(&service.computer().client, &owner.email, Some(invite)).unwrap();
}

#[test]
fn nothing_is_deleted_where_nobody_can_be_told() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let refused = owner.client().begin_delete_record(record.record_id, &owner.presence());
    assert_eq!(code_of(refused), Code::WaitNoMail);
    assert_eq!(code_of(owner.client().begin_delete_account(&owner.presence())), Code::WaitNoMail);
    assert!(owner.client().waits().unwrap().is_empty());
}

#[test]
fn a_strangers_key_cannot_be_deleted() {
    let service = Service::with_notices();
    let (ada, eve) = (service.enrolled("ada@example.org"), service.enrolled("eve@example.org"));
    let (_, record) = ada.save_one();
    let refused = eve.client().begin_delete_record(record.record_id, &eve.presence());
    assert_eq!(code_of(refused), Code::RecordNotFound);
    // A confirmation for one key is none for another.
    let (_, other) = ada.save_one();
    let grant = grant(&service, &ada, "delete", &record.record_id.to_string());
    let path = routes::with_id(routes::RECORD_DELETE, &other.record_id.to_string());
    let refused = service.raw(Post, &path, Some(&ada.token()), &json!({ "grant": grant }));
    assert_eq!(refused.code(), "stepup.grant_used");
    assert!(ada.client().waits().unwrap().is_empty());
}
