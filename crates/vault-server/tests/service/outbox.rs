//! The server is away, comes back, forgets nothing.

use vault_client::Outcome;
use vault_client::problem::Code;

use crate::harness::{Service, key_to_save};

#[test]
fn a_save_waits_while_the_server_is_down_and_is_delivered_later() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    service.stop();
    let keys = [key_to_save(), key_to_save()];
    for key in &keys {
        let Outcome::Waiting { why, .. } = owner.client().save(key).unwrap() else { panic!("saved by nobody") };
        assert_eq!(why.code(), Some(Code::ServerBusy));
    }
    assert_eq!(owner.client().state().waiting().unwrap(), 2);
    assert_eq!(owner.client().deliver_outbox().unwrap().waiting.len(), 2);

    service.run();
    let delivery = owner.client().deliver_outbox().unwrap();
    assert_eq!((delivery.saved.len(), delivery.waiting.len()), (2, 0));
    assert_eq!(owner.client().state().waiting().unwrap(), 0);
    assert_eq!(owner.client().records().unwrap().len(), 2);
    let report = owner.client().audit_verify().unwrap();
    assert_eq!((report.receipts, report.problems.len()), (2, 0));
}

#[test]
pub(crate) fn an_answer_that_was_lost_is_asked_for_again() {
    let service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let outbox = owner.computer.folder.path().join("state/outbox");
    let key = key_to_save();
    // The item stays as if the program had been killed after the server stored the save.
    let kept = {
        let lossy = crate::hostile::Tampering::new(service.transport(), |_, path, response| {
            if path.starts_with("/v1/records/") {
                response.status = 500;
                response.body = b"the line broke".to_vec();
            }
        });
        let state = vault_client::State::new(owner.computer.folder.path().join("state"));
        let client = vault_client::Client::new(lossy, state);
        assert!(matches!(client.save(&key).unwrap(), Outcome::Waiting { .. }));
        std::fs::read_dir(&outbox).unwrap().count()
    };
    assert_eq!(kept, 1);
    let delivery = owner.client().deliver_outbox().unwrap();
    assert_eq!(delivery.saved.len(), 1);
    assert_eq!(owner.client().records().unwrap().len(), 1, "stored once");
    let saves = owner.client().audit_trail().unwrap().entries.iter().filter(|entry| entry.action == "save").count();
    assert_eq!(saves, 1, "told once");
}

#[test]
pub(crate) fn everything_is_there_after_a_restart() {
    let mut service = Service::start();
    let owner = service.enrolled("ada@example.org");
    let (password, record) = owner.save_one();
    service.stop();
    service.run();
    // The session too: it lives in the database.
    let revealed = owner.client().reveal(record.record_id, "drill", &owner.presence()).unwrap();
    assert!(revealed.password == password);
}
