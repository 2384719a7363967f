//! Codes: wrong, used, late; factors added and removed.

use vault_client::problem::Code;
use vault_client::{Error, NewTotp};

use crate::harness::{PASSWORD, STEP_MS, Service, code_at, code_of, presence, problem_of, sign_in, two_codes};
use vault_server::Clock;

#[test]
pub(crate) fn wrong_used_and_late_codes_are_told_apart() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let phone = service.computer();
    let code = owner.fresh_code();
    sign_in(&phone.client, &owner.email, PASSWORD, &code).unwrap();
    assert_eq!(code_of(sign_in(&phone.client, &owner.email, PASSWORD, &code)), Code::FactorCodeUsed);
    // An earlier one than the last that was used is used up, too.
    assert_eq!(code_of(sign_in(&phone.client, &owner.email, PASSWORD, &owner.code_in(-1))), Code::FactorCodeUsed);
    let late = owner.code_now();
    service.clock.advance_ms(3 * STEP_MS);
    let wrong = problem_of(sign_in(&phone.client, &owner.email, PASSWORD, &late));
    assert_eq!((wrong.code.as_str(), wrong.drift_seconds), ("factor.code_wrong", Some(-90)));
    // Of a code that is not good yet nothing is told: a guess would learn that it will be right.
    let early = problem_of(sign_in(&phone.client, &owner.email, PASSWORD, &owner.code_in(3)));
    assert_eq!((early.code.as_str(), early.drift_seconds), ("factor.code_wrong", None));
    for bad in ["000000", "12345", "", "abcdef", "1234567"] {
        if bad != owner.code_now() {
            assert_eq!(code_of(sign_in(&phone.client, &owner.email, PASSWORD, bad)), Code::FactorCodeWrong, "{bad}");
        }
    }
    sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
}

#[test]
fn a_step_up_needs_the_password_and_a_fresh_code() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let reveal = |password: &str, code: &str| {
        owner.client().reveal(record.record_id, "drill", &presence(password, code)).map(|_| ())
    };
    assert_eq!(code_of(reveal("not the password", &owner.fresh_code())), Code::AuthInvalid);
    // A wrong password does not use the code up.
    reveal(PASSWORD, &owner.code_now()).unwrap();
    assert_eq!(code_of(reveal(PASSWORD, &owner.code_now())), Code::FactorCodeUsed);
    let entries = owner.client().audit_trail().unwrap().entries;
    let failed = entries.iter().filter(|entry| entry.action == "stepup_failed").count();
    assert_eq!(failed, 1, "a wrong password never reaches the service; a used code does");
}

#[test]
fn a_new_factor_needs_two_codes_in_a_row() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let mut rounds = 0;
    let mut codes = |totp: &NewTotp, wrong: Option<&Error>| {
        assert_eq!(wrong.is_some(), rounds > 0);
        assert!(totp.uri.expose().starts_with("otpauth://totp/Keyhaven:ada%40example.org?secret="));
        rounds += 1;
        match rounds {
            1 => Some(["000000".to_owned(), "000000".to_owned()]),
            _ => None,
        }
    };
    let added = owner.client().add_totp("tablet", Some(&owner.presence()), &mut codes);
    assert!(matches!(added, Err(Error::Cancelled)));
    assert_eq!(owner.client().factors().unwrap().len(), 1);
}

#[test]
pub(crate) fn adding_a_factor_ends_other_sessions_and_the_last_one_stays() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let phone = service.computer();
    owner.sign_in(&phone.client).unwrap();
    phone.client.account().unwrap();

    let clock = service.clock.clone();
    let mut codes = |totp: &NewTotp, _: Option<&Error>| {
        let secret = data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build_noncompliant();
        let code = |ms: i64| totp.generate(u64::try_from(ms / 1000).unwrap()).to_string();
        let now = clock.now_ms();
        Some([code(now - STEP_MS), code(now)])
    };
    assert_eq!(code_of(owner.client().add_totp("tablet", None, &mut codes)), Code::StepupRequired);
    owner.client().add_totp("tablet", Some(&owner.presence()), &mut codes).unwrap();
    assert_eq!(code_of(phone.client.account()), Code::AuthSessionExpired);
    owner.client().account().unwrap();

    let factors = owner.client().factors().unwrap();
    assert_eq!(factors.len(), 2);
    // The phone does not remove itself while there is the tablet.
    assert_eq!(code_of(owner.client().remove_factor(factors[0].factor_id, &owner.presence())), Code::FactorSame);
    assert_eq!(owner.client().factors().unwrap().len(), 2);
    owner.client().remove_factor(factors[1].factor_id, &owner.presence()).unwrap();
    assert_eq!(code_of(owner.client().remove_factor(factors[0].factor_id, &owner.presence())), Code::FactorLastOne);
    assert!(owner.client().account().unwrap().two_factor);
}

#[test]
fn an_account_without_a_factor_can_only_add_one() {
    let service = Service::start();
    let computer = service.computer();
    crate::harness::sign_up(&computer.client, "ada@example.org", Some(service.invite())).unwrap();
    assert_eq!(code_of(computer.client.records().map(|_| ())), Code::FactorEnrolNeeded);
    let enrolled = computer.client.enrol_this_computer("PC", &presence(PASSWORD, "000000"));
    assert_eq!(code_of(enrolled), Code::FactorEnrolNeeded);
    let again = service.computer();
    let signed_in = again.client.sign_in("ada@example.org", PASSWORD.into(), &mut |_| panic!("no factor to ask for"));
    assert_eq!(signed_in.unwrap(), vault_client::SignedIn::MustEnrolFactor);
}

#[test]
fn any_authenticator_signs_in_and_each_has_its_name() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let mut secret = None;
    let mut codes = |totp: &NewTotp, _: Option<&Error>| {
        let bytes = data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap();
        secret = Some(secret::SecretVec::new(bytes));
        Some(two_codes(totp, &service))
    };
    let taken = owner.client().add_totp("phone", Some(&owner.presence()), &mut codes);
    assert_eq!(code_of(taken), Code::FactorLabelTaken);
    for bad in ["", "  ", "a\nb", &"x".repeat(65)] {
        let refused = owner.client().add_totp(bad, Some(&owner.presence()), &mut codes);
        assert_eq!(code_of(refused), Code::RequestInvalid, "{bad:?}");
    }
    owner.client().add_totp("tablet", Some(&owner.presence()), &mut codes).unwrap();
    let labels: Vec<_> = owner.client().factors().unwrap().into_iter().map(|factor| factor.label).collect();
    assert_eq!(labels, ["phone", "tablet"]);

    let tablet = secret.unwrap();
    let elsewhere = service.computer();
    let code = owner.fresh_code();
    sign_in(&elsewhere.client, &owner.email, PASSWORD, &code).unwrap();
    // The same step of another authenticator is another code.
    service.clock.advance_ms(STEP_MS);
    let tablets = code_at(&tablet, service.clock.now_ms());
    sign_in(&elsewhere.client, &owner.email, PASSWORD, &tablets).unwrap();
    assert_eq!(code_of(sign_in(&elsewhere.client, &owner.email, PASSWORD, &tablets)), Code::FactorCodeUsed);
    sign_in(&elsewhere.client, &owner.email, PASSWORD, &owner.code_now()).unwrap();
}

#[test]
fn an_account_has_five_factors_at_most() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let mut codes = |totp: &NewTotp, _: Option<&Error>| Some(two_codes(totp, &service));
    for label in ["two", "three", "four", "five"] {
        owner.client().add_totp(label, Some(&owner.presence()), &mut codes).unwrap();
    }
    let sixth = owner.client().add_totp("six", Some(&owner.presence()), &mut codes);
    assert_eq!(code_of(sixth), Code::FactorTooMany);
    assert_eq!(owner.client().factors().unwrap().len(), 5);
}

#[test]
fn a_wrong_clock_is_told_while_a_factor_is_added() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    for (steps, told) in [(-20, Some(-600)), (-2, Some(-60)), (2, Some(60)), (20, Some(600)), (21, None)] {
        let mut found = None;
        let mut codes = |totp: &NewTotp, wrong: Option<&Error>| {
            if let Some(Error::Problem(problem)) = wrong {
                found = Some(problem.drift_seconds);
                return None;
            }
            let bytes = data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap();
            let secret = secret::SecretVec::new(bytes);
            let phones_clock = service.clock.now_ms() + steps * STEP_MS;
            Some([code_at(&secret, phones_clock - STEP_MS), code_at(&secret, phones_clock)])
        };
        let added = owner.client().add_totp("tablet", Some(&owner.presence()), &mut codes);
        assert!(matches!(added, Err(Error::Cancelled)), "{steps}");
        assert_eq!(found, Some(told), "{steps}");
    }
}
