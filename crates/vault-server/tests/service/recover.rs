//! A lost password: what gets it back, and everything that does not.

use secret::SecretString;
use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Error, Outcome, Recovery, SignInFactor, State, Transport};
use vault_protocol::routes;
use vault_server::Limits;

use crate::harness::{Owner, PASSWORD, Service, key_to_save, presence, sign_in};
use crate::hostile::{Altering, Tampering};

const NEW: &str = "nine tall herons by the water";

fn recovery(email: &str, kit: &SecretString) -> Recovery {
    Recovery { email: email.to_owned(), kit_code: kit.clone(), password: NEW.into() }
}

/// Recovers with one try at the code; gives the new kit's code.
fn recover<T: Transport>(
    client: &Client<T>,
    recovery: &Recovery,
    mailed: Option<String>,
    code: &str,
) -> Result<SecretString, Error> {
    let mut kept = None;
    let mut given = Some(SignInFactor::of(code.into()));
    client.recover_password(recovery, &mut || mailed.clone(), &mut |_| given.take(), &mut |kit| {
        kept = Some(kit.code());
        true
    })?;
    Ok(kept.unwrap())
}

fn recover_of(service: &Service, owner: &Owner, code: &str) -> Result<SecretString, Error> {
    recover(&service.computer().client, &recovery(&owner.email, &owner.kit), None, code)
}

/// The code of a refusal; what was got instead is not shown.
fn code_of<T>(result: Result<T, Error>) -> Code {
    crate::harness::code_of(result.map(|_| ()))
}

/// Another kit, in good form.
fn other_kit() -> SecretString {
    vault_crypto::kit::KitCode::random().to_text()
}

#[test]
pub(crate) fn kit_and_factor_give_a_new_password_and_a_new_kit() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (key, record) = owner.save_one();
    let new_kit = recover_of(&service, &owner, &owner.fresh_code()).unwrap();

    assert_eq!(code_of(owner.client().account()), Code::AuthSessionExpired, "every session ends");
    // Two-factor is on as before, and the computer saves without being asked.
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    let phone = service.computer();
    assert_eq!(code_of(sign_in(&phone.client, &owner.email, PASSWORD, "000000")), Code::AuthInvalid);
    sign_in(&phone.client, &owner.email, NEW, &owner.fresh_code()).unwrap();
    assert!(phone.client.account().unwrap().two_factor);
    let revealed = phone.client.reveal(record.record_id, "drill", &presence(NEW, &owner.fresh_code())).unwrap();
    assert!(revealed.password == key);
    let report = phone.client.audit_verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);

    // The kit that was used is void; its successor is good.
    assert_eq!(code_of(recover_of(&service, &owner, &owner.fresh_code())), Code::AuthInvalid);
    let again = recovery(&owner.email, &new_kit);
    recover(&service.computer().client, &again, None, &owner.fresh_code()).unwrap();
    sign_in(&phone.client, &owner.email, NEW, &owner.fresh_code()).unwrap();
    let actions: Vec<_> = phone.client.audit_trail().unwrap().entries.into_iter().map(|entry| entry.action).collect();
    let count = |action: &str| actions.iter().filter(|found| *found == action).count();
    assert_eq!((count("recover_proven"), count("recover_password"), count("recover_failed")), (2, 2, 1));
}

#[test]
fn neither_kit_nor_factor_is_enough_alone() {
    let service = Service::with_limits(Limits { mailed_codes: 100, ..Limits::default() });
    let owner = service.account("ada@example.org");
    let computer = service.computer();
    let code = owner.fresh_code();
    let wrong_kit = recovery(&owner.email, &other_kit());
    assert_eq!(code_of(recover(&computer.client, &wrong_kit, None, &code)), Code::AuthInvalid);
    // The code was not used up by that.
    sign_in(&computer.client, &owner.email, PASSWORD, &code).unwrap();
    assert_eq!(code_of(recover_of(&service, &owner, &code)), Code::FactorCodeUsed);
    for wrong in ["000000", "AAAA-AAAA-AAAA", "", "12345678"] {
        assert_eq!(code_of(recover_of(&service, &owner, wrong)), Code::FactorCodeWrong, "{wrong}");
    }
    let mistyped = recovery(&owner.email, &SecretString::from("ABCD-EFGH"));
    assert_eq!(code_of(recover(&computer.client, &mistyped, None, "000000")), Code::RevealSlotFailed);
    let eve = service.account("eve@example.org");
    let crossed = recovery(&owner.email, &eve.kit);
    assert_eq!(code_of(recover(&computer.client, &crossed, None, &owner.fresh_code())), Code::AuthInvalid);
    sign_in(&computer.client, &owner.email, PASSWORD, &owner.fresh_code()).expect("nothing was changed");
}

#[test]
fn an_address_without_account_ends_like_a_wrong_kit() {
    let service = Service::with_notices();
    service.account("ada@example.org");
    let start = |email: &str| {
        let started = service.raw(Post, routes::RECOVER_START, None, &json!({ "email": email }));
        assert_eq!(started.status, 200, "{started:?}");
        started.body
    };
    let (known, unknown) = (start("ada@example.org"), start("nobody@example.org"));
    let fields = |answer: &serde_json::Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&known), fields(&unknown));
    assert_eq!(known["code_mailed"], unknown["code_mailed"]);
    assert_eq!(start("nobody@example.org")["account_id"], unknown["account_id"]);
    for email in ["ada@example.org", "nobody@example.org", "not an address"] {
        let refused =
            recover(&service.computer().client, &recovery(email, &other_kit()), Some("000000".into()), "000000");
        assert_eq!(code_of(refused), Code::AuthInvalid, "{email}");
    }
    assert_eq!(service.notices("Your Keyhaven code", 2).len(), 2, "to the address with an account only");
}

#[test]
fn where_mail_is_sent_its_code_is_wanted_too() {
    let service = Service::with_notices();
    let owner = service.account("ada@example.org");
    let attempt = recovery(&owner.email, &owner.kit);
    let code = owner.fresh_code();
    let computer = service.computer();
    for wrong in ["", "abcdef", "00000000"] {
        let refused = recover(&computer.client, &attempt, Some(wrong.to_owned()), &code);
        assert_eq!(code_of(refused), Code::AuthEmailCodeInvalid, "{wrong}");
    }
    let nothing = recover(&computer.client, &attempt, None, &code);
    assert!(matches!(nothing, Err(Error::Cancelled)));

    service.notices("Your Keyhaven code", 4);
    service.clock.advance_ms(1);
    let mut given = Some(SignInFactor::of(owner.code_now().as_str().into()));
    let mut ask = || {
        let text = service.notices("Your Keyhaven code", 5).pop().unwrap();
        Some(text.lines().map(str::trim).find(|line| line.len() == 6).unwrap().to_owned())
    };
    computer.client.recover_password(&attempt, &mut ask, &mut |_| given.take(), &mut |_| true).unwrap();
    service.notices("Your emergency kit was used", 1);
    let text = &service.notices("A new password after a lost one", 1)[0];
    assert!(text.starts_with("To: ada@example.org\n") && text.contains("keep saving"), "{text}");
    assert!(!text.contains("sign in now"), "whose password was taken cannot: {text}");
}

#[test]
pub(crate) fn a_lost_phone_and_a_lost_password_need_kit_and_backup_code() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let codes = crate::backup_codes::make(&owner);
    recover_of(&service, &owner, &codes[0]).unwrap();
    assert_eq!(code_of(recover_of(&service, &owner, &codes[0])), Code::AuthInvalid, "that kit is void");
    let phone = service.computer();
    let signed_in = phone.client.sign_in(&owner.email, NEW.into(), &mut |kinds| {
        assert_eq!(kinds, ["backup-code", "totp"], "two-factor is on");
        Ok(SignInFactor::of(codes[1].as_str().into()))
    });
    assert!(matches!(signed_in, Ok(vault_client::SignedIn::Fully { must_add_factor: true, .. })));
}

#[test]
pub(crate) fn a_recovery_that_is_not_finished_changes_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let computer = service.computer();
    let attempt = recovery(&owner.email, &owner.kit);
    let mut given = Some(SignInFactor::of(owner.fresh_code().as_str().into()));
    let refused = computer.client.recover_password(&attempt, &mut || None, &mut |_| given.take(), &mut |_| false);
    assert!(matches!(refused, Err(Error::KitNotConfirmed)), "{refused:?}");
    let mut given = Some(SignInFactor::of(owner.fresh_code().as_str().into()));
    let late = computer.client.recover_password(&attempt, &mut || None, &mut |_| given.take(), &mut |_| {
        service.clock.advance_ms(61 * 60_000);
        true
    });
    assert_eq!(code_of(late), Code::AuthSessionExpired);
    let mut given = Some(SignInFactor::of(owner.fresh_code().as_str().into()));
    let overtaken = computer.client.recover_password(&attempt, &mut || None, &mut |_| given.take(), &mut |_| {
        // The password is found again, and changed.
        let other = service.computer();
        owner.sign_in(&other.client).unwrap();
        other.client.change_password(&owner.presence(), "another one entirely".into()).unwrap();
        true
    });
    assert_eq!(code_of(overtaken), Code::AuthSessionExpired);
    sign_in(&computer.client, &owner.email, "another one entirely", &owner.fresh_code()).unwrap();
}

#[test]
fn a_malformed_last_request_changes_nothing() {
    let service = Service::with_limits(Limits { sign_in_per_mail: 100, mailed_codes: 100, ..Limits::default() });
    let owner = service.account("ada@example.org");
    let changes: [fn(&mut serde_json::Value); 6] = [
        |body| {
            body["slots"].as_array_mut().unwrap().pop();
        },
        |body| body["slots"][1]["kind"] = json!("password"),
        |body| body["slots"][0]["wrap_c"] = json!("AAAA"),
        |body| body["registration_record"] = json!("AAAA"),
        |body| body["kdf_profile"] = json!(0),
        |body| body["kit_proof_hash"] = json!("AAAA"),
    ];
    for change in changes {
        let computer = service.computer();
        let altering = Altering::new(service.transport(), routes::RECOVER_FINISH, change);
        let client = Client::new(altering, State::new(computer.folder.path().join("state")));
        let refused = recover(&client, &recovery(&owner.email, &owner.kit), None, &owner.fresh_code());
        assert_eq!(code_of(refused), Code::RequestInvalid);
    }
    let stranger = json!({ "recovery_token": "AAAA", "registration_record": "AAAA", "kdf_profile": 1, "slots": [],
        "kit_proof_hash": data_encoding::BASE64URL_NOPAD.encode(&[0; 32]) });
    let refused = service.raw(Post, routes::RECOVER_FINISH, None, &stranger);
    assert_eq!(refused.code(), "auth.session_expired");
    owner.sign_in(&service.computer().client).expect("the password before is the right one");
}

#[test]
fn other_keys_during_a_recovery_are_found_out() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let operator = service.account("operator@example.org");
    let statement = serde_json::to_value(operator.client().account().unwrap().key_statement).unwrap();
    let flip = |text: &mut serde_json::Value| {
        let old = text.as_str().unwrap();
        let other = if old.as_bytes()[20] == b'A' { "B" } else { "A" };
        *text = json!(format!("{}{other}{}", &old[..20], &old[21..]));
    };
    for what in ["key_statement", "wrap_c", "wrap_v", "salt"] {
        let statement = statement.clone();
        let lying = Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::RECOVER_PROVE && response.status == 200 {
                let mut body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
                match what {
                    "key_statement" => body["key_statement"] = statement.clone(),
                    part => flip(&mut body["slot"][part]),
                }
                response.body = serde_json::to_vec(&body).unwrap();
            }
        });
        let computer = service.computer();
        let client = Client::new(lying, State::new(computer.folder.path().join("state")));
        let refused = recover(&client, &recovery(&owner.email, &owner.kit), None, &owner.fresh_code());
        assert!(
            matches!(refused, Err(Error::Unverified { .. } | Error::AccountKeyMismatch)),
            "{what}: {:?}",
            refused.map(|_| ())
        );
    }
    owner.sign_in(&service.computer().client).expect("nothing was changed");
}

#[test]
fn guessing_locks_and_mailed_codes_are_rationed() {
    let service = Service::with_limits(Limits { sign_in_per_mail: 3, ..Limits::default() });
    let owner = service.account("ada@example.org");
    let guess = || recover(&service.computer().client, &recovery(&owner.email, &other_kit()), None, "000000");
    for _ in 0..3 {
        assert_eq!(code_of(guess()), Code::AuthInvalid);
    }
    assert_eq!(code_of(guess()), Code::AuthLocked);
    owner.client().account().expect("a session that runs stays");

    let service = Service::with_limits(Limits { mailed_codes: 1, ..Limits::default() });
    let start = || service.raw(Post, routes::RECOVER_START, None, &json!({ "email": "ada@example.org" }));
    assert_eq!((start().status, start().code()), (200, "limit.rate"));
    // Five proofs and no more for one recovery.
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let mut rounds = 0;
    let mut factor = |_: Option<&Error>| {
        rounds += 1;
        Some(SignInFactor::of("000000".into()))
    };
    let client = service.computer().client;
    let attempt = recovery(&owner.email, &owner.kit);
    let refused = client.recover_password(&attempt, &mut || None, &mut factor, &mut |_| true);
    assert_eq!((code_of(refused), rounds), (Code::AuthSessionExpired, 6));
}

#[test]
pub(crate) fn one_proof_sets_one_password() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let code = owner.fresh_code();
    let answers =
        crate::races::together(|_| recover_of(&service, &owner, &code).map(|_| ()).map_err(|error| error.code()));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    sign_in(&service.computer().client, &owner.email, NEW, &owner.fresh_code()).unwrap();
}

#[test]
fn notices_tell_of_every_change_and_of_no_secret() {
    let service = Service::with_notices();
    let owner = service.enrolled("ada@example.org");
    let codes = crate::backup_codes::make(&owner);
    let (_, record) = owner.save_one();
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    owner.client().export(&[record.record_id], &owner.presence()).unwrap();
    owner.client().change_password(&owner.presence(), NEW.into()).unwrap();
    let phone = service.computer();
    phone.client.sign_in(&owner.email, NEW.into(), &mut |_| Ok(SignInFactor::of(codes[0].as_str().into()))).unwrap();
    for subject in [
        "A second factor was added",
        "New backup codes",
        "A recovery key was released",
        "Recovery keys were exported",
        "Your password was changed",
        "A backup code was used",
    ] {
        assert_eq!(service.notices(subject, 1).len(), 1, "{subject}");
    }
    let all = service.all_notices().concat();
    for secret in codes.iter().map(String::as_str).chain([NEW, PASSWORD, owner.kit.expose()]) {
        assert!(!all.contains(secret));
    }
    // A folder that is gone stops nothing.
    std::fs::remove_dir_all(service.notices_folder()).unwrap();
    owner.client().change_password(&presence(NEW, &owner.fresh_code()), PASSWORD.into()).unwrap();
}
