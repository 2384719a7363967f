//! Rotation orders: signed by the owner during a reveal, carried out by one device, once.

use std::sync::Mutex;

use serde_json::{Value, json};
use vault_client::Method::Post;
use vault_client::problem::Code;
use vault_client::{Afterwards, Client, OrderToDo, Ordered, RecordId, RecordSummary, Secret, State, Transport};
use vault_protocol::routes;

use crate::devices::Recording;
use crate::harness::{Owner, Service, code_of, key_to_save};
use crate::hostile::{flip, lied_to};

fn reveal<T: Transport>(client: &Client<T>, owner: &Owner, record: RecordId) -> Option<Ordered> {
    let revealed = client.reveal_any(record, "drill", &owner.presence(), Afterwards::Rotate).unwrap();
    assert!(matches!(revealed.secret, Secret::RecoveryPassword(_)));
    revealed.ordered
}

/// An owner with a saved key that was shown: its order is there.
fn ordered(service: &Service) -> (Owner, RecordSummary) {
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let ordered = reveal(owner.client(), &owner, record.record_id);
    assert!(matches!(ordered, Some(Ordered::Yes { .. })), "{ordered:?}");
    (owner, record)
}

fn key_id(record: &RecordSummary) -> &str {
    &record.meta.as_ref().unwrap().key_id
}

fn to_do(owner: &Owner) -> OrderToDo {
    let status = owner.client().device_status().unwrap();
    assert!(status.refused.is_empty(), "{:?}", status.refused);
    let [order] = status.orders.try_into().unwrap();
    order
}

#[test]
fn an_order_is_given_taken_and_done() {
    let service = Service::start();
    let (owner, record) = ordered(&service);
    let state = || owner.client().orders().unwrap()[0].state.clone();
    assert_eq!((state().as_str(), owner.client().devices().unwrap()[0].open_orders), ("open", 1));
    assert!(owner.client().orders().unwrap()[0].verified);
    let order = to_do(&owner);
    assert!(owner.client().order_is_about(&order, key_id(&record)).unwrap());
    assert!(!owner.client().order_is_about(&order, &key_to_save().meta.key_id).unwrap());
    assert_eq!((order.record(), order.begun_on.clone()), (record.record_id, None));
    assert!(owner.client().begin_order(&order, "D1").unwrap());
    owner.client().deliver_reports().unwrap();
    assert_eq!(state(), "taken");
    // As after a crash: it comes again, and goes on.
    let order = to_do(&owner);
    assert_eq!(order.begun_on.as_deref(), Some("D1"));
    assert!(owner.client().begin_order(&order, "D1").unwrap(), "it is the same rotation");
    owner.client().order_done(&order, None).unwrap();
    owner.client().note_retired(record.record_id, key_id(&record)).unwrap();
    owner.client().deliver_reports().unwrap();
    assert_eq!((state().as_str(), owner.client().devices().unwrap()[0].open_orders), ("done", 0));
    assert!(owner.client().device_status().unwrap().orders.is_empty());
    let entries = owner.client().audit_trail().unwrap().entries;
    let actions: Vec<&str> =
        entries.iter().map(|it| it.action.as_str()).filter(|it| it.starts_with("rotate_")).collect();
    assert_eq!(actions, ["rotate_ordered", "rotate_taken", "rotate_done"]);
}

#[test]
fn leaving_it_gives_no_order() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (_, record) = owner.save_one();
    let left = owner.client().reveal_any(record.record_id, "drill", &owner.presence(), Afterwards::Leave).unwrap();
    assert!(left.ordered.is_none());
    assert!(owner.client().orders().unwrap().is_empty());
    assert!(owner.client().device_status().unwrap().orders.is_empty());
}

#[test]
fn a_key_has_one_order_at_a_time_and_only_of_a_computer_that_can() {
    let service = Service::start();
    let (owner, record) = ordered(&service);
    let again = reveal(owner.client(), &owner, record.record_id);
    assert!(matches!(again, Some(Ordered::No { why: "ordered_before" })), "{again:?}");
    let known = owner.client().known_keys().unwrap();
    let imported = key_to_save();
    owner.client().import(std::slice::from_ref(&imported), &known).unwrap();
    let imported = owner.client().find_records(&imported.meta.key_id).unwrap().remove(0).record_id;
    let none = reveal(owner.client(), &owner, imported);
    assert!(matches!(none, Some(Ordered::No { why: "imported" })), "{none:?}");
    let (_, second) = owner.save_one();
    let device = owner.client().devices().unwrap()[0].device_id;
    owner.client().revoke_device(device, &owner.presence()).unwrap();
    let none = reveal(owner.client(), &owner, second.record_id);
    assert!(matches!(none, Some(Ordered::No { why: "no_device" })), "{none:?}");
}

#[test]
fn a_drive_is_rotated_once_a_day() {
    let service = Service::start();
    let (owner, _) = ordered(&service);
    let order = to_do(&owner);
    assert!(owner.client().begin_order(&order, "D1").unwrap());
    owner.client().order_done(&order, None).unwrap();
    owner.client().deliver_reports().unwrap();
    let (_, second) = owner.save_one();
    reveal(owner.client(), &owner, second.record_id);
    let order = to_do(&owner);
    assert!(!owner.client().begin_order(&order, "D1").unwrap(), "not twice a day");
    assert!(to_do(&owner).begun_on.is_none(), "it waits, and is not begun");
    assert!(owner.client().begin_order(&order, "D2").unwrap(), "another drive has a day of its own");
}

#[test]
fn a_device_refuses_orders_that_its_owner_did_not_sign() {
    let service = Service::start();
    let (owner, _) = ordered(&service);
    let eve = service.enrolled("eve@example.org");
    let (_, record) = eve.save_one();
    reveal(eve.client(), &eve, record.record_id);
    let foreign = Mutex::new(Value::Null);
    let seen = crate::hostile::Tampering::new(service.transport(), |_, path, response| {
        if path == routes::DEVICE_STATUS {
            *foreign.lock().unwrap() = serde_json::from_slice::<Value>(&response.body).unwrap()["orders"][0].clone();
        }
    });
    Client::new(seen, State::new(eve.computer.folder.path().join("state"))).device_status().unwrap();
    let foreign = foreign.into_inner().unwrap();
    assert!(foreign["p"].is_string());
    type Change = Box<dyn Fn(&mut Value)>;
    let changes: Vec<Change> = vec![
        Box::new(|answer| flip(&mut answer["orders"][0]["p"])),
        Box::new(|answer| flip(&mut answer["orders"][0]["s"])),
        Box::new(|answer| answer["orders"][0]["t"] = json!("note")),
        Box::new(move |answer| answer["orders"][0] = foreign.clone()),
    ];
    for change in changes {
        let client = lied_to(&service, &owner, "/v1/device/status", change);
        let status = client.device_status().unwrap();
        assert_eq!((status.orders.len(), status.refused.len()), (0, 1));
        assert!(status.refused[0].contains("not signed by the account"), "{:?}", status.refused);
    }
}

#[test]
fn a_device_refuses_orders_for_another_and_orders_that_were_carried_out() {
    let service = Service::start();
    let (owner, _) = ordered(&service);
    let kept = Mutex::new(Value::Null);
    let state = || State::new(owner.computer.folder.path().join("state"));
    let seen = crate::hostile::Tampering::new(service.transport(), |_, path, response| {
        if path == routes::DEVICE_STATUS {
            *kept.lock().unwrap() = serde_json::from_slice::<Value>(&response.body).unwrap()["orders"].clone();
        }
    });
    let order = Client::new(seen, state()).device_status().unwrap().orders.remove(0);
    let kept = kept.into_inner().unwrap();
    // Shown to another device of the same account.
    let laptop = service.computer();
    owner.sign_in(&laptop.client).unwrap();
    laptop.client.enrol_this_computer("laptop", &owner.presence()).unwrap();
    let replay = |folder: &std::path::Path| {
        let orders = kept.clone();
        let lying =
            crate::hostile::lying(&service, "/v1/device/status", move |answer| answer["orders"] = orders.clone());
        Client::new(lying, State::new(folder.join("state"))).device_status().unwrap()
    };
    let status = replay(laptop.folder.path());
    assert!(status.orders.is_empty() && status.refused[0].contains("another device"), "{:?}", status.refused);
    // Replayed after it was carried out.
    owner.client().begin_order(&order, "D1").unwrap();
    owner.client().order_done(&order, None).unwrap();
    let status = replay(owner.computer.folder.path());
    assert!(status.orders.is_empty() && status.refused.is_empty(), "{:?}", status.refused);
    assert_eq!(status.ended, [order.id()], "its end is reported once more, and nothing else");
}

#[test]
fn an_order_that_is_too_old_is_neither_shown_nor_taken() {
    let service = Service::start();
    let (owner, record) = ordered(&service);
    service.clock.advance_ms(31 * 24 * 3600 * 1000);
    assert!(owner.client().device_status().unwrap().orders.is_empty());
    // It no longer stands in the way of a new one.
    owner.sign_in(owner.client()).unwrap();
    let refused = owner.client().reveal_any(record.record_id, "drill", &owner.presence(), Afterwards::Rotate).unwrap();
    // The client's clock was not moved: what it signs is too old already.
    let Some(Ordered::Failed(error)) = refused.ordered else { panic!("{:?}", refused.ordered) };
    assert_eq!(error.code(), Some(Code::OrderInvalid));
}

#[test]
fn the_service_takes_only_orders_of_the_accounts_identity() {
    let service = Service::start();
    let ada = service.enrolled("ada@example.org");
    let eve = service.enrolled("eve@example.org");
    let (_, record) = ada.save_one();
    let sent = Mutex::new(Value::Null);
    let recording = Recording { inner: service.transport(), path: routes::ORDERS, body: &sent };
    let client = Client::new(recording, State::new(ada.computer.folder.path().join("state")));
    reveal(&client, &ada, record.record_id);
    let good = sent.lock().unwrap().clone();
    let give = |body: &Value, token: Option<&str>| service.raw(Post, routes::ORDERS, token, body).code().to_owned();
    assert_eq!(give(&good, None), "auth.session_expired");
    assert_eq!(give(&good, Some(&eve.token())), "order.invalid", "signed by another account's key");
    assert_eq!(give(&json!({}), Some(&ada.token())), "request.invalid");
    for field in ["p", "s"] {
        let mut changed = good.clone();
        flip(&mut changed["order"][field]);
        assert_eq!(give(&changed, Some(&ada.token())), "order.invalid", "{field}");
    }
    assert_eq!(give(&good, Some(&ada.token())), "order.open", "the same again");
}

#[test]
fn an_order_ends_once_and_only_by_its_device() {
    let service = Service::start();
    let (owner, _) = ordered(&service);
    let order = to_do(&owner);
    let report = |id: &str, body: &Value| {
        let path = routes::with_id(routes::ORDER_REPORT, id);
        service.raw(Post, &path, None, body).code().to_owned()
    };
    // The report as it would be sent.
    let queued = |state: &str| {
        let file = owner.computer.folder.path().join(format!("state/reports/order-{}.json", order.id()));
        let report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert!(report["path"].as_str().unwrap().contains(&order.id().to_string()), "{state}");
        report["signed"].clone()
    };
    owner.client().begin_order(&order, "D1").unwrap();
    let taken = queued("taken");
    owner.client().order_failed(&order, "key_gone").unwrap();
    let failed = queued("failed");
    owner.client().order_done(&order, None).unwrap();
    let done = queued("done");
    let id = order.id().to_string();
    let other = "00000000-0000-4000-8000-000000000000";
    assert_eq!(report(other, &taken), "request.invalid");
    assert_eq!(report("nonsense", &taken), "order.over");
    assert_eq!(report(&id, &json!({})), "request.invalid");
    let mut changed = done.clone();
    flip(&mut changed["p"]);
    assert_ne!(report(&id, &changed), "");
    assert_eq!(report(&id, &taken), "");
    assert_eq!(report(&id, &failed), "");
    assert_eq!(report(&id, &failed), "", "the same again changes nothing");
    assert_eq!(report(&id, &taken), "order.over");
    assert_eq!(report(&id, &done), "order.over");
    let listed = owner.client().orders().unwrap();
    assert_eq!(listed[0].state, "failed");
    let entries = owner.client().audit_trail().unwrap().entries;
    let failures: Vec<_> = entries.iter().filter(|entry| entry.action == "rotate_failed").collect();
    assert_eq!((failures.len(), failures[0].reason.as_deref()), (1, Some("key_gone")));
    // The device lets go of a report that nobody takes; its note that the key is gone from the drive is another matter.
    assert_eq!(owner.client().deliver_reports().unwrap().0, 1);
    assert!(owner.client().deliver_reports().unwrap().1.is_none());
    assert_eq!(
        code_of(owner.client().reveal(order.record(), "nonsense", &owner.presence()).map(|_| ())),
        Code::RevealReason
    );
}
