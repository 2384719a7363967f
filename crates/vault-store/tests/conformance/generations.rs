//! New keys for an account: after their delay and never before, whole, and what the former ones hold stays.

use vault_store::{
    AccountId, KeyStatement, NewGeneration, NewWait, Refusal, Slot, SlotId, Store, Wait, WaitBegunBy, WaitId, WaitKind,
};

use crate::fixture::{NOW, at_once, bytes, ceremony, ceremony_id, link, owner, record_id, refusal, save, session};

const WEEK: i64 = 7 * 24 * 3_600_000;

fn new_wait(account: AccountId, n: u8, target: &str) -> NewWait {
    NewWait {
        wait: Wait {
            id: WaitId::from_bytes(bytes(n)),
            account_id: account,
            kind: WaitKind::NewKeys,
            target: target.to_owned(),
            begun_by: WaitBegunBy::Unknown,
            begun_at: NOW,
            due_at: NOW + WEEK,
            next_at: NOW + WEEK,
        },
        cancel_hash: bytes(n),
        limit: None,
        grant: None,
        ceremony: None,
        now: NOW,
    }
}

fn slot(account: AccountId, n: u8, kind: &str, generation: i64) -> Slot {
    Slot {
        id: SlotId::from_bytes(bytes(n)),
        account_id: account,
        kind: kind.into(),
        salt: vec![n; 16],
        wrap_c: vec![n; 60],
        wrap_v: vec![n; 60],
        credential_id: None,
        proof_hash: (kind == "kit").then(|| vec![n; 32]),
        generation,
        created_at: NOW,
    }
}

/// With ceremony and session `n`.
fn new_generation(wait: &Wait, n: u8) -> NewGeneration {
    NewGeneration {
        epoch: 1,
        wait: wait.clone(),
        opaque_record: vec![n; 192],
        kdf_profile: 2,
        statement: KeyStatement {
            account_id: wait.account_id,
            generation: 2,
            body: vec![n],
            signature: vec![n, n],
            previous_signature: None,
            hash: bytes(n),
        },
        slots: vec![slot(wait.account_id, n, "password", 2), slot(wait.account_id, n + 1, "kit", 2)],
        ceremony: (ceremony_id(n), "renew".into()),
        session: session(wait.account_id, n),
        now: NOW + WEEK,
    }
}

async fn begin(store: &dyn Store, new: NewWait) -> Wait {
    store.begin_wait(&new, &link).await.unwrap();
    new.wait
}

async fn ceremony_of(store: &dyn Store, n: u8) {
    let later = vault_store::Ceremony { expires_at: NOW + 2 * WEEK, ..ceremony(n, "renew") };
    store.add_ceremony(&later).await.unwrap();
}

pub(crate) async fn new_keys_come_when_they_are_due_and_whole(store: &dyn Store) {
    let (account, other) = (owner(store, 1).await, owner(store, 2).await);
    save(store, account, 1).await;
    let wait = begin(store, new_wait(account, 30, "")).await;
    let beside = begin(store, new_wait(account, 31, "factor")).await;
    ceremony_of(store, 40).await;
    let new = new_generation(&wait, 40);
    let refused = async |new: NewGeneration| refusal(store.begin_generation(&new, &link).await);
    assert_eq!(refused(NewGeneration { now: NOW + WEEK - 1, ..new.clone() }).await, Refusal::Wait);
    let mut elsewhere = new.clone();
    elsewhere.wait.account_id = other;
    assert_eq!(refused(elsewhere).await, Refusal::Wait);
    assert_eq!(refused(NewGeneration { epoch: 2, ..new.clone() }).await, Refusal::Session, "a change came between");
    let mut skips = new.clone();
    skips.statement.generation = 3;
    assert_eq!(refused(skips).await, Refusal::Session, "no generation is left out");
    let none = NewGeneration { ceremony: (ceremony_id(41), "renew".into()), ..new.clone() };
    assert_eq!(refused(none).await, Refusal::Ceremony);
    assert_eq!(store.account(account).await.unwrap().unwrap().generation, 1);
    assert!(store.session(bytes(1)).await.unwrap().is_some(), "the refusals changed nothing");

    let ends = (0..6).map(|_| async { store.begin_generation(&new, &link).await.is_ok() });
    assert_eq!(at_once(ends).await, 1);
    let now = store.account(account).await.unwrap().unwrap();
    assert_eq!((now.generation, now.epoch, now.opaque_record), (2, 2, vec![40; 192]));
    assert!(store.session(bytes(1)).await.unwrap().is_none(), "every other session ends");
    let begun = store.session(bytes(40)).await.unwrap().expect("one begins");
    assert_eq!(begun.session.epoch, begun.account_epoch);
    let kinds: Vec<_> =
        store.slots(account).await.unwrap().into_iter().map(|slot| (slot.kind, slot.generation)).collect();
    assert_eq!(kinds, [("password".to_owned(), 2), ("kit".to_owned(), 2)]);
    assert_eq!(store.key_statement(account, 2).await.unwrap().unwrap().body, [40]);
    assert!(store.waits(account).await.unwrap().is_empty(), "the one beside it is void, too");
    assert_eq!(refusal(store.cancel_wait(&beside, NOW + WEEK, &link).await), Refusal::Wait);
    let page = store.records_page(account, None, 9).await.unwrap();
    assert_eq!(page.into_iter().map(|listing| listing.record.id).collect::<Vec<_>>(), [record_id(1)]);
}

pub(crate) async fn what_the_former_kit_opens_stays(store: &dyn Store) {
    let (account, other) = (owner(store, 1).await, owner(store, 2).await);
    // A kit that was replaced opens nothing, with or without a new generation.
    ceremony_of(store, 50).await;
    let kit = |n, from| vault_store::NewKit {
        account_id: account,
        slot: slot(account, n, "kit", 1),
        ceremony: ceremony_id(n),
        ceremony_kind: "renew".into(),
        from_session: bytes(from),
        session: session(account, n),
        now: NOW,
    };
    store.replace_kit(&kit(50, 1), &link).await.unwrap();
    ceremony_of(store, 52).await;
    store.replace_kit(&kit(52, 50), &link).await.unwrap();
    assert!(store.former_kit(account, bytes(52)).await.unwrap().is_none(), "it is the present one");
    assert!(store.former_statements(account).await.unwrap().is_empty());
    let wait = begin(store, new_wait(account, 30, "")).await;
    ceremony_of(store, 40).await;
    let epoch = store.account(account).await.unwrap().unwrap().epoch;
    store.begin_generation(&NewGeneration { epoch, ..new_generation(&wait, 40) }, &link).await.unwrap();
    let found = store.former_kit(account, bytes(52)).await.unwrap().expect("is kept");
    assert_eq!((found.wrap_v, found.generation), (vec![52; 60], 1));
    assert!(store.former_kit(account, bytes(50)).await.unwrap().is_none(), "that one was replaced");
    assert!(store.former_kit(account, bytes(41)).await.unwrap().is_none(), "that one is the present one");
    assert!(store.former_kit(other, bytes(52)).await.unwrap().is_none());
    let former = store.former_statements(account).await.unwrap();
    assert_eq!(former.iter().map(|statement| statement.generation).collect::<Vec<_>>(), [1]);
}

pub(crate) async fn who_has_a_password_needs_no_new_keys(store: &dyn Store) {
    let account = owner(store, 1).await;
    let wait = begin(store, new_wait(account, 30, "")).await;
    ceremony_of(store, 60).await;
    let new = vault_store::NewPassword {
        account_id: account,
        epoch: 1,
        opaque_record: vec![60; 192],
        kdf_profile: 2,
        slots: vec![slot(account, 60, "password", 1)],
        ceremony: ceremony_id(60),
        ceremony_kind: "renew".into(),
        session: None,
        reset: None,
        now: NOW,
    };
    store.replace_password(&new, &link).await.unwrap();
    ceremony_of(store, 40).await;
    let late = NewGeneration { epoch: 2, ..new_generation(&wait, 40) };
    assert_eq!(refusal(store.begin_generation(&late, &link).await), Refusal::Wait);
}
