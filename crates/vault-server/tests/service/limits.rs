//! Abuse limits: they stop floods and guessing, and nothing that was saved is lost.

use vault_client::problem::Code;
use vault_client::{Error, Outcome};
use vault_server::Limits;

use crate::harness::{PASSWORD, Service, code_of, key_to_save, problem_of, sign_in};

const MINUTE: i64 = 60_000;

/// Everything about saving in one account is generous but for what a test looks at.
fn limited(change: impl FnOnce(&mut Limits)) -> Service {
    let mut limits = Limits::default();
    change(&mut limits);
    Service::with_limits(limits)
}

#[test]
pub(crate) fn saves_over_the_limit_wait_and_are_delivered_later() {
    let service = limited(|limits| limits.saves_per_device = 2);
    let owner = service.enrolled("ada@example.org");
    let outcomes: Vec<_> = (0..3).map(|_| owner.client().save(&key_to_save()).unwrap()).collect();
    assert!(matches!(outcomes[..2], [Outcome::Saved { .. }, Outcome::Saved { .. }]));
    let Outcome::Waiting { why: Error::Problem(problem), .. } = &outcomes[2] else { panic!("{outcomes:?}") };
    assert_eq!(problem.code, Code::RecordQuota.code());
    assert!(problem.retry_after.is_some_and(|seconds| (1..=3600).contains(&seconds)), "{problem:?}");
    service.clock.advance_ms(60 * MINUTE);
    assert_eq!(owner.client().deliver_outbox().unwrap().saved.len(), 1);
}

#[test]
fn a_device_brings_ten_new_keys_a_day_and_old_ones_again_at_will() {
    let service = limited(|limits| limits.new_keys_per_device = 2);
    let owner = service.enrolled("ada@example.org");
    let key = key_to_save();
    for _ in 0..4 {
        assert!(matches!(owner.client().save(&key).unwrap(), Outcome::Saved { .. }));
    }
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    assert!(matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Waiting { .. }));
    service.clock.advance_ms(24 * 60 * MINUTE);
    assert_eq!(owner.client().deliver_outbox().unwrap().saved.len(), 1);
}

#[test]
pub(crate) fn an_account_holds_so_many_records() {
    let service = limited(|limits| limits.records_per_account = 1);
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    let Outcome::Waiting { why, .. } = owner.client().save(&key_to_save()).unwrap() else { panic!("over the quota") };
    assert_eq!(why.code(), Some(Code::RecordQuota));
    assert_eq!(owner.client().records().unwrap().len(), 1);
}

#[test]
pub(crate) fn reveals_are_limited_and_refused_ones_do_not_count() {
    let service = limited(|limits| limits.reveals_per_hour = 2);
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let reveal = |reason: &str| owner.client().reveal(record.record_id, reason, &owner.presence());
    assert_eq!(code_of(reveal("because").map(|_| ())), Code::RevealReason);
    reveal("drill").unwrap();
    reveal("drill").unwrap();
    let problem = problem_of(reveal("drill").map(|_| ()));
    assert_eq!(problem.code, Code::RevealLimit.code());
    assert!(problem.retry_after.is_some());
    service.clock.advance_ms(60 * MINUTE);
    owner.sign_in(owner.client()).unwrap();
    reveal("drill").unwrap();
}

#[test]
pub(crate) fn guessing_a_password_locks_the_address_for_a_while() {
    let service = limited(|limits| limits.sign_in_per_mail = 3);
    let owner = service.account("ada@example.org");
    let guess = || sign_in(&service.computer().client, &owner.email, "wrong", "000000");
    for _ in 0..3 {
        assert_eq!(code_of(guess()), Code::AuthInvalid);
    }
    let problem = problem_of(guess());
    assert_eq!(problem.code, Code::AuthLocked.code());
    assert!(problem.retry_after.is_some_and(|seconds| seconds > 14 * 60 && seconds <= 15 * 60), "{problem:?}");
    // Locked for the owner, too; a session that runs stays, and devices save.
    let locked = sign_in(&service.computer().client, &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(locked), Code::AuthLocked);
    owner.client().account().unwrap();
    service.clock.advance_ms(15 * MINUTE);
    owner.sign_in(&service.computer().client).unwrap();
    // The next lock is twice as long.
    for _ in 0..3 {
        assert_eq!(code_of(guess()), Code::AuthInvalid);
    }
    let problem = problem_of(guess());
    assert!(problem.retry_after.is_some_and(|seconds| seconds > 29 * 60), "{problem:?}");
}

#[test]
fn an_address_without_account_is_locked_just_the_same() {
    let service = limited(|limits| limits.sign_in_per_mail = 3);
    let guess = || sign_in(&service.computer().client, "nobody@example.org", "wrong", "000000");
    for _ in 0..3 {
        assert_eq!(code_of(guess()), Code::AuthInvalid);
    }
    assert_eq!(code_of(guess()), Code::AuthLocked);
}

#[test]
pub(crate) fn guessing_codes_ends_the_sign_in_and_then_locks() {
    let service = limited(|limits| {
        limits.totp_per_account = 4;
        limits.sign_in_per_mail = 100;
    });
    let owner = service.account("ada@example.org");
    let wrong = if owner.code_now() == "123456" { "654321" } else { "123456" };
    for _ in 0..4 {
        let signed_in = sign_in(&service.computer().client, &owner.email, PASSWORD, wrong);
        assert_eq!(code_of(signed_in), Code::FactorCodeWrong);
    }
    let right = sign_in(&service.computer().client, &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(right), Code::AuthLocked);
    service.clock.advance_ms(60 * MINUTE);
    owner.sign_in(&service.computer().client).unwrap();
}

#[test]
fn floods_from_one_network_are_slowed() {
    let service = limited(|limits| {
        limits.device_codes_per_net = 1;
        limits.sign_up_per_net = 1;
    });
    let computer = service.computer();
    computer.client.request_enrolment("PC").unwrap();
    let problem = problem_of(computer.client.request_enrolment("PC").map(|_| ()));
    assert_eq!(problem.code, Code::LimitRate.code());
    assert!(problem.retry_after.is_some());
    service.account("ada@example.org");
    let second = crate::harness::sign_up(&computer.client, "eve@example.org", Some(service.invite()));
    assert_eq!(code_of(second), Code::LimitRate);
}
