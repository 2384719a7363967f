//! Enrolling a device by link: the same proofs as by code, with a secret that nobody types.

use std::sync::Mutex;

use secret::SecretString;
use serde_json::{Value, json};
use vault_client::problem::Code;
use vault_client::{Client, DeviceEnrolment, Error, LinkApproval, Method, State};

use crate::harness::{Computer, Owner, Service, code_of, key_to_save};
use crate::hostile::{Tampering, flip, lied_to, lying};

fn approval(enrolment: &DeviceEnrolment, owner: &Owner) -> LinkApproval {
    LinkApproval { link: enrolment.link().unwrap(), presence: owner.presence() }
}

#[test]
fn a_device_joins_by_link_and_saves() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment_by_link("laptop").unwrap();
    assert!(enrolment.check_code().is_none());
    let link = enrolment.link().unwrap();
    assert!(link.expose().starts_with(&format!("{}/enrol#", service.origin())), "behind # nothing is sent");
    let device = owner.client().approve_link(&approval(&enrolment, &owner)).unwrap().device_id;
    assert_eq!(laptop.client.poll_enrolment(&enrolment).unwrap(), Some(device));
    let key = key_to_save();
    laptop.client.save(&key).unwrap();
    let found = owner.client().find_records(&key.meta.key_id).unwrap();
    assert_eq!((found.len(), found[0].author.as_str(), found[0].verified), (1, "laptop", true));
    // A link is good once.
    let again = owner.client().approve_link(&approval(&enrolment, &owner));
    assert_eq!(code_of(again), Code::DeviceCodeExpired);
}

#[test]
fn the_secret_of_a_link_never_reaches_the_service() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment_by_link("laptop").unwrap();
    owner.client().approve_link(&approval(&enrolment, &owner)).unwrap();
    let link = enrolment.link().unwrap();
    let secret = link.expose().rsplit('.').next().unwrap();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
    for file in std::fs::read_dir(service.folder.path()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap_or_default();
        for form in [bytes.as_slice(), secret.as_bytes()] {
            assert!(!content.windows(form.len()).any(|window| window == form));
        }
    }
}

#[test]
fn a_link_that_is_wrong_approves_nothing() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment_by_link("laptop").unwrap();
    let link = enrolment.link().unwrap();
    let try_with = |link: String| {
        let link = SecretString::new(link);
        owner.client().approve_link(&LinkApproval { link, presence: owner.presence() })
    };
    for not_one in ["", "hello", &link.expose().replace('#', "?"), link.expose().split('.').next().unwrap()] {
        assert_eq!(code_of(try_with(not_one.to_owned())), Code::DeviceCodeExpired, "{not_one}");
    }
    // To another service: nothing is asked there, and nothing here.
    let elsewhere = link.expose().replace("127.0.0.1", "127.0.0.2");
    assert!(matches!(try_with(elsewhere), Err(Error::WrongOrigin { .. })));
    // Another secret.
    let (start, secret) = link.expose().rsplit_once('.').unwrap();
    let first = if secret.starts_with('A') { "B" } else { "A" };
    assert_eq!(code_of(try_with(format!("{start}.{first}{}", &secret[1..]))), Code::DeviceCheckFailed);
    assert!(laptop.client.poll_enrolment(&enrolment).unwrap().is_none());
    owner.client().approve_link(&approval(&enrolment, &owner)).unwrap();
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
        let enrolment = laptop.client.request_enrolment_by_link("laptop").unwrap();
        assert_eq!(code_of(client.approve_link(&approval(&enrolment, &owner))), Code::DeviceCheckFailed, "{field}");
        assert!(laptop.client.poll_enrolment(&enrolment).unwrap().is_none(), "{field}");
    }
    assert!(owner.client().devices().unwrap().is_empty());
}

#[test]
fn a_hello_of_another_enrolment_is_found_out() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    // The operator keeps the whole request of a device that was enrolled with Ada's help, hello included, and shows it
    // again in place of that of her next device.
    let kept = Mutex::new(None);
    let state = State::new(owner.computer.folder.path().join("state"));
    let watching = Client::new(
        Tampering::new(service.transport(), |method, path, response| {
            if method == Method::Post && path == "/v1/device/pending" {
                *kept.lock().unwrap() = Some(serde_json::from_slice::<Value>(&response.body).unwrap());
            }
        }),
        state,
    );
    let first = service.computer();
    let enrolment = first.client.request_enrolment_by_link("first").unwrap();
    watching.approve_link(&approval(&enrolment, &owner)).unwrap();
    drop(watching);
    let kept = kept.into_inner().unwrap().unwrap();
    assert!(kept["tag_h"].is_string());
    let client = lied_to(&service, &owner, "/v1/device/pending", move |answer| *answer = kept.clone());
    let second = service.computer();
    let enrolment = second.client.request_enrolment_by_link("second").unwrap();
    assert_eq!(code_of(client.approve_link(&approval(&enrolment, &owner))), Code::DeviceCheckFailed);
    assert_eq!(owner.client().devices().unwrap().len(), 1);
}

#[test]
fn an_account_statement_swapped_on_the_way_back_is_found_out() {
    let service = Service::start();
    let ada = service.account("ada@example.org");
    let operator = service.account("operator@example.org");
    let statement = serde_json::to_value(operator.client().account().unwrap().key_statement).unwrap();
    for field in ["key_statement", "certificate", "receipt_pk", "log_pk", "tag_a"] {
        let statement = statement.clone();
        let laptop = Computer::with(lying(&service, "/v1/device/token", move |answer| match field {
            "key_statement" => answer["key_statement"] = statement.clone(),
            "certificate" => flip(&mut answer["certificate"]["p"]),
            "tag_a" => flip(&mut answer["tag_a"]),
            key => flip(&mut answer[key]["pk"]),
        }));
        let enrolment = laptop.client.request_enrolment_by_link("laptop").unwrap();
        ada.client().approve_link(&approval(&enrolment, &ada)).unwrap();
        assert_eq!(code_of(laptop.client.poll_enrolment(&enrolment)), Code::DeviceAccountKeyMismatch, "{field}");
        assert!(!laptop.client.is_enrolled().unwrap(), "{field}");
        assert!(!laptop.folder.path().join("state/device.key").exists(), "{field}: no key is left behind");
    }
}

#[test]
fn a_link_is_dead_after_ten_minutes() {
    let service = Service::start();
    let owner = service.account("ada@example.org");
    let laptop = service.computer();
    let enrolment = laptop.client.request_enrolment_by_link("laptop").unwrap();
    service.clock.advance_ms(601_000);
    assert_eq!(code_of(owner.client().approve_link(&approval(&enrolment, &owner))), Code::DeviceCodeExpired);
    assert_eq!(code_of(laptop.client.poll_enrolment(&enrolment)), Code::DeviceCodeExpired);
    let answer = service.raw(Method::Post, "/v1/device/token", None, &json!({ "device_code": "AAAA" }));
    assert_eq!(answer.code(), "device.code_expired");
}
