//! A new password: what it opens, what the one before does not open any more, and what stays.

use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Outcome, SignInFactor, State};
use vault_protocol::routes;

use crate::harness::{Owner, PASSWORD, STEP_MS, Service, code_of, key_to_save, presence, sign_in};
use crate::hostile::Tampering;

const NEW: &str = "nine tall herons by the water";

fn change(owner: &Owner, old: &str, new: &str) -> Result<(), vault_client::Error> {
    owner.client().change_password(&presence(old, &owner.fresh_code()), new.into())
}

#[test]
pub(crate) fn the_new_password_opens_everything_and_the_old_one_nothing() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (key, record) = owner.save_one();
    let phone = service.computer();
    owner.sign_in(&phone.client).unwrap();
    change(&owner, PASSWORD, NEW).unwrap();

    assert_eq!(code_of(phone.client.account()), Code::AuthSessionExpired, "other sessions end");
    owner.client().account().unwrap();
    let old = sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(old), Code::AuthInvalid);
    sign_in(&phone.client, &owner.email, NEW, &owner.fresh_code()).unwrap();
    let reveal =
        |password: &str| phone.client.reveal(record.record_id, "drill", &presence(password, &owner.fresh_code()));
    assert_eq!(code_of(reveal(PASSWORD).map(|_| ())), Code::AuthInvalid);
    assert!(reveal(NEW).unwrap().password == key);
    // Nobody had to be asked for this.
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    let trail = owner.client().audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "password_changed").count(), 1);
    // And it can be changed again.
    change(&owner, NEW, PASSWORD).unwrap();
    sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
}

#[test]
fn a_change_needs_the_old_password_and_a_fresh_code() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    assert_eq!(code_of(change(&owner, "not the password", NEW)), Code::AuthInvalid);
    let wrong = owner.client().change_password(&presence(PASSWORD, "AAAA-AAAA-AAAA"), NEW.into());
    assert_eq!(code_of(wrong), Code::FactorCodeWrong);
    let code = owner.fresh_code();
    sign_in(&service.computer().client, &owner.email, PASSWORD, &code).unwrap();
    let used = owner.client().change_password(&presence(PASSWORD, &code), NEW.into());
    assert_eq!(code_of(used), Code::FactorCodeUsed);
    owner.sign_in(&service.computer().client).expect("the password before is the right one");
}

#[test]
fn requests_that_are_not_in_order_change_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let token = owner.token();
    let some = data_encoding::BASE64URL_NOPAD.encode(&[1; 32]);
    let start = |body: serde_json::Value| service.raw(Post, routes::PASSWORD_START, Some(&token), &body);
    assert_eq!(start(json!({ "registration_request": some })).code(), "stepup.required");
    assert_eq!(start(json!({ "grant": some, "registration_request": "AAAA" })).code(), "request.invalid");
    // A grant for factors is none for the password, and cannot be had without proving it.
    let (_, request) = vault_crypto::password::Registration::start(NEW.into()).unwrap();
    let request = data_encoding::BASE64URL_NOPAD.encode(&request.0);
    let other = crate::authority::grant(&service, &owner, "factors", "password");
    assert_eq!(start(json!({ "grant": other, "registration_request": request })).code(), "stepup.grant_used");
    let without = json!({ "purpose": "password", "target": "password" });
    assert_eq!(service.raw(Post, routes::STEP_UP_START, Some(&token), &without).code(), "request.invalid");
    let finish = json!({
        "ceremony_id": "00000000-0000-4000-8000-000000000000", "registration_record": some, "kdf_profile": 1,
        "slot": { "slot_id": "00000000-0000-4000-8000-000000000000", "kind": "password",
                  "salt": data_encoding::BASE64URL_NOPAD.encode(&[0; 16]), "wrap_c": some, "wrap_v": some },
    });
    assert_eq!(service.raw(Post, routes::PASSWORD_FINISH, Some(&token), &finish).code(), "stepup.grant_used");
    owner.sign_in(&service.computer().client).unwrap();
}

/// The owner's client with the last request of the change altered on its way.
fn altered(
    service: &Service,
    owner: &Owner,
    change: fn(&mut serde_json::Value),
) -> Client<impl vault_client::Transport> {
    let state = State::new(owner.computer.folder.path().join("state"));
    Client::new(crate::hostile::Altering::new(service.transport(), routes::PASSWORD_FINISH, change), state)
}

#[test]
fn a_malformed_last_request_changes_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let changes: [fn(&mut serde_json::Value); 6] = [
        |body| body["slot"]["kind"] = json!("kit"),
        |body| body["slot"]["wrap_v"] = json!("AAAA"),
        |body| body["registration_record"] = json!("AAAA"),
        |body| body["kdf_profile"] = json!(0),
        |body| body["kdf_profile"] = json!(99),
        |body| body["slot"] = json!(null),
    ];
    for change in changes {
        let client = altered(&service, &owner, change);
        let refused = client.change_password(&owner.presence(), NEW.into());
        assert_eq!(code_of(refused), Code::RequestInvalid);
    }
    owner.client().account().unwrap();
    owner.sign_in(&service.computer().client).expect("the password before is the right one");
}

#[test]
pub(crate) fn a_sign_in_that_began_before_the_change_is_over() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let thief = service.computer();
    let signed_in = thief.client.sign_in(&owner.email, PASSWORD.into(), &mut |_| {
        change(&owner, PASSWORD, NEW).unwrap();
        Ok(SignInFactor::of(owner.fresh_code().as_str().into()))
    });
    assert_eq!(code_of(signed_in), Code::AuthSessionExpired);
    assert!(thief.client.account().is_err());
}

#[test]
fn a_change_that_takes_too_long_or_loses_its_session_is_refused() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let state = || State::new(owner.computer.folder.path().join("state"));
    let clock = service.clock.clone();
    let slow = Tampering::new(service.transport(), move |_, path, _| {
        if path == routes::PASSWORD_START {
            clock.advance_ms(11 * 60_000);
        }
    });
    let late = Client::new(slow, state()).change_password(&owner.presence(), NEW.into());
    assert_eq!(code_of(late), Code::StepupGrantUsed);
    let other = service.computer();
    owner.sign_in(&other.client).unwrap();
    let overtaken = Tampering::new(service.transport(), |_, path, _| {
        if path == routes::PASSWORD_START {
            other.client.change_password(&owner.presence(), "another one entirely".into()).unwrap();
        }
    });
    let ended = Client::new(overtaken, state()).change_password(&owner.presence(), NEW.into());
    assert_eq!(code_of(ended), Code::AuthSessionExpired);
    service.clock.advance_ms(STEP_MS);
    sign_in(&other.client, &owner.email, "another one entirely", &owner.fresh_code()).unwrap();
}

#[test]
fn what_the_old_password_opened_is_gone_from_the_database() {
    let mut service = Service::start();
    let owner = service.account("ada@example.org");
    let wraps = std::sync::Mutex::new(Vec::new());
    let watching = Tampering::new(service.transport(), |_, path, response| {
        if path == routes::STEP_UP_FINISH {
            let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            for slot in body["slots"].as_array().unwrap() {
                let wrap = data_encoding::BASE64URL_NOPAD.decode(slot["wrap_v"].as_str().unwrap().as_bytes()).unwrap();
                wraps.lock().unwrap().push((slot["kind"].as_str().unwrap().to_owned(), wrap));
            }
        }
    });
    let client = Client::new(watching, State::new(owner.computer.folder.path().join("state")));
    client.change_password(&owner.presence(), NEW.into()).unwrap();
    service.stop();
    let database = std::fs::read(service.config().database_file()).unwrap();
    let wraps = wraps.into_inner().unwrap();
    assert_eq!(wraps.len(), 2);
    for (kind, wrap) in wraps {
        let there = database.windows(wrap.len()).any(|window| window == wrap);
        assert_eq!(there, kind == "kit", "{kind}");
    }
}
