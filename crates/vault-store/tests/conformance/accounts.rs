//! Sign-up: all or nothing, once per mail, once per invite.

use vault_store::{Refusal, Store};

use crate::fixture::{LATER, NOW, account_id, at_once, bytes, ceremony, link, new_account, owner, refusal};

pub(crate) async fn creating_makes_everything_at_once(store: &dyn Store) {
    let id = owner(store, 1).await;
    let account = store.account_by_email("owner1@example.org").await.unwrap().expect("is there");
    assert_eq!((account.id, account.epoch, account.two_factor), (id, 1, false));
    assert_eq!(store.account(id).await.unwrap().expect("is there").opaque_record, vec![1; 192]);
    assert_eq!(store.key_statement(id, 1).await.unwrap().expect("is there").hash, bytes(1));
    assert_eq!(store.slots(id).await.unwrap().len(), 1);
    assert_eq!(store.audit_head(id).await.unwrap().seq, 1);
    assert!(store.session(bytes(1)).await.unwrap().is_some());
    assert!(store.key_statement(account_id(2), 1).await.unwrap().is_none());
    assert!(store.slots(account_id(2)).await.unwrap().is_empty());
    assert_eq!(refusal(store.audit_head(account_id(2)).await), Refusal::NotFound);
}

pub(crate) async fn a_mail_has_one_account(store: &dyn Store) {
    owner(store, 1).await;
    store.add_ceremony(&ceremony(2, "signup")).await.unwrap();
    let mut second = new_account(2);
    second.account.email_norm = "owner1@example.org".into();
    assert_eq!(refusal(store.create_account(&second, NOW, &link).await), Refusal::EmailTaken);
    assert!(store.account(account_id(2)).await.unwrap().is_none());
    // The ceremony was not ended by the attempt that changed nothing.
    store.end_ceremony(second.ceremony, "signup", NOW).await.unwrap();
}

pub(crate) async fn an_invite_is_spent_once(store: &dyn Store) {
    store.add_invite(bytes(9), NOW, LATER).await.unwrap();
    assert!(store.invite_is_open(bytes(9), NOW).await.unwrap());
    for (n, expected) in [(1, None), (2, Some(Refusal::Invite))] {
        store.add_ceremony(&ceremony(n, "signup")).await.unwrap();
        let mut new = new_account(n);
        new.invite = Some(bytes(9));
        let result = store.create_account(&new, NOW, &link).await;
        match expected {
            None => result.unwrap(),
            Some(expected) => assert_eq!(refusal(result), expected),
        }
    }
    assert!(!store.invite_is_open(bytes(9), NOW).await.unwrap());
    assert!(!store.invite_is_open(bytes(8), NOW).await.unwrap());
}

pub(crate) async fn an_invite_expires(store: &dyn Store) {
    store.add_invite(bytes(9), NOW - 10, NOW).await.unwrap();
    assert!(!store.invite_is_open(bytes(9), NOW).await.unwrap());
    store.add_ceremony(&ceremony(1, "signup")).await.unwrap();
    let mut new = new_account(1);
    new.invite = Some(bytes(9));
    assert_eq!(refusal(store.create_account(&new, NOW, &link).await), Refusal::Invite);
}

pub(crate) async fn parallel_sign_ups_share_one_invite(store: &dyn Store) {
    store.add_invite(bytes(9), NOW, LATER).await.unwrap();
    for n in 1..9 {
        store.add_ceremony(&ceremony(n, "signup")).await.unwrap();
    }
    let calls = (1..9).map(|n| async move {
        let mut new = new_account(n);
        new.invite = Some(bytes(9));
        store.create_account(&new, NOW, &link).await.is_ok()
    });
    assert_eq!(at_once(calls).await, 1);
}
