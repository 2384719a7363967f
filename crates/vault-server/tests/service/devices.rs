//! Names, missing saves, and what a device is told.

use serde_json::{Value, json};
use vault_client::Method::{Get, Post};
use vault_client::problem::Code;
use vault_client::{Client, Error, State};
use vault_protocol::routes;

use crate::harness::{Service, code_of, key_to_save, token};
use crate::hostile::{flip, lied_to};

#[test]
fn a_device_is_renamed_and_the_service_cannot_read_the_name() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    let device = owner.client().devices().unwrap()[0].device_id;
    owner.client().rename_device(device, "Blackbird in the attic").unwrap();
    let listed = owner.client().devices().unwrap().remove(0);
    assert_eq!((listed.name.as_str(), listed.enrolled_name.as_str()), ("Blackbird in the attic", "workshop PC"));
    assert_eq!(owner.client().records().unwrap()[0].author, "Blackbird in the attic");
    // Another computer of the owner sees it, too.
    let phone = service.computer();
    owner.sign_in(&phone.client).unwrap();
    assert_eq!(phone.client.devices().unwrap()[0].name, "Blackbird in the attic");
    let entries = owner.client().audit_trail().unwrap().entries;
    let entry = entries.iter().find(|entry| entry.action == "device_renamed").unwrap();
    assert_eq!(entry.target, device.to_string());
    service.stop();
    for file in std::fs::read_dir(service.folder.path()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!content.windows(9).any(|window| window == b"Blackbird"), "the name is stored in the open");
    }
}

#[test]
fn a_name_is_neither_moved_nor_made_by_anybody_else() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let laptop = service.computer();
    owner.sign_in(&laptop.client).unwrap();
    laptop.client.enrol_this_computer("laptop", &owner.presence()).unwrap();
    let devices = owner.client().devices().unwrap();
    owner.client().rename_device(devices[0].device_id, "one").unwrap();
    // Moved to the other device, changed, made up: the name of its certificate stands.
    let swap = lied_to(&service, &owner, "/v1/devices", |list| {
        list["devices"][1]["label_sealed"] = list["devices"][0]["label_sealed"].clone();
    });
    assert_eq!(swap.devices().unwrap()[1].name, "laptop");
    let changed = lied_to(&service, &owner, "/v1/devices", |list| flip(&mut list["devices"][0]["label_sealed"]));
    assert_eq!(changed.devices().unwrap()[0].name, "workshop PC");
    let empty = lied_to(&service, &owner, "/v1/devices", |list| list["devices"][0]["label_sealed"] = json!(""));
    assert_eq!(empty.devices().unwrap()[0].name, "workshop PC");

    let eve = service.enrolled("eve@example.org");
    assert_eq!(code_of(eve.client().rename_device(devices[0].device_id, "mine")), Code::NotFound);
    assert!(matches!(owner.client().rename_device(devices[0].device_id, &"x".repeat(300)), Err(Error::Crypto(_))));
    let path = routes::with_id(routes::DEVICE_RENAME, &devices[0].device_id.to_string());
    for bad in [json!({}), json!({ "label_sealed": "" }), json!({ "label_sealed": "A".repeat(2000) })] {
        assert_eq!(service.raw(Post, &path, Some(&owner.token()), &bad).code(), "request.invalid");
    }
    assert_eq!(service.raw(Post, &path, None, &json!({})).code(), "auth.session_expired");
}

#[test]
fn saves_that_are_not_listed_are_missed() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    for _ in 0..4 {
        owner.save_one();
    }
    let gaps = |client: &Client<_>| client.devices_with_gaps().unwrap()[0].gaps.clone().unwrap();
    assert!(gaps(owner.client()).is_empty());
    assert!(owner.client().devices().unwrap()[0].gaps.is_none(), "not looked for");
    let without = |numbers: &'static [usize]| {
        lied_to(&service, &owner, "/v1/records", move |page| {
            let records = page["records"].as_array_mut().unwrap();
            for number in numbers.iter().rev() {
                records.remove(*number);
            }
        })
    };
    assert_eq!(without(&[1]).devices_with_gaps().unwrap()[0].gaps, Some(vec![2]));
    assert_eq!(without(&[0, 2]).devices_with_gaps().unwrap()[0].gaps, Some(vec![1, 3]));
    assert_eq!(without(&[3]).devices_with_gaps().unwrap()[0].gaps, Some(vec![4]), "the newest one is missed, too");
    let changed = lied_to(&service, &owner, "/v1/records", |page| flip(&mut page["records"][1]["meta"]));
    assert_eq!(
        changed.devices_with_gaps().unwrap()[0].gaps,
        Some(vec![2]),
        "one that cannot be verified does not count"
    );
}

#[test]
fn a_device_is_told_what_happened_to_the_account_and_nothing_else() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let first = owner.client().device_status().unwrap();
    assert!(first.notices.is_empty(), "it begins where the trail is now");
    assert!(first.orders.is_empty() && first.refused.is_empty() && !first.new_statement);
    owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    let device = owner.client().devices().unwrap()[0].device_id;
    owner.client().rename_device(device, "attic").unwrap();
    owner.save_one();
    // Without anybody signed in.
    owner.client().sign_out().unwrap();
    let told = owner.client().device_status().unwrap().notices;
    let actions: Vec<&str> = told.iter().map(|notice| notice.action.as_str()).collect();
    assert_eq!(actions, ["reveal", "device_renamed"], "step-ups and saves are no news");
    assert!(owner.client().device_status().unwrap().notices.is_empty(), "each is told once");

    // On the wire: kind, outcome and time only.
    let answer = std::sync::Mutex::new(Value::Null);
    let seen = crate::hostile::Tampering::new(service.transport(), |_, path, response| {
        if path == routes::DEVICE_STATUS {
            *answer.lock().unwrap() = serde_json::from_slice(&response.body).unwrap();
        }
    });
    let state = State::new(owner.computer.folder.path().join("state"));
    std::fs::write(owner.computer.folder.path().join("state/watch.json"), r#"{"audit_seq":1,"held_at":null}"#).unwrap();
    Client::new(seen, state).device_status().unwrap();
    let answer = answer.into_inner().unwrap();
    let notice = answer["notices"][0].as_object().unwrap();
    let mut fields: Vec<&str> = notice.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["action", "at", "outcome", "seq"]);
    assert!(!answer.to_string().contains(&record.record_id.to_string()));
}

#[test]
fn calling_is_seen_and_a_revoked_device_is_told_nothing() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    assert_eq!(owner.client().devices().unwrap()[0].seen_at, None);
    service.clock.advance_ms(60_000);
    owner.client().device_status().unwrap();
    let device = owner.client().devices().unwrap().remove(0);
    assert!(device.seen_at.is_some() && device.last_seq == 0);
    owner.client().revoke_device(device.device_id, &owner.presence()).unwrap();
    assert_eq!(code_of(owner.client().device_status().map(|_| ())), Code::DeviceRevoked);
    assert!(owner.client().devices().unwrap()[0].revoked_at.is_some());
}

#[test]
fn only_the_device_itself_asks_for_its_status() {
    let service = Service::start();
    let ada = service.enrolled("ada@example.org");
    let eve = service.enrolled("eve@example.org");
    let asked = std::sync::Mutex::new(Value::Null);
    let state = State::new(ada.computer.folder.path().join("state"));
    let recording = Recording { inner: service.transport(), path: routes::DEVICE_STATUS, body: &asked };
    Client::new(recording, state).device_status().unwrap();
    let good = asked.into_inner().unwrap();
    assert_eq!(service.raw(Post, routes::DEVICE_STATUS, None, &good).status, 200);
    let payload = |change: &dyn Fn(&mut Value)| {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(good["p"].as_str().unwrap().as_bytes()).unwrap();
        let mut payload: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut payload);
        let mut changed = good.clone();
        changed["p"] = json!(data_encoding::BASE64URL_NOPAD.encode(&serde_json::to_vec(&payload).unwrap()));
        service.raw(Post, routes::DEVICE_STATUS, None, &changed).code().to_owned()
    };
    let eves = eve.client().account().unwrap().account_id;
    assert_eq!(payload(&|question| question["audit_after"] = json!(0)), "record.signature");
    assert_eq!(payload(&|question| question["account_id"] = json!(eves)), "device.revoked");
    assert_eq!(payload(&|question| question["device_id"] = json!(eves)), "device.revoked");
    let mut kind = good.clone();
    kind["t"] = json!("held");
    assert_eq!(service.raw(Post, routes::DEVICE_STATUS, None, &kind).code(), "record.signature");
    // What a device may ask gives nothing to read: neither with its signature as a token, nor by the other routes.
    for route in [routes::RECORDS, routes::DEVICES, routes::AUDIT, routes::ORDERS] {
        let bearer = good["s"].as_str();
        assert_eq!(service.raw(Get, route, bearer, &json!({})).code(), "auth.session_expired", "{route}");
    }
    for route in [routes::DEVICE_STATUS, routes::DEVICE_NOTE] {
        assert_eq!(service.raw(Post, route, None, &json!({})).code(), "request.invalid", "{route}");
        let answer = service.raw(Post, route, Some(&token(ada.computer.folder.path())), &json!({}));
        assert_eq!(answer.code(), "request.invalid", "a session is neither needed nor of use");
    }
}

#[test]
fn key_statements_that_the_pinned_key_did_not_sign_are_refused() {
    let service = Service::start();
    let ada = service.enrolled("ada@example.org");
    let operator = service.account("operator@example.org");
    let own = serde_json::to_value(ada.client().account().unwrap().key_statement).unwrap();
    let theirs = serde_json::to_value(operator.client().account().unwrap().key_statement).unwrap();
    let pinned = || std::fs::read(ada.computer.folder.path().join("state/device.json")).unwrap();
    let before = pinned();
    for (statement, previous) in [(&theirs, &theirs), (&theirs, &own), (&own, &own), (&own, &theirs)] {
        let change = json!([{ "statement": statement, "previous": previous }]);
        let client = lied_to(&service, &ada, "/v1/device/status", move |answer| answer["statements"] = change.clone());
        let status = client.device_status().map(|_| ());
        assert_eq!(code_of(status), Code::RecordUnverified);
        assert!(pinned() == before, "nothing is changed");
    }
    ada.client().device_status().unwrap();
    assert!(pinned() == before);
}

#[test]
fn words_of_the_service_are_cut_to_words() {
    let service = Service::start();
    let ada = service.enrolled("ada@example.org");
    ada.client().device_status().unwrap();
    let client = lied_to(&service, &ada, "/v1/device/status", |answer| {
        answer["notices"] = json!([
            { "seq": 0, "action": "old", "outcome": "done", "at": 1 },
            { "seq": 99, "action": "re\u{1b}[2Jveal\n<script>", "outcome": "DONE done", "at": 1 },
        ]);
    });
    let notices = client.device_status().unwrap().notices;
    assert_eq!(notices.len(), 1, "what was told before is no news");
    assert_eq!((notices[0].action.as_str(), notices[0].outcome.as_str()), ("revealscript", "done"));
}

#[test]
fn the_device_key_lies_in_a_file_of_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let state = owner.computer.folder.path().join("state");
    let key = std::fs::read(state.join("device.key")).unwrap();
    assert_eq!(key.len(), 32);
    assert_eq!(std::fs::metadata(state.join("device.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(state.join("device.json")).unwrap();
    assert!(!text.contains(&data_encoding::BASE64URL_NOPAD.encode(&key)));
    std::fs::set_permissions(state.join("device.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for refused in [
        owner.client().save(&key_to_save()).map(|_| ()),
        owner.client().device_status().map(|_| ()),
        owner.client().check_held().map(|_| ()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::KeyExposed { mode: 0o644, .. }), "{error}");
    }
    std::fs::set_permissions(state.join("device.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    owner.save_one();
}

/// Keeps the body of requests to one path.
pub(crate) struct Recording<'a> {
    pub(crate) inner: vault_client::HttpTransport,
    pub(crate) path: &'static str,
    pub(crate) body: &'a std::sync::Mutex<Value>,
}

impl vault_client::Transport for Recording<'_> {
    fn send(&self, request: vault_client::Request<'_>) -> Result<vault_client::Response, vault_client::TransportError> {
        if request.path == self.path {
            *self.body.lock().unwrap() = serde_json::from_slice(request.body.expose()).unwrap();
        }
        self.inner.send(request)
    }
    fn origin(&self) -> &str {
        self.inner.origin()
    }
}
