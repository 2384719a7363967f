//! Two processes of one service on one database: whichever is asked, the answer is that of the service.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use vault_client::Method::{Post, Put};
use vault_client::problem::Code;
use vault_client::{HttpTransport, Outcome, Request, Response, SignedIn, Transport, TransportError};
use vault_protocol::routes;
use vault_server::Limits;

use crate::authority::{grant, waiting};
use crate::harness::{Computer, PASSWORD, Raw, Service, code_of, key_to_save, sign_in, sign_up};
use crate::postgres::on_postgres;
use crate::races::together;

/// The two.
struct Pair {
    first: Service,
    second: Service,
}

/// Carries every request to the other process than the one before.
struct Alternating {
    origin: String,
    processes: [HttpTransport; 2],
    next: AtomicUsize,
}

impl Transport for Alternating {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        self.processes[self.next.fetch_add(1, Ordering::Relaxed) % 2].send(request)
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

impl Pair {
    fn start() -> Self {
        Self::limited(|_| {})
    }

    fn limited(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        let first = Service::with_limits(limits);
        let second = first.beside();
        Self { first, second }
    }

    /// A computer whose requests go to both in turn.
    fn computer(&self) -> Computer<Alternating> {
        let processes = [self.first.transport(), self.second.transport()];
        Computer::with(Alternating { origin: self.first.origin(), processes, next: AtomicUsize::new(0) })
    }

    /// The one or the other.
    fn process(&self, n: usize) -> &Service {
        if n.is_multiple_of(2) { &self.first } else { &self.second }
    }
}

fn revoke_at(service: &Service, token: &str, device: &str, grant: &str) -> Raw {
    crate::authority::revoke(service, token, device, grant)
}

/// Sign-up, sign-in, step-up, enrolment: each begins on one process and goes on on the other.
#[test]
fn everything_works_whichever_process_is_asked() {
    on_postgres(|| {
        let pair = Pair::start();
        let owner = pair.first.account_on(pair.computer(), "ada@example.org");
        owner.client().enrol_this_computer("workshop PC", &owner.presence()).unwrap();
        let (password, _) = owner.save_one();
        let phone = pair.computer();
        assert!(matches!(owner.sign_in(&phone.client).unwrap(), SignedIn::Fully { .. }));
        let found = phone.client.records().unwrap();
        let revealed = phone.client.reveal(found[0].record_id, "drill", &owner.presence()).unwrap();
        assert!(revealed.password == password);
        let report = phone.client.audit_verify().unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!((report.records, report.reveals), (1, 1));
    });
}

#[test]
fn one_process_stops_and_the_other_goes_on() {
    on_postgres(|| {
        let mut pair = Pair::start();
        let owner = pair.second.account_on(pair.computer(), "ada@example.org");
        owner.client().enrol_this_computer("workshop PC", &owner.presence()).unwrap();
        pair.first.stop();
        // Every second request finds nobody; what waits is delivered by the ones between.
        for _ in 0..4 {
            owner.client().save(&key_to_save()).unwrap();
        }
        for _ in 0..4 {
            owner.client().deliver_outbox().unwrap();
        }
        assert_eq!(owner.client().state().waiting().unwrap(), 0);
        pair.first.run();
        let report = owner.client().audit_verify().unwrap();
        assert_eq!((report.receipts, report.problems.len()), (4, 0));
    });
}

#[test]
fn a_grant_is_spent_on_one_of_them() {
    on_postgres(|| {
        let pair = Pair::start();
        let owner = pair.first.enrolled("ada@example.org");
        let device = owner.client().devices().unwrap()[0].device_id.to_string();
        let token = owner.token();
        // One after the other.
        let other = grant(&pair.first, &owner, "factors", "totp");
        let spend = json!({ "grant": other, "label": "tablet" });
        let [started, again] =
            [&pair.second, &pair.first].map(|service| service.raw(Post, routes::TOTP_START, Some(&token), &spend));
        assert_eq!((started.status, again.code()), (200, "stepup.grant_used"), "{started:?}");
        // All at once.
        let grant = grant(&pair.first, &owner, "revoke-device", &device);
        let answers = together(|n| revoke_at(pair.process(n), &token, &device, &grant).status);
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        let trail = owner.client().audit_trail().unwrap().entries;
        assert_eq!(trail.iter().filter(|entry| entry.action == "device_revoked").count(), 1);
    });
}

#[test]
fn a_code_and_an_invite_are_used_on_one_of_them() {
    on_postgres(|| {
        let pair = Pair::start();
        let owner = pair.first.account("ada@example.org");
        let code = owner.fresh_code();
        let answers =
            together(|_| sign_in(&pair.computer().client, &owner.email, PASSWORD, &code).map_err(|error| error.code()));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let invite = pair.second.invite();
        let answers = together(|n| {
            let email = format!("person{n}@example.org");
            sign_up(&pair.computer().client, &email, Some(invite.clone())).is_ok()
        });
        assert_eq!(answers.iter().filter(|made| **made).count(), 1, "{answers:?}");
    });
}

#[test]
fn a_save_that_arrives_at_both_is_stored_once() {
    on_postgres(|| {
        let mut pair = Pair::start();
        let owner = pair.first.enrolled("ada@example.org");
        pair.first.stop();
        owner.client().save(&key_to_save()).unwrap();
        pair.first.run();
        let (id, request) = waiting(&owner);
        let path = routes::with_id(routes::RECORD, &id);
        let answers = together(|n| pair.process(n).raw(Put, &path, None, &request));
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.body == answers[0].body), "every answer is the same receipt");
        assert_eq!(owner.client().records().unwrap().len(), 1);
    });
}

#[test]
fn limits_are_those_of_the_service_not_of_a_process() {
    on_postgres(|| {
        let pair = Pair::limited(|limits| {
            limits.sign_in_per_mail = 4;
            limits.saves_per_device = 4;
        });
        let owner = pair.first.account_on(pair.computer(), "ada@example.org");
        owner.client().enrol_this_computer("workshop PC", &owner.presence()).unwrap();
        let saves = (0..6).filter(|_| matches!(owner.client().save(&key_to_save()).unwrap(), Outcome::Saved { .. }));
        assert_eq!(saves.count(), 4);
        // At once, and on both: not one more than allowed.
        let guesses = together(|_| code_of(sign_in(&pair.computer().client, &owner.email, "wrong", "000000")));
        assert_eq!(guesses.iter().filter(|code| **code == Code::AuthInvalid).count(), 4, "{guesses:?}");
        for service in [&pair.first, &pair.second] {
            let email = &owner.email;
            let transport = Alternating {
                origin: pair.first.origin(),
                processes: [service.transport(), service.transport()],
                next: AtomicUsize::new(0),
            };
            let locked = sign_in(&Computer::with(transport).client, email, PASSWORD, &owner.fresh_code());
            assert_eq!(code_of(locked), Code::AuthLocked);
        }
    });
}

#[test]
fn a_session_that_one_ended_is_over_on_the_other() {
    on_postgres(|| {
        let pair = Pair::start();
        let owner = pair.first.account("ada@example.org");
        let token = owner.token();
        let ask =
            |service: &Service| service.raw(vault_client::Method::Get, routes::ACCOUNT, Some(&token), &json!(null));
        assert_eq!(ask(&pair.second).status, 200);
        owner.client().sign_out().unwrap();
        assert_eq!(ask(&pair.second).code(), "auth.session_expired");
    });
}
