//! Who has no account learns nothing about who has one.

use serde_json::{Value, json};
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_protocol::routes;

use crate::harness::{Service, code_of, sign_in};

/// The first message of a sign-in, as some client sends it.
fn credential_request() -> String {
    let (_, request) = vault_crypto::password::Proof::start("some password".into()).unwrap();
    data_encoding::BASE64URL_NOPAD.encode(&request.0)
}

fn start(service: &Service, email: &str) -> Value {
    let body = json!({ "email": email, "credential_request": credential_request() });
    let started = service.raw(Post, routes::LOGIN_START, None, &body);
    assert_eq!(started.status, 200, "{started:?}");
    started.body
}

#[test]
pub(crate) fn an_unknown_address_is_answered_like_a_known_one() {
    let service = Service::start();
    service.account("ada@example.org");
    let known = start(&service, "ada@example.org");
    let unknown = start(&service, "nobody@example.org");
    let fields = |answer: &Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&known), fields(&unknown));
    for field in ["kdf_profile", "server"] {
        assert_eq!(known[field], unknown[field]);
    }
    let length = |answer: &Value| answer["credential_response"].as_str().unwrap().len();
    assert_eq!(length(&known), length(&unknown));
    for answer in [&known, &unknown] {
        let id = answer["account_id"].as_str().unwrap();
        assert_eq!((&id[14..15], id.len()), ("4", 36), "both of version 4");
    }
    // A stand-in is always the same, however the address is written, as an account's identifier is.
    let again = start(&service, " Nobody@Example.ORG ");
    assert_eq!(again["account_id"], unknown["account_id"]);
    assert_ne!(start(&service, "somebody@example.org")["account_id"], unknown["account_id"]);
}

#[test]
fn a_wrong_password_and_an_unknown_address_end_alike() {
    let service = Service::start();
    service.account("ada@example.org");
    let outcomes = ["ada@example.org", "nobody@example.org", "not an address"]
        .map(|email| code_of(sign_in(&service.computer().client, email, "wrong", "000000")));
    assert_eq!(outcomes, [Code::AuthInvalid; 3]);
}

#[test]
fn a_sign_up_does_not_tell_before_the_invite_is_proven() {
    let service = Service::start();
    service.account("ada@example.org");
    for email in ["ada@example.org", "nobody@example.org"] {
        let body = json!({ "email": email, "invite": "a guess" });
        let started = service.raw(Post, routes::SIGNUP_START, None, &body);
        assert_eq!((started.status, &started.body["code_mailed"]), (200, &json!(false)), "{email}");
        let body = json!({ "signup_id": started.body["signup_id"] });
        let verified = service.raw(Post, routes::SIGNUP_VERIFY, None, &body);
        assert_eq!(verified.code(), "auth.email_code_invalid", "{email}");
    }
}

#[test]
fn devices_and_records_of_others_look_like_none() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let body = json!({ "device_code": "AAAA" });
    assert_eq!(service.raw(Post, routes::DEVICE_TOKEN, None, &body).code(), "device.code_expired");
    let held = routes::with_id(routes::HELD, &record.record_id.to_string());
    let answer = service.raw(Post, &held, None, &json!({ "t": "held", "p": "e30", "s": "AAAA" }));
    assert_eq!(answer.code(), "request.invalid");
}

/// Whether an address has an account does not show in how long the first answer takes. The medians of many are compared, the two
/// kinds in turn, so that whatever else the machine does meets both alike.
#[test]
fn an_unknown_address_takes_as_long_as_a_known_one() {
    const ROUNDS: usize = 200;
    let service = Service::configured(|config| {
        config.limits.sign_in_per_mail = 1_000_000;
        config.limits.sign_in_per_net = 1_000_000;
    });
    service.account("ada@example.org");
    let request = credential_request();
    let once = |email: &str| {
        let body = json!({ "email": email, "credential_request": request });
        let begun = std::time::Instant::now();
        assert_eq!(service.raw(Post, routes::LOGIN_START, None, &body).status, 200);
        begun.elapsed()
    };
    once("ada@example.org");
    once("nobody@example.org");
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        known.push(once("ada@example.org"));
        unknown.push(once("nobody@example.org"));
    }
    let median = |times: &mut Vec<std::time::Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64()
    };
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    assert!((known / unknown - 1.0).abs() < 0.25, "known {known:.6} s, unknown {unknown:.6} s");
}
