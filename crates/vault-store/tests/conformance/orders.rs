//! Rotation orders and notes: for the device that saved the record, once, and never for a stranger.

use vault_protocol::note::Finding;
use vault_protocol::order::OrderState;
use vault_store::{
    AccountId, MAX_COPIES, NewNote, NewRecord, Order, OrderId, OrderProgress, RecordState, Refusal, Store,
};

use crate::fixture::{
    LATER, NOW, account_id, at_once, bytes, device, device_id, grant, link, new_record, owner, record_id, refusal,
    save, seal,
};

/// An owner with device 5, which saved record 5.
async fn with_device(store: &dyn Store) -> AccountId {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 77, "enrol-device", "t").await;
    store.enrol_device(&device(owner, 5), None, &fits, &link).await.unwrap();
    save_by_device(store, owner, 5).await;
    owner
}

async fn save_by_device(store: &dyn Store, owner: AccountId, n: u8) {
    let mut new = NewRecord { device: Some((device_id(5), i64::from(n))), ..new_record(owner, n) };
    new.record.author_id = device_id(5).into();
    store.save_record(&new, &seal).await.unwrap();
}

fn order(owner: AccountId, n: u8, record: u8) -> Order {
    Order {
        id: OrderId::from_bytes(bytes(n)),
        account_id: owner,
        device_id: device_id(5),
        record_id: record_id(record),
        body: vec![n; 50],
        state: OrderState::Open,
        report: None,
        expires_at: LATER,
        at: NOW,
    }
}

fn progress(order: &Order, state: OrderState) -> OrderProgress {
    OrderProgress {
        id: order.id,
        account_id: order.account_id,
        device_id: order.device_id,
        state,
        report: state.name().into(),
        now: NOW,
    }
}

fn note(owner: AccountId, record: u8, finding: Finding, at: i64) -> NewNote {
    NewNote {
        account_id: owner,
        device_id: device_id(5),
        record_id: record_id(record),
        finding,
        body: format!("{} {at}", finding.name()).into_bytes(),
        at,
    }
}

async fn open(store: &dyn Store, owner: AccountId) -> Vec<OrderId> {
    let orders = store.orders_of_device(owner, device_id(5), NOW, 9).await.unwrap();
    orders.iter().map(|order| order.id).collect()
}

pub(crate) async fn an_order_needs_a_record_of_its_active_device(store: &dyn Store) {
    let first = with_device(store).await;
    let second = owner(store, 2).await;
    save(store, first, 6).await;
    let head = store.audit_head(first).await.unwrap();
    for wrong in [
        order(first, 1, 9),
        order(first, 1, 6),
        Order { device_id: device_id(6), ..order(first, 1, 5) },
        Order { account_id: second, ..order(first, 1, 5) },
    ] {
        assert_eq!(refusal(store.add_order(&wrong, &link).await), Refusal::NotFound);
    }
    assert_eq!(store.audit_head(first).await.unwrap(), head, "a refused act leaves no entry");
    store.add_order(&order(first, 1, 5), &link).await.unwrap();
    assert_eq!(store.audit_head(first).await.unwrap().seq, head.seq + 1);
    assert_eq!(open(store, first).await.len(), 1);
    assert!(open(store, second).await.is_empty() && store.orders(second, 9).await.unwrap().is_empty());
    assert!(store.orders_of_device(first, device_id(6), NOW, 9).await.unwrap().is_empty());

    let revoke = grant(store, first, 79, "revoke-device", "t").await;
    store.revoke_device(device_id(5), &revoke, &link).await.unwrap();
    save_refused(store, first).await;
}

async fn save_refused(store: &dyn Store, owner: AccountId) {
    let over = store.add_order(&order(owner, 2, 5), &link).await;
    assert_eq!(refusal(over), Refusal::NotFound, "its device is revoked");
}

pub(crate) async fn a_record_has_one_order_at_a_time(store: &dyn Store) {
    let owner = with_device(store).await;
    let first = order(owner, 1, 5);
    store.add_order(&first, &link).await.unwrap();
    assert_eq!(refusal(store.add_order(&order(owner, 2, 5), &link).await), Refusal::OrderOpen);
    assert!(store.move_order(&progress(&first, OrderState::Taken), &link).await.unwrap());
    assert_eq!(refusal(store.add_order(&order(owner, 2, 5), &link).await), Refusal::OrderOpen);
    // One that nobody may carry out any more gives way.
    let late = Order { at: LATER, expires_at: LATER + 1, ..order(owner, 3, 5) };
    store.add_order(&late, &link).await.unwrap();
    let all = store.orders(owner, 9).await.unwrap();
    assert_eq!(all.iter().map(|order| order.state).collect::<Vec<_>>(), [OrderState::Open, OrderState::Failed]);
    save_by_device(store, owner, 6).await;
    let again = store.add_order(&Order { record_id: record_id(6), ..late }, &link).await;
    assert_eq!(refusal(again), Refusal::IdTaken);
}

pub(crate) async fn an_order_ends_once(store: &dyn Store) {
    let owner = with_device(store).await;
    let first = order(owner, 1, 5);
    store.add_order(&first, &link).await.unwrap();
    let stranger = OrderProgress { device_id: device_id(6), ..progress(&first, OrderState::Done) };
    assert_eq!(refusal(store.move_order(&stranger, &link).await), Refusal::OrderOver);
    let other = OrderProgress { account_id: account_id(9), ..progress(&first, OrderState::Done) };
    assert_eq!(refusal(store.move_order(&other, &link).await), Refusal::OrderOver);
    for state in [OrderState::Taken, OrderState::Done] {
        assert!(store.move_order(&progress(&first, state), &link).await.unwrap());
        let head = store.audit_head(owner).await.unwrap();
        assert!(!store.move_order(&progress(&first, state), &link).await.unwrap(), "the same again changes nothing");
        assert_eq!(store.audit_head(owner).await.unwrap(), head);
    }
    for state in [OrderState::Taken, OrderState::Failed] {
        assert_eq!(refusal(store.move_order(&progress(&first, state), &link).await), Refusal::OrderOver);
    }
    assert!(open(store, owner).await.is_empty());
    let all = store.orders(owner, 9).await.unwrap();
    assert_eq!((all[0].state, all[0].report.clone()), (OrderState::Done, Some(b"done".to_vec())));
}

pub(crate) async fn parallel_reports_end_an_order_once(store: &dyn Store) {
    let owner = with_device(store).await;
    let first = order(owner, 1, 5);
    store.add_order(&first, &link).await.unwrap();
    let ends = [OrderState::Done, OrderState::Failed];
    let calls = (0..8).map(|n| {
        let progress = progress(&first, ends[n % 2]);
        async move { store.move_order(&progress, &link).await.is_ok_and(|changed| changed) }
    });
    assert_eq!(at_once(calls).await, 1);
}

pub(crate) async fn notes_are_for_own_and_ordered_records(store: &dyn Store) {
    let owner = with_device(store).await;
    save(store, owner, 6).await;
    let theirs = note(owner, 6, Finding::Retired, NOW);
    assert_eq!(refusal(store.note_record(&theirs, None).await), Refusal::NotFound, "the owner saved that one");
    let stranger = NewNote { account_id: account_id(9), ..note(owner, 5, Finding::Verified, NOW) };
    assert_eq!(refusal(store.note_record(&stranger, None).await), Refusal::NotFound);
    let head = store.audit_head(owner).await.unwrap();
    store.note_record(&note(owner, 5, Finding::Verified, NOW), None).await.unwrap();
    assert_eq!(store.audit_head(owner).await.unwrap(), head);
    store.note_record(&note(owner, 5, Finding::Retired, NOW + 1), Some(&link)).await.unwrap();
    assert_eq!(store.audit_head(owner).await.unwrap().seq, head.seq + 1);
    // An older one that is sent again does not come back.
    store.note_record(&note(owner, 5, Finding::Missing, NOW), None).await.unwrap();
    assert!(store.notes(owner, record_id(6), record_id(9)).await.unwrap().is_empty());
    assert_eq!(
        store.notes(owner, record_id(1), record_id(5)).await.unwrap(),
        [(record_id(5), format!("retired {}", NOW + 1).into_bytes())]
    );
    let listed = store.records_page(owner, None, 9).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.state).collect::<Vec<_>>(), [RecordState::Retired, RecordState::Live]);
}

pub(crate) async fn a_device_gets_another_name(store: &dyn Store) {
    let owner = with_device(store).await;
    store.label_device(owner, device_id(5), b"sealed", &link).await.unwrap();
    assert_eq!(refusal(store.label_device(account_id(9), device_id(5), b"x", &link).await), Refusal::NotFound);
    store.see_device(owner, device_id(5), LATER).await.unwrap();
    let found = store.device(owner, device_id(5)).await.unwrap().expect("is there");
    assert_eq!((found.label_sealed.as_deref(), found.seen_at), (Some(&b"sealed"[..]), LATER));
}

pub(crate) async fn a_copy_takes_the_place_of_a_damaged_record(store: &dyn Store) {
    let owner = with_device(store).await;
    let mut good = store.record(owner, record_id(5)).await.unwrap().expect("is there");
    good.secret = vec![7; 300];
    good.body_sha256 = bytes(99);
    store.store_copy(&good, &link).await.unwrap();
    let found = store.record(owner, record_id(5)).await.unwrap().expect("is there");
    assert_eq!((found.secret, found.body_sha256), (vec![7; 300], bytes(99)));
    assert!(store.receipt(owner, record_id(5), bytes(99)).await.unwrap().is_some());
    let listed = store.records_page(owner, None, 9).await.unwrap();
    assert!(listed[0].record.secret.is_empty() && listed[0].record.body_sha256 == bytes::<32>(99));
    for _ in 1..MAX_COPIES {
        store.store_copy(&good, &link).await.unwrap();
    }
    assert_eq!(refusal(store.store_copy(&good, &link).await), Refusal::Quota);
    good.id = record_id(9);
    assert_eq!(refusal(store.store_copy(&good, &link).await), Refusal::NotFound);
}
