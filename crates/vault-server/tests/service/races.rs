//! Two at once: one wins, whole.

use std::sync::Barrier;

use vault_client::Method::Put;
use vault_protocol::routes;

use crate::authority::{grant, revoke, waiting};
use crate::harness::{PASSWORD, Service, key_to_save, sign_in, sign_up};

const AT_ONCE: usize = 6;

/// What several threads get that start together.
pub(crate) fn together<R: Send>(act: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let barrier = Barrier::new(AT_ONCE);
    std::thread::scope(|scope| {
        let (barrier, act) = (&barrier, &act);
        let threads = (0..AT_ONCE).map(|index| {
            scope.spawn(move || {
                barrier.wait();
                act(index)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
pub(crate) fn a_grant_is_spent_once() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let device = owner.client().devices().unwrap()[0].device_id.to_string();
    let grant = grant(&service, &owner, "revoke-device", &device);
    let token = owner.token();
    let answers = together(|_| revoke(&service, &token, &device, &grant).status);
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let trail = owner.client().audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "device_revoked").count(), 1);
}

#[test]
pub(crate) fn a_code_signs_in_once() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let code = owner.fresh_code();
    let answers =
        together(|_| sign_in(&service.computer().client, &owner.email, PASSWORD, &code).map_err(|error| error.code()));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
}

#[test]
pub(crate) fn a_save_that_arrives_several_times_is_stored_once() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    service.stop();
    owner.client().save(&key_to_save()).unwrap();
    service.run();
    let (id, request) = waiting(&owner);
    let path = routes::with_id(routes::RECORD, &id);
    let answers = together(|_| service.raw(Put, &path, None, &request));
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "every answer is the same receipt");
    assert_eq!(owner.client().records().unwrap().len(), 1);
    let saves = owner.client().audit_trail().unwrap().entries.iter().filter(|entry| entry.action == "save").count();
    assert_eq!(saves, 1);
}

#[test]
pub(crate) fn an_invite_makes_one_account() {
    let service = Service::start();
    let invite = service.invite();
    let answers = together(|index| {
        let email = format!("person{index}@example.org");
        sign_up(&service.computer().client, &email, Some(invite.clone())).is_ok()
    });
    assert_eq!(answers.iter().filter(|made| **made).count(), 1, "{answers:?}");
}

#[test]
pub(crate) fn an_address_gets_one_account() {
    let service = Service::start();
    let invites: Vec<_> = (0..AT_ONCE).map(|_| service.invite()).collect();
    let answers = together(|index| {
        let signed_up = sign_up(&service.computer().client, "ada@example.org", Some(invites[index].clone()));
        signed_up.map_err(|error| error.code().map(|code| code.code()))
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let taken = answers.iter().filter(|answer| **answer == Err(Some("signup.email_taken"))).count();
    assert_eq!(taken, AT_ONCE - 1, "{answers:?}");
}

#[test]
pub(crate) fn saves_of_several_devices_form_one_chain() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let laptop = service.computer();
    owner.sign_in(&laptop.client).unwrap();
    laptop.client.enrol_this_computer("laptop", &owner.presence()).unwrap();
    together(|index| {
        let client = if index % 2 == 0 { owner.client() } else { &laptop.client };
        assert!(matches!(client.save(&key_to_save()).unwrap(), vault_client::Outcome::Saved { .. }));
    });
    let report = owner.client().audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.records, AT_ONCE);
}
