//! What ends by itself.

use vault_client::problem::Code;
use vault_client::{NewAccount, NewTotp};

use crate::harness::{PASSWORD, STEP_MS, Service, code_of, sign_in, sign_up};

const MINUTE: i64 = 60_000;

#[test]
fn a_session_ends_after_half_an_hour_of_rest() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    for _ in 0..3 {
        service.clock.advance_ms(29 * MINUTE);
        owner.client().account().unwrap();
    }
    service.clock.advance_ms(30 * MINUTE);
    assert_eq!(code_of(owner.client().account()), Code::AuthSessionExpired);
    // It does not come back.
    assert_eq!(code_of(owner.client().account()), Code::AuthSessionExpired);
}

#[test]
fn a_session_ends_after_twelve_hours_of_work() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    for _ in 0..(12 * 60 / 20 - 1) {
        service.clock.advance_ms(20 * MINUTE);
        owner.client().account().unwrap();
    }
    service.clock.advance_ms(20 * MINUTE);
    assert_eq!(code_of(owner.client().account()), Code::AuthSessionExpired);
}

#[test]
pub(crate) fn a_sign_in_that_waits_too_long_for_its_code_is_over() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let phone = service.computer();
    let signed_in = phone.client.sign_in(&owner.email, PASSWORD.into(), &mut |_| {
        service.clock.advance_ms(11 * MINUTE);
        Ok(vault_client::SignInFactor { kind: "totp".to_owned(), code: owner.code_now().as_str().into() })
    });
    assert_eq!(code_of(signed_in), Code::AuthSessionExpired);
}

#[test]
pub(crate) fn an_invite_is_good_once_and_for_its_time() {
    let service = Service::start();
    let invite = service.invite();
    sign_up(&service.computer().client, "ada@example.org", Some(invite.clone())).unwrap();
    let again = sign_up(&service.computer().client, "eve@example.org", Some(invite));
    assert_eq!(code_of(again), Code::AuthEmailCodeInvalid);
    assert_eq!(
        code_of(sign_up(&service.computer().client, "eve@example.org", Some("guess".to_owned()))),
        Code::AuthEmailCodeInvalid
    );
    let late = service.invite();
    service.clock.advance_ms(61 * MINUTE);
    let late = sign_up(&service.computer().client, "eve@example.org", Some(late));
    assert_eq!(code_of(late), Code::AuthEmailCodeInvalid);
}

#[test]
fn an_invite_is_not_spent_by_a_sign_up_that_was_broken_off() {
    let service = Service::start();
    let invite = service.invite();
    let computer = service.computer();
    let new =
        NewAccount { email: "ada@example.org".to_owned(), password: PASSWORD.into(), invite: Some(invite.clone()) };
    let broken_off = computer.client.sign_up(new, &mut || None, &mut |_| false);
    assert!(matches!(broken_off, Err(vault_client::Error::KitNotConfirmed)));
    sign_up(&computer.client, "ada@example.org", Some(invite)).unwrap();
}

#[test]
fn adding_a_factor_waits_half_an_hour_at_most() {
    let service = Service::start();
    let computer = service.computer();
    sign_up(&computer.client, "ada@example.org", Some(service.invite())).unwrap();
    let clock = service.clock.clone();
    let mut tries = 0;
    let mut codes = |totp: &NewTotp, _: Option<&vault_client::Error>| {
        use vault_server::Clock;
        tries += 1;
        if tries > 1 {
            return None;
        }
        clock.advance_ms(31 * MINUTE);
        let secret = data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build_noncompliant();
        let code = |ms: i64| totp.generate(u64::try_from(ms / 1000).unwrap()).to_string();
        let now = clock.now_ms();
        Some([code(now - STEP_MS), code(now)])
    };
    computer.client.add_totp("phone", None, &mut codes).unwrap_err();
    // Still only a password: the account can add one again.
    let signed_in = sign_in_alone(&service);
    assert_eq!(signed_in, vault_client::SignedIn::MustEnrolFactor);
}

fn sign_in_alone(service: &Service) -> vault_client::SignedIn {
    let computer = service.computer();
    computer.client.sign_in("ada@example.org", PASSWORD.into(), &mut |_| panic!("no factor to ask for")).unwrap()
}

#[test]
fn adding_the_first_factor_ends_sessions_that_had_only_the_password() {
    let service = Service::start();
    let first = service.computer();
    sign_up(&first.client, "ada@example.org", Some(service.invite())).unwrap();
    let thief = service.computer();
    thief.client.sign_in("ada@example.org", PASSWORD.into(), &mut |_| panic!("no factor to ask for")).unwrap();
    let clock = service.clock.clone();
    let mut codes = |totp: &NewTotp, _: Option<&vault_client::Error>| {
        use vault_server::Clock;
        let secret = data_encoding::BASE32_NOPAD.decode(totp.secret.expose().as_bytes()).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build_noncompliant();
        let code = |ms: i64| totp.generate(u64::try_from(ms / 1000).unwrap()).to_string();
        let now = clock.now_ms();
        Some([code(now - STEP_MS), code(now)])
    };
    first.client.add_totp("phone", None, &mut codes).unwrap();
    let added = thief.client.add_totp("thief's phone", None, &mut codes);
    assert_eq!(code_of(added), Code::AuthSessionExpired);
    let wrong = sign_in(&thief.client, "ada@example.org", PASSWORD, "000000");
    assert_eq!(code_of(wrong), Code::FactorCodeWrong);
}
