//! A log that is kept back, replaced for one process of a computer, or out of reach for days.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use vault_client::problem::Code;
use vault_client::{Client, Error, Outcome, Response};
use vault_protocol::routes;

use crate::harness::{PASSWORD, Service, key_to_save, sign_in};
use crate::hostile::Tampering;
use crate::log::{OtherLog, evidence, leaves, one_problem, owners_state, settled, shown, sound};

static TOLD: AtomicUsize = AtomicUsize::new(0);

fn later_by(milliseconds: i64) -> i64 {
    use vault_server::Clock;
    vault_server::SystemClock.now_ms() + milliseconds
}

pub(crate) fn ten_minutes_ago() -> i64 {
    later_by(-600_000)
}

pub(crate) fn in_two_days() -> i64 {
    later_by(2 * 24 * 3600 * 1000)
}

fn in_six_days() -> i64 {
    later_by(6 * 24 * 3600 * 1000)
}

#[test]
fn a_fork_whose_tiles_are_kept_back_is_told_and_kept() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let mut forked = leaves(&service);
    sound(&owner.client().audit_verify().unwrap());
    forked[1] = [0xBD; 32];
    for more in [3, 9] {
        forked.extend(vec![[1; 32]; more]);
        let log = OtherLog::new(&service, forked.clone());
        let note = log.note();
        let answers = Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::LOG_CHECKPOINT {
                *response = Response { status: 200, body: note.clone().into_bytes() };
            } else if path.starts_with("/log/tile/") {
                response.status = 503;
            }
        });
        let client = Client::new(answers, owners_state(&owner)).telling_log_faults(|error| {
            assert!(matches!(error, Error::Log { what, .. } if what.contains("connects")), "{error}");
            TOLD.fetch_add(1, Ordering::SeqCst);
        });
        let before = TOLD.load(Ordering::SeqCst);
        sign_in(&client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
        let client = client.with_clock(in_two_days);
        assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(TOLD.load(Ordering::SeqCst), before + 2);
        assert_ne!(client.audit_verify().unwrap_err().code(), Some(Code::LogInconsistent));
    }
    let [kept] = evidence(&owner).try_into().unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert!(kept["seen"].is_string() && kept["shown"].as_str().unwrap().contains("/log\n"), "{kept}");
    sound(&owner.client().audit_verify().unwrap());
}

#[test]
fn a_log_that_could_not_be_checked_for_days_is_told() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let broken: [fn(&mut Response); 2] =
        [|answer| answer.status = 503, |answer| answer.body = b"<html>please log in to the hotel</html>".to_vec()];
    for change in broken {
        let client = |clock| {
            let answers = Tampering::new(service.transport(), move |_, path, response| {
                if path == routes::LOG_CHECKPOINT {
                    change(response);
                }
            });
            let told = |error: &Error| {
                assert!(matches!(error, Error::LogUnchecked { days: 6.. }), "{error}");
                TOLD.fetch_add(1, Ordering::SeqCst);
            };
            Client::new(answers, owners_state(&owner)).with_clock(clock).telling_log_faults(told)
        };
        let before = TOLD.load(Ordering::SeqCst);
        assert!(matches!(client(in_two_days).save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(TOLD.load(Ordering::SeqCst), before);
        assert!(matches!(client(in_six_days).save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(TOLD.load(Ordering::SeqCst), before + 1);
    }
    assert!(evidence(&owner).is_empty());
}

/// A pin that another process made while a log was looked at is not written over.
#[test]
fn a_log_that_was_pinned_meanwhile_is_compared_the_next_time() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let honest = leaves(&service);
    for shorter in [1, 0] {
        std::fs::remove_file(owner.computer.folder.path().join("state/log.json")).unwrap();
        let mut forked = honest.clone();
        forked[0] = [7; 32];
        forked.truncate(honest.len() - shorter);
        let other = OtherLog::new(&service, forked.clone());
        let (same, done) = (OtherLog::new(&service, honest.clone()), AtomicUsize::new(0));
        let owner_ref = &owner;
        let service_ref = &service;
        let answers = Tampering::new(service.transport(), move |_, path, response| {
            if path == routes::LOG_CHECKPOINT {
                *response = Response { status: 200, body: same.note().into_bytes() };
            } else if path.starts_with(routes::AUDIT_PROOFS) && done.fetch_add(1, Ordering::SeqCst) == 0 {
                let other = shown(service_ref, owner_ref, other.clone());
                sign_in(&other, &owner_ref.email, PASSWORD, &owner_ref.fresh_code()).unwrap();
            }
        });
        let client = Client::new(answers, owners_state(&owner)).with_patience(Duration::ZERO);
        let before = evidence(&owner).len();
        let report = client.audit_verify().unwrap();
        assert_eq!(report.evidence.is_some(), shorter == 0, "{shorter}: {:?}", report.problems);
        // The other's pin stands, so the next look finds it out.
        one_problem(&owner.client().audit_verify().unwrap(), "does not continue");
        assert!(evidence(&owner).len() > before);
    }
}

#[test]
fn a_device_looks_at_the_log_once_a_day_and_saves_in_any_case() {
    let service = Service::start();
    let owner = settled(&service, "ada@example.org");
    let mut other = leaves(&service);
    other[0] = [9; 32];
    let log = OtherLog::new(&service, other);
    // Today's look was had: the log is not asked for.
    let client = shown(&service, &owner, log.clone()).telling_log_faults(|_| panic!("it was not asked for"));
    assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    let client = shown(&service, &owner, log).with_clock(in_two_days).telling_log_faults(|error| {
        assert_eq!(error.code(), Some(Code::LogInconsistent));
        TOLD.fetch_add(1, Ordering::SeqCst);
    });
    assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
    assert_eq!(TOLD.load(Ordering::SeqCst), 1);
    assert_eq!(evidence(&owner).len(), 1);
    // The honest one is taken, and a clock that was set back changes nothing.
    let client = Client::new(service.transport(), owners_state(&owner)).with_clock(in_two_days);
    client.save(&key_to_save()).unwrap();
    owner.client().save(&key_to_save()).unwrap();
    sound(&owner.client().audit_verify().unwrap());
}
