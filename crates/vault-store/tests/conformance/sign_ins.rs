//! Sign-ins: what belongs together happens together, or not at all.

use vault_store::{AccountId, Gives, Grant, GrantUse, Place, Proven, Refusal, Store};

use crate::fixture::{LATER, NOW, at_once, bytes, ceremony, ceremony_id, link, refusal, session};
use crate::waits::{FACTOR, with_factor};

fn place(places: i64) -> Place {
    Place { bucket: "login/mail/x".into(), window: NOW, until: LATER, places }
}

fn proven(account: AccountId, n: u8, step: i64) -> Proven {
    Proven {
        account_id: account,
        ceremony: ceremony_id(n),
        kind: "login/factor".into(),
        steps: vec![(FACTOR, step)],
        give_back: Some(("totp/x".into(), NOW)),
        clear: Some("login/mail/x".into()),
        gives: Gives::Session(session(account, n)),
        now: NOW,
    }
}

pub(crate) async fn a_run_begins_where_there_is_a_place(store: &dyn Store) {
    let places = [place(2), Place { bucket: "login/net/x".into(), ..place(1) }];
    store.begin_in_places(&ceremony(1, "login/password"), &places).await.unwrap();
    let full = store.begin_in_places(&ceremony(2, "login/password"), &places).await;
    assert_eq!(refusal(full), Refusal::Limit { until: LATER });
    // Nothing of it was kept: neither the ceremony nor the place that was free.
    assert!(store.ceremony(ceremony_id(2), "login/password", NOW, 1).await.unwrap().is_none());
    assert_eq!(store.counted("login/mail/x", NOW).await.unwrap(), 1);
    assert!(store.ceremony(ceremony_id(1), "login/password", NOW, 1).await.unwrap().is_some());
    assert!(store.ceremony(ceremony_id(1), "login/factor", NOW, 1).await.unwrap().is_none());
    assert!(store.ceremony(ceremony_id(1), "login/password", LATER, 1).await.unwrap().is_none());
    let begun = (3..9).map(|n| {
        let places = [Place { bucket: "login/mail/y".into(), ..place(3) }];
        async move { store.begin_in_places(&ceremony(n, "login/password"), &places).await.is_ok() }
    });
    assert_eq!(at_once(begun).await, 3);
}

pub(crate) async fn tries_and_places_run_out_together(store: &dyn Store) {
    store.add_ceremony(&ceremony(1, "login/factor")).await.unwrap();
    let (id, kind) = (ceremony_id(1), "login/factor");
    let tries = (0..6).map(|_| async move { store.try_in_place(id, kind, NOW, 2, &place(9)).await.is_ok() });
    assert_eq!(at_once(tries).await, 2);
    assert_eq!(refusal(store.try_in_place(id, kind, NOW, 2, &place(9)).await), Refusal::Ceremony);
    assert_eq!(store.counted("login/mail/x", NOW).await.unwrap(), 2, "a refused try takes no place");
    let full = store.try_in_place(id, kind, NOW, 3, &place(2)).await;
    assert_eq!(refusal(full), Refusal::Limit { until: LATER });
    assert!(store.ceremony(id, kind, NOW, 3).await.unwrap().is_some(), "a refused place takes no try");
}

pub(crate) async fn a_sign_in_ends_once_and_whole(store: &dyn Store) {
    let account = with_factor(store).await;
    store.add_ceremony(&ceremony(31, "login/factor")).await.unwrap();
    store.count("totp/x", NOW, 4).await.unwrap();
    store.count("login/mail/x", NOW, 2).await.unwrap();
    let head = store.audit_head(account).await.unwrap();
    let ends = (0..6).map(|n| {
        let mut proven = proven(account, 31, 70);
        proven.gives = Gives::Session(session(account, 100 + n));
        async move { store.complete(&proven, &link).await.is_ok() }
    });
    assert_eq!(at_once(ends).await, 1);
    assert_eq!(store.audit_head(account).await.unwrap().seq, head.seq + 1);
    assert_eq!(store.counted("totp/x", NOW).await.unwrap(), 3);
    assert_eq!(store.counted("login/mail/x", NOW).await.unwrap(), 0);
    // The same code, in a sign-in of its own: nothing is changed.
    store.add_ceremony(&ceremony(32, "login/factor")).await.unwrap();
    assert_eq!(refusal(store.complete(&proven(account, 32, 70), &link).await), Refusal::CodeUsed);
    assert!(store.ceremony(ceremony_id(32), "login/factor", NOW, 1).await.unwrap().is_some());
    assert!(store.session(session(account, 32).token_hash).await.unwrap().is_none());
    assert_eq!(store.audit_head(account).await.unwrap().seq, head.seq + 1);
    store.complete(&proven(account, 32, 71), &link).await.unwrap();
    assert!(store.session(session(account, 32).token_hash).await.unwrap().is_some());

    // A step-up ends in the same way, with a grant that names what confirmed it.
    store.add_ceremony(&ceremony(33, "login/factor")).await.unwrap();
    let grant = Grant {
        hash: bytes(33),
        account_id: account,
        session_hash: bytes(20),
        purpose: "factors".into(),
        target: "t".into(),
        confirmed_by: None,
        expires_at: LATER,
    };
    let step_up = Proven { gives: Gives::Grant(grant), clear: None, give_back: None, ..proven(account, 33, 72) };
    store.complete(&step_up, &link).await.unwrap();
    let fits = GrantUse {
        hash: bytes(33),
        account_id: account,
        session_hash: bytes(20),
        purpose: "factors".into(),
        target: "t".into(),
        now: NOW,
    };
    store.spend_grant(&fits).await.unwrap();
}
