//! Passkeys that do what they should: a way in, a second factor, a key to the vault.

use secret::SecretString;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Confirm, Error, NewPasskey, Outcome, SignedIn, Transport};
use vault_protocol::routes;

use crate::authenticator::{Faults, SoftAuthenticator};
use crate::harness::{Owner, PASSWORD, Service, code_of, key_to_save, presence, sign_up, two_codes};

/// An owner with a code authenticator and a passkey that does not open the vault.
pub(crate) fn with_passkey(service: &Service, email: &str) -> (Owner, SoftAuthenticator, NewPasskey) {
    let owner = service.enrolled(email);
    let authenticator = SoftAuthenticator::new(&service.origin());
    let presence = owner.presence();
    let passkey = owner.client().add_passkey("laptop", Some(Confirm::Code(&presence)), &authenticator).unwrap();
    (owner, authenticator, passkey)
}

/// The same, and the passkey opens the vault.
pub(crate) fn with_opening_passkey(service: &Service, email: &str) -> (Owner, SoftAuthenticator, NewPasskey) {
    let (owner, authenticator, passkey) = with_passkey(service, email);
    owner.client().let_new_passkey_open_vault(&passkey, &PASSWORD.into(), &authenticator).unwrap();
    (owner, authenticator, passkey)
}

pub(crate) fn never(_: &str) -> Option<SecretString> {
    panic!("the password is not needed")
}

pub(crate) fn sign_in<T: Transport>(client: &Client<T>, authenticator: &SoftAuthenticator) -> Result<SignedIn, Error> {
    client.sign_in_with_passkey(authenticator, &mut never)
}

pub(crate) fn actions(owner: &Owner, action: &str) -> usize {
    owner.client().audit_trail().unwrap().entries.iter().filter(|entry| entry.action == action).count()
}

#[test]
fn a_passkey_signs_in_opens_titles_and_keys_without_the_password() {
    let service = Service::with_a_name();
    let (owner, authenticator, passkey) = with_opening_passkey(&service, "ada@example.org");
    let (key, record) = owner.save_one();

    let phone = service.computer();
    let signed_in = sign_in(&phone.client, &authenticator).unwrap();
    assert!(matches!(signed_in, SignedIn::Fully { known_before: false, must_add_factor: false, .. }), "{signed_in:?}");
    assert_eq!(phone.client.known_account().unwrap().unwrap().1, "ada@example.org");
    let found = phone.client.records().unwrap();
    assert_eq!((found[0].record_id, found[0].verified), (record.record_id, true));

    let confirm = Confirm::Passkey { authenticator: &authenticator, password: None };
    let revealed = phone.client.reveal(record.record_id, "drill", confirm).unwrap();
    assert!(revealed.password == key);
    phone.client.enrol_this_computer("phone", confirm).unwrap();
    assert!(matches!(phone.client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));

    let list = owner.client().factor_list().unwrap();
    assert_eq!(list.factors.iter().map(|factor| factor.kind.as_str()).collect::<Vec<_>>(), ["totp", "passkey"]);
    assert_eq!((list.passkeys.len(), list.passkeys[0].opens_vault), (1, true));
    assert_eq!(list.passkeys[0].factor_id, passkey.factor_id);
    assert_eq!((actions(&owner, "factor_added"), actions(&owner, "passkey_slot_added")), (2, 1));
    service.notices("A passkey opens your vault", 1);
    assert!(owner.client().audit_verify().unwrap().problems.is_empty());
}

#[test]
fn a_passkey_can_be_the_first_factor() {
    let service = Service::with_a_name();
    let computer = service.computer();
    sign_up(&computer.client, "ada@example.org", Some(service.invite())).unwrap();
    let authenticator = SoftAuthenticator::new(&service.origin());
    let passkey = computer.client.add_passkey("laptop", None, &authenticator).unwrap();
    // The session of the sign-up knows no root; with the password and the new passkey it gets one.
    let signed_in =
        computer.client.sign_in_confirmed_by_passkey("ada@example.org", PASSWORD.into(), &authenticator).unwrap();
    assert!(matches!(signed_in, SignedIn::Fully { .. }), "{signed_in:?}");
    assert!(computer.client.account().unwrap().two_factor);
    computer.client.let_new_passkey_open_vault(&passkey, &PASSWORD.into(), &authenticator).unwrap();
    sign_in(&service.computer().client, &authenticator).unwrap();

    // A program without an authenticator says so, and uses nothing up.
    let typed = crate::harness::sign_in(&service.computer().client, "ada@example.org", PASSWORD, "000000");
    assert!(matches!(typed, Err(Error::OnlyPasskeys)), "{typed:?}");
    let typed = computer.client.enrol_this_computer("laptop", &presence(PASSWORD, "000000"));
    assert!(matches!(typed, Err(Error::OnlyPasskeys)), "{typed:?}");
    // A code authenticator can be added beside, confirmed by the passkey.
    let confirm = Confirm::Passkey { authenticator: &authenticator, password: None };
    let mut codes = |totp: &vault_client::NewTotp, _: Option<&Error>| Some(two_codes(totp, &service));
    computer.client.add_totp_confirmed("phone", Some(confirm), &mut codes).unwrap();
}

#[test]
fn a_passkey_that_derives_nothing_signs_in_and_the_password_opens() {
    let service = Service::with_a_name();
    let (owner, authenticator, passkey) = with_passkey(&service, "ada@example.org");
    let (key, record) = owner.save_one();
    authenticator.set(Faults { no_prf: true, ..Faults::default() });
    let refused = owner.client().let_passkey_open_vault(passkey.factor_id, &PASSWORD.into(), &authenticator);
    assert!(matches!(refused, Err(Error::PrfUnavailable)), "{refused:?}");
    assert_eq!(refused.unwrap_err().code(), Some(Code::FactorPrfUnavailable));
    // Not the same output twice is as bad as none: the vault would never open again.
    authenticator.set(Faults { fickle_prf: true, ..Faults::default() });
    for _ in 0..2 {
        let refused = owner.client().let_passkey_open_vault(passkey.factor_id, &PASSWORD.into(), &authenticator);
        assert!(matches!(refused, Err(Error::PrfUnavailable)), "{refused:?}");
    }
    authenticator.set(Faults { no_prf: true, ..Faults::default() });
    assert_eq!(actions(&owner, "passkey_slot_added"), 0);

    let phone = service.computer();
    let mut asked = Vec::new();
    let mut password = |email: &str| {
        asked.push(email.to_owned());
        Some(PASSWORD.into())
    };
    phone.client.sign_in_with_passkey(&authenticator, &mut password).unwrap();
    assert_eq!(asked, ["ada@example.org"]);
    assert_eq!(phone.client.records().unwrap().len(), 1);
    let without = phone.client.reveal(
        record.record_id,
        "drill",
        Confirm::Passkey { authenticator: &authenticator, password: None },
    );
    assert_eq!(code_of(without.map(|_| ())), Code::FactorPrfUnavailable);
    let password = PASSWORD.into();
    let with = Confirm::Passkey { authenticator: &authenticator, password: Some(&password) };
    assert!(phone.client.reveal(record.record_id, "drill", with).unwrap().password == key);

    let other = service.computer();
    let wrong = other.client.sign_in_with_passkey(&authenticator, &mut |_| Some("not the password".into()));
    assert_eq!(code_of(wrong), Code::AuthInvalid);
    let none = other.client.sign_in_with_passkey(&authenticator, &mut |_| None);
    assert!(matches!(none, Err(Error::PrfUnavailable)), "{none:?}");
    assert!(matches!(other.client.account(), Err(Error::NotSignedIn)));
}

#[test]
fn a_slot_can_come_later_and_be_made_anew() {
    let service = Service::with_a_name();
    let (owner, authenticator, passkey) = with_passkey(&service, "ada@example.org");
    for _ in 0..2 {
        owner.client().let_passkey_open_vault(passkey.factor_id, &PASSWORD.into(), &authenticator).unwrap();
        sign_in(&service.computer().client, &authenticator).unwrap();
    }
    assert_eq!(actions(&owner, "passkey_slot_added"), 2);
    let totp = owner.client().factors().unwrap()[0].factor_id;
    let not_one = owner.client().let_passkey_open_vault(totp, &PASSWORD.into(), &authenticator);
    assert!(matches!(not_one, Err(Error::NoSuchPasskey)), "{not_one:?}");
}

#[test]
fn several_passkeys_open_one_account_and_an_authenticator_holds_one() {
    let service = Service::with_a_name();
    let (owner, laptop, _) = with_opening_passkey(&service, "ada@example.org");
    let phone = SoftAuthenticator::without_counter(&service.origin());
    let confirm = Confirm::Passkey { authenticator: &laptop, password: None };
    let taken = owner.client().add_passkey("laptop", Some(confirm), &phone);
    assert_eq!(code_of(taken.map(|_| ())), Code::FactorLabelTaken);
    let second = owner.client().add_passkey("tablet", Some(confirm), &phone).unwrap();
    owner.client().let_new_passkey_open_vault(&second, &PASSWORD.into(), &phone).unwrap();
    for _ in 0..3 {
        sign_in(&service.computer().client, &laptop).unwrap();
        // One that does not count stays at zero, and works again and again.
        sign_in(&service.computer().client, &phone).unwrap();
    }
    let again = owner.client().add_passkey("again", Some(confirm), &laptop);
    assert!(matches!(again, Err(Error::Authenticator(vault_client::AuthenticatorError::HasOne))));
}

#[test]
fn a_removed_passkey_opens_nothing_any_more() {
    let service = Service::with_a_name();
    let (owner, authenticator, passkey) = with_opening_passkey(&service, "ada@example.org");
    let confirm = Confirm::Passkey { authenticator: &authenticator, password: None };
    let itself = owner.client().remove_factor(passkey.factor_id, confirm);
    assert_eq!(code_of(itself), Code::FactorSame);
    owner.client().remove_factor(passkey.factor_id, &owner.presence()).unwrap();
    assert_eq!(code_of(sign_in(&service.computer().client, &authenticator)), Code::AuthInvalid);
    assert!(owner.client().factor_list().unwrap().passkeys.is_empty());
    let by_it = owner.client().enrol_this_computer("PC", confirm);
    assert_eq!(code_of(by_it), Code::RequestInvalid);
    let last = owner.client().factors().unwrap()[0].factor_id;
    assert_eq!(code_of(owner.client().remove_factor(last, &owner.presence())), Code::FactorLastOne);
}

#[test]
fn a_passkey_replaces_factors_that_were_lost() {
    let service = Service::with_a_name();
    let owner = service.account("ada@example.org");
    let mut codes = Vec::new();
    owner
        .client()
        .make_backup_codes(&owner.presence(), &mut |new| {
            codes.extend(new.codes.iter().map(|code| code.expose().to_owned()));
            true
        })
        .unwrap();
    let phone = service.computer();
    let mut backup = |_: &[String]| Ok(vault_client::SignInFactor::of(codes[0].as_str().into()));
    phone.client.sign_in(&owner.email, PASSWORD.into(), &mut backup).unwrap();
    let authenticator = SoftAuthenticator::new(&service.origin());
    phone.client.add_passkey("new laptop", None, &authenticator).unwrap();
    phone.client.sign_in_confirmed_by_passkey(&owner.email, PASSWORD.into(), &authenticator).unwrap();
}

#[test]
fn an_address_of_numbers_has_no_passkeys_and_says_so() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let authenticator = SoftAuthenticator::new(&service.origin());
    let presence = owner.presence();
    let added = owner.client().add_passkey("laptop", Some(Confirm::Code(&presence)), &authenticator);
    assert_eq!(code_of(added.map(|_| ())), Code::FactorPasskeyUnavailable);
    assert_eq!(code_of(sign_in(owner.client(), &authenticator)), Code::FactorPasskeyUnavailable);
    let answer = service.raw(Post, routes::LOGIN_PASSKEY_START, None, &serde_json::json!({}));
    assert_eq!((answer.status, answer.code()), (409, "factor.passkey_unavailable"));
    // Codes go on as before.
    owner.sign_in(&service.computer().client).unwrap();
}

#[test]
fn beginning_a_sign_in_tells_nothing_about_accounts() {
    let service = Service::with_a_name();
    let shape = |service: &Service| {
        let mut answer = service.raw(Post, routes::LOGIN_PASSKEY_START, None, &serde_json::json!({})).body;
        answer["login_id"] = "".into();
        answer["options"]["challenge"] = "".into();
        answer
    };
    let before = shape(&service);
    with_opening_passkey(&service, "ada@example.org");
    assert_eq!(shape(&service), before);
    assert_eq!(before["options"]["allowCredentials"], serde_json::json!([]));
    assert_eq!(before["options"]["userVerification"], "required");
}
