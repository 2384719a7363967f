//! What may be used once is used once; what ends is over.

use vault_store::{AddFactor, Ceremony, Factor, FactorId, Refusal, RemoveFactor, SessionLevel, SlotId, Store};

use crate::fixture::{
    LATER, NOW, account_id, at_once, bytes, ceremony, ceremony_id, give, grant, grant_use, link, owner, refusal,
    session,
};

pub(crate) async fn ceremony_tries_run_out(store: &dyn Store) {
    store.add_ceremony(&ceremony(1, "login")).await.unwrap();
    assert_eq!(refusal(store.try_ceremony(ceremony_id(1), "other", NOW, 2).await), Refusal::Ceremony);
    assert_eq!(refusal(store.try_ceremony(ceremony_id(1), "login", LATER, 2).await), Refusal::Ceremony);
    for _ in 0..2 {
        let found = store.try_ceremony(ceremony_id(1), "login", NOW, 2).await.unwrap();
        assert_eq!(found.state_sealed, vec![1; 8]);
    }
    assert_eq!(refusal(store.try_ceremony(ceremony_id(1), "login", NOW, 2).await), Refusal::Ceremony);
}

pub(crate) async fn a_ceremony_and_its_grant_are_one(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 7, "password", "kit").await;
    store.add_ceremony(&ceremony(31, "kit")).await.unwrap();
    // What cannot begin spends nothing, and what is spent begins nothing.
    assert_eq!(refusal(store.add_granted_ceremony(&ceremony(31, "kit"), &fits).await), Refusal::IdTaken);
    let other = grant_use(owner, 8, "password", "kit");
    assert_eq!(refusal(store.add_granted_ceremony(&ceremony(32, "kit"), &other).await), Refusal::Grant);
    let begun = (32..38).map(|n| {
        let fits = &fits;
        async move { store.add_granted_ceremony(&ceremony(n, "kit"), fits).await.is_ok() }
    });
    assert_eq!(at_once(begun).await, 1);
    let mut there = 0;
    for n in 32..38 {
        there += usize::from(store.try_ceremony(ceremony_id(n), "kit", NOW, 9).await.is_ok());
    }
    assert_eq!(there, 1);
}

pub(crate) async fn a_slot_that_is_gone_begins_nothing(store: &dyn Store) {
    let (first, second) = (owner(store, 1).await, owner(store, 2).await);
    let slot = store.slots(first).await.unwrap()[0].id;
    let of = |n: u8, account_id| Ceremony { account_id, ..ceremony(n, "recover") };
    for (account, slot) in
        [(Some(second), slot), (None, slot), (Some(first), SlotId::new()), (Some(account_id(9)), slot)]
    {
        assert_eq!(refusal(store.add_ceremony_by_slot(&of(31, account), slot).await), Refusal::NotFound);
    }
    assert_eq!(refusal(store.try_ceremony(ceremony_id(31), "recover", NOW, 9).await), Refusal::Ceremony);
    store.add_ceremony_by_slot(&of(31, Some(first)), slot).await.unwrap();
    store.try_ceremony(ceremony_id(31), "recover", NOW, 9).await.unwrap();
}

pub(crate) async fn a_ceremony_ends_once(store: &dyn Store) {
    store.add_ceremony(&ceremony(1, "login")).await.unwrap();
    let calls = (0..8).map(|_| async { store.end_ceremony(ceremony_id(1), "login", NOW).await.is_ok() });
    assert_eq!(at_once(calls).await, 1);
    assert_eq!(refusal(store.try_ceremony(ceremony_id(1), "login", NOW, 9).await), Refusal::Ceremony);
}

pub(crate) async fn a_ceremony_moves_on_once(store: &dyn Store) {
    store.add_ceremony(&ceremony(1, "login")).await.unwrap();
    let next = ceremony(1, "login.factor");
    let calls = (0..8).map(|_| async { store.advance_ceremony(&next, "login", NOW).await.is_ok() });
    assert_eq!(at_once(calls).await, 1);
    assert_eq!(refusal(store.try_ceremony(ceremony_id(1), "login", NOW, 9).await), Refusal::Ceremony);
    store.try_ceremony(ceremony_id(1), "login.factor", NOW, 9).await.unwrap();
}

pub(crate) async fn a_grant_is_spent_once(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 7, "reveal", "x").await;
    store.spend_grant(&fits).await.unwrap();
    assert_eq!(refusal(store.spend_grant(&fits).await), Refusal::Grant);
}

pub(crate) async fn a_grant_fits_one_use_only(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 7, "reveal", "x").await;
    let mut others = vec![grant_use(owner, 8, "reveal", "x"), grant_use(owner, 7, "delete", "x")];
    others.push(grant_use(owner, 7, "reveal", "y"));
    others.push(grant_use(account_id(2), 7, "reveal", "x"));
    others.push(vault_store::GrantUse { session_hash: bytes(2), ..fits.clone() });
    others.push(vault_store::GrantUse { now: LATER, ..fits.clone() });
    for other in others {
        assert_eq!(refusal(store.spend_grant(&other).await), Refusal::Grant, "{other:?}");
    }
    store.spend_grant(&fits).await.expect("the refused uses spent nothing");
}

pub(crate) async fn parallel_uses_of_a_grant(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 7, "reveal", "x").await;
    assert_eq!(at_once((0..16).map(|_| async { store.spend_grant(&fits).await.is_ok() })).await, 1);
}

fn add_totp(n: u8) -> AddFactor {
    AddFactor {
        factor: Factor {
            id: FactorId::from_bytes(bytes(n)),
            account_id: account_id(1),
            kind: "totp".into(),
            label: format!("phone {n}"),
            data_sealed: vec![n; 48],
            last_step: Some(100),
            created_at: NOW,
            used_at: None,
        },
        ceremony: ceremony_id(n),
        ceremony_kind: "factor.totp".into(),
        first: true,
        max_factors: 3,
        from_session: bytes(1),
        session: session(account_id(1), n),
        now: NOW,
    }
}

async fn with_factor(store: &dyn Store) -> FactorId {
    owner(store, 1).await;
    store.add_ceremony(&ceremony(11, "factor.totp")).await.unwrap();
    store.add_factor(&add_totp(11), &link).await.unwrap();
    FactorId::from_bytes(bytes(11))
}

pub(crate) async fn a_time_step_is_used_once(store: &dyn Store) {
    let factor = with_factor(store).await;
    let use_step =
        async |account: u8, step: i64| store.use_totp_step(account_id(account), factor, step, NOW).await.unwrap();
    assert!(!use_step(1, 100).await, "used while the factor was added");
    assert!(!use_step(2, 101).await, "of another account");
    assert!(use_step(1, 102).await);
    assert!(!use_step(1, 102).await, "replayed");
    assert!(!use_step(1, 101).await, "older than one that was used");
    assert!(use_step(1, 103).await);
}

pub(crate) async fn parallel_uses_of_a_time_step(store: &dyn Store) {
    let factor = with_factor(store).await;
    let calls = (0..16).map(|_| async { store.use_totp_step(account_id(1), factor, 200, NOW).await.unwrap() });
    assert_eq!(at_once(calls).await, 1);
}

pub(crate) async fn adding_a_factor_begins_an_epoch(store: &dyn Store) {
    let owner = owner(store, 1).await;
    store.add_session(&session(owner, 2)).await.unwrap();
    store.add_ceremony(&ceremony(11, "factor.totp")).await.unwrap();
    store.add_factor(&add_totp(11), &link).await.unwrap();
    let account = store.account(owner).await.unwrap().expect("is there");
    assert_eq!((account.epoch, account.two_factor), (2, true));
    let next = store.session(bytes(11)).await.unwrap().expect("goes on");
    assert_eq!((next.session.epoch, next.account_epoch, next.session.level), (2, 2, SessionLevel::Full));
    for ended in [1, 2] {
        assert!(store.session(bytes(ended)).await.unwrap().is_none(), "{ended}");
    }
    assert_eq!(store.factors(owner).await.unwrap().len(), 1);
    assert!(store.factors(account_id(2)).await.unwrap().is_empty());
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 2);
}

pub(crate) async fn only_the_first_factor_needs_no_grant(store: &dyn Store) {
    with_factor(store).await;
    store.add_ceremony(&ceremony(12, "factor.totp")).await.unwrap();
    let second = AddFactor { from_session: bytes(11), ..add_totp(12) };
    assert_eq!(refusal(store.add_factor(&second, &link).await), Refusal::Grant);
    let second = AddFactor { first: false, ..second };
    store.add_factor(&second, &link).await.unwrap();
    assert_eq!(refusal(store.add_factor(&second, &link).await), Refusal::Ceremony);
    assert_eq!(store.factors(account_id(1)).await.unwrap().len(), 2);
}

pub(crate) async fn an_ended_session_adds_no_factor(store: &dyn Store) {
    with_factor(store).await;
    store.add_ceremony(&ceremony(12, "factor.totp")).await.unwrap();
    let late = AddFactor { first: false, ..add_totp(12) };
    assert_eq!(refusal(store.add_factor(&late, &link).await), Refusal::Session);
    assert_eq!(store.factors(account_id(1)).await.unwrap().len(), 1);
    assert_eq!(store.account(account_id(1)).await.unwrap().expect("is there").epoch, 2);
}

pub(crate) async fn the_last_factor_stays(store: &dyn Store) {
    let factor = with_factor(store).await;
    let target = factor.to_string();
    let grant_row =
        vault_store::GrantUse { session_hash: bytes(11), ..grant_use(account_id(1), 7, "factors", &target) };
    give(store, &grant_row).await;
    let remove = RemoveFactor { factor, grant: grant_row, session: session(account_id(1), 13) };
    assert_eq!(refusal(store.remove_factor(&remove, &link).await), Refusal::LastFactor);
    assert_eq!(store.factors(account_id(1)).await.unwrap().len(), 1);
    store.add_ceremony(&ceremony(12, "factor.totp")).await.unwrap();
    let second = AddFactor { first: false, from_session: bytes(11), ..add_totp(12) };
    store.add_factor(&second, &link).await.unwrap();
    assert_eq!(refusal(store.remove_factor(&remove, &link).await), Refusal::Session, "of the epoch before");
    let fits = vault_store::GrantUse { session_hash: bytes(12), hash: bytes(8), ..remove.grant.clone() };
    give(store, &fits).await;
    store.remove_factor(&RemoveFactor { grant: fits, ..remove }, &link).await.unwrap();
    assert_eq!(store.factors(account_id(1)).await.unwrap().len(), 1);
    assert!(store.session(bytes(13)).await.unwrap().is_some());
    assert!(store.session(bytes(12)).await.unwrap().is_none());
}

pub(crate) async fn a_factor_does_not_confirm_its_own_removal(store: &dyn Store) {
    let factor = with_factor(store).await;
    store.add_ceremony(&ceremony(12, "factor.totp")).await.unwrap();
    let second = AddFactor { first: false, from_session: bytes(11), ..add_totp(12) };
    store.add_factor(&second, &link).await.unwrap();
    let fits = vault_store::GrantUse {
        session_hash: bytes(12),
        ..grant_use(account_id(1), 7, "factors", &factor.to_string())
    };
    let by = |n: u8, confirmed_by| vault_store::Grant {
        hash: bytes(n),
        account_id: account_id(1),
        session_hash: bytes(12),
        purpose: fits.purpose.clone(),
        target: fits.target.clone(),
        confirmed_by,
        expires_at: LATER,
    };
    store.add_grant(&by(7, Some(factor)), &link).await.unwrap();
    let remove = RemoveFactor { factor, grant: fits.clone(), session: session(account_id(1), 13) };
    assert_eq!(refusal(store.remove_factor(&remove, &link).await), Refusal::SameFactor);
    assert_eq!(store.factors(account_id(1)).await.unwrap().len(), 2);
    store.add_grant(&by(8, Some(second.factor.id)), &link).await.unwrap();
    let remove = RemoveFactor { grant: vault_store::GrantUse { hash: bytes(8), ..fits.clone() }, ..remove };
    store.remove_factor(&remove, &link).await.unwrap();
}

pub(crate) async fn factors_have_names_of_their_own_and_a_limit(store: &dyn Store) {
    with_factor(store).await;
    let named = |n: u8, from: u8, label: &str| {
        let mut add = AddFactor { first: false, from_session: bytes(from), ..add_totp(n) };
        add.factor.label = label.into();
        add
    };
    for n in 12..=14 {
        store.add_ceremony(&ceremony(n, "factor.totp")).await.unwrap();
    }
    assert_eq!(refusal(store.add_factor(&named(12, 11, "phone 11"), &link).await), Refusal::LabelTaken);
    store.add_factor(&named(12, 11, "tablet"), &link).await.unwrap();
    store.add_factor(&named(13, 12, "watch"), &link).await.unwrap();
    assert_eq!(refusal(store.add_factor(&named(14, 13, "fourth"), &link).await), Refusal::FactorQuota);
    assert_eq!(store.factors(account_id(1)).await.unwrap().len(), 3);
}

pub(crate) async fn counters_count(store: &dyn Store) {
    assert_eq!(store.count("a", 10, 1).await.unwrap(), 1);
    assert_eq!(store.count("a", 10, 2).await.unwrap(), 3);
    assert_eq!(store.count("a", 20, 1).await.unwrap(), 1);
    assert_eq!(store.count("b", 10, 1).await.unwrap(), 1);
    assert_eq!(store.newest_window("a").await.unwrap(), Some((20, 1)));
    assert_eq!(store.counted("a", 10).await.unwrap(), 3);
    store.set_counter("a", 30, 7).await.unwrap();
    assert_eq!((store.counted("a", 10).await.unwrap(), store.counted("a", 30).await.unwrap()), (0, 7));
    store.clear_counter("a").await.unwrap();
    assert_eq!(store.newest_window("a").await.unwrap(), None);
    assert_eq!(store.counted("b", 10).await.unwrap(), 1);
}

pub(crate) async fn a_setting_keeps_its_first_value(store: &dyn Store) {
    assert_eq!(store.setting("origin", None).await.unwrap(), None);
    assert_eq!(store.setting("origin", Some("a")).await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.setting("origin", Some("b")).await.unwrap().as_deref(), Some("a"));
}

pub(crate) async fn the_sweep_forgets_what_is_over(store: &dyn Store) {
    let owner = owner(store, 1).await;
    store.add_ceremony(&ceremony(3, "login")).await.unwrap();
    let fits = grant(store, owner, 7, "reveal", "x").await;
    store.sweep(NOW).await.unwrap();
    assert!(store.session(bytes(1)).await.unwrap().is_some(), "still running");
    store.try_ceremony(ceremony_id(3), "login", NOW, 9).await.expect("still running");
    store.sweep(LATER).await.unwrap();
    assert!(store.session(bytes(1)).await.unwrap().is_none());
    assert_eq!(refusal(store.try_ceremony(ceremony_id(3), "login", NOW, 9).await), Refusal::Ceremony);
    assert_eq!(refusal(store.spend_grant(&fits).await), Refusal::Grant);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 2, "audit entries stay");
}
