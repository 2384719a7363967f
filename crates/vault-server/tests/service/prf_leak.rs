//! A client that sends what a passkey derived: refused everywhere, noted, and what it would have opened is shut.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use vault_client::Method::{Post, Put};
use vault_client::problem::Code;
use vault_client::{Confirm, Error};
use vault_protocol::messages::prf_input;
use vault_protocol::routes;

use crate::authenticator::SoftAuthenticator;
use crate::harness::{Owner, PASSWORD, Service, code_of};
use crate::passkey_refusals::{finish, ready_to_finish};
use crate::passkeys::{actions, sign_in, with_opening_passkey};

/// What a browser's `toJSON()` holds beside the answer.
fn leak(service: &Service, authenticator: &SoftAuthenticator) -> Value {
    let id = &authenticator.ids()[0];
    let output = authenticator.prf(id, &prf_input(&service.origin()));
    json!({ "id": BASE64URL_NOPAD.encode(id), "clientExtensionResults": {
        "prf": { "enabled": true, "results": { "first": BASE64URL_NOPAD.encode(&output) } },
    }})
}

fn opening(owner: &Owner) -> Vec<bool> {
    owner.client().factor_list().unwrap().passkeys.iter().map(|passkey| passkey.opens_vault).collect()
}

#[test]
fn the_passkey_that_is_named_opens_nothing_any_more_and_others_do() {
    let service = Service::with_a_name();
    let (owner, laptop, passkey) = with_opening_passkey(&service, "ada@example.org");
    let phone = SoftAuthenticator::new(&service.origin());
    let confirm = Confirm::Passkey { authenticator: &laptop, password: None };
    // They are listed by age.
    service.clock.advance_ms(1);
    let second = owner.client().add_passkey("tablet", Some(confirm), &phone).unwrap();
    owner.client().let_new_passkey_open_vault(&second, &PASSWORD.into(), &phone).unwrap();
    let (_, record) = owner.save_one();

    let body = json!({ "purpose": "factors", "target": "totp", "assertion": leak(&service, &laptop) });
    let answer = service.raw(Post, routes::STEP_UP_START, Some(&owner.token()), &body);
    assert_eq!((answer.status, answer.code()), (400, "factor.prf_leaked"));
    assert_eq!(opening(&owner), [false, true]);
    let entries = owner.client().audit_trail().unwrap().entries;
    let fault = entries.iter().find(|entry| entry.action == "client_fault").unwrap();
    assert_eq!((fault.outcome.as_str(), fault.reason.as_deref()), ("refused", Some("factor.prf_leaked")));
    let notice = service.notices("A passkey does not open the vault any more", 1).remove(0);
    let output = BASE64URL_NOPAD.encode(&laptop.prf(&laptop.ids()[0], &prf_input(&service.origin())));
    assert!(!notice.contains(&output) && !answer.body.to_string().contains(&output));

    let by = |authenticator: &SoftAuthenticator| {
        let confirm = Confirm::Passkey { authenticator, password: None };
        owner.client().reveal(record.record_id, "drill", confirm).map(|_| ())
    };
    by(&phone).unwrap();
    assert!(matches!(by(&laptop), Err(Error::Authenticator(_))), "it is not even asked for");
    // It still signs in, with the password for the titles. It would derive the same key again, so it gets no slot any more.
    owner.client().sign_in_with_passkey(&laptop, &mut |_| Some(PASSWORD.into())).unwrap();
    let again = owner.client().let_passkey_open_vault(passkey.factor_id, &PASSWORD.into(), &laptop);
    assert_eq!(code_of(again.map(|_| ())), Code::FactorPrfLeaked);
    assert_eq!(opening(&owner), [false, true]);
}

#[test]
fn a_leak_that_names_no_passkey_shuts_all_of_them() {
    let service = Service::with_a_name();
    let (owner, laptop, _) = with_opening_passkey(&service, "ada@example.org");
    let hidden = BASE64URL_NOPAD.encode(leak(&service, &laptop).to_string().as_bytes());
    let answer = service.raw(Post, routes::LOGOUT, Some(&owner.token()), &json!({ "x": hidden }));
    // Signing out takes no body, and reads none.
    assert_eq!(answer.status, 200);
    owner.sign_in(owner.client()).unwrap();
    let answer = service.raw(Post, routes::STEP_UP_START, Some(&owner.token()), &json!({ "x": hidden }));
    assert_eq!(answer.code(), "factor.prf_leaked");
    assert_eq!((opening(&owner), actions(&owner, "client_fault")), (vec![false], 1));
}

#[test]
fn a_leak_at_sign_in_counts_when_the_rest_of_it_is_good() {
    let service = Service::with_a_name();
    let (owner, laptop, passkey) = with_opening_passkey(&service, "ada@example.org");
    let with_leak = |mut body: Value| {
        body["assertion"]["clientExtensionResults"] = leak(&service, &laptop)["clientExtensionResults"].clone();
        body
    };
    // Somebody who knows the names, and cannot prove the passkey, shuts nothing.
    let mut bad = with_leak(ready_to_finish(&service, &laptop));
    bad["assertion"]["signature"] = json!("AAAA");
    assert_eq!(finish(&service, &bad).code(), "factor.prf_leaked");
    let mut unknown = with_leak(ready_to_finish(&service, &laptop));
    unknown["login_id"] = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(finish(&service, &unknown).code(), "factor.prf_leaked");
    assert_eq!((opening(&owner), actions(&owner, "client_fault")), (vec![true], 0));

    let good = with_leak(ready_to_finish(&service, &laptop));
    assert_eq!(finish(&service, &good).code(), "factor.prf_leaked");
    assert_eq!((opening(&owner), actions(&owner, "client_fault")), (vec![false], 1));
    assert_eq!(actions(&owner, "login"), 0, "no session came of it");
    assert_eq!(finish(&service, &good).code(), "factor.prf_leaked", "and none comes of it later");
    assert_eq!(actions(&owner, "client_fault"), 1);
    let again = owner.client().let_passkey_open_vault(passkey.factor_id, &PASSWORD.into(), &laptop);
    assert_eq!(code_of(again.map(|_| ())), Code::FactorPrfLeaked, "and it opens nothing again");

    // As a second factor after the password.
    let (owner, laptop, _) = with_opening_passkey(&service, "grace@example.org");
    let client = crate::passkey_refusals::altering(&service, &owner, routes::LOGIN_FACTOR, |body| {
        body["assertion"]["PRF"] = json!({ "Results": { "First": "AAAA" } });
    });
    let signed_in = client.sign_in_confirmed_by_passkey(&owner.email, PASSWORD.into(), &laptop);
    assert_eq!(code_of(signed_in), Code::FactorPrfLeaked);
    assert_eq!((opening(&owner), actions(&owner, "client_fault")), (vec![false], 1));
}

#[test]
fn every_route_with_a_body_refuses_it_and_strangers_shut_nothing() {
    let service = Service::with_a_name();
    let (owner, laptop, _) = with_opening_passkey(&service, "ada@example.org");
    let body = leak(&service, &laptop);
    let id = "00000000-0000-4000-8000-000000000000";
    for (method, route) in [
        (Post, routes::SIGNUP_START),
        (Post, routes::SIGNUP_VERIFY),
        (Post, routes::SIGNUP_OPAQUE),
        (Post, routes::SIGNUP_FINISH),
        (Post, routes::LOGIN_START),
        (Post, routes::LOGIN_FINISH),
        (Post, routes::LOGIN_FACTOR),
        (Post, routes::LOGIN_PASSKEY_START),
        (Post, routes::LOGIN_PASSKEY_FINISH),
        (Post, routes::RECOVER_START),
        (Post, routes::RECOVER_PROVE),
        (Post, routes::RECOVER_FINISH),
        (Post, routes::DEVICE_CODE),
        (Put, routes::DEVICE_HELLO),
        (Post, routes::DEVICE_TOKEN),
        (Put, routes::RECORD),
        (Post, routes::HELD),
    ] {
        let answer = service.raw(method, &routes::with_id(route, id), None, &body);
        assert_eq!(answer.code(), "factor.prf_leaked", "{route}");
    }
    let garbage = BASE64URL_NOPAD.encode(&[7; 32]);
    let answer = service.raw(Post, routes::LOGIN_START, Some(&garbage), &body);
    assert_eq!(answer.code(), "factor.prf_leaked");
    assert_eq!((opening(&owner), actions(&owner, "client_fault")), (vec![true], 0));
    sign_in(&service.computer().client, &laptop).unwrap();
    // Another account's session shuts nothing of this one.
    let eve = service.account("eve@example.org");
    for (method, route) in [
        (Post, routes::PASSWORD_START),
        (Post, routes::TOTP_START),
        (Post, routes::PASSKEY_FINISH),
        (Post, routes::PASSKEY_SLOT),
        (Post, routes::FACTOR_REMOVE),
        (Post, routes::STEP_UP_FINISH),
        (Post, routes::DEVICE_APPROVE),
        (Post, routes::REVEAL),
        (Post, routes::EXPORT),
    ] {
        let answer = service.raw(method, &routes::with_id(route, id), Some(&eve.token()), &body);
        assert_eq!(answer.code(), "factor.prf_leaked", "{route}");
    }
    assert_eq!((opening(&owner), actions(&owner, "client_fault"), actions(&eve, "client_fault")), (vec![true], 0, 9));
}
