//! Enrolling a device by code.

use secret::SecretString;
use vault_client::problem::Code;
use vault_client::{DeviceEnrolment, OwnerApproval, Presence};

use crate::harness::{Owner, Service, code_of, key_to_save};

fn approval(enrolment: &DeviceEnrolment, presence: Presence) -> OwnerApproval {
    OwnerApproval {
        user_code: enrolment.user_code().to_lowercase(),
        check_code: enrolment.check_code().unwrap().expose().to_owned(),
        presence,
    }
}

fn try_with(owner: &Owner, enrolment: &DeviceEnrolment, check_code: &str) -> Code {
    let approval = OwnerApproval { check_code: check_code.to_owned(), ..approval(enrolment, owner.presence()) };
    code_of(owner.client().approve_device(&approval))
}

#[test]
pub(crate) fn a_device_joins_by_code_and_saves_without_a_session() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment("laptop").unwrap();
    assert!(laptop.client.poll_enrolment(&enrolment).unwrap().is_none());
    let approved = owner.client().approve_device(&approval(&enrolment, owner.presence())).unwrap();
    assert_eq!(approved.name, "laptop");
    let device = approved.device_id;
    assert_eq!(laptop.client.poll_enrolment(&enrolment).unwrap(), Some(device));
    // A lost answer is given again.
    assert_eq!(laptop.client.poll_enrolment(&enrolment).unwrap(), Some(device));
    let key = key_to_save();
    laptop.client.save(&key).unwrap();
    let found = owner.client().find_records(&key.meta.key_id).unwrap();
    assert_eq!((found.len(), found[0].author.as_str(), found[0].verified), (1, "laptop", true));
    assert_eq!(code_of(laptop.client.records().map(|_| ())), Code::AuthSessionExpired);
    let devices = owner.client().devices().unwrap();
    assert!(devices[0].verified && !devices[0].this_computer && devices[0].last_seq == 1);
}

#[test]
pub(crate) fn a_wrong_check_code_stops_and_three_kill_the_code() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment("laptop").unwrap();
    assert_eq!(try_with(&owner, &enrolment, "not a code"), Code::DeviceCheckFailed);
    for _ in 0..3 {
        assert_eq!(try_with(&owner, &enrolment, "BBBB-BBBB"), Code::DeviceCheckFailed);
    }
    let right = enrolment.check_code().unwrap();
    assert_eq!(try_with(&owner, &enrolment, right.expose()), Code::DeviceCodeExpired);
    assert_eq!(code_of(laptop.client.poll_enrolment(&enrolment)), Code::DeviceCodeExpired);
}

#[test]
pub(crate) fn a_code_of_another_account_or_too_old_is_refused() {
    let service = Service::start();
    let ada = service.account("ada@example.org");
    let eve = service.account("eve@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment("laptop").unwrap();
    // Eve saw the user code on the screen, but not the check code; her look makes the code hers, and useless for anybody.
    assert_eq!(try_with(&eve, &enrolment, "BBBB-BBBB"), Code::DeviceCheckFailed);
    let approved = ada.client().approve_device(&approval(&enrolment, ada.presence()));
    assert_eq!(code_of(approved), Code::DeviceCodeExpired);

    let enrolment = laptop.client.request_enrolment("laptop").unwrap();
    service.clock.advance_ms(601_000);
    let approved = ada.client().approve_device(&approval(&enrolment, ada.presence()));
    assert_eq!(code_of(approved), Code::DeviceCodeExpired);
    assert_eq!(code_of(laptop.client.poll_enrolment(&enrolment)), Code::DeviceCodeExpired);

    let nonsense = OwnerApproval {
        user_code: "BCDF-GHJK".to_owned(),
        check_code: SecretString::from("BCDF-GHJK").expose().to_owned(),
        presence: ada.presence(),
    };
    assert_eq!(code_of(ada.client().approve_device(&nonsense)), Code::DeviceCodeExpired);
}

#[test]
pub(crate) fn a_revoked_device_saves_no_more_and_loses_nothing() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    let device = owner.client().devices().unwrap()[0].device_id;
    owner.client().revoke_device(device, &owner.presence()).unwrap();
    let vault_client::Outcome::Waiting { why, .. } = owner.client().save(&key_to_save()).unwrap() else {
        panic!("a revoked device saved");
    };
    assert_eq!(why.code(), Some(Code::DeviceRevoked));
    assert_eq!(owner.client().state().waiting().unwrap(), 1);
    // What it saved before stays readable and verified.
    assert!(owner.client().records().unwrap()[0].verified);
    assert_eq!(owner.client().devices().unwrap()[0].state, "revoked");
    let again = owner.client().revoke_device(device, &owner.presence());
    assert_eq!(code_of(again), Code::NotFound);
}
