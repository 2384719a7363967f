//! Who may do what: every route against every caller who may not.

use serde_json::{Value, json};
use vault_client::Method::{Get, Post, Put};
use vault_client::problem::Code;
use vault_client::{Client, Method, State};
use vault_protocol::routes;

use crate::harness::{Owner, Raw, Service, code_of, sign_in, sign_up, token};

const SOME_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Routes that ask for a session.
const OWNERS_ROUTES: [(Method, &str); 31] = [
    (Get, routes::ACCOUNT),
    (Get, routes::AUDIT),
    (Get, routes::AUDIT_PROOFS),
    (Post, routes::PASSWORD_START),
    (Post, routes::PASSWORD_FINISH),
    (Get, routes::FACTORS),
    (Post, routes::TOTP_START),
    (Post, routes::TOTP_FINISH),
    (Post, routes::PASSKEY_START),
    (Post, routes::PASSKEY_FINISH),
    (Post, routes::PASSKEY_SLOT),
    (Post, routes::BACKUP_CODES_START),
    (Post, routes::BACKUP_CODES_FINISH),
    (Post, routes::FACTOR_REMOVE),
    (Post, routes::FACTORS_OFF),
    (Get, routes::WAITS),
    (Post, routes::WAIT_CANCEL),
    (Post, routes::KIT_START),
    (Post, routes::KIT_FINISH),
    (Post, routes::STEP_UP_START),
    (Post, routes::STEP_UP_FINISH),
    (Post, routes::DEVICE_PENDING),
    (Post, routes::DEVICE_APPROVE),
    (Get, routes::DEVICES),
    (Post, routes::DEVICE_REVOKE),
    (Post, routes::DEVICE_RENAME),
    (Get, routes::ORDERS),
    (Post, routes::ORDERS),
    (Get, routes::RECORDS),
    (Post, routes::REVEAL),
    (Post, routes::EXPORT),
];

fn ask(service: &Service, route: (Method, &str), token: Option<&str>) -> Raw {
    service.raw(route.0, &routes::with_id(route.1, SOME_ID), token, &json!({}))
}

#[test]
fn without_a_session_nothing_of_an_owner_answers() {
    let service = Service::start();
    let garbage = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]);
    for route in OWNERS_ROUTES.into_iter().chain([(Post, routes::LOGOUT), (Post, routes::DEVICES)]) {
        for token in [None, Some("not base64!"), Some(""), Some(garbage.as_str())] {
            let answer = ask(&service, route, token);
            assert_eq!((answer.status, answer.code()), (401, "auth.session_expired"), "{route:?} {token:?}");
        }
    }
}

#[test]
fn a_session_without_second_factor_adds_one_and_does_nothing_else() {
    let service = Service::start();
    let computer = service.computer();
    sign_up(&computer.client, "ada@example.org", Some(service.invite())).unwrap();
    let token = token(computer.folder.path());
    for route in OWNERS_ROUTES {
        let answer = ask(&service, route, Some(&token));
        let expected = match route.1 {
            // There is none to list, and the malformed body shows that the door was open.
            routes::FACTORS => (200, ""),
            routes::TOTP_START | routes::TOTP_FINISH | routes::PASSKEY_START | routes::PASSKEY_FINISH => {
                (400, "request.invalid")
            }
            _ => (403, "factor.enrol_needed"),
        };
        assert_eq!((answer.status, answer.code()), expected, "{route:?}");
    }
}

#[test]
pub(crate) fn a_session_that_was_ended_is_over() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let token = owner.token();
    owner.client().sign_out().unwrap();
    for route in OWNERS_ROUTES {
        assert_eq!(ask(&service, route, Some(&token)).code(), "auth.session_expired", "{route:?}");
    }
}

#[test]
pub(crate) fn what_is_anothers_does_not_exist() {
    let service = Service::start();
    let ada = service.enrolled("ada@example.org");
    let eve = service.enrolled("eve@example.org");
    let (_, record) = ada.save_one();
    let device = ada.client().devices().unwrap()[0].device_id;
    let factor = ada.client().factors().unwrap()[0].factor_id;

    assert!(eve.client().records().unwrap().is_empty());
    assert_eq!(eve.client().devices().unwrap().len(), 1);
    let revealed = eve.client().reveal(record.record_id, "drill", &eve.presence());
    assert_eq!(code_of(revealed.map(|_| ())), Code::RecordNotFound);
    let revoked = eve.client().revoke_device(device, &eve.presence());
    assert_eq!(code_of(revoked), Code::NotFound);
    let removed = eve.client().remove_factor(factor, &eve.presence());
    assert_eq!(code_of(removed), Code::NotFound);
    // Ada's trail does not know of the tries, and Eve's shows only her own.
    assert!(ada.client().audit_trail().unwrap().entries.iter().all(|entry| entry.action != "reveal"));
}

#[test]
fn a_device_cannot_save_into_another_account_or_under_another_name() {
    let mut service = Service::start();
    let ada = service.enrolled("ada@example.org");
    let eve = service.enrolled("eve@example.org");
    service.stop();
    let key = crate::harness::key_to_save();
    ada.client().save(&key).unwrap();
    service.run();
    let (id, request) = waiting(&ada);
    let path = routes::with_id(routes::RECORD, &id);

    let mut changed = request.clone();
    let header = data_encoding::BASE64URL_NOPAD.decode(request["header"].as_str().unwrap().as_bytes()).unwrap();
    let mut header: Value = serde_json::from_slice(&header).unwrap();
    header["account_id"] = json!(eve.client().account().unwrap().account_id);
    changed["header"] = json!(data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(&header).unwrap()));
    assert_eq!(service.raw(Put, &path, None, &changed).code(), "device.revoked");

    let other = routes::with_id(routes::RECORD, SOME_ID);
    assert_eq!(service.raw(Put, &other, None, &request).code(), "record.invalid");
    for part in ["meta", "secret"] {
        let mut changed = request.clone();
        changed[part] = json!("e30");
        let answer = service.raw(Put, &path, None, &changed);
        assert!(["record.invalid", "record.signature"].contains(&answer.code()), "{part}: {answer:?}");
    }
    let mut changed = request.clone();
    changed["save"]["s"] = json!(data_encoding::BASE64URL_NOPAD.encode(&[1; 64]));
    assert_eq!(service.raw(Put, &path, None, &changed).code(), "record.signature");
    assert!(ada.client().records().unwrap().is_empty());
    assert_eq!(service.raw(Put, &path, None, &request).status, 201);
    // A session is neither needed nor looked at.
    assert_eq!(service.raw(Put, &path, Some("nonsense"), &request).status, 200);
}

/// The only item in the outbox of a computer: the record's identifier and what would be sent.
pub(crate) fn waiting(owner: &Owner) -> (String, Value) {
    let outbox = owner.computer.folder.path().join("state/outbox");
    let file = std::fs::read_dir(outbox).unwrap().next().unwrap().unwrap().path();
    let item: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    (item["record_id"].as_str().unwrap().to_owned(), item["request"].clone())
}

/// A grant for an act that does not open the vault.
pub(crate) fn grant(service: &Service, owner: &Owner, purpose: &str, target: &str) -> String {
    let token = owner.token();
    let start = json!({ "purpose": purpose, "target": target });
    let started = service.raw(Post, routes::STEP_UP_START, Some(&token), &start);
    assert_eq!(started.status, 200, "{started:?}");
    let finish = json!({ "step_id": started.body["step_id"], "kind": "totp", "code": owner.fresh_code() });
    let finished = service.raw(Post, routes::STEP_UP_FINISH, Some(&token), &finish);
    assert_eq!(finished.status, 200, "{finished:?}");
    finished.body["grant"].as_str().unwrap().to_owned()
}

pub(crate) fn revoke(service: &Service, token: &str, device: &str, grant: &str) -> Raw {
    let path = routes::with_id(routes::DEVICE_REVOKE, device);
    service.raw(Post, &path, Some(token), &json!({ "grant": grant }))
}

#[test]
pub(crate) fn a_grant_is_good_for_one_session_one_purpose_one_target_once() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let laptop = service.computer();
    owner.sign_in(&laptop.client).unwrap();
    laptop.client.enrol_this_computer("laptop", &owner.presence()).unwrap();
    let devices = owner.client().devices().unwrap();
    let [one, two] = [devices[0].device_id.to_string(), devices[1].device_id.to_string()];
    let (token, other_session) = (owner.token(), token(laptop.folder.path()));
    let used = "stepup.grant_used";

    let other_purpose = grant(&service, &owner, "factors", &one);
    assert_eq!(revoke(&service, &token, &one, &other_purpose).code(), used);
    let good = grant(&service, &owner, "revoke-device", &one);
    assert_eq!(revoke(&service, &other_session, &one, &good).code(), used);
    assert_eq!(revoke(&service, &token, &two, &good).code(), used);
    assert_eq!(revoke(&service, &token, &one, "AAAA").code(), used);
    let empty = service.raw(Post, &routes::with_id(routes::DEVICE_REVOKE, &one), Some(&token), &json!({}));
    assert_eq!((empty.status, empty.code()), (403, "stepup.required"));
    // None of that spent it.
    assert_eq!(revoke(&service, &token, &one, &good).status, 200);
    assert_eq!(revoke(&service, &token, &one, &good).code(), used);

    let late = grant(&service, &owner, "revoke-device", &two);
    service.clock.advance_ms(300_000);
    assert_eq!(revoke(&service, &token, &two, &late).code(), used);
    assert_eq!(owner.client().devices().unwrap().iter().filter(|device| device.state == "active").count(), 1);
}

#[test]
fn the_step_up_of_another_session_gives_no_grant() {
    let service = Service::start();
    let ada = service.account("ada@example.org");
    let eve = service.account("eve@example.org");
    let start = json!({ "purpose": "factors", "target": "add" });
    let started = service.raw(Post, routes::STEP_UP_START, Some(&ada.token()), &start);
    let finish = json!({ "step_id": started.body["step_id"], "kind": "totp", "code": eve.fresh_code() });
    let finished = service.raw(Post, routes::STEP_UP_FINISH, Some(&eve.token()), &finish);
    assert_eq!(finished.code(), "stepup.grant_used");
    // An act that opens the vault asks for the password; leaving it out is no way around.
    for body in [
        json!({ "purpose": "reveal", "target": SOME_ID }),
        json!({ "purpose": "enrol-device", "target": "self" }),
        json!({ "purpose": "everything", "target": SOME_ID }),
        json!({ "purpose": "factors", "target": "" }),
    ] {
        let answer = service.raw(Post, routes::STEP_UP_START, Some(&ada.token()), &body);
        assert_eq!(answer.code(), "request.invalid", "{body}");
    }
}

#[test]
fn the_factor_step_of_a_sign_in_is_bound_to_the_password_step() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    // Somebody who saw the first factor's step go by, and has a good code, but not the password.
    let seen = std::sync::Mutex::new(None);
    let state = State::new(owner.computer.folder.path().join("elsewhere"));
    let watching = crate::hostile::Tampering::new(service.transport(), |_, path, response| {
        if path == routes::LOGIN_FINISH {
            *seen.lock().unwrap() = Some(serde_json::from_slice::<Value>(&response.body).unwrap());
            response.status = 500;
        }
    });
    sign_in(&Client::new(watching, state), &owner.email, crate::harness::PASSWORD, "000000").unwrap_err();
    let seen = seen.into_inner().unwrap().unwrap();
    for binding in [vec![0; 64], Vec::new()] {
        let body = json!({
            "login_id": seen["login_id"],
            "kind": "totp",
            "code": owner.fresh_code(),
            "binding": data_encoding::BASE64URL_NOPAD.encode(&binding),
        });
        assert_eq!(service.raw(Post, routes::LOGIN_FACTOR, None, &body).code(), "auth.invalid");
    }
}
