//! Notices that wait: put in with their act, claimed by one, gone when sent.

use vault_store::{ChainHead, Link, OutgoingMail, Store};

use crate::fixture::{LATER, NOW, at_once, bytes, ceremony, link, owner, refusal};

fn mail(n: u8) -> OutgoingMail {
    OutgoingMail { id: bytes(n), sealed: vec![n; 40], created_at: NOW, expires_at: LATER }
}

pub(crate) async fn a_notice_comes_with_its_act_or_not_at_all(store: &dyn Store) {
    let account = owner(store, 1).await;
    let telling = |head: &ChainHead| Link { mail: Some(mail(7)), ..link(head) };
    store.append_audit(account, &telling).await.unwrap();
    let waiting = store.mail_to_send(NOW, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].mail.id, waiting[0].tries), (1, bytes(7), 0));
    assert_eq!((&waiting[0].mail.sealed, waiting[0].mail.expires_at), (&vec![7; 40], LATER));
    // The notice cannot be put in twice, and then the act is not there either.
    let head = store.audit_head(account).await.unwrap();
    assert_eq!(refusal(store.append_audit(account, &telling).await), vault_store::Refusal::IdTaken);
    assert_eq!(store.audit_head(account).await.unwrap(), head);
    store.add_ceremony_with_mail(&ceremony(9, "recover"), &mail(8)).await.unwrap();
    assert_eq!(store.mail_waiting().await.unwrap(), 2);
    refusal(store.add_ceremony_with_mail(&ceremony(9, "recover"), &mail(9)).await);
    assert_eq!(store.mail_waiting().await.unwrap(), 2);
}

pub(crate) async fn one_claims_a_notice_for_a_while(store: &dyn Store) {
    store.add_mail(&mail(1)).await.unwrap();
    let claims = (0..6).map(|_| async { store.claim_mail(bytes(1), 0, NOW, NOW + 1000).await.unwrap() });
    assert_eq!(at_once(claims).await, 1);
    assert!(store.mail_to_send(NOW + 999, 10).await.unwrap().is_empty());
    // Who claimed it is gone: another one does, and the first has no say any more.
    let again = store.mail_to_send(NOW + 1000, 10).await.unwrap();
    assert_eq!(again[0].tries, 1);
    assert!(!store.claim_mail(bytes(1), 0, NOW + 1000, NOW + 2000).await.unwrap());
    assert!(store.claim_mail(bytes(1), 1, NOW + 1000, NOW + 2000).await.unwrap());
    store.mail_done(bytes(1), 1).await.unwrap();
    store.mail_failed(bytes(1), 1, NOW).await.unwrap();
    assert!(store.mail_to_send(NOW + 1999, 10).await.unwrap().is_empty());
    store.mail_failed(bytes(1), 2, NOW + 5000).await.unwrap();
    assert!(store.mail_to_send(NOW + 4999, 10).await.unwrap().is_empty());
    assert!(store.claim_mail(bytes(1), 2, NOW + 5000, NOW + 6000).await.unwrap());
    store.mail_done(bytes(1), 3).await.unwrap();
    assert_eq!(store.mail_waiting().await.unwrap(), 0);
}
