//! Lost factors: replaced after a delay that is announced, reminded of, and cancelled by anything that shows that they are not
//! lost. Two-factor is on all the time.

use secret::SecretString;
use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::{Code, Problem};
use vault_client::{Client, Error, LostFactors, NewTotp, Outcome, SignInFactor, State, Transport};
use vault_protocol::routes;
use vault_server::{Clock, Limits, begin_reset};

use crate::harness::{
    Owner, PASSWORD, STEP_MS, Service, cancel_code, code_at, code_of, key_to_save, presence, problem_of, sign_in,
    token, two_codes,
};

const DAY: i64 = 24 * 3_600_000;
const NEW: &str = "nine tall herons by the water";
const BEGUN: &str = "A reset of your second factors was begun";
const RUNS: &str = "A reset of your second factors is under way";
const DUE: &str = "The reset of your second factors can be finished";
const DONE: &str = "Your second factors were replaced";
const CANCELLED: &str = "A delayed change was cancelled";

fn by_password() -> LostFactors {
    LostFactors::Password(PASSWORD.into())
}

fn by_kit(owner: &Owner) -> LostFactors {
    LostFactors::Kit { code: owner.kit.clone(), new_password: NEW.into() }
}

/// One visit with the code that is mailed for it; gives the new kit where one was made.
fn visit<T: Transport>(
    service: &Service,
    client: &Client<T>,
    email: &str,
    left: &LostFactors,
    begin: bool,
) -> Result<Option<SecretString>, Error> {
    let mailed = service.mailed_codes();
    let mut kept = None;
    client.reset_factors(email, left, begin, &mut || mailed().map(|code| code.expose().to_owned()), &mut |kit| {
        kept = Some(kit.code());
        true
    })?;
    Ok(kept)
}

/// Begins a reset, or finds that it runs.
fn waiting(service: &Service, owner: &Owner, left: &LostFactors, begin: bool) -> Problem {
    let problem = problem_of(visit(service, &service.computer().client, &owner.email, left, begin).map(|_| ()));
    assert_eq!((problem.status, problem.code.as_str()), (202, "recover.waiting"));
    problem
}

fn saves(owner: &Owner) {
    let saved = owner.client().save(&key_to_save()).unwrap();
    assert!(matches!(saved, Outcome::Saved { .. }), "{saved:?}");
}

/// Adds an authenticator to a session that may do nothing else; gives its secret.
fn add_factor<T: Transport>(service: &Service, client: &Client<T>) -> Result<secret::SecretVec, Error> {
    let mut secret = None;
    let mut codes = |totp: &NewTotp, _: Option<&Error>| {
        secret =
            Some(secret::SecretVec::new(data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap()));
        Some(two_codes(totp, service))
    };
    client.add_totp("phone", None, &mut codes)?;
    Ok(secret.unwrap())
}

#[test]
fn a_new_factor_takes_the_place_of_the_lost_ones_after_seven_days() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let backup = crate::backup_codes::make(&owner);
    let (key, record) = owner.save_one();
    let begun = waiting(&service, &owner, &by_password(), true);
    let due_at = begun.at.unwrap();
    assert_eq!(due_at, service.clock.now_ms() + 7 * DAY);
    assert_eq!(waiting(&service, &owner, &by_password(), true).at, Some(due_at), "it runs already");
    assert_eq!(waiting(&service, &owner, &by_password(), false).at, Some(due_at));
    assert_eq!(owner.client().waits().unwrap()[0].due_at, due_at);
    assert_eq!(service.notices(BEGUN, 1).len(), 1);
    for days in 1..=6 {
        service.clock.advance_ms(DAY);
        service.notices(RUNS, days);
        saves(&owner);
    }
    service.clock.advance_ms(DAY - 60_000);
    assert_eq!(waiting(&service, &owner, &by_password(), false).at, Some(due_at), "not a minute sooner");
    service.clock.advance_ms(60_000);
    assert_eq!(service.notices(DUE, 1).len(), 1);

    let phone = service.computer();
    visit(&service, &phone.client, &owner.email, &by_password(), false).unwrap();
    // It may add a factor, and do nothing else.
    assert_eq!(code_of(phone.client.account()), Code::FactorEnrolNeeded);
    assert_eq!(code_of(phone.client.records()), Code::FactorEnrolNeeded);
    let secret = add_factor(&service, &phone.client).unwrap();
    let account = phone.client.account().unwrap();
    assert!(account.two_factor);
    let factors = phone.client.factor_list().unwrap();
    assert_eq!((factors.factors.len(), factors.factors[0].label.as_str(), factors.backup_codes_left), (1, "phone", 0));
    assert_eq!(service.notices(DONE, 1).len(), 1);
    // What was lost is good for nothing; the new one is.
    let laptop = service.computer();
    assert_eq!(
        code_of(sign_in(&laptop.client, &owner.email, PASSWORD, &owner.fresh_code())),
        Code::FactorCodeWrong,
        "the lost authenticator"
    );
    let mut old = |_: &[String]| Ok(SignInFactor::of(backup[0].as_str().into()));
    assert_eq!(code_of(laptop.client.sign_in(&owner.email, PASSWORD.into(), &mut old)), Code::FactorCodeWrong);
    sign_in(&laptop.client, &owner.email, PASSWORD, &code_at(&secret, service.clock.now_ms())).unwrap();
    service.clock.advance_ms(STEP_MS);
    let code = code_at(&secret, service.clock.now_ms());
    let revealed = laptop.client.reveal(record.record_id, "drill", &presence(PASSWORD, &code)).unwrap();
    assert!(revealed.password == key);
    saves(&owner);
    let report = laptop.client.audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let trail = laptop.client.audit_trail().unwrap().entries;
    let count = |action: &str| trail.iter().filter(|entry| entry.action == action).count();
    assert_eq!(
        ["recover_reset_begun", "recover_reminded", "recover_reset_due", "recover_reset_proven"].map(count),
        [1, 6, 1, 1]
    );
    assert!(trail.iter().any(|entry| entry.action == "factor_added" && entry.reason.as_deref() == Some("reset")));
    let gone = visit(&service, &laptop.client, &owner.email, &by_password(), false);
    assert_eq!(code_of(gone.map(|_| ())), Code::RecoverCancelled, "it was good once");
}

#[test]
fn password_and_factors_are_lost_and_the_kit_is_left() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let (key, record) = owner.save_one();
    waiting(&service, &owner, &by_kit(&owner), true);
    service.clock.advance_ms(7 * DAY);
    let phone = service.computer();
    // Broken off before the new kit is kept: nothing changed, and it can be done again.
    let mailed = service.mailed_codes();
    let refused = phone.client.reset_factors(
        &owner.email,
        &by_kit(&owner),
        false,
        &mut || mailed().map(|code| code.expose().to_owned()),
        &mut |_| false,
    );
    assert!(matches!(refused, Err(Error::KitNotConfirmed)), "{refused:?}");
    let new_kit = visit(&service, &phone.client, &owner.email, &by_kit(&owner), false).unwrap().unwrap();
    assert_eq!(code_of(phone.client.account()), Code::FactorEnrolNeeded);
    // The one who leaves now has the new password and the lost factors; the visit can be repeated with the password.
    let laptop = service.computer();
    visit(&service, &laptop.client, &owner.email, &LostFactors::Password(NEW.into()), false).unwrap();
    assert_eq!(code_of(phone.client.factor_list()), Code::AuthSessionExpired, "the visit before is over");
    let secret = add_factor(&service, &laptop.client).unwrap();
    assert!(laptop.client.account().unwrap().two_factor);
    let void = visit(&service, &service.computer().client, &owner.email, &by_kit(&owner), true);
    assert_eq!(code_of(void.map(|_| ())), Code::AuthInvalid, "that kit is void");
    service.clock.advance_ms(STEP_MS);
    let code = code_at(&secret, service.clock.now_ms());
    let revealed = laptop.client.reveal(record.record_id, "drill", &presence(NEW, &code)).unwrap();
    assert!(revealed.password == key);
    saves(&owner);
    let again = LostFactors::Kit { code: new_kit, new_password: NEW.into() };
    waiting(&service, &owner, &again, true);
}

#[test]
fn a_factor_that_is_used_a_session_and_the_code_of_the_mail_cancel() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let phone = service.computer();
    waiting(&service, &owner, &by_password(), true);
    owner.sign_in(&phone.client).unwrap();
    assert!(phone.client.waits().unwrap().is_empty(), "a factor was used");
    let come_back = || visit(&service, &service.computer().client, &owner.email, &by_password(), false).map(|_| ());
    assert_eq!(code_of(come_back()), Code::RecoverCancelled);

    service.clock.advance_ms(3_600_000);
    owner.sign_in(&phone.client).unwrap();
    waiting(&service, &owner, &by_password(), true);
    phone.client.cancel_wait(phone.client.waits().unwrap()[0].wait_id).unwrap();
    assert_eq!(code_of(come_back()), Code::RecoverCancelled);

    service.clock.advance_ms(3_600_000);
    waiting(&service, &owner, &by_password(), true);
    let code = cancel_code(service.notices(BEGUN, 3).last().unwrap());
    service.clock.advance_ms(7 * DAY);
    // Even a visit that is finishing is over then.
    let thief = service.computer();
    visit(&service, &thief.client, &owner.email, &by_password(), false).unwrap();
    service.computer().client.cancel_wait_with_code(&code).unwrap();
    assert_eq!(code_of(add_factor(&service, &thief.client).map(|_| ())), Code::AuthSessionExpired);
    assert_eq!(service.notices(CANCELLED, 3).len(), 3);
    let laptop = service.computer();
    owner.sign_in(&laptop.client).expect("the authenticator is as good as ever");
    let trail = laptop.client.audit_trail().unwrap().entries;
    let reasons: Vec<_> = trail
        .iter()
        .filter(|entry| entry.action == "recover_cancelled")
        .map(|entry| entry.reason.clone().unwrap())
        .collect();
    assert_eq!(reasons, ["factor", "session", "code"]);
}

#[test]
fn password_or_kit_and_the_mailed_code_are_needed_each_time() {
    let mut service = Service::with_limits(Limits { mailed_codes: 100, sign_in_per_mail: 100, ..Limits::default() });
    service.stop();
    let service = service.telling();
    let owner = service.account("ada@example.org");
    let eve = service.account("eve@example.org");
    let attempts = |begin: bool| {
        let wrong_password = LostFactors::Password("another password".into());
        let wrong_kit = LostFactors::Kit { code: eve.kit.clone(), new_password: NEW.into() };
        for left in [wrong_password, wrong_kit] {
            let refused = visit(&service, &service.computer().client, &owner.email, &left, begin);
            assert_eq!(code_of(refused.map(|_| ())), Code::AuthInvalid);
        }
        for code in ["", "000000", "abcdef"] {
            for left in [by_password(), by_kit(&owner)] {
                let client = service.computer().client;
                let mut typed = || Some(code.to_owned());
                let refused = client.reset_factors(&owner.email, &left, begin, &mut typed, &mut |_| true);
                assert_eq!(code_of(refused), Code::AuthEmailCodeInvalid, "{code}");
            }
        }
    };
    attempts(true);
    assert!(owner.client().waits().unwrap().is_empty());
    waiting(&service, &owner, &by_password(), true);
    service.clock.advance_ms(7 * DAY);
    attempts(false);
    let (phone, laptop) = (service.computer(), service.computer());
    visit(&service, &phone.client, &owner.email, &by_password(), false).unwrap();
    owner.sign_in(&laptop.client).expect("until the new factor is in, the lost one counts");
    assert_eq!(code_of(add_factor(&service, &phone.client).map(|_| ())), Code::AuthSessionExpired, "it was used");
}

#[test]
fn an_address_without_account_ends_like_a_wrong_password() {
    let service = Service::with_notices();
    service.account("ada@example.org");
    let start = |email: &str| {
        let started = service.raw(Post, routes::RESET_START, None, &json!({ "email": email }));
        assert_eq!(started.status, 200, "{started:?}");
        started.body
    };
    let (known, unknown) = (start("ada@example.org"), start("nobody@example.org"));
    let fields = |answer: &serde_json::Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((fields(&known), &known["kdf_profile"]), (fields(&unknown), &unknown["kdf_profile"]));
    assert_eq!(start("nobody@example.org")["account_id"], unknown["account_id"]);
    for email in ["ada@example.org", "nobody@example.org", "not an address"] {
        let wrong = LostFactors::Password("another password".into());
        let client = service.computer().client;
        let refused = client.reset_factors(email, &wrong, true, &mut || Some("000000".to_owned()), &mut |_| true);
        assert_eq!(code_of(refused), Code::AuthInvalid, "{email}");
    }
    // To the address with an account only; the others are made and stored as well, and never sent.
    assert_eq!(service.notices("Your Keyhaven code", 2).len(), 2);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let all = service.all_notices();
    assert!(all.iter().all(|text| text.starts_with("To: ada@example.org\n")), "{all:?}");
}

#[test]
fn who_leaves_without_a_new_factor_changed_nothing_and_after_a_week_it_is_void() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    waiting(&service, &owner, &by_password(), true);
    // The service is down for a month: the time to finish begins when it can be told.
    service.clock.advance_ms(30 * DAY);
    service.notices(DUE, 1);
    let phone = service.computer();
    visit(&service, &phone.client, &owner.email, &by_password(), false).unwrap();
    phone.client.sign_out().unwrap();
    let signed_in = phone.client.sign_in(&owner.email, PASSWORD.into(), &mut |kinds| {
        assert_eq!(kinds, ["totp"], "two-factor is on");
        Err(Error::Cancelled)
    });
    assert!(matches!(signed_in, Err(Error::Cancelled)));
    service.clock.advance_ms(7 * DAY);
    service.notices("The reset of your second factors is void", 1);
    let late = visit(&service, &phone.client, &owner.email, &by_password(), false);
    assert_eq!(code_of(late.map(|_| ())), Code::RecoverCancelled);
    owner.sign_in(&phone.client).unwrap();
}

#[test]
fn one_runs_at_a_time_and_three_begin_in_a_month() {
    let mut service = Service::with_limits(Limits { mailed_codes: 100, sign_in_per_mail: 100, ..Limits::default() });
    service.stop();
    let service = service.telling();
    let owner = service.account("ada@example.org");
    for _ in 0..3 {
        waiting(&service, &owner, &by_password(), true);
        owner.sign_in(&service.computer().client).unwrap();
    }
    let fourth = visit(&service, &service.computer().client, &owner.email, &by_password(), true);
    assert_eq!(code_of(fourth.map(|_| ())), Code::LimitRate);
    service.clock.advance_ms(31 * DAY);
    waiting(&service, &owner, &by_password(), true);
}

#[test]
fn parallel_visits_begin_one_delay_and_bring_in_one_factor() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let start = service.raw(Post, routes::RESET_START, None, &json!({ "email": owner.email }));
    let mailed = service.notices("Your Keyhaven code", 1).pop().unwrap();
    let code = mailed.lines().map(str::trim).find(|line| line.len() == 6).unwrap().to_owned();
    let kit = vault_crypto::kit::KitCode::parse(owner.kit.expose()).unwrap();
    let (_, request) = vault_crypto::password::Registration::start(NEW.into()).unwrap();
    let body = json!({ "reset_id": start.body["reset_id"], "begin": true, "mailed_code": code,
        "kit_proof": data_encoding::BASE64URL_NOPAD.encode(kit.proof().expose()), "registration_request": request });
    let answers = crate::races::together(|_| service.raw(Post, routes::RESET_PROVE, None, &body).status);
    assert!(answers.contains(&202), "{answers:?}");
    assert_eq!(owner.client().waits().unwrap().len(), 1);
    assert_eq!(service.notices(BEGUN, 1).len(), 1);

    service.clock.advance_ms(7 * DAY);
    let phones: Vec<_> = (0..6).map(|_| service.computer()).collect();
    for phone in phones.iter().take(3) {
        visit(&service, &phone.client, &owner.email, &by_password(), false).unwrap();
    }
    let live: Vec<_> = phones.iter().take(3).filter(|phone| phone.client.factor_list().is_ok()).collect();
    assert_eq!(live.len(), 1, "the newest visit is the one that can finish");
    let token = token(live[0].folder.path());
    let started: Vec<_> = (0..6)
        .map(|index| {
            let body = json!({ "label": format!("phone {index}") });
            service.raw(Post, routes::TOTP_START, Some(&token), &body).body
        })
        .collect();
    let answers = crate::races::together(|index| {
        let secret = started[index]["secret"].as_str().unwrap();
        let secret = secret::SecretVec::new(data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap());
        let now = service.clock.now_ms();
        let codes = [code_at(&secret, now - STEP_MS), code_at(&secret, now)];
        let body = json!({ "ceremony_id": started[index]["ceremony_id"], "codes": codes });
        service.raw(Post, routes::TOTP_FINISH, Some(&token), &body).status
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let trail = service.notices(DONE, 1);
    assert_eq!(trail.len(), 1);
}

#[test]
fn an_operator_begins_and_neither_shortens_nor_finishes() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begin = |email: &str| runtime.block_on(begin_reset(&service.config(), email)).unwrap();
    assert_eq!(begin("nobody@example.org"), None);
    let due_at = begin("Ada@example.org").unwrap();
    assert!(due_at >= vault_server::SystemClock.now_ms() + 7 * DAY - 60_000);
    assert_eq!(begin("ada@example.org"), Some(due_at), "it runs already, and stays as it is");
    // The command goes by the clock of the system, which is not the one of this service.
    service.clock.advance_ms(60_000);
    let notice = service.notices(BEGUN, 1).pop().unwrap();
    assert!(notice.contains("Whoever runs the service"), "{notice}");
    let wait = &owner.client().waits().unwrap()[0];
    assert_eq!((wait.begun_by.as_str(), wait.due_at), ("operator", due_at));
    assert_eq!(waiting(&service, &owner, &by_password(), false).at, Some(due_at));
    let trail = owner.client().audit_trail().unwrap().entries;
    assert!(trail.iter().any(|entry| entry.action == "recover_reset_begun" && entry.actor.kind == "operator"));
    service.computer().client.cancel_wait_with_code(&cancel_code(&notice)).unwrap();

    let silent = Service::start();
    let refused = runtime.block_on(begin_reset(&silent.config(), "ada@example.org"));
    assert!(matches!(refused, Err(vault_server::StartError::NoNotices)));
    let mut short = service.config();
    short.delays.reset_days = 6;
    let refused = runtime.block_on(begin_reset(&short, "ada@example.org"));
    assert!(matches!(refused, Err(vault_server::StartError::Delays)));
}

#[test]
fn a_clock_that_is_set_back_shortens_nothing() {
    let mut service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let now = service.clock.now_ms();
    service.notices("A second factor was added", 1);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // A start with a clock that is three days behind what the service has seen.
    service.stop();
    service.clock.set_ms(now - 3 * DAY);
    service.run();
    let at = waiting(&service, &owner, &by_password(), true).at.unwrap();
    assert!(at >= now + 7 * DAY, "{at} {now}");
    // The clock is put right: it is not due sooner for that.
    service.clock.set_ms(now + 7 * DAY - 60_000);
    assert_eq!(waiting(&service, &owner, &by_password(), false).at, Some(at));
}

#[test]
fn without_mail_there_is_no_reset() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    for email in [owner.email.as_str(), "nobody@example.org"] {
        let client = service.computer().client;
        let refused = client.reset_factors(email, &by_password(), true, &mut || None, &mut |_| true);
        assert_eq!(code_of(refused), Code::FactorNoMail);
    }
}

#[test]
fn other_keys_at_the_end_of_a_reset_are_found_out() {
    let mut service = Service::with_limits(Limits { mailed_codes: 100, sign_in_per_mail: 100, ..Limits::default() });
    service.stop();
    let service = service.telling();
    let owner = service.account("ada@example.org");
    let operator = service.account("operator@example.org");
    let statement = serde_json::to_value(operator.client().account().unwrap().key_statement).unwrap();
    waiting(&service, &owner, &by_password(), true);
    service.clock.advance_ms(7 * DAY);
    for (left, part) in [(by_password(), "login"), (by_kit(&owner), "recovery")] {
        let statement = statement.clone();
        let lying = crate::hostile::Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::RESET_PROVE && response.status == 200 {
                let mut body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
                body[part]["key_statement"] = statement.clone();
                response.body = serde_json::to_vec(&body).unwrap();
            }
        });
        let computer = service.computer();
        let client = Client::new(lying, State::new(computer.folder.path().join("state")));
        let refused = visit(&service, &client, &owner.email, &left, false).map(|_| ());
        assert!(matches!(refused, Err(Error::Unverified { .. } | Error::AccountKeyMismatch)), "{refused:?}");
    }
}

/// A passkey shows that a factor is not lost, as a code does.
#[test]
fn a_passkey_cancels_a_reset() {
    let service = Service::with_a_name();
    let (owner, authenticator, _) = crate::passkeys::with_passkey(&service, "ada@example.org");
    waiting(&service, &owner, &by_password(), true);
    let phone = service.computer();
    phone.client.sign_in_with_passkey(&authenticator, &mut |_| Some(PASSWORD.into())).unwrap();
    service.notices(CANCELLED, 1);
    service.clock.advance_ms(7 * DAY + 1);
    let late = visit(&service, &service.computer().client, &owner.email, &by_password(), false);
    assert_eq!(code_of(late.map(|_| ())), Code::RecoverCancelled);
}

/// What was handed out for one reset is not good after it was cancelled, nor for another one that was begun since.
#[test]
fn a_reset_that_is_cancelled_while_the_new_kit_is_made_replaces_nothing() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    waiting(&service, &owner, &by_password(), true);
    service.clock.advance_ms(7 * DAY);
    service.notices(DUE, 1);
    let mailed = service.mailed_codes();
    let visited = service.computer().client.reset_factors(
        &owner.email,
        &by_kit(&owner),
        false,
        &mut || mailed().map(|code| code.expose().to_owned()),
        &mut |_| {
            // The factor was not lost: it is used, which cancels the reset.
            owner.sign_in(&service.computer().client).unwrap();
            service.notices(CANCELLED, 1);
            waiting(&service, &owner, &by_password(), true);
            true
        },
    );
    assert_eq!(code_of(visited.map(|_| ())), Code::RecoverCancelled);
    // Password and kit are what they were.
    let laptop = service.computer();
    owner.sign_in(&laptop.client).unwrap();
    waiting(&service, &owner, &by_kit(&owner), true);
}
