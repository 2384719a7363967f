//! Safety delays: each ends once, none before its time, and what it delays happens whole.

use vault_store::{
    AccountId, AddFactor, ChainHead, Factor, FactorId, Link, NewKit, NewWait, OutgoingMail, Refusal, Session,
    SessionLevel, Slot, SlotId, Store, Wait, WaitBegunBy, WaitId, WaitKind,
};

use crate::fixture::{LATER, NOW, at_once, bytes, ceremony, ceremony_id, grant, link, owner, refusal, session};

const DAY: i64 = 24 * 3_600_000;

fn new_wait(account: AccountId, n: u8, kind: WaitKind) -> NewWait {
    NewWait {
        wait: Wait {
            id: WaitId::from_bytes(bytes(n)),
            account_id: account,
            kind,
            target: String::new(),
            begun_by: WaitBegunBy::Owner,
            begun_at: NOW,
            due_at: NOW + DAY,
            next_at: NOW + DAY,
        },
        cancel_hash: bytes(n),
        limit: None,
        grant: None,
        ceremony: None,
        now: NOW,
    }
}

fn add_factor(account: AccountId, n: u8, from: u8, first: bool) -> AddFactor {
    AddFactor {
        factor: Factor {
            id: FactorId::from_bytes(bytes(n)),
            account_id: account,
            kind: "totp".into(),
            label: format!("phone {n}"),
            data_sealed: vec![n; 40],
            last_step: None,
            created_at: NOW,
            used_at: None,
        },
        ceremony: ceremony_id(n),
        ceremony_kind: "totp".into(),
        first,
        max_factors: 6,
        from_session: bytes(from),
        session: Session { token_hash: bytes(n), ..session(account, n) },
        now: NOW + DAY,
    }
}

/// The factor of [`with_factor`].
pub(crate) const FACTOR: FactorId = FactorId::from_bytes([20; 16]);

/// An account with a factor; its session is 20.
pub(crate) async fn with_factor(store: &dyn Store) -> AccountId {
    let account = owner(store, 1).await;
    let later = vault_store::Ceremony { expires_at: NOW + 2 * DAY, ..ceremony(20, "totp") };
    store.add_ceremony(&later).await.unwrap();
    store.add_factor(&add_factor(account, 20, 1, true), &link).await.unwrap();
    account
}

pub(crate) async fn a_delay_begins_once_and_ends_once(store: &dyn Store) {
    let account = with_factor(store).await;
    let new = new_wait(account, 1, WaitKind::Off);
    let begins = (1..7).map(|n| async move {
        let begun = store.begin_wait(&new_wait(account, n, WaitKind::Off), &link).await;
        begun.is_ok()
    });
    assert_eq!(at_once(begins).await, 1);
    let wait = store.waits(account).await.unwrap().remove(0);
    assert_eq!((wait.kind, wait.due_at, wait.begun_by), (WaitKind::Off, NOW + DAY, WaitBegunBy::Owner));
    assert_eq!(
        refusal(
            store
                .begin_wait(
                    &NewWait { cancel_hash: bytes(99), wait: Wait { id: WaitId::new(), ..new.wait }, ..new },
                    &link
                )
                .await
        ),
        Refusal::WaitRuns
    );
    assert_eq!(store.account(account).await.unwrap().unwrap().off_at, Some(NOW + DAY));
    let cancel_hash = [wait.id.as_bytes()[0]; 32];
    assert_eq!(store.wait_by_cancel(cancel_hash).await.unwrap().map(|found| found.id), Some(wait.id));
    assert!(store.wait_by_cancel(bytes(200)).await.unwrap().is_none());
    let cancels = (0..6).map(|_| async { store.cancel_wait(&wait, NOW, &link).await.is_ok() });
    assert_eq!(at_once(cancels).await, 1);
    assert_eq!(store.account(account).await.unwrap().unwrap().off_at, None);
    assert_eq!(refusal(store.finish_off(&wait, NOW + DAY, &link).await), Refusal::Wait);
    assert!(store.waits(account).await.unwrap().is_empty());
    assert!(store.wait_by_cancel(cancel_hash).await.unwrap().is_none());
}

pub(crate) async fn two_factor_goes_off_when_it_is_due_and_whole(store: &dyn Store) {
    let account = with_factor(store).await;
    store.begin_wait(&new_wait(account, 1, WaitKind::Off), &link).await.unwrap();
    let wait = store.waits(account).await.unwrap().remove(0);
    assert_eq!(refusal(store.finish_off(&wait, NOW + DAY - 1, &link).await), Refusal::Wait);
    // What the caller says about when it is due does not count.
    let forged = Wait { due_at: NOW, ..wait.clone() };
    assert_eq!(refusal(store.finish_off(&forged, NOW + 1, &link).await), Refusal::Wait);
    assert_eq!(store.factors(account).await.unwrap().len(), 1);
    let epoch = store.account(account).await.unwrap().unwrap().epoch;
    let ends = (0..6).map(|_| async { store.finish_off(&wait, NOW + DAY, &link).await.is_ok() });
    assert_eq!(at_once(ends).await, 1);
    let after = store.account(account).await.unwrap().unwrap();
    assert!(after.is_off() && after.epoch == epoch + 1 && after.off_at == Some(NOW + DAY));
    assert!(store.factors(account).await.unwrap().is_empty());
    assert!(store.session(bytes(20)).await.unwrap().is_none());
    // An account that asks for nothing has nothing to take away.
    let again = store.begin_wait(&new_wait(account, 2, WaitKind::Off), &link).await;
    assert_eq!(refusal(again), Refusal::NotFound);
}

pub(crate) async fn what_was_not_announced_does_not_come_true(store: &dyn Store) {
    let account = with_factor(store).await;
    let announced = |id: WaitId| {
        move |head: &ChainHead| {
            let mail = OutgoingMail { id: *id.as_bytes(), sealed: vec![1], created_at: NOW, expires_at: i64::MAX };
            Link { mail: Some(mail), ..link(head) }
        }
    };
    for n in 1..3 {
        let new = new_wait(account, n, WaitKind::Off);
        store.begin_wait(&new, &announced(new.wait.id)).await.unwrap();
        let wait = store.waits(account).await.unwrap().remove(0);
        let head = store.audit_head(account).await.unwrap();
        assert_eq!(refusal(store.finish_off(&wait, NOW + DAY, &link).await), Refusal::Unannounced);
        assert_eq!(store.audit_head(account).await.unwrap(), head);
        assert!(store.account(account).await.unwrap().unwrap().two_factor);
        assert_eq!(store.factors(account).await.unwrap().len(), 1);
        if n == 1 {
            // It lapses, and what announces it is not sent later.
            store.lapse_wait(&wait, NOW + DAY, &link).await.unwrap();
            let after = store.account(account).await.unwrap().unwrap();
            assert!(after.two_factor && after.off_at.is_none() && store.waits(account).await.unwrap().is_empty());
            assert_eq!(store.mail_waiting().await.unwrap(), 0);
        } else {
            store.mail_done(*wait.id.as_bytes(), 0).await.unwrap();
            store.finish_off(&wait, NOW + DAY, &link).await.unwrap();
            assert!(!store.account(account).await.unwrap().unwrap().two_factor);
        }
    }
}

pub(crate) async fn a_delay_spends_what_it_begins_with_and_is_rationed(store: &dyn Store) {
    let account = with_factor(store).await;
    let fits =
        vault_store::GrantUse { session_hash: bytes(20), ..crate::fixture::grant_use(account, 5, "factors", "off") };
    crate::fixture::give(store, &fits).await;
    let other = grant(store, account, 6, "factors", "totp").await;
    let wrong = NewWait {
        grant: Some(vault_store::GrantUse { target: "off".into(), ..other }),
        ..new_wait(account, 1, WaitKind::Off)
    };
    assert_eq!(refusal(store.begin_wait(&wrong, &link).await), Refusal::Grant);
    let right = NewWait { grant: Some(fits), ..new_wait(account, 1, WaitKind::Off) };
    store.begin_wait(&right, &link).await.unwrap();
    let wait = store.waits(account).await.unwrap().remove(0);
    store.cancel_wait(&wait, NOW, &link).await.unwrap();
    let again = NewWait {
        cancel_hash: bytes(2),
        wait: Wait { id: WaitId::from_bytes(bytes(2)), ..right.wait.clone() },
        ..right
    };
    assert_eq!(refusal(store.begin_wait(&again, &link).await), Refusal::Grant);

    for n in 10..13 {
        store.add_ceremony(&ceremony(n, "reset")).await.unwrap();
        let limited = NewWait {
            limit: Some((NOW - DAY, 2)),
            ceremony: Some((ceremony_id(n), "reset".into())),
            ..new_wait(account, n, WaitKind::Reset)
        };
        let begun = store.begin_wait(&limited, &link).await;
        if n == 12 {
            assert_eq!(refusal(begun), Refusal::WaitQuota);
            store.end_ceremony(ceremony_id(n), "reset", NOW).await.expect("a refusal spends nothing");
        } else {
            begun.unwrap();
            assert_eq!(refusal(store.end_ceremony(ceremony_id(n), "reset", NOW).await), Refusal::Ceremony);
            let wait = store.waits(account).await.unwrap().remove(0);
            store.cancel_wait(&wait, NOW, &link).await.unwrap();
        }
    }
}

pub(crate) async fn a_reset_is_claimed_when_it_is_due_and_done_by_the_new_factor(store: &dyn Store) {
    let account = with_factor(store).await;
    store.begin_wait(&new_wait(account, 1, WaitKind::Reset), &link).await.unwrap();
    let wait = store.waits(account).await.unwrap().remove(0);
    let epoch = store.account(account).await.unwrap().unwrap().epoch;
    let visit = |n: u8, at: i64| Session {
        token_hash: bytes(n),
        epoch,
        level: SessionLevel::FactorsOnly,
        created_at: at,
        expires_at: at + DAY,
        ..session(account, n)
    };
    let early = store.claim_reset(&wait, None, &visit(30, NOW + DAY - 1), &link).await;
    assert_eq!(refusal(early), Refusal::Wait);
    let stale = Session { epoch: epoch - 1, ..visit(30, NOW + DAY) };
    assert_eq!(refusal(store.claim_reset(&wait, None, &stale, &link).await), Refusal::Session);
    store.claim_reset(&wait, None, &visit(31, NOW + DAY), &link).await.unwrap();
    assert!(store.finishes_reset(bytes(31)).await.unwrap());
    store.claim_reset(&wait, None, &visit(32, NOW + DAY), &link).await.unwrap();
    assert!(store.session(bytes(31)).await.unwrap().is_none(), "the visit before is over");
    assert!(store.finishes_reset(bytes(32)).await.unwrap() && !store.finishes_reset(bytes(31)).await.unwrap());
    for n in 40..46 {
        let later = vault_store::Ceremony { expires_at: NOW + 2 * DAY, ..ceremony(n, "totp") };
        store.add_ceremony(&later).await.unwrap();
    }
    let adds = (40..46).map(|n| async move {
        let added = store.add_factor(&add_factor(account, n, 32, false), &link).await;
        added.is_ok()
    });
    assert_eq!(at_once(adds).await, 1);
    let factors = store.factors(account).await.unwrap();
    assert!(factors.len() == 1 && factors[0].label != "phone 20", "the lost one is gone");
    assert!(store.waits(account).await.unwrap().is_empty());
    assert!(store.account(account).await.unwrap().unwrap().two_factor);
}

pub(crate) async fn another_new_factor_cancels_the_delays(store: &dyn Store) {
    let account = with_factor(store).await;
    store.begin_wait(&new_wait(account, 1, WaitKind::Off), &link).await.unwrap();
    store.begin_wait(&new_wait(account, 2, WaitKind::Reset), &link).await.unwrap();
    let later = vault_store::Ceremony { expires_at: NOW + 2 * DAY, ..ceremony(40, "totp") };
    store.add_ceremony(&later).await.unwrap();
    store.add_factor(&add_factor(account, 40, 20, false), &link).await.unwrap();
    assert!(store.waits(account).await.unwrap().is_empty());
    assert_eq!(store.factors(account).await.unwrap().len(), 2, "nothing was lost");
    let account = store.account(account).await.unwrap().unwrap();
    assert!(account.two_factor && account.off_at.is_none());
}

pub(crate) async fn one_looks_after_a_delay(store: &dyn Store) {
    let account = with_factor(store).await;
    store.begin_wait(&new_wait(account, 1, WaitKind::Reset), &link).await.unwrap();
    assert!(store.waits_to_attend(NOW + DAY - 1, 10).await.unwrap().is_empty());
    let wait = store.waits_to_attend(NOW + DAY, 10).await.unwrap().remove(0);
    let looks = (0..6).map(|_| async { store.attended(&wait, NOW + 2 * DAY, &link).await.is_ok() });
    assert_eq!(at_once(looks).await, 1);
    assert!(store.waits_to_attend(NOW + DAY, 10).await.unwrap().is_empty());
    let lapses = (0..6).map(|_| async { store.lapse_wait(&wait, NOW + 2 * DAY, &link).await.is_ok() });
    assert_eq!(at_once(lapses).await, 1);
    assert_eq!(refusal(store.attended(&wait, NOW, &link).await), Refusal::Wait);
}

pub(crate) async fn the_latest_time_never_goes_back(store: &dyn Store) {
    assert_eq!(store.latest_time(NOW).await.unwrap(), NOW);
    assert_eq!(store.latest_time(NOW - DAY).await.unwrap(), NOW);
    assert_eq!(store.latest_time(NOW + 1).await.unwrap(), NOW + 1);
}

pub(crate) async fn a_new_kit_replaces_the_one_before(store: &dyn Store) {
    let account = owner(store, 1).await;
    let new_kit = |n: u8| NewKit {
        account_id: account,
        slot: Slot {
            id: SlotId::from_bytes(bytes(n)),
            account_id: account,
            kind: "kit".into(),
            salt: vec![n; 16],
            wrap_c: vec![n; 60],
            wrap_v: vec![n; 60],
            credential_id: None,
            proof_hash: Some(vec![n; 32]),
            generation: 1,
            created_at: NOW,
        },
        ceremony: ceremony_id(50),
        ceremony_kind: "kit".into(),
        from_session: bytes(1),
        session: Session { token_hash: bytes(n), expires_at: LATER, ..session(account, n) },
        now: NOW,
    };
    store.add_ceremony(&ceremony(50, "kit")).await.unwrap();
    let replaced = (60..66).map(|n| {
        let new = new_kit(n);
        async move { store.replace_kit(&new, &link).await.is_ok() }
    });
    assert_eq!(at_once(replaced).await, 1);
    store.add_ceremony(&ceremony(51, "kit")).await.unwrap();
    let kits = || async {
        let slots = store.slots(account).await.unwrap();
        slots.into_iter().filter(|slot| slot.kind == "kit").collect::<Vec<_>>()
    };
    let first = kits().await;
    assert_eq!(first.len(), 1);
    let begun = |n: u8| vault_store::Ceremony { account_id: Some(account), ..ceremony(n, "recover") };
    store.add_ceremony_by_slot(&begun(52), first[0].id).await.unwrap();
    let n = first[0].salt[0];
    let next = NewKit { ceremony: ceremony_id(51), from_session: bytes(n), ..new_kit(70) };
    store.replace_kit(&next, &link).await.unwrap();
    let second = kits().await;
    assert_eq!((second.len(), second[0].salt[0]), (1, 70));
    // What the kit before opens is not handed out any more.
    assert_eq!(refusal(store.add_ceremony_by_slot(&begun(53), first[0].id).await), Refusal::NotFound);
    assert_eq!(store.slots(account).await.unwrap().len(), 2, "the password's slot stays");
}
