//! Password and kit are both lost: new keys after a delay, what was saved stays for the kit of before, and devices keep saving.

use secret::SecretString;
use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::{Code, Problem};
use vault_client::{
    Client, Error, LostFactors, NewStart, NewTotp, Outcome, Recovery, SignInFactor, SignedIn, Transport, wait_kind,
};
use vault_protocol::routes;
use vault_server::{Clock, Limits};

use crate::harness::{
    Computer, Owner, PASSWORD, STEP_MS, Service, cancel_code, code_at, code_of, key_to_save, presence, problem_of,
    sign_in, token, two_codes,
};
use crate::matrix::Catch;

const DAY: i64 = 24 * 3_600_000;
const NEW: &str = "nine tall herons by the water";
const BEGUN: &str = "New keys for your account were asked for";
const RUNS: &str = "New keys for your account are under way";
const DUE: &str = "Your account can get its new keys";
const DONE: &str = "Your account has new keys";

/// One visit with the code that is mailed for it; gives how it ended and the new kit.
fn visit<T: Transport>(
    service: &Service,
    client: &Client<T>,
    email: &str,
    factor: Option<String>,
    begin: bool,
) -> Result<(SignedIn, SecretString), Error> {
    let mailed = service.mailed_codes();
    let mut kept = SecretString::from("");
    let factor = factor.map(|code| SignInFactor::of(code.as_str().into()));
    let new = NewStart { email: email.to_owned(), password: NEW.into(), factor };
    let signed_in =
        client.start_over(new, begin, &mut || mailed().map(|code| code.expose().to_owned()), &mut |kit| {
            kept = kit.code();
            true
        })?;
    Ok((signed_in, kept))
}

/// Begins the delay, or finds that it runs.
fn waiting(service: &Service, owner: &Owner, factor: Option<String>, begin: bool) -> Problem {
    let visit = visit(service, &service.computer().client, &owner.email, factor, begin);
    let problem = problem_of(visit.map(|_| ()));
    assert_eq!((problem.status, problem.code.as_str()), (202, "recover.waiting"));
    problem
}

fn saves(owner: &Owner) {
    let saved = owner.client().save(&key_to_save()).unwrap();
    assert!(matches!(saved, Outcome::Saved { .. }), "{saved:?}");
}

/// Adds an authenticator to a session that may do nothing else; gives its secret.
fn add_factor<T: Transport>(service: &Service, client: &Client<T>) -> secret::SecretVec {
    let mut secret = None;
    let mut codes = |totp: &NewTotp, _: Option<&Error>| {
        secret =
            Some(secret::SecretVec::new(data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap()));
        Some(two_codes(totp, service))
    };
    client.add_totp("new phone", None, &mut codes).unwrap();
    secret.unwrap()
}

#[test]
pub(crate) fn everything_is_lost_and_after_fourteen_days_the_account_begins_again() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let (_, former) = owner.save_one();
    let begun = waiting(&service, &owner, None, true);
    let due_at = begun.at.unwrap();
    assert_eq!(due_at, service.clock.now_ms() + 14 * DAY);
    assert_eq!(waiting(&service, &owner, None, true).at, Some(due_at), "it runs already");
    assert_eq!(service.notices(BEGUN, 1).len(), 1);
    for days in 1..=13 {
        service.clock.advance_ms(DAY);
        service.notices(RUNS, days);
        saves(&owner);
    }
    service.clock.advance_ms(DAY - 60_000);
    assert_eq!(waiting(&service, &owner, None, false).at, Some(due_at), "not a minute sooner");
    service.clock.advance_ms(60_000);
    service.notices(DUE, 1);

    let phone = service.computer();
    let (signed_in, new_kit) = visit(&service, &phone.client, &owner.email, None, false).unwrap();
    assert!(matches!(signed_in, SignedIn::Fully { must_add_factor: true, .. }), "{signed_in:?}");
    service.notices(DONE, 1);
    // It may add a factor, and do nothing else: two-factor is on all the time.
    assert_eq!(code_of(phone.client.records()), Code::FactorEnrolNeeded);
    let secret = add_factor(&service, &phone.client);
    assert!(phone.client.account().unwrap().two_factor);
    // What opened the account before opens it no longer.
    let laptop = service.computer();
    assert_eq!(code_of(sign_in(&laptop.client, &owner.email, PASSWORD, &owner.fresh_code())), Code::AuthInvalid);
    let recovery = Recovery { email: owner.email.clone(), kit_code: owner.kit.clone(), password: NEW.into() };
    let mailed = service.mailed_codes();
    let refused = laptop.client.recover_password(
        &recovery,
        &mut || mailed().map(|code| code.expose().to_owned()),
        &mut |wrong| wrong.is_none().then(|| SignInFactor::of(owner.fresh_code().as_str().into())),
        &mut |_| true,
    );
    assert_eq!(code_of(refused), Code::AuthInvalid);

    // The keys of before are there, told apart, and cannot be read.
    let records = phone.client.records().unwrap();
    assert_eq!(records.len(), 14);
    assert!(records.iter().all(|record| record.former && record.verified && record.meta.is_none()), "{records:?}");
    service.clock.advance_ms(STEP_MS);
    let fresh = |secret: &secret::SecretVec| {
        service.clock.advance_ms(STEP_MS);
        presence(NEW, &code_at(secret, service.clock.now_ms()))
    };
    let closed = phone.client.reveal(former.record_id, "drill", &fresh(&secret));
    assert!(matches!(closed, Err(Error::FormerKeys)), "{:?}", closed.map(|_| ()));
    let devices = phone.client.devices().unwrap();
    assert_eq!(devices.len(), 1);
    assert!(devices[0].verified && devices[0].former && devices[0].name == "workshop PC");

    // The device keeps saving, is told, and what it saves can be read once it is enrolled again.
    saves(&owner);
    let status = owner.client().device_status().unwrap();
    let fingerprint = phone.client.known_account().unwrap().unwrap().2;
    assert_eq!(status.new_start.as_deref(), Some(fingerprint.as_str()));
    assert!(!status.new_statement, "nobody vouches for those keys");
    phone.client.enrol_this_computer("workshop PC", &fresh(&secret)).unwrap();
    let key = key_to_save();
    assert!(matches!(phone.client.save(&key).unwrap(), Outcome::Saved { .. }));
    let found = phone.client.find_records(&key.meta.key_id).unwrap().remove(0);
    assert!(!found.former);
    let revealed = phone.client.reveal(found.record_id, "drill", &fresh(&secret)).unwrap();
    assert!(revealed.password == key.password);
    assert!(phone.client.device_status().unwrap().new_start.is_none());
    assert!(phone.client.devices_with_gaps().unwrap().iter().all(|device| device.gaps.as_ref().unwrap().is_empty()));

    // The trail is whole, over both generations, here and in a bundle.
    let report = phone.client.audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.records, 16);
    let bundle = phone.client.audit_export().unwrap();
    let checked = phone.client.audit_verify_bundle(&bundle, &vault_client::BundleTrust::State, &[]).unwrap();
    assert!(checked.problems.is_empty(), "{:?}", checked.problems);
    let trail = phone.client.audit_trail().unwrap().entries;
    let count = |action: &str| trail.iter().filter(|entry| entry.action == action).count();
    assert_eq!(["renew_begun", "recover_reminded", "renew_due", "renew_done"].map(count), [1, 13, 1, 1]);
    // The new kit is as good as any.
    let recovery = Recovery { email: owner.email.clone(), kit_code: new_kit, password: PASSWORD.into() };
    let mailed = service.mailed_codes();
    let code = fresh(&secret).code;
    let tablet = service.computer();
    tablet
        .client
        .recover_password(
            &recovery,
            &mut || mailed().map(|code| code.expose().to_owned()),
            &mut |wrong| wrong.is_none().then(|| SignInFactor::of(code.expose().into())),
            &mut |_| true,
        )
        .unwrap();
}

#[test]
fn with_a_second_factor_it_is_seven_days_and_the_kit_of_before_brings_the_keys_over() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let eve = service.account("eve@example.org");
    let saved: Vec<_> = (0..3).map(|_| owner.save_one()).collect();
    let begun = waiting(&service, &owner, Some(owner.fresh_code()), true);
    assert_eq!(begun.at, Some(service.clock.now_ms() + 7 * DAY));
    service.clock.advance_ms(7 * DAY);
    let phone = service.computer();
    let mailbox_only = visit(&service, &phone.client, &owner.email, None, false);
    assert_eq!(code_of(mailbox_only.map(|_| ())), Code::RecoverCancelled, "it was begun with a factor");
    let wrong = visit(&service, &phone.client, &owner.email, Some("000000".into()), false);
    assert_eq!(code_of(wrong.map(|_| ())), Code::FactorCodeWrong);
    let (signed_in, new_kit) = visit(&service, &phone.client, &owner.email, Some(owner.fresh_code()), false).unwrap();
    assert!(matches!(signed_in, SignedIn::Fully { must_add_factor: false, .. }), "{signed_in:?}");
    assert!(phone.client.records().unwrap().iter().all(|record| record.former));

    let fresh = || presence(NEW, &owner.fresh_code());
    assert_eq!(code_of(phone.client.bring_over(&new_kit, &fresh()).map(|_| ())), Code::RecoverNoSlot);
    assert_eq!(code_of(phone.client.bring_over(&eve.kit, &fresh()).map(|_| ())), Code::RecoverNoSlot);
    let report = phone.client.bring_over(&owner.kit, &fresh()).unwrap();
    assert_eq!((report.outcomes.len(), report.known, report.left), (3, 0, 0));
    assert!(report.unreadable.is_empty() && report.outcomes.iter().all(|one| matches!(one, Outcome::Saved { .. })));
    for (key, summary) in &saved {
        let key_id = &summary.meta.as_ref().unwrap().key_id;
        let found = phone.client.find_records(key_id).unwrap();
        assert_eq!((found.len(), found[0].author.as_str()), (1, "owner"), "the former one has no readable name");
        let revealed = phone.client.reveal(found[0].record_id, "drill", &fresh()).unwrap();
        assert!(revealed.password == *key);
    }
    let again = phone.client.bring_over(&owner.kit, &fresh()).unwrap();
    assert_eq!((again.outcomes.len(), again.known, again.left), (0, 0, 0));
    let records = phone.client.records().unwrap();
    assert_eq!(records.iter().filter(|record| record.is_left_behind()).count(), 0);
    assert_eq!(records.iter().filter(|record| record.former && record.state == "superseded").count(), 3);
    let report = phone.client.audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let trail = phone.client.audit_trail().unwrap().entries;
    assert_eq!(trail.iter().filter(|entry| entry.action == "renew_former_opened").count(), 1);
    service.notices("The emergency kit of before was used", 1);
}

#[test]
fn a_computer_that_knew_the_account_asks_before_it_believes_new_keys() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let another = service.account("eve@example.org");
    let old_fingerprint = owner.client().known_account().unwrap().unwrap().2;
    waiting(&service, &owner, Some(owner.fresh_code()), true);
    service.clock.advance_ms(7 * DAY);
    let phone = service.computer();
    visit(&service, &phone.client, &owner.email, Some(owner.fresh_code()), false).unwrap();
    let new_fingerprint = phone.client.known_account().unwrap().unwrap().2;
    let refused = sign_in(owner.client(), &owner.email, NEW, &owner.fresh_code());
    assert!(matches!(&refused, Err(Error::NewKeys { fingerprint }) if *fingerprint == new_fingerprint), "{refused:?}");
    assert_eq!(refused.unwrap_err().code(), Some(Code::AuthNewKeys));
    assert_eq!(owner.client().known_account().unwrap().unwrap().2, old_fingerprint, "the pin has not moved");
    let seen = owner.client().state().folder().to_owned();
    let accepting = Client::new(service.transport(), vault_client::State::new(seen)).accepting_new_keys({
        let expected = new_fingerprint.clone();
        move |fingerprint| fingerprint == expected
    });
    sign_in(&accepting, &owner.email, NEW, &owner.fresh_code()).unwrap();
    assert_eq!(accepting.known_account().unwrap().unwrap().2, new_fingerprint);
    assert!(accepting.audit_verify().unwrap().problems.is_empty());
    saves(&owner);
    // Who knows the account does not begin it again under keys that it does not know, either.
    std::fs::copy(
        another.client().state().folder().join("profile.json"),
        accepting.state().folder().join("profile.json"),
    )
    .unwrap();
    sign_in(&accepting, &owner.email, NEW, &owner.fresh_code())
        .expect("another account's pins say nothing of this one");
}

#[test]
fn whoever_signs_in_or_has_the_code_of_the_mail_ends_it() {
    let mut service = Service::with_limits(Limits {
        mailed_codes: 100,
        sign_in_per_mail: 100,
        resets_per_month: 100,
        ..Limits::default()
    });
    service.stop();
    let service = service.telling();
    let owner = service.account("ada@example.org");
    let come_back = || visit(&service, &service.computer().client, &owner.email, None, false).map(|_| ());
    let runs = |times| {
        waiting(&service, &owner, None, true);
        service.notices(BEGUN, times);
        service.clock.advance_ms(14 * DAY);
    };
    runs(1);
    owner.sign_in(&service.computer().client).unwrap();
    assert_eq!(code_of(come_back()), Code::RecoverCancelled);
    // The kit turned up.
    runs(2);
    let recovery = Recovery { email: owner.email.clone(), kit_code: owner.kit.clone(), password: PASSWORD.into() };
    let (mailed, mut kit) = (service.mailed_codes(), owner.kit.clone());
    service
        .computer()
        .client
        .recover_password(
            &recovery,
            &mut || mailed().map(|code| code.expose().to_owned()),
            &mut |_| Some(SignInFactor::of(owner.fresh_code().as_str().into())),
            &mut |new| {
                kit = new.code();
                true
            },
        )
        .unwrap();
    assert_eq!(code_of(come_back()), Code::RecoverCancelled);
    // The password turned up, without a factor.
    runs(3);
    let left = LostFactors::Password(PASSWORD.into());
    let reset = |begin| {
        let mailed = service.mailed_codes();
        let mut typed = || mailed().map(|code| code.expose().to_owned());
        service.computer().client.reset_factors(&owner.email, &left, begin, &mut typed, &mut |_| true)
    };
    assert_eq!(code_of(reset(true)), Code::RecoverWaiting);
    service.clock.advance_ms(7 * DAY);
    service.notices("The reset of your second factors can be finished", 1);
    // It became void meanwhile, or is ended by that: neither way can it be finished.
    let _ = reset(false);
    assert_eq!(code_of(come_back()), Code::RecoverCancelled);
    // The code of the mail, also while somebody thinks of a password.
    runs(4);
    let notice = service.notices(BEGUN, 4).pop().unwrap();
    let phone = service.computer();
    let mailed = service.mailed_codes();
    let new = NewStart { email: owner.email.clone(), password: NEW.into(), factor: None };
    let late = phone.client.start_over(new, false, &mut || mailed().map(|code| code.expose().to_owned()), &mut |_| {
        service.computer().client.cancel_wait_with_code(&cancel_code(&notice)).unwrap();
        true
    });
    assert_eq!(code_of(late.map(|_| ())), Code::RecoverCancelled);
    owner.sign_in(&phone.client).expect("the account is as it was");
    assert!(phone.client.waits().unwrap().is_empty());
}

#[test]
fn a_step_up_ends_it_and_it_is_shown_while_it_runs() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    waiting(&service, &owner, None, true);
    waiting(&service, &owner, Some(owner.fresh_code()), true);
    let waits = owner.client().waits().unwrap();
    assert!(waits.iter().all(|wait| wait.kind == wait_kind::NEW_KEYS) && waits.len() == 2, "{waits:?}");
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    assert!(owner.client().waits().unwrap().is_empty());
}

#[test]
fn an_address_without_account_ends_like_a_wrong_code() {
    let service = Service::with_notices();
    service.account("ada@example.org");
    let start = |email: &str| {
        let started = service.raw(Post, routes::RENEW_START, None, &json!({ "email": email }));
        assert_eq!(started.status, 200, "{started:?}");
        started.body
    };
    let (known, unknown) = (start("ada@example.org"), start("nobody@example.org"));
    let fields = |answer: &serde_json::Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&known), fields(&unknown));
    assert_eq!(start("nobody@example.org")["account_id"], unknown["account_id"]);
    for email in ["ada@example.org", "nobody@example.org"] {
        for factor in [None, Some("000000")] {
            let factor = factor.map(|code| SignInFactor::of(code.into()));
            let new = NewStart { email: email.to_owned(), password: NEW.into(), factor };
            let client = service.computer().client;
            let refused = client.start_over(new, true, &mut || Some("000000".to_owned()), &mut |_| true);
            assert_eq!(code_of(refused.map(|_| ())), Code::AuthEmailCodeInvalid, "{email}");
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let all = service.all_notices();
    assert!(all.iter().all(|text| text.starts_with("To: ada@example.org\n")), "{all:?}");
}

/// What travels at the end, as it would be sent.
fn caught_finish(service: &Service, owner: &Owner) -> serde_json::Value {
    let catch = Catch::of(service, Post, routes::RENEW_FINISH);
    let computer = Computer::with(catch.clone());
    let lost = visit(service, &computer.client, &owner.email, None, false);
    assert!(matches!(lost, Err(Error::Transport(_))), "{:?}", lost.map(|_| ()));
    let caught = catch.caught.lock().unwrap().take();
    caught.unwrap().body
}

#[test]
fn keys_that_do_not_follow_are_refused_and_of_parallel_finishes_one_counts() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let present = owner.client().account().unwrap().key_statement;
    waiting(&service, &owner, None, true);
    service.clock.advance_ms(14 * DAY);
    let body = caught_finish(&service, &owner);
    let finish = |body: &serde_json::Value| service.raw(Post, routes::RENEW_FINISH, None, body);
    // The statement of the account's present keys, signed as it is, is none of the next generation.
    let mut stale = body.clone();
    stale["key_statement"] = serde_json::to_value(&present).unwrap();
    assert_eq!(finish(&stale).code(), "request.invalid");
    let mut no_kit = body.clone();
    no_kit["slots"].as_array_mut().unwrap().pop();
    assert_eq!(finish(&no_kit).code(), "request.invalid");
    let mut another = body.clone();
    another["renewal_token"] = json!(token(owner.computer.folder.path()));
    assert_eq!(finish(&another).code(), "auth.session_expired");
    let answers = crate::races::together(|_| finish(&body).status);
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let signed_in = sign_in(&service.computer().client, &owner.email, NEW, &owner.fresh_code()).unwrap();
    assert!(matches!(signed_in, SignedIn::Fully { .. }));
}
