//! Backup codes: made, used once, counted, voided; and what a session that began with one may do.

use serde_json::json;
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Client, Error, NewTotp, Outcome, SignInFactor, SignedIn, Transport};
use vault_protocol::routes;
use vault_server::Limits;

use crate::authority::grant;
use crate::harness::{Owner, PASSWORD, STEP_MS, Service, code_of, key_to_save, presence, token, two_codes};

/// New codes of an account.
pub(crate) fn make(owner: &Owner) -> Vec<String> {
    make_with(owner, &owner.fresh_code())
}

fn make_with(owner: &Owner, code: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut keep = |new: &vault_client::NewBackupCodes| {
        kept = new.codes.iter().map(|code| code.expose().to_owned()).collect();
        true
    };
    owner.client().make_backup_codes(&presence(PASSWORD, code), &mut keep).unwrap();
    kept
}

fn left(owner: &Owner) -> u32 {
    owner.client().factor_list().unwrap().backup_codes_left
}

fn sign_in<T: Transport>(client: &Client<T>, owner: &Owner, code: &str) -> Result<SignedIn, Error> {
    client.sign_in(&owner.email, PASSWORD.into(), &mut |kinds| {
        assert!(kinds.contains(&"totp".to_owned()));
        Ok(SignInFactor::of(code.into()))
    })
}

#[test]
pub(crate) fn ten_codes_are_made_and_each_signs_in_once() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    assert_eq!(left(&owner), 0);
    let codes = make(&owner);
    assert_eq!((codes.len(), left(&owner)), (10, 10));
    let phone = service.computer();
    for (index, code) in codes.iter().take(2).enumerate() {
        // Typed as people type.
        let typed = code.to_lowercase().replace('-', " ");
        let signed_in = sign_in(&phone.client, &owner, &typed).unwrap();
        assert!(matches!(signed_in, SignedIn::Fully { must_add_factor: true, .. }), "{signed_in:?}");
        assert_eq!(code_of(sign_in(&phone.client, &owner, code)), Code::FactorCodeUsed);
        assert_eq!(left(&owner), 9 - u32::try_from(index).unwrap());
    }
    let trail = owner.client().audit_trail().unwrap().entries;
    let count = |action: &str| trail.iter().filter(|entry| entry.action == action).count();
    assert_eq!((count("backup_codes_made"), count("backup_code_used"), count("login_failed")), (1, 2, 2));
}

#[test]
fn wrong_codes_and_codes_of_others_are_refused() {
    let service = Service::start();
    let ada = service.account("ada@example.org");
    let eve = service.account("eve@example.org");
    let (_, eves) = (make(&ada), make(&eve));
    let phone = service.computer();
    for wrong in ["AAAA-AAAA-AAAA", &eves[0], "AAAA-AAAA", ""] {
        assert_eq!(code_of(sign_in(&phone.client, &ada, wrong)), Code::FactorCodeWrong, "{wrong}");
    }
    // Under the other kind's name neither is good for anything.
    let mine = make(&ada).remove(0);
    for (kind, code) in [("totp", mine), ("backup-code", ada.fresh_code()), ("password", "x".to_owned())] {
        let refused = phone.client.sign_in(&ada.email, PASSWORD.into(), &mut |_| {
            Ok(SignInFactor { kind: kind.to_owned(), code: code.as_str().into() })
        });
        let expected = if kind == "password" { Code::RequestInvalid } else { Code::FactorCodeWrong };
        assert_eq!(code_of(refused), expected, "{kind}");
    }
    assert_eq!((left(&ada), left(&eve)), (10, 10));
}

#[test]
fn a_session_that_began_with_a_backup_code_adds_a_factor_and_nothing_else() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let codes = make(&owner);
    let phone = service.computer();
    sign_in(&phone.client, &owner, &codes[0]).unwrap();
    assert_eq!(code_of(phone.client.records().map(|_| ())), Code::FactorEnrolNeeded);
    assert_eq!(code_of(phone.client.account().map(|_| ())), Code::FactorEnrolNeeded);
    assert_eq!(code_of(phone.client.audit_trail().map(|_| ())), Code::FactorEnrolNeeded);
    let with = presence(PASSWORD, &codes[1]);
    assert_eq!(code_of(phone.client.reveal(record.record_id, "drill", &with).map(|_| ())), Code::FactorEnrolNeeded);
    assert_eq!(code_of(phone.client.make_backup_codes(&with, &mut |_| true)), Code::FactorEnrolNeeded);
    let factor = owner.client().factors().unwrap()[0].factor_id;
    assert_eq!(code_of(phone.client.remove_factor(factor, &with)), Code::FactorEnrolNeeded);
    let token = token(phone.folder.path());
    let finish = json!({ "ceremony_id": "00000000-0000-4000-8000-000000000000" });
    let finished = service.raw(Post, routes::BACKUP_CODES_FINISH, Some(&token), &finish);
    assert_eq!(finished.code(), "factor.enrol_needed");
    // Saving asks nobody anything meanwhile.
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));

    assert!(!phone.client.factor_list().unwrap().add_needs_step_up);
    let mut new_codes = |totp: &NewTotp, _: Option<&Error>| Some(two_codes(totp, &service));
    phone.client.add_totp("new phone", None, &mut new_codes).unwrap();
    assert_eq!(phone.client.records().unwrap().len(), 2, "the session is a full one now");
    assert!(phone.client.account().unwrap().two_factor);
    assert_eq!(phone.client.factors().unwrap().len(), 2, "the one that was there stays");
    assert_eq!(code_of(owner.client().account()), Code::AuthSessionExpired);
    // A second one needs a step-up as ever.
    assert_eq!(code_of(phone.client.add_totp("another", None, &mut new_codes)), Code::StepupRequired);
}

#[test]
fn five_lost_authenticators_do_not_lock_the_owner_out() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let mut new_codes = |totp: &NewTotp, _: Option<&Error>| Some(two_codes(totp, &service));
    for label in ["two", "three", "four", "five"] {
        owner.client().add_totp(label, Some(&owner.presence()), &mut new_codes).unwrap();
    }
    let codes = make(&owner);
    let phone = service.computer();
    sign_in(&phone.client, &owner, &codes[0]).unwrap();
    phone.client.add_totp("new phone", None, &mut new_codes).unwrap();
    let factors = phone.client.factors().unwrap();
    assert_eq!(factors.len(), 6);
    // Now a full session, in which the limit is the ordinary one and the lost ones can go.
    let full = phone.client.add_totp("seven", Some(&presence(PASSWORD, &codes[1])), &mut new_codes);
    assert_eq!(code_of(full), Code::FactorTooMany);
    phone.client.remove_factor(factors[0].factor_id, &presence(PASSWORD, &codes[2])).unwrap();
    assert_eq!(phone.client.factors().unwrap().len(), 5);
}

#[test]
fn a_backup_code_confirms_a_step_up_once() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let codes = make(&owner);
    let reveal = |password: &str, code: &str| {
        owner.client().reveal(record.record_id, "drill", &presence(password, code)).map(|_| ())
    };
    assert_eq!(code_of(reveal("not the password", &codes[0])), Code::AuthInvalid);
    assert_eq!(left(&owner), 10, "a wrong password uses no code up");
    reveal(PASSWORD, &codes[0]).unwrap();
    assert_eq!(code_of(reveal(PASSWORD, &codes[0])), Code::FactorCodeUsed);
    assert_eq!(left(&owner), 9);
    // They may confirm the making of their successors.
    make_with(&owner, &codes[1]);
    assert_eq!(left(&owner), 10);
}

#[test]
pub(crate) fn new_codes_need_a_fresh_grant_and_void_the_old_ones() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let old = make(&owner);
    let phone = service.computer();
    owner.computer.client.account().unwrap();

    let token = owner.token();
    let start = |body: serde_json::Value| service.raw(Post, routes::BACKUP_CODES_START, Some(&token), &body);
    assert_eq!(start(json!({})).code(), "stepup.required");
    assert_eq!(start(json!({ "grant": "AAAA" })).code(), "stepup.grant_used");
    let other = grant(&service, &owner, "factors", "totp");
    assert_eq!(start(json!({ "grant": other })).code(), "stepup.grant_used");
    let good = grant(&service, &owner, "factors", "backup-codes");
    let started = start(json!({ "grant": good }));
    assert_eq!(started.status, 200, "{started:?}");
    assert_eq!(start(json!({ "grant": good })).code(), "stepup.grant_used");
    // Started and not kept: the old ones are good, the new ones are not.
    let new = started.body["codes"][0].as_str().unwrap();
    assert_eq!(code_of(sign_in(&phone.client, &owner, new)), Code::FactorCodeWrong);
    sign_in(&phone.client, &owner, &old[0]).unwrap();
    // Another session cannot finish it, nor can anybody later.
    let finish = json!({ "ceremony_id": started.body["ceremony_id"] });
    let eve = service.account("eve@example.org");
    let stolen = service.raw(Post, routes::BACKUP_CODES_FINISH, Some(&eve.token()), &finish);
    assert_eq!(stolen.code(), "stepup.grant_used");
    let finished = service.raw(Post, routes::BACKUP_CODES_FINISH, Some(&token), &finish);
    assert_eq!(finished.status, 200, "{finished:?}");
    let again = service.raw(Post, routes::BACKUP_CODES_FINISH, Some(&token), &finish);
    assert_eq!(again.code(), "auth.session_expired", "every session ended, this one goes on under another token");
    assert_eq!(code_of(sign_in(&phone.client, &owner, &old[1])), Code::FactorCodeWrong);
    sign_in(&phone.client, &owner, new).unwrap();
}

#[test]
fn codes_that_were_not_kept_change_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let old = make(&owner);
    let made = owner.client().make_backup_codes(&owner.presence(), &mut |_| false);
    assert!(matches!(made, Err(Error::Cancelled)), "{made:?}");
    let late = owner.client().make_backup_codes(&owner.presence(), &mut |_| {
        service.clock.advance_ms(31 * 60_000);
        true
    });
    assert!(matches!(code_of(late), Code::StepupGrantUsed | Code::AuthSessionExpired));
    sign_in(&service.computer().client, &owner, &old[0]).unwrap();
}

#[test]
fn guessing_backup_codes_locks_like_guessing_any_code() {
    let service = Service::with_limits(Limits { totp_per_account: 4, sign_in_per_mail: 100, ..Limits::default() });
    let owner = service.account("ada@example.org");
    let codes = make(&owner);
    for _ in 0..4 {
        assert_eq!(code_of(sign_in(&service.computer().client, &owner, "AAAA-AAAA-AAAA")), Code::FactorCodeWrong);
    }
    assert_eq!(code_of(sign_in(&service.computer().client, &owner, &codes[0])), Code::AuthLocked);
    service.clock.advance_ms(60 * 60_000);
    sign_in(&service.computer().client, &owner, &codes[0]).unwrap();
}

#[test]
pub(crate) fn a_backup_code_is_spent_by_one_of_many() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let codes = make(&owner);
    let answers = crate::races::together(|_| {
        sign_in(&service.computer().client, &owner, &codes[0]).map_err(|error| error.code())
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert_eq!(left(&owner), 9);
    let used = owner.client().audit_trail().unwrap().entries;
    assert_eq!(used.iter().filter(|entry| entry.action == "backup_code_used").count(), 1);
}

#[test]
fn no_code_is_in_the_database() {
    let mut service = Service::start();
    let owner = service.account("ada@example.org");
    let codes = make(&owner);
    sign_in(&service.computer().client, &owner, &codes[0]).unwrap();
    service.clock.advance_ms(STEP_MS);
    service.stop();
    let database = std::fs::read(service.config().database_file()).unwrap();
    for code in &codes {
        let letters = code.replace('-', "");
        // Plain, and what anybody could work out from a guess.
        let guessable = vault_protocol::sha256(&[letters.as_bytes()]);
        for form in [code.as_bytes(), letters.as_bytes(), &guessable] {
            assert!(!database.windows(form.len()).any(|window| window == form), "a code is in the database");
        }
    }
}
