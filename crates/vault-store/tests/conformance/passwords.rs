//! A new password takes the place of the one before, whole or not at all.

use vault_store::{NewPassword, Refusal, Slot, SlotId, Store};

use crate::fixture::{LATER, NOW, account_id, at_once, bytes, ceremony, ceremony_id, link, owner, refusal, session};

/// Asked for by session `n - 1`, which goes on as session `n`.
fn new_password(n: u8) -> NewPassword {
    NewPassword {
        account_id: account_id(1),
        epoch: 1,
        opaque_record: vec![n; 192],
        kdf_profile: 2,
        slots: vec![Slot {
            id: SlotId::from_bytes(bytes(n)),
            account_id: account_id(1),
            kind: "password".into(),
            salt: vec![n; 16],
            wrap_c: vec![n; 60],
            wrap_v: vec![n; 60],
            credential_id: None,
            proof_hash: None,
            generation: 1,
            created_at: NOW,
        }],
        ceremony: ceremony_id(n),
        ceremony_kind: "password".into(),
        session: Some((bytes(n - 1), session(account_id(1), n))),
        reset: None,
        now: NOW,
    }
}

pub(crate) async fn a_new_password_replaces_record_and_slot(store: &dyn Store) {
    let owner = owner(store, 1).await;
    store.add_session(&session(owner, 9)).await.unwrap();
    store.add_ceremony(&ceremony(2, "password")).await.unwrap();
    store.replace_password(&new_password(2), &link).await.unwrap();
    let account = store.account(owner).await.unwrap().expect("is there");
    assert_eq!((account.opaque_record, account.kdf_profile, account.epoch), (vec![2; 192], 2, 2));
    let slots = store.slots(owner).await.unwrap();
    assert_eq!((slots.len(), slots[0].wrap_v.clone()), (1, vec![2; 60]));
    assert!(store.session(bytes(2)).await.unwrap().is_some());
    for ended in [1, 9] {
        assert!(store.session(bytes(ended)).await.unwrap().is_none(), "{ended}");
    }
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 2);
}

pub(crate) async fn a_new_password_can_end_every_session(store: &dyn Store) {
    let owner = owner(store, 1).await;
    store.add_ceremony(&ceremony(2, "password")).await.unwrap();
    store.replace_password(&NewPassword { session: None, ..new_password(2) }, &link).await.unwrap();
    assert!(store.session(bytes(1)).await.unwrap().is_none());
    assert_eq!(store.account(owner).await.unwrap().expect("is there").epoch, 2);
}

pub(crate) async fn a_refused_password_changes_nothing(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let refused = async |new: NewPassword| refusal(store.replace_password(&new, &link).await);
    assert_eq!(refused(new_password(2)).await, Refusal::Ceremony, "never begun");
    store.add_ceremony(&ceremony(2, "password")).await.unwrap();
    assert_eq!(refused(NewPassword { now: LATER, ..new_password(2) }).await, Refusal::Ceremony);
    assert_eq!(refused(NewPassword { ceremony_kind: "recover".into(), ..new_password(2) }).await, Refusal::Ceremony);
    let gone = NewPassword { session: Some((bytes(7), session(owner, 2))), ..new_password(2) };
    assert_eq!(refused(gone).await, Refusal::Session);
    let other = NewPassword { account_id: account_id(5), ..new_password(2) };
    assert_eq!(refused(other).await, Refusal::Session);
    let overtaken = NewPassword { epoch: 0, session: None, ..new_password(2) };
    assert_eq!(refused(overtaken).await, Refusal::Session, "a change came between");
    let mut taken = new_password(2);
    taken.slots[0].id = SlotId::from_bytes(bytes(1));
    assert_eq!(refused(taken).await, Refusal::IdTaken);
    let account = store.account(owner).await.unwrap().expect("is there");
    assert_eq!((account.opaque_record, account.epoch), (vec![1; 192], 1));
    assert_eq!(store.slots(owner).await.unwrap()[0].wrap_v, vec![1; 60]);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 1);
    store.replace_password(&new_password(2), &link).await.expect("the refusals spent nothing");
}

pub(crate) async fn parallel_new_passwords(store: &dyn Store) {
    owner(store, 1).await;
    store.add_ceremony(&ceremony(2, "password")).await.unwrap();
    let new = new_password(2);
    assert_eq!(at_once((0..8).map(|_| async { store.replace_password(&new, &link).await.is_ok() })).await, 1);
}
