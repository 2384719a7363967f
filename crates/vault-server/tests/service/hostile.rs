//! A server that lies: every lie is found out, and nothing is said to be saved that is not.

use serde_json::{Value, json};
use vault_client::problem::Code;
use vault_client::{
    Client, Error, HttpTransport, Method, Outcome, Request, Response, State, Transport, TransportError,
};

use crate::harness::{Computer, Owner, PASSWORD, Service, code_of, key_to_save, presence, sign_in};

/// Passes everything on, and changes answers on the way back.
pub(crate) struct Tampering<F> {
    inner: HttpTransport,
    change: F,
}

impl<F: Fn(Method, &str, &mut Response)> Tampering<F> {
    pub(crate) fn new(inner: HttpTransport, change: F) -> Self {
        Self { inner, change }
    }
}

impl<F: Fn(Method, &str, &mut Response)> Transport for Tampering<F> {
    fn send(&self, request: Request<'_>) -> Result<Response, TransportError> {
        let (method, path) = (request.method, request.path.to_owned());
        let mut response = self.inner.send(request)?;
        (self.change)(method, &path, &mut response);
        Ok(response)
    }
    fn origin(&self) -> &str {
        self.inner.origin()
    }
}

/// A transport that changes the requests to one path.
pub(crate) struct Altering {
    inner: HttpTransport,
    path: &'static str,
    change: fn(&mut Value),
}

impl Altering {
    pub(crate) fn new(inner: HttpTransport, path: &'static str, change: fn(&mut Value)) -> Self {
        Self { inner, path, change }
    }
}

impl Transport for Altering {
    fn send(&self, mut request: Request<'_>) -> Result<Response, TransportError> {
        if request.path == self.path {
            let mut body: Value = serde_json::from_slice(request.body.expose()).unwrap();
            (self.change)(&mut body);
            request.body = secret::SecretVec::new(serde_json::to_vec(&body).unwrap());
        }
        self.inner.send(request)
    }
    fn origin(&self) -> &str {
        self.inner.origin()
    }
}

/// The same computer, with the answers of one path changed as JSON.
pub(crate) fn lied_to(
    service: &Service,
    owner: &Owner,
    path: &'static str,
    change: impl Fn(&mut Value),
) -> Client<impl Transport> {
    let state = State::new(owner.computer.folder.path().join("state"));
    Client::new(lying(service, path, change), state)
}

pub(crate) fn lying(service: &Service, path: &'static str, change: impl Fn(&mut Value)) -> impl Transport {
    Tampering::new(service.transport(), move |_, found, response| {
        if found.split('?').next().is_some_and(|found| found.ends_with(path)) && response.status < 300 {
            let mut body: Value = serde_json::from_slice(&response.body).unwrap();
            change(&mut body);
            response.body = serde_json::to_vec(&body).unwrap();
        }
    })
}

/// Turns one character of a base64 text into another.
pub(crate) fn flip(text: &mut Value) {
    let old = text.as_str().unwrap();
    let middle = old.len() / 2;
    let other = if old.as_bytes()[middle] == b'A' { "B" } else { "A" };
    *text = json!(format!("{}{other}{}", &old[..middle], &old[middle + 1..]));
}

#[test]
fn an_account_key_swapped_during_enrolment_is_found_out() {
    let service = Service::start();
    let ada = service.account("ada@example.org");
    // The operator has an account too, and puts its keys in place of Ada's.
    let operator = service.account("operator@example.org");
    let statement = operator.client().account().unwrap().key_statement;
    let swapped = serde_json::to_value(statement).unwrap();
    for field in ["key_statement", "certificate", "receipt_pk", "log_pk", "tag_a"] {
        let swapped = swapped.clone();
        let laptop = Computer::with(lying(&service, "/v1/device/token", move |answer| match field {
            "key_statement" => answer["key_statement"] = swapped.clone(),
            "certificate" => flip(&mut answer["certificate"]["p"]),
            "tag_a" => flip(&mut answer["tag_a"]),
            key => flip(&mut answer[key]["pk"]),
        }));
        let enrolment = laptop.client.request_enrolment("laptop").unwrap();
        let approval = vault_client::OwnerApproval {
            user_code: enrolment.user_code(),
            check_code: enrolment.check_code().unwrap().expose().to_owned(),
            presence: ada.presence(),
        };
        ada.client().approve_device(&approval).unwrap();
        let polled = laptop.client.poll_enrolment(&enrolment);
        assert_eq!(code_of(polled), Code::DeviceAccountKeyMismatch, "{field}");
        assert!(!laptop.client.is_enrolled().unwrap(), "{field}");
    }
}

#[test]
fn a_device_key_swapped_before_the_approval_is_found_out() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    for field in ["device_pk", "box_pk", "nonce", "name", "tag_h"] {
        let client = lied_to(&service, &owner, "/v1/device/pending", move |answer| match field {
            "device_pk" => flip(&mut answer["device_pk"]["pk"]),
            "name" => answer["name"] = json!("your own laptop"),
            other => flip(&mut answer[other]),
        });
        let laptop = service.computer();
        let enrolment = laptop.client.request_enrolment("laptop").unwrap();
        let approval = vault_client::OwnerApproval {
            user_code: enrolment.user_code(),
            check_code: enrolment.check_code().unwrap().expose().to_owned(),
            presence: owner.presence(),
        };
        assert_eq!(code_of(client.approve_device(&approval)), Code::DeviceCheckFailed, "{field}");
    }
}

#[test]
fn a_false_receipt_is_not_called_saved() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let changes: [fn(&mut Value); 3] = [
        |answer| flip(&mut answer["receipt"]["s"]),
        |answer| flip(&mut answer["receipt"]["p"]),
        |answer| answer["receipt"]["t"] = json!("save"),
    ];
    for change in changes {
        let client = Client::new(
            Tampering::new(service.transport(), move |method, path, response| {
                if method == Method::Put && path.starts_with("/v1/records/") {
                    let mut body: Value = serde_json::from_slice(&response.body).unwrap();
                    change(&mut body);
                    response.body = serde_json::to_vec(&body).unwrap();
                }
            }),
            State::new(owner.computer.folder.path().join("state")),
        );
        assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Waiting { .. }));
    }
    assert_eq!(owner.client().state().waiting().unwrap(), 3);
    assert_eq!(owner.client().deliver_outbox().unwrap().saved.len(), 3);
}

/// Turns answers about records into "the owner had it deleted".
fn says_deleted(method: Method, path: &str, response: &mut Response) {
    if path.starts_with("/v1/records/") && (method == Method::Put || path.ends_with("/held")) {
        response.status = 410;
        response.body = serde_json::to_vec(&Code::RecordDeleted.problem()).unwrap();
    }
}

#[test]
fn a_save_without_a_receipt_is_never_taken_for_a_deleted_one() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, before) = owner.save_one();
    let state = State::new(owner.computer.folder.path().join("state"));
    let client = Client::new(Tampering::new(service.transport(), says_deleted), state);
    assert!(matches!(client.save(&key_to_save()).unwrap(), Outcome::Waiting { .. }));
    assert_eq!(client.deliver_outbox().unwrap().waiting.len(), 1);
    // What has a receipt is believed to be deleted, and its sealed copy is kept.
    assert_eq!(client.check_held().unwrap().deleted, [before.record_id]);
    let copy = owner.computer.folder.path().join("state").join(format!("envelopes/{}.json", before.record_id));
    assert!(copy.exists());
    assert_eq!(owner.client().state().waiting().unwrap(), 1);
    assert_eq!(owner.client().deliver_outbox().unwrap().saved.len(), 1);
}

#[test]
fn a_changed_record_is_not_used() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    for part in ["header", "meta", "secret"] {
        let client = lied_to(&service, &owner, "/reveal", move |answer| flip(&mut answer["record"][part]));
        let revealed = client.reveal(record.record_id, "drill", &owner.presence());
        assert!(revealed.is_err(), "{part} was changed and the key was used");
    }
    let client = lied_to(&service, &owner, "/v1/records", |answer| flip(&mut answer["records"][0]["meta"]));
    assert!(!client.records().unwrap()[0].verified);
    // Nor is one passed off as left behind by a new start, where nobody would look at it again.
    let before_all = |answer: &mut Value| {
        let header: vault_protocol::Bytes = serde_json::from_value(answer["records"][0]["header"].take()).unwrap();
        let mut parsed: Value = serde_json::from_slice(&header).unwrap();
        parsed["generation"] = json!(0);
        answer["records"][0]["header"] = json!(vault_protocol::Bytes(serde_json::to_vec(&parsed).unwrap()));
    };
    let passed_off = lied_to(&service, &owner, "/v1/records", before_all).records().unwrap();
    assert!(!passed_off[0].verified && !passed_off[0].former);
    let report = client.audit_verify().unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    // A record that is not listed any more is missed.
    let client = lied_to(&service, &owner, "/v1/records", |answer| answer["records"] = json!([]));
    assert_eq!(client.audit_verify().unwrap().problems.len(), 1);
}

#[test]
fn a_changed_or_shortened_trail_is_found_out() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    owner.client().audit_trail().unwrap();
    let changes: [fn(&mut Value); 3] = [
        |page| flip(&mut page["entries"][1]),
        |page| {
            let entries = page["entries"].as_array_mut().unwrap();
            if entries.len() > 2 {
                entries.remove(2);
            }
        },
        |page| {
            page["entries"].as_array_mut().unwrap().pop();
        },
    ];
    for change in changes {
        let client = lied_to(&service, &owner, "/v1/audit", change);
        assert_eq!(code_of(client.audit_trail()), Code::LogInconsistent);
        assert_eq!(client.audit_verify().unwrap().problems.len(), 1);
    }
    // A shorter history with a head that fits it.
    let client = lied_to(&service, &owner, "/v1/audit", |page| {
        let entries = page["entries"].as_array_mut().unwrap();
        entries.truncate(2);
        let bytes = data_encoding::BASE64URL_NOPAD.decode(entries[1].as_str().unwrap().as_bytes()).unwrap();
        let hash = vault_protocol::audit::entry_hash(&bytes);
        page["head"] = json!({ "seq": 2, "hash": data_encoding::BASE64URL_NOPAD.encode(&hash) });
    });
    assert_eq!(code_of(client.audit_trail()), Code::LogInconsistent);
    owner.client().audit_trail().unwrap();
}

#[test]
fn what_is_said_of_the_trail_at_a_sign_in_moves_no_pin() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    let honest = owner.client().audit_trail().unwrap().entries.len() as u64;
    let pinned = || {
        let profile = std::fs::read(owner.computer.folder.path().join("state/profile.json")).unwrap();
        serde_json::from_slice::<Value>(&profile).unwrap()["audit_head"].clone()
    };
    let before = pinned();
    assert_eq!(before["seq"], honest);
    // A head that nothing leads to, further on.
    let client = lied_to(&service, &owner, "/v1/login/factor", |answer| {
        answer["audit_head"]["seq"] = json!(1_000_000);
        flip(&mut answer["audit_head"]["hash"]);
    });
    sign_in(&client, &owner.email, PASSWORD, &owner.fresh_code()).unwrap();
    assert_eq!(pinned(), before);
    owner.client().audit_trail().unwrap();
    assert!(pinned()["seq"].as_u64().unwrap() > honest);
    // A computer that has seen nothing believes nothing.
    let phone = service.computer();
    owner.sign_in(&phone.client).unwrap();
    let profile = std::fs::read(phone.folder.path().join("state/profile.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&profile).unwrap()["audit_head"]["seq"], 0);
}

#[test]
fn other_keys_at_sign_in_are_found_out() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let operator = service.account("operator@example.org");
    let statement = serde_json::to_value(operator.client().account().unwrap().key_statement).unwrap();
    let swap = statement.clone();
    let phone =
        Computer::with(lying(&service, "/v1/login/factor", move |answer| answer["key_statement"] = swap.clone()));
    let signed_in = sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code());
    assert!(matches!(signed_in, Err(Error::Unverified { .. } | Error::AccountKeyMismatch)), "{signed_in:?}");

    let phone = Computer::with(lying(&service, "/v1/login/factor", |answer| flip(&mut answer["slots"][0]["wrap_c"])));
    let signed_in = sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(signed_in), Code::DeviceAccountKeyMismatch);

    let phone = Computer::with(lying(&service, "/v1/login/start", |answer| answer["kdf_profile"] = json!(0)));
    let signed_in = sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code());
    assert_eq!(code_of(signed_in), Code::AuthKdfRefused);

    let phone = Computer::with(lying(&service, "/v1/login/start", |answer| {
        answer["server"]["origin"] = json!("https://elsewhere.example.org");
    }));
    let signed_in = sign_in(&phone.client, &owner.email, PASSWORD, &owner.fresh_code());
    assert!(matches!(signed_in, Err(Error::WrongOrigin { .. })));
}

#[test]
fn a_wrapped_vault_root_that_was_changed_opens_nothing() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let client = lied_to(&service, &owner, "/v1/step-up/finish", |answer| flip(&mut answer["slots"][0]["wrap_v"]));
    let revealed = client.reveal(record.record_id, "drill", &presence(PASSWORD, &owner.fresh_code()));
    assert_eq!(code_of(revealed.map(|_| ())), Code::RevealSlotFailed);
}
