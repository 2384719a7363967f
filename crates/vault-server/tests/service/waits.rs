//! Two-factor that goes off: only after a day that is announced, never where nothing could stand in, and without any effect on
//! saving; and cancelling.

use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Error, Outcome, Presence, Recovery, SignInFactor, SignedIn, Transport, WaitId};
use vault_protocol::routes;
use vault_server::{Clock, Limits};

use crate::authority::grant;
use crate::harness::{
    Computer, Owner, PASSWORD, Service, cancel_code, code_of, key_to_save, presence, sign_in, token, two_codes,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const OFF_BEGUN: &str = "Your account will stop asking for a second factor";
const OFF_DONE: &str = "Your account does not ask for a second factor any more";
const CANCELLED: &str = "A delayed change was cancelled";

fn saves(owner: &Owner) {
    let saved = owner.client().save(&key_to_save()).unwrap();
    assert!(matches!(saved, Outcome::Saved { .. }), "{saved:?}");
}

fn sign_in_alone<T: Transport>(client: &Client<T>, owner: &Owner) -> Result<SignedIn, Error> {
    client.sign_in(&owner.email, PASSWORD.into(), &mut |_| panic!("no factor to ask for"))
}

/// Waits until the notice of the beginning is out, and noted as sent.
pub(crate) fn announced(service: &Service) {
    service.notices(OFF_BEGUN, 1);
    std::thread::sleep(std::time::Duration::from_millis(200));
}

/// An account whose two-factor went off.
pub(crate) fn off(service: &Service) -> Owner {
    let owner = service.enrolled("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    announced(service);
    service.clock.advance_ms(DAY);
    service.notices(OFF_DONE, 1);
    owner
}

fn without_code() -> Presence {
    presence(PASSWORD, "")
}

#[test]
fn two_factor_goes_off_after_a_day_and_saving_never_notices() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let (key, record) = owner.save_one();
    let begun = owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    assert_eq!(begun.due_at, service.clock.now_ms() + DAY);
    assert_eq!(owner.client().begin_two_factor_off(&owner.presence()).unwrap(), begun, "it runs already");
    let account = owner.client().account().unwrap();
    assert_eq!((account.two_factor, account.off_at), (true, Some(begun.due_at)));
    let waits = owner.client().waits().unwrap();
    assert_eq!((waits.len(), waits[0].kind.as_str(), waits[0].due_at), (1, "two-factor-off", begun.due_at));
    announced(&service);
    assert_eq!(service.notices(OFF_BEGUN, 1).len(), 1);
    saves(&owner);

    service.clock.advance_ms(DAY - 5 * 60_000);
    let phone = service.computer();
    owner.sign_in(&phone.client).expect("a factor is asked for to the last minute");
    assert!(phone.client.account().unwrap().two_factor);
    service.clock.advance_ms(5 * 60_000);
    let signed_in = sign_in_alone(&phone.client, &owner).unwrap();
    assert!(matches!(signed_in, SignedIn::Fully { must_add_factor: false, .. }), "{signed_in:?}");
    assert_eq!(code_of(owner.client().account()), Code::AuthSessionExpired, "sessions of before end");
    let account = phone.client.account().unwrap();
    assert_eq!((account.two_factor, account.off_at), (false, Some(begun.due_at)));
    assert!(phone.client.factors().unwrap().is_empty() && phone.client.waits().unwrap().is_empty());
    assert!(phone.client.confirms_by_mail().unwrap());
    saves(&owner);

    // A reveal takes the password again and a mailed code.
    let Computer { client, folder } = phone;
    assert!(matches!(client.reveal(record.record_id, "drill", &without_code()), Err(Error::Cancelled)));
    let wrong = client.asking_for_mailed_codes(|| Some("000000".into()));
    let refused = wrong.reveal(record.record_id, "drill", &without_code()).map(|_| ());
    assert_eq!(code_of(refused), Code::AuthEmailCodeInvalid);
    let client = wrong.asking_for_mailed_codes(service.mailed_codes());
    let mistyped = client.reveal(record.record_id, "drill", &presence("another password", "")).map(|_| ());
    assert_eq!(code_of(mistyped), Code::AuthInvalid);
    // That was found out here, before the code was asked for.
    let client = client.asking_for_mailed_codes(service.mailed_codes());
    let revealed = client.reveal(record.record_id, "drill", &without_code()).unwrap();
    assert!(revealed.password == key);

    // Adding a factor turns it on again, after a mailed code.
    let mut codes = |totp: &vault_client::NewTotp, _: Option<&Error>| Some(two_codes(totp, &service));
    assert_eq!(code_of(client.add_totp("phone", None, &mut codes)), Code::StepupRequired);
    client.add_totp("phone", Some(&without_code()), &mut codes).unwrap();
    let account = client.account().unwrap();
    assert_eq!((account.two_factor, account.off_at), (true, None));
    assert!(!client.confirms_by_mail().unwrap());
    let other = service.computer();
    let stale = sign_in(&other.client, &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(stale), Code::FactorCodeWrong, "the factor of before does not come back");
    saves(&owner);
    let report = client.audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let trail = client.audit_trail().unwrap().entries;
    let count = |action: &str| trail.iter().filter(|entry| entry.action == action).count();
    assert_eq!((count("factors_off_begun"), count("factors_off"), count("factor_added")), (1, 1, 2));
    drop(folder);
}

#[test]
fn it_goes_off_without_a_sign_in_too_and_only_once() {
    let service = Service::with_notices();
    let owner = off(&service);
    let phones: Vec<_> = (0..6).map(|_| service.computer()).collect();
    let signed_in = crate::races::together(|index| sign_in_alone(&phones[index].client, &owner).is_ok());
    assert!(signed_in.iter().all(|fine| *fine), "{signed_in:?}");
    let trail = phones[0].client.audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "factors_off").count(), 1);
    assert_eq!(service.notices(OFF_DONE, 1).len(), 1);
}

#[test]
fn who_signs_in_when_it_is_due_is_not_asked_for_the_factor_whoever_was_first() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    announced(&service);
    let phones: Vec<_> = (0..6).map(|_| service.computer()).collect();
    service.clock.advance_ms(DAY);
    let answers = crate::races::together(|index| sign_in_alone(&phones[index].client, &owner).is_ok());
    assert!(answers.iter().any(|fine| *fine), "{answers:?}");
    let trail = phones[answers.iter().position(|fine| *fine).unwrap()].client.audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "factors_off").count(), 1);
}

#[test]
fn a_session_or_the_code_of_the_mail_cancels_once() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let eve = service.account("eve@example.org");
    let first = owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    assert_eq!(code_of(eve.client().cancel_wait(first.wait_id)), Code::WaitOver, "another's delay is none");
    assert_eq!(code_of(owner.client().cancel_wait(WaitId::new())), Code::WaitOver);
    owner.client().cancel_wait(first.wait_id).unwrap();
    assert_eq!(code_of(owner.client().cancel_wait(first.wait_id)), Code::WaitOver);
    assert_eq!(owner.client().account().unwrap().off_at, None);
    let void = cancel_code(&service.notices(OFF_BEGUN, 1)[0]);

    service.clock.advance_ms(1);
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    let code = cancel_code(service.notices(OFF_BEGUN, 2).last().unwrap());
    let stranger = service.computer();
    for wrong in ["", "123456", &void, &code[..code.len() - 1], &format!("{code}A"), &code.replace(&code[..4], "AAAA")]
    {
        assert_eq!(code_of(stranger.client.cancel_wait_with_code(wrong)), Code::WaitOver, "{wrong:?}");
    }
    let answers = crate::races::together(|_| stranger.client.cancel_wait_with_code(&code.to_lowercase()).is_ok());
    assert_eq!(answers.iter().filter(|cancelled| **cancelled).count(), 1, "{answers:?}");
    assert_eq!(service.notices(CANCELLED, 2).len(), 2);
    service.clock.advance_ms(2 * DAY);
    let phone = service.computer();
    owner.sign_in(&phone.client).expect("the factor is asked for as ever");
    let trail = phone.client.audit_trail().unwrap().entries;
    let cancelled: Vec<_> = trail.iter().filter(|entry| entry.action == "recover_cancelled").collect();
    let by: Vec<_> = cancelled.iter().map(|entry| (entry.actor.kind.as_str(), entry.reason.as_deref())).collect();
    assert_eq!(by, [("owner", Some("session")), ("unknown", Some("code"))]);
}

#[test]
fn guesses_at_codes_are_rationed_and_bodies_are_checked() {
    let service = Service::with_limits(Limits { user_codes: 3, ..Limits::default() });
    let guess = || service.raw(Post, routes::WAIT_CANCEL, None, &json!({ "code": "AAAA" }));
    for _ in 0..3 {
        assert_eq!((guess().status, guess().code().is_empty()), (409, false));
        service.clock.advance_ms(60_000);
    }
    let codes: Vec<_> = (0..5).map(|_| guess().code().to_owned()).collect();
    assert!(codes.ends_with(&["limit.rate".to_owned(), "limit.rate".to_owned()]), "{codes:?}");
    let owner = service.account("ada@example.org");
    let token = owner.token();
    let nothing = service.raw(Post, routes::WAIT_CANCEL, Some(&token), &json!({}));
    assert_eq!((nothing.status, nothing.code()), (409, "wait.over"));
    let malformed = service.raw(Post, routes::WAIT_CANCEL, Some(&token), &json!({ "wait_id": 7 }));
    assert_eq!(malformed.code(), "request.invalid");
}

#[test]
fn a_new_factor_keeps_two_factor_on() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    let mut codes = |totp: &vault_client::NewTotp, _: Option<&Error>| Some(two_codes(totp, &service));
    owner.client().add_totp("tablet", Some(&owner.presence()), &mut codes).unwrap();
    assert!(owner.client().waits().unwrap().is_empty());
    assert_eq!(owner.client().account().unwrap().off_at, None);
    service.clock.advance_ms(2 * DAY);
    owner.sign_in(&service.computer().client).unwrap();
}

#[test]
fn where_nothing_could_stand_in_two_factor_stays() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let refused = owner.client().begin_two_factor_off(&owner.presence());
    assert_eq!(code_of(refused), Code::FactorNoMail);
    assert!(owner.client().waits().unwrap().is_empty());
    service.clock.advance_ms(2 * DAY);
    owner.sign_in(&service.computer().client).unwrap();
}

#[test]
fn only_a_fresh_grant_for_exactly_this_begins_it() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let token = owner.token();
    let ask = |grant: &str| service.raw(Post, routes::FACTORS_OFF, Some(&token), &json!({ "grant": grant }));
    assert_eq!(service.raw(Post, routes::FACTORS_OFF, Some(&token), &json!({})).code(), "stepup.required");
    for (purpose, target) in [("factors", "totp"), ("factors", "backup-codes"), ("revoke-device", "off")] {
        assert_eq!(ask(&grant(&service, &owner, purpose, target)).code(), "stepup.grant_used", "{purpose} {target}");
    }
    let stale = grant(&service, &owner, "factors", "off");
    service.clock.advance_ms(6 * 60_000);
    assert_eq!(ask(&stale).code(), "stepup.grant_used");
    let good = grant(&service, &owner, "factors", "off");
    let answers = crate::races::together(|_| ask(&good).status);
    assert!(answers.contains(&200), "{answers:?}");
    assert_eq!(owner.client().waits().unwrap().len(), 1);
    let trail = owner.client().audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "factors_off_begun").count(), 1);
}

#[test]
fn an_account_without_a_second_factor_confirms_everything_by_mail() {
    let service = Service::with_notices();
    let owner = off(&service);
    let phone = service.computer();
    sign_in_alone(&phone.client, &owner).unwrap();
    let token = token(phone.folder.path());
    let start = |purpose: &str, target: &str| {
        service.raw(Post, routes::STEP_UP_START, Some(&token), &json!({ "purpose": purpose, "target": target }))
    };
    let device = phone.client.devices().unwrap()[0].device_id.to_string();
    let mailed = service.mailed_codes();
    let started = start("revoke-device", &device);
    assert_eq!(started.body["kinds"], json!(["mailed-code"]));
    let code = mailed().unwrap();
    let finish = |kind: &str, code: &str| {
        let body = json!({ "step_id": started.body["step_id"], "kind": kind, "code": code });
        service.raw(Post, routes::STEP_UP_FINISH, Some(&token), &body)
    };
    // As another kind, or wrong: refused. The right one is good once.
    for (kind, code) in [("totp", code.expose()), ("backup-code", code.expose()), ("mailed-code", "")] {
        assert_eq!(finish(kind, code).code(), "auth.email_code_invalid", "{kind}");
    }
    let answers = crate::races::together(|_| finish("mailed-code", code.expose()).status);
    assert!(answers.iter().filter(|status| **status == 200).count() <= 1, "{answers:?}");
    // Five tries in all.
    let started = start("factors", "totp");
    let body = json!({ "step_id": started.body["step_id"], "kind": "mailed-code", "code": "000000" });
    let codes: Vec<_> =
        (0..6).map(|_| service.raw(Post, routes::STEP_UP_FINISH, Some(&token), &body).code().to_owned()).collect();
    assert_eq!(codes.last().map(String::as_str), Some("stepup.grant_used"), "{codes:?}");
    // And five mails in an hour.
    let codes: Vec<_> = (0..5).map(|_| start("factors", "totp").code().to_owned()).collect();
    assert!(codes.contains(&"limit.rate".to_owned()), "{codes:?}");
    // To be begun again there is nothing.
    let answer = service.raw(Post, routes::FACTORS_OFF, Some(&token), &json!({ "grant": "AAAA" }));
    assert_eq!(answer.code(), "wait.over");
}

const NEW: &str = "nine tall herons by the water";

/// With the kit, the mailed code, and `code` where a factor is asked for.
fn recover(service: &Service, owner: &Owner, code: &str) -> Result<(), Error> {
    let recovery = Recovery { email: owner.email.clone(), kit_code: owner.kit.clone(), password: NEW.into() };
    let mailed = service.mailed_codes();
    let mut mailed = || mailed().map(|code| code.expose().to_owned());
    let mut given = Some(SignInFactor::of(code.into()));
    service.computer().client.recover_password(&recovery, &mut mailed, &mut |_| given.take(), &mut |_| true).map(|_| ())
}

/// Whoever began it may be the one against whom the password is replaced.
#[test]
fn a_recovered_password_keeps_two_factor_on() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    owner.client().begin_two_factor_off(&owner.presence()).unwrap();
    recover(&service, &owner, &owner.fresh_code()).unwrap();
    service.clock.advance_ms(2 * DAY);
    let phone = service.computer();
    sign_in(&phone.client, &owner.email, NEW, &owner.fresh_code()).unwrap();
    let account = phone.client.account().unwrap();
    assert_eq!((account.two_factor, account.off_at), (true, None));
    assert!(phone.client.waits().unwrap().is_empty());
}

/// There is no factor left that could be asked for: kit and mailed code are what the owner has.
#[test]
fn a_password_that_is_lost_while_two_factor_is_off_is_replaced() {
    let service = Service::with_notices();
    let owner = off(&service);
    recover(&service, &owner, "000000").unwrap();
    let phone = service.computer();
    phone.client.sign_in(&owner.email, NEW.into(), &mut |_| panic!("no factor to ask for")).unwrap();
    assert!(!phone.client.account().unwrap().two_factor);
}
