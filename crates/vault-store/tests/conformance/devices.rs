//! Enrolment: a grant makes one device; a code belongs to one account, three looks and ten minutes.

use vault_store::{AccountId, CodeAnswer, DeviceCode, DeviceCodeState, DeviceState, GrantUse, Refusal, Store};

use crate::fixture::{LATER, NOW, account_id, bytes, device, device_id, grant, link, owner, refusal};

const TRIES: i64 = 3;

fn code(n: u8) -> DeviceCode {
    DeviceCode {
        hash: bytes(n),
        user_code: format!("BCDF-{n:04}"),
        device_pk: vec![n; 32],
        alg: "ed25519".into(),
        box_pk: vec![n; 40],
        nonce: vec![n; 16],
        request: b"{}".to_vec(),
        tag_h: None,
        account_id: None,
        answer: None,
        state: DeviceCodeState::Pending,
        polled_at: None,
        expires_at: LATER,
    }
}

/// A waiting code whose device said hello.
async fn waiting(store: &dyn Store, n: u8) -> DeviceCode {
    let code = code(n);
    store.add_device_code(&code).await.unwrap();
    store.set_device_code_tag(code.hash, &[n; 32], NOW).await.unwrap();
    code
}

async fn enrol_grant(store: &dyn Store, owner: AccountId) -> GrantUse {
    grant(store, owner, 77, "enrol-device", "t").await
}

fn answer(code: &DeviceCode) -> CodeAnswer {
    CodeAnswer { user_code: code.user_code.clone(), box_pk: code.box_pk.clone(), answer: b"answer".to_vec() }
}

pub(crate) async fn enrolling_spends_the_grant(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = enrol_grant(store, owner).await;
    store.enrol_device(&device(owner, 5), None, &fits, &link).await.unwrap();
    assert_eq!(refusal(store.enrol_device(&device(owner, 6), None, &fits, &link).await), Refusal::Grant);
    let devices = store.devices(owner).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0].id, devices[0].state, devices[0].last_seq), (device_id(5), DeviceState::Active, 0));
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 3);
}

pub(crate) async fn a_device_of_another_account_is_not_found(store: &dyn Store) {
    let (first, second) = (owner(store, 1).await, owner(store, 2).await);
    let fits = enrol_grant(store, first).await;
    store.enrol_device(&device(first, 5), None, &fits, &link).await.unwrap();
    assert!(store.device(second, device_id(5)).await.unwrap().is_none());
    assert!(store.devices(second).await.unwrap().is_empty());
    let theirs = grant(store, second, 79, "revoke-device", "t").await;
    assert_eq!(refusal(store.revoke_device(device_id(5), &theirs, &link).await), Refusal::NotFound);
    assert!(store.device(first, device_id(5)).await.unwrap().is_some());
}

pub(crate) async fn revoking_is_final(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = enrol_grant(store, owner).await;
    store.enrol_device(&device(owner, 5), None, &fits, &link).await.unwrap();
    let fits = grant(store, owner, 79, "revoke-device", "t").await;
    store.revoke_device(device_id(5), &fits, &link).await.unwrap();
    let again = grant(store, owner, 80, "revoke-device", "t").await;
    let found = store.device(owner, device_id(5)).await.unwrap().expect("stays listed");
    assert_eq!((found.state, found.revoked_at), (DeviceState::Revoked, Some(NOW)));
    let head = store.audit_head(owner).await.unwrap();
    assert_eq!(refusal(store.revoke_device(device_id(5), &fits, &link).await), Refusal::Grant);
    assert_eq!(refusal(store.revoke_device(device_id(5), &again, &link).await), Refusal::NotFound);
    assert_eq!(store.audit_head(owner).await.unwrap(), head, "a refused act leaves no entry");
}

pub(crate) async fn a_code_is_claimed_by_one_account(store: &dyn Store) {
    let (first, second) = (owner(store, 1).await, owner(store, 2).await);
    let code = waiting(store, 5).await;
    let claim = async |account| store.claim_device_code(&code.user_code, account, NOW, TRIES).await;
    assert_eq!(claim(first).await.unwrap().device_pk, code.device_pk);
    assert_eq!(refusal(claim(second).await), Refusal::DeviceCode);
    assert_eq!(refusal(store.claim_device_code("BCDF-9999", first, NOW, TRIES).await), Refusal::DeviceCode);
    let stolen = grant(store, second, 78, "enrol-device", "t").await;
    let result = store.enrol_device(&device(second, 5), Some(&answer(&code)), &stolen, &link).await;
    assert_eq!(refusal(result), Refusal::DeviceCode);
    let fits = enrol_grant(store, first).await;
    store.enrol_device(&device(first, 5), Some(&answer(&code)), &fits, &link).await.unwrap();
    let found = store.device_code(code.hash).await.unwrap().expect("is there");
    assert_eq!((found.state, found.answer), (DeviceCodeState::Approved, Some(b"answer".to_vec())));
    assert_eq!(refusal(claim(first).await), Refusal::DeviceCode, "answered");
}

pub(crate) async fn three_tries_kill_a_code(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let code = waiting(store, 5).await;
    for _ in 0..TRIES {
        store.claim_device_code(&code.user_code, owner, NOW, TRIES).await.unwrap();
    }
    assert_eq!(refusal(store.claim_device_code(&code.user_code, owner, NOW, TRIES).await), Refusal::DeviceCode);
    assert_eq!(store.device_code(code.hash).await.unwrap().expect("is there").state, DeviceCodeState::Failed);
    let fits = enrol_grant(store, owner).await;
    let result = store.enrol_device(&device(owner, 5), Some(&answer(&code)), &fits, &link).await;
    assert_eq!(refusal(result), Refusal::DeviceCode);
    store.spend_grant(&fits).await.expect("nothing was spent");
}

pub(crate) async fn an_expired_code_is_dead(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let code = waiting(store, 5).await;
    assert_eq!(refusal(store.claim_device_code(&code.user_code, owner, LATER, TRIES).await), Refusal::DeviceCode);
    assert_eq!(refusal(store.set_device_code_tag(code.hash, &[5; 32], LATER).await), Refusal::DeviceCode);
    store.claim_device_code(&code.user_code, owner, NOW, TRIES).await.unwrap();
    let late = GrantUse { now: LATER - 1, ..enrol_grant(store, owner).await };
    let mut expired = code.clone();
    expired.expires_at = NOW + 1;
    expired.hash = bytes(6);
    expired.user_code = "OTHER".into();
    store.add_device_code(&expired).await.unwrap();
    let result = store.enrol_device(&device(owner, 5), Some(&answer(&expired)), &late, &link).await;
    assert_eq!(refusal(result), Refusal::DeviceCode);
}

pub(crate) async fn a_tag_is_set_once(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let code = code(5);
    store.add_device_code(&code).await.unwrap();
    assert_eq!(refusal(store.add_device_code(&code).await), Refusal::IdTaken);
    for _ in 0..9 {
        let found = store.claim_device_code(&code.user_code, owner, NOW, TRIES).await.expect("costs no try yet");
        assert_eq!(found.tag_h, None);
    }
    store.set_device_code_tag(code.hash, &[1; 32], NOW).await.unwrap();
    store.set_device_code_tag(code.hash, &[1; 32], NOW).await.expect("the same again");
    assert_eq!(refusal(store.set_device_code_tag(code.hash, &[2; 32], NOW).await), Refusal::DeviceCode);
    assert_eq!(store.device_code(code.hash).await.unwrap().expect("is there").tag_h, Some(vec![1; 32]));
    assert!(store.device_code(bytes(9)).await.unwrap().is_none());
}

pub(crate) async fn an_answer_needs_the_device_that_was_looked_up(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let code = waiting(store, 5).await;
    store.claim_device_code(&code.user_code, owner, NOW, TRIES).await.unwrap();
    let fits = enrol_grant(store, owner).await;
    let other = device(account_id(1), 6);
    assert_eq!(refusal(store.enrol_device(&other, Some(&answer(&code)), &fits, &link).await), Refusal::DeviceCode);
    let box_pk = vec![9; 40];
    let other_box = CodeAnswer { box_pk, ..answer(&code) };
    assert_eq!(
        refusal(store.enrol_device(&device(owner, 5), Some(&other_box), &fits, &link).await),
        Refusal::DeviceCode
    );
    assert!(store.devices(owner).await.unwrap().is_empty());
}
