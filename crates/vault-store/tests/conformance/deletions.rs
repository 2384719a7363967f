//! Deletions: after their delay and never before, whole, and for good.

use vault_store::{
    AccountId, ChainHead, Link, NewRecord, NewWait, OutgoingMail, RecordId, Refusal, Saved, Store, Wait, WaitBegunBy,
    WaitId, WaitKind,
};

use crate::fixture::{
    NOW, at_once, body_sha256, bytes, device, grant, link, new_record, owner, record_id, refusal, save, seal, session,
};

const MONTH: i64 = 30 * 24 * 3_600_000;

pub(crate) fn deletion(account: AccountId, n: u8, of: Option<RecordId>) -> NewWait {
    NewWait {
        wait: Wait {
            id: WaitId::from_bytes(bytes(n)),
            account_id: account,
            kind: if of.is_some() { WaitKind::DeleteRecord } else { WaitKind::DeleteAccount },
            target: of.map(|record| record.to_string()).unwrap_or_default(),
            begun_by: WaitBegunBy::Owner,
            begun_at: NOW,
            due_at: NOW + MONTH,
            next_at: NOW + MONTH,
        },
        cancel_hash: bytes(n),
        limit: None,
        grant: None,
        ceremony: None,
        now: NOW,
    }
}

async fn begin(store: &dyn Store, new: NewWait) -> Wait {
    store.begin_wait(&new, &link).await.unwrap();
    new.wait
}

async fn records_of(store: &dyn Store, account: AccountId) -> Vec<RecordId> {
    let page = store.records_page(account, None, 100).await.unwrap();
    page.into_iter().map(|listing| listing.record.id).collect()
}

pub(crate) async fn a_record_is_deleted_when_it_is_due_and_for_good(store: &dyn Store) {
    let (account, other) = (owner(store, 1).await, owner(store, 2).await);
    for n in [1, 2] {
        save(store, account, n).await;
    }
    save(store, other, 1).await;
    let wait = begin(store, deletion(account, 1, Some(record_id(1)))).await;
    assert_eq!(refusal(store.finish_deletion(&wait, NOW + MONTH - 1, &link).await), Refusal::Wait);
    let forged = Wait { due_at: NOW, ..wait.clone() };
    assert_eq!(refusal(store.finish_deletion(&forged, NOW + 1, &link).await), Refusal::Wait);
    let moved = Wait { account_id: other, ..wait.clone() };
    assert_eq!(refusal(store.finish_deletion(&moved, NOW + MONTH, &link).await), Refusal::Wait);
    assert_eq!(records_of(store, account).await, [record_id(1), record_id(2)]);
    let ends = (0..6).map(|_| async { store.finish_deletion(&wait, NOW + MONTH, &link).await.is_ok() });
    assert_eq!(at_once(ends).await, 1);
    assert_eq!(records_of(store, account).await, [record_id(2)]);
    assert_eq!(records_of(store, other).await, [record_id(1)], "another account's record of that name stays");
    assert!(store.record(account, record_id(1)).await.unwrap().is_none());
    assert!(store.receipt(account, record_id(1), body_sha256(1)).await.unwrap().is_none());
    assert!(store.is_purged(account, record_id(1)).await.unwrap());
    assert!(!store.is_purged(account, record_id(2)).await.unwrap());
    assert!(!store.is_purged(other, record_id(1)).await.unwrap());
    // It does not come back by the save that is sent again, nor by another one of its name.
    let head = store.audit_head(account).await.unwrap();
    let mut again = new_record(account, 1);
    assert_eq!(refusal(store.save_record(&again, &seal).await), Refusal::Purged);
    again.record.body_sha256 = body_sha256(9);
    assert_eq!(refusal(store.save_record(&again, &seal).await), Refusal::Purged);
    assert_eq!(store.audit_head(account).await.unwrap(), head);
    // The place it took is free.
    let last = NewRecord { max_records: 2, ..new_record(account, 3) };
    assert!(matches!(store.save_record(&last, &seal).await.unwrap(), Saved::New(_)));
}

pub(crate) async fn a_deletion_needs_its_record_and_can_be_cancelled(store: &dyn Store) {
    let account = owner(store, 1).await;
    save(store, account, 1).await;
    let unknown = deletion(account, 1, Some(record_id(7)));
    assert_eq!(refusal(store.begin_wait(&unknown, &link).await), Refusal::NotFound);
    let wait = begin(store, deletion(account, 2, Some(record_id(1)))).await;
    let again = deletion(account, 3, Some(record_id(1)));
    assert_eq!(refusal(store.begin_wait(&again, &link).await), Refusal::WaitRuns);
    // A delay for another record runs beside it.
    save(store, account, 2).await;
    let other = begin(store, deletion(account, 4, Some(record_id(2)))).await;
    store.cancel_wait(&wait, NOW + MONTH, &link).await.unwrap();
    assert_eq!(refusal(store.finish_deletion(&wait, NOW + MONTH, &link).await), Refusal::Wait);
    store.finish_deletion(&other, NOW + MONTH, &link).await.unwrap();
    assert_eq!(records_of(store, account).await, [record_id(1)]);
}

pub(crate) async fn a_deletion_that_was_not_announced_does_not_happen(store: &dyn Store) {
    let account = owner(store, 1).await;
    save(store, account, 1).await;
    for (n, of) in [(1, Some(record_id(1))), (2, None)] {
        let new = deletion(account, n, of);
        let id = *new.wait.id.as_bytes();
        let announced = move |head: &ChainHead| {
            let mail = OutgoingMail { id, sealed: vec![1], created_at: NOW, expires_at: i64::MAX };
            Link { mail: Some(mail), ..link(head) }
        };
        store.begin_wait(&new, &announced).await.unwrap();
        assert_eq!(refusal(store.finish_deletion(&new.wait, NOW + MONTH, &link).await), Refusal::Unannounced);
        assert_eq!(records_of(store, account).await, [record_id(1)]);
        store.lapse_wait(&new.wait, NOW + MONTH, &link).await.unwrap();
        assert_eq!(store.mail_waiting().await.unwrap(), 0, "what announces it is of no use any more");
        assert!(store.waits(account).await.unwrap().is_empty());
    }
}

pub(crate) async fn an_account_is_deleted_with_everything_that_opens_it(store: &dyn Store) {
    let (account, other) = (owner(store, 1).await, owner(store, 2).await);
    let fits = grant(store, account, 77, "enrol-device", "t").await;
    store.enrol_device(&device(account, 5), None, &fits, &link).await.unwrap();
    for n in [1, 2] {
        save(store, account, n).await;
        save(store, other, n).await;
    }
    let address = store.account(account).await.unwrap().unwrap().email_norm;
    let of_a_record = begin(store, deletion(account, 1, Some(record_id(1)))).await;
    let wait = begin(store, deletion(account, 2, None)).await;
    store.finish_deletion(&wait, NOW + MONTH, &link).await.unwrap();
    assert!(store.account(account).await.unwrap().is_none());
    assert!(store.account_by_email(&address).await.unwrap().is_none());
    assert!(store.slots(account).await.unwrap().is_empty() && store.factors(account).await.unwrap().is_empty());
    assert!(store.session(session(account, 1).token_hash).await.unwrap().is_none());
    assert!(store.key_statement(account, 1).await.unwrap().is_none());
    assert!(store.devices(account).await.unwrap().is_empty());
    assert!(records_of(store, account).await.is_empty());
    assert_eq!(refusal(store.finish_deletion(&of_a_record, NOW + MONTH, &link).await), Refusal::Wait);
    // The trail of what happened stays, to its end.
    assert!(store.audit_head(account).await.unwrap().seq > 4);
    assert_eq!(records_of(store, other).await.len(), 2);
    // The address is free.
    let mut new = crate::fixture::new_account(3);
    new.account.email_norm = address;
    store.add_ceremony(&crate::fixture::ceremony(3, "signup")).await.unwrap();
    store.create_account(&new, NOW, &link).await.unwrap();
}
