//! The authorization matrix: every route against every kind of caller.
//!
//! [`table`] has one line for each method of each route; a route without a line fails
//! [`every_route_has_its_line`]. What a line says about the callers is checked against the document that the service makes
//! of its handlers, and then with each kind of caller. Requests of routes that need more than a session are not made up:
//! they are caught on their way from the real client.

use std::sync::{Arc, Mutex};

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use vault_client::Method::{Get, Post, Put};
use vault_client::{
    Afterwards, Client, Confirm, DeviceEnrolment, HttpTransport, Method, Ordered, OwnerApproval, RecordId, Request,
    Response, SignInFactor, State, Transport, TransportError,
};
use vault_protocol::routes;

use crate::authenticator::SoftAuthenticator;
use crate::harness::{Computer, Owner, PASSWORD, Raw, Service, key_to_save, sign_up, token, two_codes};

const SOME_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Status and code of an answer; no code when it is no problem.
type Said = (u16, &'static str);
const OVER: Said = (401, "auth.session_expired");
const FACTOR_FIRST: Said = (403, "factor.enrol_needed");
const NO_GRANT: Said = (403, "stepup.required");
const BAD_GRANT: Said = (409, "stepup.grant_used");
const MALFORMED: Said = (400, "request.invalid");
const DONE: Said = (200, "");

/// Has the real client send the request of a route; it is caught on the way.
type Flow = fn(&World, &Catch);

/// Whom a route answers.
enum For {
    /// Whoever asks; what is secret is in the body.
    Anyone,
    /// Whoever signed in with the password.
    AnySession,
    /// Whoever signed in with everything.
    Session,
    /// The same, or whoever has the code that was mailed; none is in an empty object.
    SessionOrCode,
    /// The same, with a grant for the act.
    Grant(Flow),
    /// Any session; a full one needs a grant.
    AnySessionOrGrant(Flow),
    /// A device of the account, or the owner, by signature.
    Signature(Flow),
}

struct Row {
    method: Method,
    route: &'static str,
    whom: For,
    /// What those who may call get: for an empty object as the body, or for the caught request where there is a [`Flow`].
    open: Said,
}

fn row(method: Method, route: &'static str, whom: For, open: Said) -> Row {
    Row { method, route, whom, open }
}

/// One line for each method of each route.
fn table() -> Vec<Row> {
    use For::{AnySession, AnySessionOrGrant, Anyone, Grant, Session, SessionOrCode, Signature};
    vec![
        row(Get, routes::HEALTH, Anyone, DONE),
        row(Get, routes::READY, Anyone, DONE),
        row(Get, routes::OPENAPI, Anyone, DONE),
        row(Get, routes::HELP, Anyone, DONE),
        row(Get, routes::HELP_PAGE, Anyone, (404, "")),
        row(Get, routes::SERVER, Anyone, DONE),
        row(Post, routes::SIGNUP_START, Anyone, MALFORMED),
        row(Post, routes::SIGNUP_VERIFY, Anyone, MALFORMED),
        row(Post, routes::SIGNUP_OPAQUE, Anyone, MALFORMED),
        row(Post, routes::SIGNUP_FINISH, Anyone, MALFORMED),
        row(Post, routes::LOGIN_START, Anyone, MALFORMED),
        row(Post, routes::LOGIN_FINISH, Anyone, MALFORMED),
        row(Post, routes::LOGIN_FACTOR, Anyone, MALFORMED),
        row(Post, routes::LOGIN_PASSKEY_START, Anyone, DONE),
        row(Post, routes::LOGIN_PASSKEY_FINISH, Anyone, MALFORMED),
        row(Post, routes::LOGOUT, AnySession, DONE),
        row(Post, routes::RECOVER_START, Anyone, MALFORMED),
        row(Post, routes::RECOVER_PROVE, Anyone, MALFORMED),
        row(Post, routes::RECOVER_FINISH, Anyone, MALFORMED),
        row(Post, routes::RESET_START, Anyone, MALFORMED),
        row(Post, routes::RESET_PROVE, Anyone, MALFORMED),
        row(Post, routes::RESET_PASSWORD, Anyone, MALFORMED),
        row(Post, routes::RENEW_START, Anyone, MALFORMED),
        row(Post, routes::RENEW_PROVE, Anyone, MALFORMED),
        row(Post, routes::RENEW_FINISH, Anyone, MALFORMED),
        row(Post, routes::KIT_START, Grant(|it, to| drop(it.ada(to).replace_kit(&it.here(), &mut |_| true))), DONE),
        row(Post, routes::KIT_FINISH, Session, MALFORMED),
        row(Post, routes::FACTORS_OFF, Grant(|it, to| drop(it.ada(to).begin_two_factor_off(&it.here()))), DONE),
        row(Post, routes::ACCOUNT_DELETE, Grant(|it, to| drop(it.ada(to).begin_delete_account(&it.here()))), DONE),
        row(Get, routes::WAITS, Session, DONE),
        row(Post, routes::WAIT_CANCEL, SessionOrCode, (409, "wait.over")),
        row(Get, routes::ACCOUNT, Session, DONE),
        row(
            Post,
            routes::PASSWORD_START,
            Grant(|it, to| drop(it.ada(to).change_password(&it.here(), "x y z".into()))),
            DONE,
        ),
        row(Post, routes::PASSWORD_FINISH, Session, MALFORMED),
        row(Get, routes::FACTORS, AnySession, DONE),
        row(Post, routes::TOTP_START, AnySessionOrGrant(World::add_totp), DONE),
        row(Post, routes::TOTP_FINISH, AnySession, MALFORMED),
        row(Post, routes::PASSKEY_START, AnySessionOrGrant(World::add_passkey), DONE),
        row(Post, routes::PASSKEY_FINISH, AnySession, MALFORMED),
        row(Post, routes::PASSKEY_SLOT, Grant(World::passkey_slot), DONE),
        row(
            Post,
            routes::BACKUP_CODES_START,
            Grant(|it, to| drop(it.ada(to).make_backup_codes(&it.here(), &mut |_| true))),
            DONE,
        ),
        row(Post, routes::BACKUP_CODES_FINISH, Session, MALFORMED),
        // Confirmed by the factor itself.
        row(Post, routes::FACTOR_REMOVE, Grant(World::remove_factor), (409, "factor.same_one")),
        row(Post, routes::STEP_UP_START, Session, MALFORMED),
        row(Post, routes::STEP_UP_FINISH, Session, MALFORMED),
        row(Post, routes::DEVICE_CODE, Anyone, MALFORMED),
        row(Put, routes::DEVICE_HELLO, Anyone, MALFORMED),
        row(Post, routes::DEVICE_PENDING, Session, MALFORMED),
        row(Post, routes::DEVICE_APPROVE, Grant(World::approve), DONE),
        row(Post, routes::DEVICE_TOKEN, Anyone, MALFORMED),
        row(Get, routes::DEVICES, Session, DONE),
        row(Post, routes::DEVICES, Grant(|it, to| drop(it.laptop(to).enrol_this_computer("laptop", &it.here()))), DONE),
        row(Post, routes::DEVICE_REVOKE, Grant(World::revoke), DONE),
        row(Post, routes::DEVICE_RENAME, Session, MALFORMED),
        row(Post, routes::DEVICE_STATUS, Signature(|it, to| drop(it.ada(to).device_status())), DONE),
        row(Post, routes::DEVICE_NOTE, Signature(World::note), DONE),
        row(Get, routes::ORDERS, Session, DONE),
        row(Post, routes::ORDERS, Session, MALFORMED),
        row(Post, routes::ORDER_REPORT, Signature(World::report), DONE),
        row(Get, routes::RECORDS, Session, DONE),
        row(Put, routes::RECORD, Signature(|it, to| drop(it.ada(to).save(&key_to_save()))), (201, "")),
        row(
            Post,
            routes::RECORD_DELETE,
            Grant(|it, to| drop(it.ada(to).begin_delete_record(it.records[0], &it.here()))),
            DONE,
        ),
        row(Post, routes::REVEAL, Grant(|it, to| drop(it.ada(to).reveal(it.records[0], "drill", &it.here()))), DONE),
        row(Post, routes::EXPORT, Grant(|it, to| drop(it.ada(to).export(&it.records, &it.here()))), DONE),
        row(Post, routes::HELD, Signature(|it, to| drop(it.ada(to).check_held())), DONE),
        row(Post, routes::RECORD_PROOF, Signature(|it, to| drop(it.ada(to).verify_receipts())), DONE),
        row(Get, routes::AUDIT, Session, DONE),
        row(Get, routes::AUDIT_PROOFS, Session, DONE),
        row(Get, routes::LOG_CHECKPOINT, Anyone, DONE),
    ]
}

/// A request on its way.
#[derive(Clone)]
pub(crate) struct Caught {
    method: Method,
    path: String,
    token: Option<String>,
    pub(crate) body: Value,
}

/// Passes everything on but the requests of one route, which it keeps.
#[derive(Clone)]
pub(crate) struct Catch {
    inner: Arc<HttpTransport>,
    method: Method,
    route: &'static str,
    pub(crate) caught: Arc<Mutex<Option<Caught>>>,
}

impl Catch {
    pub(crate) fn of(service: &Service, method: Method, route: &'static str) -> Self {
        Self { inner: Arc::new(service.transport()), method, route, caught: Arc::default() }
    }
}

impl Transport for Catch {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        let (before, after) = self.route.split_once("{id}").unwrap_or((self.route, ""));
        let inner = request.path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let fits = inner.is_some_and(|id| id.is_empty() != self.route.contains("{id}") && !id.contains('/'));
        if request.method != self.method || !fits {
            return self.inner.send(request);
        }
        *self.caught.lock().unwrap() = Some(Caught {
            method: request.method,
            path: request.path.to_owned(),
            token: request.bearer.map(str::to_owned),
            body: serde_json::from_slice(request.body.expose()).unwrap(),
        });
        Err(TransportError("caught".to_owned()))
    }
    fn origin(&self) -> &str {
        self.inner.origin()
    }
}

/// A service with two accounts, and every kind of caller.
struct World {
    service: Service,
    ada: Owner,
    /// Holds a passkey of Ada's.
    authenticator: SoftAuthenticator,
    laptop: Computer<HttpTransport>,
    /// Waits for Ada's approval.
    enrolment: DeviceEnrolment,
    records: [RecordId; 2],
    eve: Owner,
    /// Tokens.
    expired: String,
    ended: String,
    enrol_level: String,
    factors_only: String,
}

impl World {
    fn new() -> Self {
        // With a name, as passkeys need it, and with mail: without it two-factor could not go off.
        let service = Service::with_a_name();
        let ada = service.account("ada@example.org");
        let authenticator = SoftAuthenticator::new(&service.origin());
        let here = ada.presence();
        ada.client().add_passkey("laptop", Some(Confirm::Code(&here)), &authenticator).unwrap();
        let mut codes = Vec::new();
        let mut keep = |new: &vault_client::NewBackupCodes| {
            codes = new.codes.iter().map(|code| code.expose().to_owned()).collect();
            true
        };
        ada.client().make_backup_codes(&ada.presence(), &mut keep).unwrap();
        let signed_in = || {
            let computer = service.computer();
            let factor = |_: &[String]| Ok(SignInFactor::of(ada.fresh_code().as_str().into()));
            computer.client.sign_in(&ada.email, PASSWORD.into(), &mut { factor }).unwrap();
            computer
        };
        let expired = token(signed_in().folder.path());
        service.clock.advance_ms(31 * 60_000);
        let factor = |_: &[String]| Ok(SignInFactor::of(ada.fresh_code().as_str().into()));
        ada.client().sign_in(&ada.email, PASSWORD.into(), &mut { factor }).unwrap();
        ada.client().enrol_this_computer("workshop PC", &ada.presence()).unwrap();
        let records = [ada.save_one().1.record_id, ada.save_one().1.record_id];
        let gone = signed_in();
        let ended = token(gone.folder.path());
        gone.client.sign_out().unwrap();
        let phone = service.computer();
        let backup = |_: &[String]| Ok(SignInFactor::of(codes[0].as_str().into()));
        phone.client.sign_in(&ada.email, PASSWORD.into(), &mut { backup }).unwrap();
        let new = service.computer();
        sign_up(&new.client, "new@example.org", Some(service.invite())).unwrap();
        let eve = service.enrolled("eve@example.org");
        let waiting = service.computer();
        Self {
            laptop: signed_in(),
            enrolment: waiting.client.request_enrolment("tablet").unwrap(),
            records,
            expired,
            ended,
            enrol_level: token(new.folder.path()),
            factors_only: token(phone.folder.path()),
            ada,
            authenticator,
            eve,
            service,
        }
    }

    /// Ada's client on her own computer, on the way through `to`.
    fn ada(&self, to: &Catch) -> Client<Catch> {
        Client::new(to.clone(), State::new(self.ada.computer.folder.path().join("state")))
    }

    /// Ada's client on a computer that is not enrolled.
    fn laptop(&self, to: &Catch) -> Client<Catch> {
        Client::new(to.clone(), State::new(self.laptop.folder.path().join("state")))
    }

    /// Ada's password and a fresh code.
    fn here(&self) -> vault_client::Presence {
        self.ada.presence()
    }

    fn add_totp(&self, to: &Catch) {
        let mut codes =
            |totp: &vault_client::NewTotp, _: Option<&vault_client::Error>| Some(two_codes(totp, &self.service));
        drop(self.ada(to).add_totp("tablet", Some(&self.here()), &mut codes));
    }

    fn add_passkey(&self, to: &Catch) {
        let new = SoftAuthenticator::new(&self.service.origin());
        drop(self.ada(to).add_passkey("tablet", Some(Confirm::Code(&self.here())), &new));
    }

    fn passkey_slot(&self, to: &Catch) {
        let passkey = self.ada.client().factor_list().unwrap().passkeys[0].factor_id;
        drop(self.ada(to).let_passkey_open_vault(passkey, &PASSWORD.into(), &self.authenticator));
    }

    fn remove_factor(&self, to: &Catch) {
        let factor = self.ada.client().factors().unwrap()[0].factor_id;
        drop(self.ada(to).remove_factor(factor, &self.here()));
    }

    fn approve(&self, to: &Catch) {
        drop(self.ada(to).approve_device(&OwnerApproval {
            user_code: self.enrolment.user_code(),
            check_code: self.enrolment.check_code().unwrap().expose().to_owned(),
            presence: self.here(),
        }));
    }

    fn revoke(&self, to: &Catch) {
        let device = self.ada.client().devices().unwrap()[0].device_id;
        drop(self.ada(to).revoke_device(device, &self.here()));
    }

    /// The device tells that it has taken an order, which Ada gave with a reveal.
    fn report(&self, to: &Catch) {
        let shown = self.ada.client().reveal_any(self.records[0], "drill", &self.here(), Afterwards::Rotate).unwrap();
        assert!(matches!(shown.ordered, Some(Ordered::Yes { .. })), "{:?}", shown.ordered);
        let order = self.ada.client().device_status().unwrap().orders.remove(0);
        assert!(self.ada.client().begin_order(&order, "D1").unwrap());
        drop(self.ada(to).deliver_reports());
    }

    fn note(&self, to: &Catch) {
        self.ada.client().note_unknown(&key_to_save().meta.key_id).unwrap();
        drop(self.ada(to).deliver_reports());
    }

    fn catch(&self, row: &Row, flow: Flow) -> Caught {
        let to = Catch::of(&self.service, row.method, row.route);
        flow(self, &to);
        let caught = to.caught.lock().unwrap().take();
        caught.unwrap_or_else(|| panic!("the client sent nothing to {}", row.route))
    }

    fn send(&self, caught: &Caught, token: Option<&str>, body: &Value) -> Raw {
        self.service.raw(caught.method, &caught.path, token, body)
    }
}

fn said(answer: &Raw) -> (u16, &str) {
    (answer.status, answer.code())
}

fn word(method: Method) -> &'static str {
    match method {
        Get => "get",
        Put => "put",
        Post => "post",
    }
}

#[test]
fn every_route_has_its_line() {
    let mut lines = std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
    for row in table() {
        let new = lines.entry(row.route.to_owned()).or_default().insert(word(row.method).to_owned());
        assert!(new, "{} {} has two lines", word(row.method), row.route);
    }
    let there = crate::openapi::routes_in_source();
    assert_eq!(lines, there, "a route without a line in the table, or a line without a route");
}

#[test]
fn the_table_and_the_handlers_agree_on_who_may_call() {
    let document = Service::start().raw(Get, routes::OPENAPI, None, &Value::Null).body;
    for row in table() {
        let expected = match row.whom {
            For::Anyone => "nobody",
            For::AnySession | For::AnySessionOrGrant(_) => "any-session",
            For::Session => "session",
            For::SessionOrCode => "session-or-code",
            For::Grant(_) => "session-and-grant",
            For::Signature(_) => "signature",
        };
        let found = &document["paths"][row.route][word(row.method)]["x-authority"];
        assert_eq!(found, expected, "{} {}", word(row.method), row.route);
    }
}

#[test]
fn sessions_reach_what_they_are_for_and_nothing_else() {
    let it = World::new();
    let garbage = BASE64URL_NOPAD.encode(&[7; 32]);
    let mut rows = table();
    // Ends the sessions it is tried with.
    rows.sort_by_key(|row| row.route == routes::LOGOUT);
    for row in rows {
        let name = format!("{} {}", word(row.method), row.route);
        let path = row.route.replace("{id}", SOME_ID).replace("{code}", &garbage);
        let ask = |token: Option<&str>| it.service.raw(row.method, &path, token, &json!({}));
        let without = [None, Some(""), Some("not base64!"), Some(&garbage), Some(&it.expired), Some(&it.ended)];
        // Below the second factor; with everything, of this account and of another.
        let (low, full) = ([&it.enrol_level, &it.factors_only], [it.ada.token(), it.eve.token()]);
        let (nobody, low_session, full_session) = match row.whom {
            For::Anyone => (row.open, row.open, row.open),
            For::AnySession => (OVER, row.open, row.open),
            For::AnySessionOrGrant(_) => (OVER, MALFORMED, MALFORMED),
            For::Session | For::SessionOrCode => (OVER, FACTOR_FIRST, row.open),
            For::Grant(_) => (OVER, FACTOR_FIRST, NO_GRANT),
            For::Signature(_) => {
                let answers = without.iter().map(|token| ask(*token)).chain(full.iter().map(|token| ask(Some(token))));
                for answer in answers {
                    assert!([MALFORMED, (422, "record.invalid")].contains(&said(&answer)), "{name}: {answer:?}");
                }
                continue;
            }
        };
        for token in without {
            assert_eq!(said(&ask(token)), nobody, "{name} without a session: {token:?}");
        }
        for token in low {
            assert_eq!(said(&ask(Some(token))), low_session, "{name} before the second factor");
        }
        for token in full {
            assert_eq!(said(&ask(Some(&token))), full_session, "{name} signed in");
        }
    }
}

#[test]
fn a_grant_is_good_for_its_session_its_act_and_its_target_once() {
    let rows: Vec<Row> =
        table().into_iter().filter(|row| matches!(row.whom, For::Grant(_) | For::AnySessionOrGrant(_))).collect();
    let flow = |row: &Row| match row.whom {
        For::Grant(flow) | For::AnySessionOrGrant(flow) => flow,
        _ => unreachable!("filtered"),
    };
    assert!(rows.len() > 5);
    for (index, row) in rows.iter().enumerate() {
        let it = World::new();
        let name = row.route;
        let late = it.catch(row, flow(row));
        it.service.clock.advance_ms(300_000);
        assert_eq!(said(&it.send(&late, late.token.as_deref(), &late.body)), BAD_GRANT, "{name} too late");

        let good = it.catch(row, flow(row));
        let with = |grant: Value| {
            let mut body = good.body.clone();
            body["grant"] = grant;
            it.send(&good, good.token.as_deref(), &body)
        };
        let mut without = good.body.clone();
        without.as_object_mut().unwrap().remove("grant");
        assert_eq!(said(&it.send(&good, good.token.as_deref(), &without)), NO_GRANT, "{name} without a grant");
        assert_eq!(said(&with(json!("AAAA"))), BAD_GRANT, "{name} with a made-up grant");
        // Two others of the table: other purposes, and other targets of the same purpose.
        for step in 1..=2 {
            let other = &rows[(index + step) % rows.len()];
            let theirs = it.catch(other, flow(other)).body["grant"].clone();
            assert_eq!(said(&with(theirs)), BAD_GRANT, "{name} with the grant of {}", other.route);
        }
        assert_eq!(said(&it.send(&good, None, &good.body)), OVER, "{name} without a session");
        if matches!(row.whom, For::Grant(_)) {
            for token in [&it.enrol_level, &it.factors_only] {
                assert_eq!(said(&it.send(&good, Some(token), &good.body)), FACTOR_FIRST, "{name}");
            }
        }
        let own = [it.ada.token(), token(it.laptop.folder.path())];
        let other_session = own.iter().find(|token| Some(*token) != good.token.as_ref()).unwrap();
        assert_eq!(said(&it.send(&good, Some(other_session), &good.body)), BAD_GRANT, "{name} in another session");
        let anothers = it.send(&good, Some(&it.eve.token()), &good.body);
        // A certificate of Ada's is looked at before the grant.
        assert!([BAD_GRANT, MALFORMED].contains(&said(&anothers)), "{name} by another account: {anothers:?}");

        // None of that spent it.
        assert_eq!(said(&it.send(&good, good.token.as_deref(), &good.body)), row.open, "{name}");
        if row.open.0 == 200 {
            let again = it.send(&good, good.token.as_deref(), &good.body);
            assert!([BAD_GRANT, OVER].contains(&said(&again)), "{name} twice: {again:?}");
        }
    }
}

#[test]
fn a_signature_is_good_for_its_own_account_while_its_device_is_active() {
    let rows: Vec<(Row, Flow)> = table()
        .into_iter()
        .filter_map(|row| match row.whom {
            For::Signature(flow) => Some((row, flow)),
            _ => None,
        })
        .collect();
    assert!(rows.len() >= 2);
    let it = World::new();
    let adas = it.ada.client().account().unwrap().account_id.to_string();
    let eves = it.eve.client().account().unwrap().account_id.to_string();
    let requests: Vec<(Row, Caught)> =
        rows.into_iter().map(|(row, flow)| (it.catch(&row, flow), row)).map(|(c, r)| (r, c)).collect();
    for (row, good) in &requests {
        let name = row.route;
        // As Eve's device would claim Ada's account: Ada's request, said to be of Eve's account, and the other way about.
        let moved = renamed(&good.body, &adas, &eves);
        assert_ne!(moved, good.body, "{name}: nothing names the account");
        assert_eq!(said(&it.send(good, None, &moved)), (403, "device.revoked"), "{name} for another account");
        let forged = forged(&good.body);
        assert_eq!(said(&it.send(good, None, &forged)), (403, "record.signature"), "{name} forged");
        assert_eq!(said(&it.send(good, None, &good.body)), row.open, "{name}");
        // A session is neither needed nor looked at.
        assert!(it.send(good, Some("nonsense"), &good.body).status < 300, "{name}");
    }
    let device = it.ada.client().devices().unwrap()[0].device_id;
    it.ada.client().revoke_device(device, &it.here()).unwrap();
    for (row, good) in &requests {
        assert_eq!(said(&it.send(good, None, &good.body)), (403, "device.revoked"), "{} after revocation", row.route);
    }
}

/// The same body about another account: wherever bytes are JSON that names the account, they name the other one.
fn renamed(body: &Value, from: &str, to: &str) -> Value {
    match body {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), renamed(member, from, to))).collect()
        }
        Value::Array(items) => items.iter().map(|item| renamed(item, from, to)).collect(),
        Value::String(text) => {
            let inner = BASE64URL_NOPAD.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            match inner {
                Some(inner) if inner.contains(from) => {
                    json!(BASE64URL_NOPAD.encode(inner.replace(from, to).as_bytes()))
                }
                _ => json!(text.replace(from, to)),
            }
        }
        other => other.clone(),
    }
}

/// The same body with another signature.
fn forged(body: &Value) -> Value {
    let mut body = body.clone();
    let signed = if body["s"].is_string() { &mut body } else { &mut body["save"] };
    signed["s"] = json!(BASE64URL_NOPAD.encode(&[1; 64]));
    body
}
