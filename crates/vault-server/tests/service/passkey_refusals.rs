//! Passkeys that do one thing wrong. Every check of WebAuthn has a fault here that only it can notice.

use std::cell::Cell;

use serde_json::{Value, json};
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Confirm, Error, PasskeyRequest, State};
use vault_protocol::messages::prf_input;
use vault_protocol::routes;

use crate::authenticator::{Faults, SoftAuthenticator};
use crate::harness::{Owner, PASSWORD, Raw, Service, code_of, presence};
use crate::passkeys::{actions, never, sign_in, with_opening_passkey, with_passkey};
use crate::races::together;

const MINUTE: i64 = 60_000;

/// What an authenticator may do wrong when it proves a passkey.
fn faults() -> Vec<(&'static str, Faults)> {
    let ok = Faults::default;
    vec![
        ("origin of another host", Faults { origin: Some("http://evil.localhost".into()), ..ok() }),
        ("origin of another port", Faults { origin: Some("http://localhost:1".into()), ..ok() }),
        ("origin of another scheme", Faults { origin: Some("https://localhost".into()), ..ok() }),
        ("origin that is none", Faults { origin: Some("null".into()), ..ok() }),
        ("relying party", Faults { rp_id: Some("example.org".into()), ..ok() }),
        ("kind of ceremony", Faults { kind: Some("webauthn.create".into()), ..ok() }),
        ("challenge", Faults { challenge: Some(vec![7; 32]), ..ok() }),
        ("no challenge", Faults { challenge: Some(Vec::new()), ..ok() }),
        ("embedded in another page", Faults { cross_origin: true, ..ok() }),
        ("page around it", Faults { top_origin: Some("https://evil.example".into()), ..ok() }),
        ("nobody present", Faults { not_present: true, ..ok() }),
        ("nobody verified", Faults { not_verified: true, ..ok() }),
        ("copied to a cloud all of a sudden", Faults { backed_up: true, ..ok() }),
        ("signature", Faults { bad_signature: true, ..ok() }),
        ("key", Faults { other_key: true, ..ok() }),
        ("credential", Faults { id: Some(vec![9; 24]), ..ok() }),
        ("no credential", Faults { id: Some(Vec::new()), ..ok() }),
        ("owner", Faults { user_handle: Some(Some(vec![9; 16])), ..ok() }),
        ("owner of another length", Faults { user_handle: Some(Some(vec![9; 3])), ..ok() }),
        ("counter that stands still", Faults { counter: Some(1), ..ok() }),
        ("counter that went back to nothing", Faults { counter: Some(0), ..ok() }),
    ]
}

#[test]
fn every_fault_is_refused_at_sign_in_and_all_look_alike() {
    let service = Service::with_a_name();
    let (owner, authenticator, _) = with_opening_passkey(&service, "ada@example.org");
    let phone = service.computer();
    let nobody = Faults { user_handle: Some(None), ..Faults::default() };
    for (fault, faults) in faults().into_iter().chain([("no owner", nobody)]) {
        authenticator.set(faults);
        assert_eq!(code_of(sign_in(&phone.client, &authenticator)), Code::AuthInvalid, "{fault}");
        // One sign-in a minute: a flood is another test.
        service.clock.advance_ms(MINUTE);
    }
    authenticator.set(Faults::default());
    sign_in(&phone.client, &authenticator).unwrap();
    assert_eq!(actions(&owner, "login"), 1);
    assert!(actions(&owner, "login_failed") > 10);
}

#[test]
fn every_fault_is_refused_as_a_second_factor() {
    let service = Service::with_a_name();
    let (owner, authenticator, _) = with_passkey(&service, "ada@example.org");
    let phone = service.computer();
    for (fault, faults) in faults() {
        authenticator.set(faults);
        let signed_in = phone.client.sign_in_confirmed_by_passkey(&owner.email, PASSWORD.into(), &authenticator);
        // Another passkey than asked for is noticed before it is sent.
        let noticed = matches!(&signed_in, Err(Error::Answer(_)));
        assert!(noticed || code_of(signed_in) == Code::AuthInvalid, "{fault}");
        service.clock.advance_ms(15 * MINUTE);
    }
    authenticator.set(Faults::default());
    phone.client.sign_in_confirmed_by_passkey(&owner.email, PASSWORD.into(), &authenticator).unwrap();
    let wrong = phone.client.sign_in_confirmed_by_passkey(&owner.email, "wrong".into(), &authenticator);
    assert_eq!(code_of(wrong), Code::AuthInvalid);
}

#[test]
fn every_fault_is_refused_in_a_step_up() {
    let service = Service::with_a_name();
    let (owner, authenticator, passkey) = with_opening_passkey(&service, "ada@example.org");
    let (_, record) = owner.save_one();
    let confirm = Confirm::Passkey { authenticator: &authenticator, password: None };
    for (fault, faults) in faults() {
        authenticator.set(faults);
        let revealed = owner.client().reveal(record.record_id, "drill", confirm).map(|_| ());
        let noticed = matches!(&revealed, Err(Error::Answer(_)));
        assert!(noticed || code_of(revealed) == Code::AuthInvalid, "{fault}");
    }
    authenticator.set(Faults::default());
    assert_eq!(actions(&owner, "reveal"), 0);
    assert!(actions(&owner, "stepup_failed") > 10);
    owner.client().reveal(record.record_id, "drill", confirm).unwrap();
    // Whoever can open the vault with it can still not remove it by itself.
    assert_eq!(code_of(owner.client().remove_factor(passkey.factor_id, confirm)), Code::FactorSame);
}

#[test]
fn every_fault_is_refused_when_a_passkey_is_made() {
    let service = Service::with_a_name();
    let owner = service.account("ada@example.org");
    let ok = Faults::default;
    let making = [
        ("algorithm", Faults { algorithm: Some(-47), ..ok() }),
        ("name beside it", Faults { named: Some(vec![1; 24]), ..ok() }),
        ("no name", Faults { id: Some(Vec::new()), ..ok() }),
        ("form of attestation", Faults { format: Some("homemade".into()), ..ok() }),
        ("attestation that is not there", Faults { format: Some("packed".into()), ..ok() }),
        ("kind of ceremony", Faults { kind: Some("webauthn.get".into()), ..ok() }),
    ];
    // What only a proof has.
    let only_get = ["kind of ceremony", "signature", "key", "credential", "no credential", "owner"];
    let shared = faults().into_iter().filter(|(name, _)| !only_get.iter().any(|only| name.starts_with(only)));
    for (fault, faults) in shared.filter(|(name, _)| !name.starts_with("counter")).chain(making) {
        let authenticator = SoftAuthenticator::new(&service.origin());
        authenticator.set(faults);
        let presence = owner.presence();
        let added = owner.client().add_passkey("laptop", Some(Confirm::Code(&presence)), &authenticator);
        assert_eq!(code_of(added.map(|_| ())), Code::AuthInvalid, "{fault}");
    }
    assert_eq!(owner.client().factors().unwrap().len(), 1);
    let authenticator = SoftAuthenticator::new(&service.origin());
    let presence = owner.presence();
    owner.client().add_passkey("laptop", Some(Confirm::Code(&presence)), &authenticator).unwrap();
    // An authenticator that ignores what it was told to leave out.
    authenticator.set(Faults { ignores_exclude: true, id: Some(authenticator.ids()[0].clone()), ..ok() });
    let presence = owner.presence();
    let again = owner.client().add_passkey("again", Some(Confirm::Code(&presence)), &authenticator);
    assert_eq!(code_of(again.map(|_| ())), Code::AuthInvalid);
}

#[test]
fn a_credential_belongs_to_one_account() {
    let service = Service::with_a_name();
    let (_, adas, _) = with_passkey(&service, "ada@example.org");
    let eve = service.account("eve@example.org");
    let eves = SoftAuthenticator::new(&service.origin());
    eves.set(Faults { id: Some(adas.ids()[0].clone()), ..Faults::default() });
    let presence = eve.presence();
    let added = eve.client().add_passkey("laptop", Some(Confirm::Code(&presence)), &eves);
    assert_eq!(code_of(added.map(|_| ())), Code::RequestInvalid);
    assert_eq!(eve.client().factors().unwrap().len(), 1);
}

#[test]
fn another_persons_passkey_is_no_passkey() {
    let service = Service::with_a_name();
    let (ada, adas, _) = with_opening_passkey(&service, "ada@example.org");
    let (eve, eves, _) = with_opening_passkey(&service, "eve@example.org");
    let ada_id = ada.client().account().unwrap().account_id;
    // Eve's key under Ada's name, with her own credential and with Ada's.
    for id in [eves.ids()[0].clone(), adas.ids()[0].clone()] {
        eves.set(Faults { user_handle: Some(Some(ada_id.as_bytes().to_vec())), id: Some(id), ..Faults::default() });
        assert_eq!(code_of(sign_in(&service.computer().client, &eves)), Code::AuthInvalid);
    }
    // Ada's credential named in Eve's session; Eve's passkey in Ada's.
    eves.set(Faults { user_handle: Some(None), ..Faults::default() });
    let started = start_step_up(&service, &ada, "factors", "totp");
    let mut request: PasskeyRequest = serde_json::from_value(started.body["passkey"].clone()).unwrap();
    request.allow.clear();
    let answer = finish_step_up(&service, &ada.token(), &started, &eves, &request);
    assert_eq!(answer.code(), "auth.invalid");
    // A good answer of Ada's, in Eve's session.
    let started = start_step_up(&service, &ada, "factors", "totp");
    let request: PasskeyRequest = serde_json::from_value(started.body["passkey"].clone()).unwrap();
    assert_eq!(finish_step_up(&service, &eve.token(), &started, &adas, &request).code(), "stepup.grant_used");
    assert_eq!(finish_step_up(&service, &ada.token(), &started, &adas, &request).status, 200);
    assert_eq!(finish_step_up(&service, &ada.token(), &started, &adas, &request).code(), "stepup.grant_used");
}

fn start_step_up(service: &Service, owner: &Owner, purpose: &str, target: &str) -> Raw {
    let body = json!({ "purpose": purpose, "target": target });
    let started = service.raw(Post, routes::STEP_UP_START, Some(&owner.token()), &body);
    assert_eq!(started.status, 200, "{started:?}");
    started
}

fn finish_step_up(
    service: &Service,
    token: &str,
    started: &Raw,
    authenticator: &SoftAuthenticator,
    request: &PasskeyRequest,
) -> Raw {
    let assertion = prove(service, authenticator, request);
    let body = json!({ "step_id": started.body["step_id"], "kind": "passkey", "assertion": assertion });
    service.raw(Post, routes::STEP_UP_FINISH, Some(token), &body)
}

/// What an authenticator answers, as it would be sent.
pub(crate) fn prove(service: &Service, authenticator: &SoftAuthenticator, request: &PasskeyRequest) -> Value {
    use vault_client::Authenticator;
    let (assertion, _) = authenticator.get(request, &prf_input(&service.origin())).unwrap();
    serde_json::to_value(assertion).unwrap()
}

/// A sign-in whose last message is ready to be sent.
pub(crate) fn ready_to_finish(service: &Service, authenticator: &SoftAuthenticator) -> Value {
    let started = service.raw(Post, routes::LOGIN_PASSKEY_START, None, &json!({})).body;
    let request: PasskeyRequest = serde_json::from_value(started["options"].clone()).unwrap();
    json!({ "login_id": started["login_id"], "assertion": prove(service, authenticator, &request) })
}

pub(crate) fn finish(service: &Service, body: &Value) -> Raw {
    service.raw(Post, routes::LOGIN_PASSKEY_FINISH, None, body)
}

#[test]
fn an_answer_is_good_once_for_its_own_challenge_and_for_five_minutes() {
    let service = Service::with_a_name();
    // One without a counter: nothing but the challenge tells an old answer.
    let owner = service.account("ada@example.org");
    let authenticator = SoftAuthenticator::without_counter(&service.origin());
    let presence = owner.presence();
    owner.client().add_passkey("tablet", Some(Confirm::Code(&presence)), &authenticator).unwrap();

    let first = ready_to_finish(&service, &authenticator);
    let mut moved = ready_to_finish(&service, &authenticator);
    assert_eq!(finish(&service, &first).status, 200);
    assert_eq!(finish(&service, &first).code(), "auth.session_expired");
    moved["assertion"] = first["assertion"].clone();
    assert_eq!(finish(&service, &moved).code(), "auth.invalid");
    // A challenge that met a wrong answer is spent, too.
    let mut spoilt = ready_to_finish(&service, &authenticator);
    let good = spoilt["assertion"].clone();
    spoilt["assertion"]["signature"] = json!("AAAA");
    assert_eq!(finish(&service, &spoilt).code(), "auth.invalid");
    spoilt["assertion"] = good;
    assert_eq!(finish(&service, &spoilt).code(), "auth.session_expired");

    let late = ready_to_finish(&service, &authenticator);
    service.clock.advance_ms(5 * MINUTE);
    assert_eq!(finish(&service, &late).code(), "auth.session_expired");
    let unknown = json!({ "login_id": "00000000-0000-4000-8000-000000000000", "assertion": late["assertion"] });
    assert_eq!(finish(&service, &unknown).code(), "auth.session_expired");
    // The answer of a step-up is no sign-in.
    let started = start_step_up(&service, &owner, "factors", "totp");
    let request: PasskeyRequest = serde_json::from_value(started.body["passkey"].clone()).unwrap();
    let crossed = json!({
        "login_id": started.body["step_id"], "assertion": prove(&service, &authenticator, &request),
    });
    assert_eq!(finish(&service, &crossed).code(), "auth.session_expired");
}

#[test]
fn one_answer_sent_many_times_at_once_gives_one_session() {
    let service = Service::with_a_name();
    let owner = service.account("ada@example.org");
    for authenticator in
        [SoftAuthenticator::without_counter(&service.origin()), SoftAuthenticator::new(&service.origin())]
    {
        let presence = owner.presence();
        let label = format!("passkey {}", owner.client().factors().unwrap().len());
        owner.client().add_passkey(&label, Some(Confirm::Code(&presence)), &authenticator).unwrap();
        let before = actions(&owner, "login");
        let body = ready_to_finish(&service, &authenticator);
        let answers = together(|_| finish(&service, &body).status);
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        assert_eq!(actions(&owner, "login"), before + 1);
    }
}

#[test]
fn a_counter_that_goes_back_is_refused_and_told() {
    let service = Service::with_a_name();
    let (owner, authenticator, passkey) = with_opening_passkey(&service, "ada@example.org");
    sign_in(&service.computer().client, &authenticator).unwrap();
    authenticator.set(Faults { counter: Some(2), ..Faults::default() });
    assert_eq!(code_of(sign_in(&service.computer().client, &authenticator)), Code::AuthInvalid);
    let entries = owner.client().audit_trail().unwrap().entries;
    let told = entries.iter().find(|entry| entry.action == "passkey_counter_back").unwrap();
    assert_eq!((told.target.as_str(), told.outcome.as_str()), (passkey.factor_id.to_string().as_str(), "refused"));
    service.notices("A passkey may have been copied", 1);
    // The true one goes on.
    authenticator.set(Faults::default());
    sign_in(&service.computer().client, &authenticator).unwrap();
}

#[test]
fn an_enrolment_belongs_to_its_session_and_its_challenge_is_spent_by_any_answer() {
    let service = Service::with_a_name();
    let (ada, eve) = (service.account("ada@example.org"), service.account("eve@example.org"));
    let grant = crate::authority::grant(&service, &ada, "factors", "passkey");
    let other_kind = crate::authority::grant(&service, &ada, "factors", "totp");
    let start = |grant: Value| {
        service.raw(Post, routes::PASSKEY_START, Some(&ada.token()), &json!({ "label": "laptop", "grant": grant }))
    };
    assert_eq!(start(Value::Null).code(), "stepup.required");
    assert_eq!(start(json!(other_kind)).code(), "stepup.grant_used");
    let started = start(json!(grant));
    assert_eq!(started.status, 200, "{started:?}");
    assert_eq!(start(json!(grant)).code(), "stepup.grant_used");
    let selection = &started.body["options"]["authenticatorSelection"];
    assert_eq!((&selection["residentKey"], &selection["userVerification"]), (&json!("required"), &json!("required")));

    use vault_client::Authenticator;
    let authenticator = SoftAuthenticator::new(&service.origin());
    let options = serde_json::from_value(started.body["options"].clone()).unwrap();
    let (credential, _) = authenticator.create(&options, &[0; 32]).unwrap();
    let body = json!({ "ceremony_id": started.body["ceremony_id"], "credential": credential });
    let finish = |token: &str| service.raw(Post, routes::PASSKEY_FINISH, Some(token), &body);
    assert_eq!(finish(&eve.token()).code(), "stepup.grant_used");
    assert_eq!(finish(&ada.token()).code(), "stepup.grant_used");
    assert_eq!(ada.client().factors().unwrap().len(), 1);
}

#[test]
fn a_slot_is_for_a_passkey_of_the_account_and_needs_its_own_grant() {
    let service = Service::with_a_name();
    let (ada, _, passkey) = with_passkey(&service, "ada@example.org");
    let slot = |change: Value| {
        let mut slot = json!({
            "slot_id": "00000000-0000-4000-8000-000000000001", "kind": "passkey", "salt": "AAAAAAAAAAAAAAAAAAAAAA",
            "wrap_c": "A".repeat(80), "wrap_v": "A".repeat(80), "credential_id": "AAAA",
        });
        for (name, value) in change.as_object().unwrap() {
            slot[name] = value.clone();
        }
        slot
    };
    let path = routes::with_id(routes::PASSKEY_SLOT, &passkey.factor_id.to_string());
    let token = ada.token();
    let put = |grant: &str, slot: Value| {
        let body = if grant.is_empty() { json!({ "slot": slot }) } else { json!({ "grant": grant, "slot": slot }) };
        service.raw(Post, &path, Some(&token), &body)
    };
    let other = crate::authority::grant(&service, &ada, "factors", &passkey.factor_id.to_string());
    assert_eq!(put("", slot(json!({}))).code(), "stepup.required");
    assert_eq!(put(&other, slot(json!({}))).code(), "stepup.grant_used");
    for bad in [json!({ "kind": "password" }), json!({ "credential_id": null }), json!({ "wrap_v": "AAAA" })] {
        assert_eq!(put(&other, slot(bad.clone())).code(), "request.invalid", "{bad}");
    }
    // A sign-up brings no passkey slot along.
    assert_eq!(actions(&ada, "passkey_slot_added"), 0);
}

#[test]
fn a_passkey_without_a_slot_opens_no_vault_though_another_has_one() {
    let service = Service::with_a_name();
    let (owner, opening, _) = with_opening_passkey(&service, "ada@example.org");
    let plain = SoftAuthenticator::new(&service.origin());
    let given = owner.presence();
    owner.client().add_passkey("plain", Some(Confirm::Code(&given)), &plain).unwrap();
    let (_, record) = owner.save_one();
    let started = start_step_up(&service, &owner, "reveal", &record.record_id.to_string());
    assert_eq!(started.body["kinds"], json!(["passkey"]));
    let mut request: PasskeyRequest = serde_json::from_value(started.body["passkey"].clone()).unwrap();
    assert_eq!(request.allow.iter().map(|allowed| allowed.id.0.clone()).collect::<Vec<_>>(), opening.ids());
    request.allow.clear();
    assert_eq!(finish_step_up(&service, &owner.token(), &started, &plain, &request).code(), "auth.invalid");
    // Nor does a code take the place of the password.
    let started = start_step_up(&service, &owner, "reveal", &record.record_id.to_string());
    let body = json!({ "step_id": started.body["step_id"], "kind": "totp", "code": owner.fresh_code() });
    assert_eq!(service.raw(Post, routes::STEP_UP_FINISH, Some(&owner.token()), &body).code(), "auth.invalid");
    let typed = owner.client().reveal(record.record_id, "drill", &presence("wrong", &owner.fresh_code()));
    assert_eq!(code_of(typed.map(|_| ())), Code::AuthInvalid);
}

#[test]
fn a_client_does_not_let_the_service_weaken_a_passkey() {
    let service = Service::with_a_name();
    let (owner, authenticator, _) = with_opening_passkey(&service, "ada@example.org");
    let changes: [fn(&mut Value); 5] = [
        |answer| answer["options"]["userVerification"] = json!("discouraged"),
        |answer| answer["options"]["rpId"] = json!("example.org"),
        |answer| answer["options"]["challenge"] = json!("AAAA"),
        |answer| answer["options"]["allowCredentials"] = json!([{ "type": "public-key", "id": "AAAA" }]),
        |answer| answer["server"]["origin"] = json!("https://evil.example"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let signed_in = through(&service, &owner, routes::LOGIN_PASSKEY_START, change)
            .sign_in_with_passkey(&authenticator, &mut never);
        let refused = matches!(signed_in, Err(Error::Answer(_) | Error::WrongOrigin { .. } | Error::Authenticator(_)));
        assert!(refused, "{index}: {signed_in:?}");
    }
    let slots = |answer: &mut Value| {
        let slots = answer["login"]["slots"].as_array_mut().unwrap();
        let salt = slots[0]["salt"].clone();
        slots.iter_mut().for_each(|slot| slot["salt"] = salt.clone());
    };
    let changes: [fn(&mut Value); 3] = [
        slots,
        |answer| answer["account_id"] = json!("00000000-0000-4000-8000-000000000000"),
        |answer| answer["login"]["key_statement"]["s"] = json!(data_encoding::BASE64URL_NOPAD.encode(&[1; 64])),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let signed_in = through(&service, &owner, routes::LOGIN_PASSKEY_FINISH, change)
            .sign_in_with_passkey(&authenticator, &mut never);
        let refused = matches!(signed_in, Err(Error::AccountKeyMismatch | Error::Unverified { .. }));
        assert!(refused, "{index}: {signed_in:?}");
    }
    let changes: [fn(&mut Value); 5] = [
        |answer| answer["options"]["authenticatorSelection"]["residentKey"] = json!("discouraged"),
        |answer| answer["options"]["authenticatorSelection"]["userVerification"] = json!("preferred"),
        |answer| answer["options"]["attestation"] = json!("direct"),
        |answer| answer["options"]["rp"]["id"] = json!("example.org"),
        |answer| answer["options"]["user"]["id"] = json!("AAAA"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let client = through(&service, &owner, routes::PASSKEY_START, change);
        sign_in(&client, &authenticator).unwrap();
        let confirm = Confirm::Passkey { authenticator: &authenticator, password: None };
        let added = client.add_passkey("new", Some(confirm), &SoftAuthenticator::new(&service.origin()));
        assert!(matches!(added, Err(Error::Answer(_))), "{index}");
    }
}

/// A client on another computer, whose answers from one route are changed on the way.
fn through(
    service: &Service,
    owner: &Owner,
    route: &'static str,
    change: fn(&mut Value),
) -> Client<impl vault_client::Transport> {
    thread_local! { static NUMBER: Cell<u32> = const { Cell::new(0) }; }
    let number = NUMBER.replace(NUMBER.get() + 1);
    let state = State::new(owner.computer.folder.path().join(format!("elsewhere {number}")));
    let tampering = crate::hostile::Tampering::new(service.transport(), move |_, path, response| {
        if path == route && response.status == 200 {
            let mut answer = serde_json::from_slice(&response.body).unwrap();
            change(&mut answer);
            response.body = serde_json::to_vec(&answer).unwrap();
        }
    });
    Client::new(tampering, state)
}

/// A client on another computer, whose requests to one route are changed on the way.
pub(crate) fn altering(
    service: &Service,
    owner: &Owner,
    route: &'static str,
    change: fn(&mut Value),
) -> Client<crate::hostile::Altering> {
    let state = State::new(owner.computer.folder.path().join("altering"));
    Client::new(crate::hostile::Altering::new(service.transport(), route, change), state)
}
