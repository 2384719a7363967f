//! A new emergency kit: good once it is kept, and then the one before is void.

use secret::SecretString;
use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Error, Outcome, Presence, Recovery, SignInFactor, State, Transport};
use vault_protocol::routes;

use crate::authority::grant;
use crate::harness::{Owner, PASSWORD, Service, code_of, key_to_save, presence, sign_in};
use crate::hostile::Altering;

const NEW: &str = "nine tall herons by the water";

fn replace<T: Transport>(client: &Client<T>, presence: &Presence) -> Result<SecretString, Error> {
    let mut kept = None;
    client.replace_kit(presence, &mut |kit| {
        kept = Some(kit.code());
        true
    })?;
    Ok(kept.unwrap())
}

fn recover(service: &Service, owner: &Owner, kit: &SecretString) -> Result<(), Error> {
    let recovery = Recovery { email: owner.email.clone(), kit_code: kit.clone(), password: NEW.into() };
    let mut given = Some(SignInFactor::of(owner.fresh_code().as_str().into()));
    service.computer().client.recover_password(&recovery, &mut || None, &mut |_| given.take(), &mut |_| true)
}

#[test]
fn a_new_kit_takes_the_place_of_the_one_before() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (key, record) = owner.save_one();
    let phone = service.computer();
    owner.sign_in(&phone.client).unwrap();
    let kit = replace(owner.client(), &owner.presence()).unwrap();
    owner.client().account().expect("this session goes on");
    assert_eq!(code_of(phone.client.account()), Code::AuthSessionExpired, "others end");
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    let report = owner.client().audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);

    assert_eq!(code_of(recover(&service, &owner, &owner.kit)), Code::AuthInvalid, "that kit is void");
    recover(&service, &owner, &kit).unwrap();
    sign_in(&phone.client, &owner.email, NEW, &owner.fresh_code()).unwrap();
    let revealed = phone.client.reveal(record.record_id, "drill", &presence(NEW, &owner.fresh_code())).unwrap();
    assert!(revealed.password == key);
    let trail = phone.client.audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "kit_replaced").count(), 1);
}

#[test]
fn a_kit_that_was_not_kept_or_not_in_time_changes_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let refused = owner.client().replace_kit(&owner.presence(), &mut |_| false);
    assert!(matches!(refused, Err(Error::KitNotConfirmed)));
    let late = owner.client().replace_kit(&owner.presence(), &mut |_| {
        service.clock.advance_ms(29 * 60_000);
        owner.client().account().unwrap();
        service.clock.advance_ms(2 * 60_000);
        true
    });
    assert_eq!(code_of(late), Code::StepupGrantUsed);
    recover(&service, &owner, &owner.kit).expect("the kit before is the good one");
}

#[test]
fn what_was_begun_with_the_kit_before_is_over() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let recovery = Recovery { email: owner.email.clone(), kit_code: owner.kit.clone(), password: NEW.into() };
    let mut given = Some(SignInFactor::of(owner.fresh_code().as_str().into()));
    let thief = service.computer();
    let overtaken = thief.client.recover_password(&recovery, &mut || None, &mut |_| given.take(), &mut |_| {
        replace(owner.client(), &owner.presence()).unwrap();
        true
    });
    assert_eq!(code_of(overtaken), Code::AuthSessionExpired);
    owner.sign_in(&service.computer().client).unwrap();
}

#[test]
fn a_new_kit_needs_the_password_a_code_and_a_grant_for_it() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let wrong = replace(owner.client(), &presence("another password", &owner.fresh_code()));
    assert_eq!(code_of(wrong.map(|_| ())), Code::AuthInvalid);
    let wrong = replace(owner.client(), &presence(PASSWORD, "000000"));
    assert_eq!(code_of(wrong.map(|_| ())), Code::FactorCodeWrong);
    let token = owner.token();
    for (purpose, target) in [("factors", "kit"), ("factors", "totp")] {
        let grant = grant(&service, &owner, purpose, target);
        let answer = service.raw(Post, routes::KIT_START, Some(&token), &json!({ "grant": grant }));
        assert_eq!(answer.code(), "stepup.grant_used");
    }
    let changes: [fn(&mut serde_json::Value); 4] = [
        |body| body["slot"]["kind"] = json!("password"),
        |body| body["slot"]["wrap_v"] = json!("AAAA"),
        |body| body["kit_proof_hash"] = json!("AAAA"),
        |body| body["ceremony_id"] = json!("00000000-0000-4000-8000-000000000000"),
    ];
    for change in changes {
        let altering = Altering::new(service.transport(), routes::KIT_FINISH, change);
        let client = Client::new(altering, State::new(owner.computer.folder.path().join("state")));
        let code = code_of(replace(&client, &owner.presence()).map(|_| ()));
        assert!([Code::RequestInvalid, Code::StepupGrantUsed].contains(&code), "{code:?}");
    }
    recover(&service, &owner, &owner.kit).expect("the kit before is the good one");
}
