//! The clock is set back: nothing that is over begins again.

use vault_client::Method::{Get, Post};
use vault_client::problem::Code;
use vault_protocol::routes;

use serde_json::{Value, json};

use crate::harness::{PASSWORD, STEP_MS, Service, code_of, presence, sign_in};

const HOUR_MS: i64 = 3_600_000;

fn set_back(service: &Service, by_ms: i64) {
    use vault_server::Clock;
    service.clock.set_ms(service.clock.now_ms() - by_ms);
}

#[test]
fn an_expired_session_stays_expired() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let token = owner.token();
    assert_eq!(service.raw(Get, routes::ACCOUNT, Some(&token), &Value::Null).status, 200);
    service.clock.advance_ms(HOUR_MS);
    // The service sees the time, by whatever request; the session is not among what it looks at.
    service.raw(Post, routes::LOGIN_START, None, &json!({ "email": "x@example.org", "credential_request": "AAAA" }));
    set_back(&service, 2 * HOUR_MS);
    let answer = service.raw(Get, routes::ACCOUNT, Some(&token), &Value::Null);
    assert_eq!(answer.code(), Code::AuthSessionExpired.code());
}

#[test]
fn a_lock_lasts_as_long_as_it_was_to_and_no_longer() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let computer = service.computer();
    let mut last = Code::AuthInvalid;
    for _ in 0..12 {
        last = code_of(sign_in(&computer.client, &owner.email, "wrong horse battery staple", "000000"));
        if last == Code::AuthLocked {
            break;
        }
    }
    assert_eq!(last, Code::AuthLocked);
    set_back(&service, 48 * HOUR_MS);
    assert_eq!(code_of(sign_in(&computer.client, &owner.email, PASSWORD, "000000")), Code::AuthLocked);
    // Fifteen minutes pass; the clock is still wrong.
    service.clock.advance_ms(HOUR_MS / 2);
    assert_ne!(code_of(sign_in(&computer.client, &owner.email, PASSWORD, "000000")), Code::AuthLocked);
}

#[test]
fn codes_of_steps_that_are_over_are_not_taken_again() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (record, used) = {
        let (_, record) = owner.save_one();
        let used = owner.fresh_code();
        owner.client().reveal(record.record_id, "drill", &presence(PASSWORD, &used)).unwrap();
        (record, used)
    };
    set_back(&service, STEP_MS);
    for code in [used, owner.code_now()] {
        let refused = owner.client().reveal(record.record_id, "drill", &presence(PASSWORD, &code)).map(drop);
        assert_eq!(code_of(refused), Code::FactorCodeUsed);
    }
    // With the time, its codes count again.
    service.clock.advance_ms(3 * STEP_MS);
    owner.client().reveal(record.record_id, "drill", &presence(PASSWORD, &owner.code_now())).unwrap();
}

#[test]
fn entries_are_in_the_order_of_their_times() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    set_back(&service, 24 * HOUR_MS);
    owner.save_one();
    let entries = owner.client().audit_trail().unwrap().entries;
    assert!(entries.is_sorted_by_key(|entry| entry.at), "{entries:?}");
    assert!(owner.client().audit_verify().unwrap().problems.is_empty());
}
