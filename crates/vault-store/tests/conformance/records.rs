//! Saving, listing, releasing.

use vault_store::{IndexEntry, Place, RecordState, Refusal, Saved, Store};

use crate::fixture::{
    LATER, NOW, at_once, body_sha256, bytes, device, device_id, grant, grant_use, link, new_record, owner, record_id,
    refusal, save, seal,
};

pub(crate) async fn a_save_is_idempotent(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let receipt = save(store, owner, 1).await;
    let head = store.audit_head(owner).await.unwrap();
    let again = store.save_record(&new_record(owner, 1), &seal).await.unwrap();
    assert_eq!(again, Saved::Before(receipt.clone()));
    assert_eq!(store.audit_head(owner).await.unwrap(), head);
    assert_eq!(store.receipt(owner, record_id(1), body_sha256(1)).await.unwrap(), Some(receipt));
    assert_eq!(store.receipt(owner, record_id(2), body_sha256(1)).await.unwrap(), None);
}

pub(crate) async fn other_bytes_conflict(store: &dyn Store) {
    let owner = owner(store, 1).await;
    save(store, owner, 1).await;
    let mut other = new_record(owner, 1);
    other.record.body_sha256 = body_sha256(2);
    other.record.secret = vec![1];
    assert_eq!(refusal(store.save_record(&other, &seal).await), Refusal::IdConflict);
    assert_eq!(refusal(store.receipt(owner, record_id(1), body_sha256(2)).await), Refusal::IdConflict);
    assert_eq!(store.record(owner, record_id(1)).await.unwrap().expect("is there").secret, vec![0xA5; 300]);
}

pub(crate) async fn a_revoked_device_saves_nothing(store: &dyn Store) {
    let (first, second) = (owner(store, 1).await, owner(store, 2).await);
    let fits = grant(store, first, 7, "enrol-device", "").await;
    store.enrol_device(&device(first, 5), None, &fits, &link).await.unwrap();
    let by_device = |owner, n, seq| {
        let mut new = new_record(owner, n);
        new.device = Some((device_id(5), seq));
        new
    };
    store.save_record(&by_device(first, 1, 4), &seal).await.unwrap();
    store.save_record(&by_device(first, 2, 3), &seal).await.unwrap();
    assert_eq!(store.device(first, device_id(5)).await.unwrap().expect("is there").last_seq, 4);
    let foreign = by_device(second, 3, 1);
    assert_eq!(refusal(store.save_record(&foreign, &seal).await), Refusal::DeviceRevoked);
    let fits = grant(store, first, 8, "revoke-device", "").await;
    store.revoke_device(device_id(5), &fits, &link).await.unwrap();
    let late = by_device(first, 3, 5);
    assert_eq!(refusal(store.save_record(&late, &seal).await), Refusal::DeviceRevoked);
    assert!(matches!(store.save_record(&by_device(first, 1, 4), &seal).await.unwrap(), Saved::Before(_)));
    assert_eq!(store.records_page(first, None, 10).await.unwrap().len(), 2);
}

pub(crate) async fn the_quota_holds(store: &dyn Store) {
    let owner = owner(store, 1).await;
    for (n, expected) in [(1, None), (2, None), (3, Some(Refusal::Quota))] {
        let mut new = new_record(owner, n);
        new.max_records = 2;
        let result = store.save_record(&new, &seal).await;
        match expected {
            None => drop(result.unwrap()),
            Some(expected) => assert_eq!(refusal(result), expected),
        }
    }
}

pub(crate) async fn listing_never_carries_the_secret(store: &dyn Store) {
    let owner = owner(store, 1).await;
    for n in [3, 1, 2] {
        save(store, owner, n).await;
    }
    let page = store.records_page(owner, None, 2).await.unwrap();
    assert_eq!(page.iter().map(|row| row.record.id).collect::<Vec<_>>(), [record_id(1), record_id(2)]);
    let rest = store.records_page(owner, Some(record_id(2)), 2).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.record.id).collect::<Vec<_>>(), [record_id(3)]);
    for row in page.iter().chain(&rest) {
        assert!(row.record.secret.is_empty());
        assert_eq!(row.record.meta.len(), 300);
    }
}

pub(crate) async fn superseding_keeps_the_old_one(store: &dyn Store) {
    let owner = owner(store, 1).await;
    save(store, owner, 1).await;
    let mut newer = new_record(owner, 2);
    newer.record.supersedes = Some(record_id(1));
    newer.index = vec![IndexEntry {
        scope: "account".into(),
        scope_id: *owner.as_bytes(),
        full: vec![4; 16],
        prefix: vec![5; 16],
    }];
    assert!(!store.key_is_known(owner, &[4; 16]).await.unwrap());
    store.save_record(&newer, &seal).await.unwrap();
    assert!(store.key_is_known(owner, &[4; 16]).await.unwrap());
    let states: Vec<_> = store.records_page(owner, None, 9).await.unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, [RecordState::Superseded, RecordState::Live]);
    assert_eq!(store.record(owner, record_id(1)).await.unwrap().expect("stays").secret, vec![0xA5; 300]);
}

pub(crate) async fn a_record_of_another_account_is_not_found(store: &dyn Store) {
    let (first, second) = (owner(store, 1).await, owner(store, 2).await);
    save(store, first, 1).await;
    assert!(store.record(second, record_id(1)).await.unwrap().is_none());
    assert!(store.records_page(second, None, 9).await.unwrap().is_empty());
    assert_eq!(store.receipt(second, record_id(1), body_sha256(1)).await.unwrap(), None);
    let fits = grant(store, second, 7, "reveal", "1").await;
    assert_eq!(refusal(store.release(record_id(1), &fits, &link).await), Refusal::NotFound);
    let mut superseding = new_record(second, 2);
    superseding.record.supersedes = Some(record_id(1));
    store.save_record(&superseding, &seal).await.unwrap();
    assert_eq!(store.records_page(first, None, 9).await.unwrap()[0].state, RecordState::Live, "not theirs to retire");
}

pub(crate) async fn release_spends_and_audits(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let receipt = save(store, owner, 1).await;
    let fits = grant(store, owner, 7, "reveal", "1").await;
    let head = store.audit_head(owner).await.unwrap();
    let released = store.release(record_id(1), &fits, &link).await.unwrap();
    assert_eq!((released.record.secret, released.receipt), (vec![0xA5; 300], receipt));
    assert_eq!(store.audit_head(owner).await.unwrap().seq, head.seq + 1);
    assert_eq!(store.records_page(owner, None, 9).await.unwrap()[0].revealed_at, Some(NOW));
    assert_eq!(refusal(store.release(record_id(1), &fits, &link).await), Refusal::Grant);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, head.seq + 1);
}

pub(crate) async fn a_refused_release_spends_nothing(store: &dyn Store) {
    let owner = owner(store, 1).await;
    save(store, owner, 1).await;
    let fits = grant(store, owner, 7, "reveal", "1").await;
    assert_eq!(refusal(store.release(record_id(9), &fits, &link).await), Refusal::NotFound);
    let late = vault_store::GrantUse { now: LATER, ..fits.clone() };
    assert_eq!(refusal(store.release(record_id(1), &late, &link).await), Refusal::Grant);
    let other = grant_use(owner, 7, "reveal", "2");
    assert_eq!(refusal(store.release(record_id(1), &other, &link).await), Refusal::Grant);
    store.release(record_id(1), &fits, &link).await.expect("the grant is still good");
}

pub(crate) async fn releasing_several_audits_each(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let receipts = [save(store, owner, 1).await, save(store, owner, 2).await];
    save(store, owner, 3).await;
    let fits = grant(store, owner, 7, "export", "x").await;
    let before = store.audit_head(owner).await.unwrap().seq;
    let ids = [record_id(2), record_id(1)];
    let asked = std::sync::Mutex::new(Vec::new());
    let note = |id, head: &vault_store::ChainHead| {
        asked.lock().unwrap().push((id, head.seq));
        link(head)
    };
    let released = store.release_all(&ids, &fits, &note).await.unwrap();
    let found: Vec<_> = released.iter().map(|one| (one.record.id, one.receipt.clone())).collect();
    assert_eq!(found, [(ids[0], receipts[1].clone()), (ids[1], receipts[0].clone())]);
    assert_eq!(*asked.lock().unwrap(), [(ids[0], before), (ids[1], before + 1)]);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, before + 2);
    let page = store.records_page(owner, None, 9).await.unwrap();
    let revealed: Vec<bool> = page.iter().map(|listing| listing.revealed_at.is_some()).collect();
    assert_eq!(revealed, [true, true, false]);
    assert_eq!(refusal(store.release_all(&ids, &fits, &note).await), Refusal::Grant);
}

pub(crate) async fn a_refused_release_of_several_releases_none(store: &dyn Store) {
    let (one, two) = (owner(store, 1).await, owner(store, 2).await);
    save(store, one, 1).await;
    save(store, two, 2).await;
    let fits = grant(store, one, 7, "export", "x").await;
    let before = store.audit_head(one).await.unwrap();
    let plain = |_, head: &vault_store::ChainHead| link(head);
    // The second one is another account's.
    let both = [record_id(1), record_id(2)];
    assert_eq!(refusal(store.release_all(&both, &fits, &plain).await), Refusal::NotFound);
    assert_eq!(store.audit_head(one).await.unwrap(), before);
    assert!(store.records_page(one, None, 9).await.unwrap()[0].revealed_at.is_none());
    store.release_all(&both[..1], &fits, &plain).await.expect("the grant is still good");
}

pub(crate) async fn parallel_saves_make_one_chain(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let calls = (1..33).map(|n| async move { store.save_record(&new_record(owner, n), &seal).await.is_ok() });
    assert_eq!(at_once(calls).await, 32);
    let entries = store.audit_page(owner, 0, 100).await.unwrap();
    assert_eq!(entries.len(), 33);
    let mut prev = bytes(0);
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!((entry.link.seq, entry.link.prev), (i64::try_from(index).unwrap() + 1, prev));
        prev = entry.link.hash;
    }
    assert_eq!(store.audit_head(owner).await.unwrap().hash, prev);
}

pub(crate) async fn parallel_sends_of_one_save_store_it_once(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let new = new_record(owner, 1);
    let calls = (0..16).map(|_| async { matches!(store.save_record(&new, &seal).await.unwrap(), Saved::New(_)) });
    assert_eq!(at_once(calls).await, 1);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, 2);
}

/// A save of a key: record `n`, with an index entry that says which key.
fn save_of_key(owner: vault_store::AccountId, n: u8, key: u8) -> vault_store::NewRecord {
    let mut new = new_record(owner, n);
    new.index = vec![IndexEntry {
        scope: "account".into(),
        scope_id: *owner.as_bytes(),
        full: vec![key; 16],
        prefix: vec![key; 16],
    }];
    new
}

fn place(bucket: &str, places: i64) -> Place {
    Place { bucket: bucket.into(), window: NOW, until: LATER, places }
}

pub(crate) async fn a_save_takes_its_place(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let limited = |n| {
        let mut new = new_record(owner, n);
        new.place = Some(place("save/1", 2));
        new
    };
    store.save_record(&limited(1), &seal).await.unwrap();
    store.save_record(&limited(2), &seal).await.unwrap();
    let head = store.audit_head(owner).await.unwrap();
    assert_eq!(refusal(store.save_record(&limited(3), &seal).await), Refusal::Limit { until: LATER });
    assert_eq!(store.audit_head(owner).await.unwrap(), head);
    assert_eq!(store.records_page(owner, None, 9).await.unwrap().len(), 2);
    // What was saved before is told again, however full the window is, and takes no place.
    assert!(matches!(store.save_record(&limited(1), &seal).await.unwrap(), Saved::Before(_)));
    assert_eq!(store.counted("save/1", NOW).await.unwrap(), 2);
    // The next window has its own places.
    let mut next = limited(3);
    next.place = Some(Place { window: LATER, ..place("save/1", 2) });
    store.save_record(&next, &seal).await.unwrap();
}

pub(crate) async fn a_known_key_takes_no_place_of_new_ones(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let limited = |n, key| {
        let mut new = save_of_key(owner, n, key);
        new.new_key_place = Some(place("new/1", 1));
        new
    };
    store.save_record(&limited(1, 7), &seal).await.unwrap();
    store.save_record(&limited(2, 7), &seal).await.unwrap();
    assert_eq!(refusal(store.save_record(&limited(3, 8), &seal).await), Refusal::Limit { until: LATER });
    assert_eq!(store.counted("new/1", NOW).await.unwrap(), 1);
    // Without an index nobody knows the key: it counts as new.
    let mut nameless = limited(3, 7);
    nameless.index.clear();
    assert_eq!(refusal(store.save_record(&nameless, &seal).await), Refusal::Limit { until: LATER });
    // One new key among several makes it a new one.
    let mut several = limited(4, 7);
    several.index.extend(save_of_key(owner, 4, 9).index);
    assert_eq!(refusal(store.save_record(&several, &seal).await), Refusal::Limit { until: LATER });
}

pub(crate) async fn a_refused_save_takes_no_place(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let limited = |n| {
        let mut new = new_record(owner, n);
        new.place = Some(place("save/1", 9));
        new
    };
    let mut full = limited(1);
    full.max_records = 0;
    assert_eq!(refusal(store.save_record(&full, &seal).await), Refusal::Quota);
    let mut unknown = limited(1);
    unknown.device = Some((device_id(5), 1));
    assert_eq!(refusal(store.save_record(&unknown, &seal).await), Refusal::DeviceRevoked);
    let mut no_new_keys = limited(1);
    no_new_keys.new_key_place = Some(place("new/1", 0));
    assert_eq!(refusal(store.save_record(&no_new_keys, &seal).await), Refusal::Limit { until: LATER });
    assert_eq!(store.counted("save/1", NOW).await.unwrap(), 0);
    assert!(store.records_page(owner, None, 9).await.unwrap().is_empty());
}

pub(crate) async fn a_save_has_several_index_entries_or_none(store: &dyn Store) {
    let owner = owner(store, 1).await;
    store.save_record(&new_record(owner, 1), &seal).await.unwrap();
    let mut several = save_of_key(owner, 2, 7);
    for key in [8, 9] {
        several.index.extend(save_of_key(owner, 2, key).index);
    }
    store.save_record(&several, &seal).await.unwrap();
    for (key, known) in [(7, true), (8, true), (9, true), (1, false)] {
        assert_eq!(store.key_is_known(owner, &[key; 16]).await.unwrap(), known, "{key}");
    }
    assert!(matches!(store.save_record(&several, &seal).await.unwrap(), Saved::Before(_)));
}

pub(crate) async fn superseding_makes_room(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let save = |n, supersedes: Option<u8>| {
        let mut new = new_record(owner, n);
        new.max_records = 2;
        new.record.supersedes = supersedes.map(record_id);
        new
    };
    store.save_record(&save(1, None), &seal).await.unwrap();
    store.save_record(&save(2, Some(1)), &seal).await.unwrap();
    // It was superseded before, and what is not there gives no room.
    store.save_record(&save(3, Some(1)), &seal).await.unwrap();
    assert_eq!(refusal(store.save_record(&save(4, Some(9)), &seal).await), Refusal::Quota);
    let states: Vec<_> = store.records_page(owner, None, 9).await.unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, [RecordState::Superseded, RecordState::Live, RecordState::Live]);
}

pub(crate) async fn parallel_saves_share_the_places_of_a_window(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let calls = (1..25).map(|n| async move {
        let mut new = save_of_key(owner, n, n);
        new.place = Some(place("save/1", 20));
        new.new_key_place = Some(place("new/1", 7));
        store.save_record(&new, &seal).await.is_ok()
    });
    assert_eq!(at_once(calls).await, 7);
    assert_eq!(store.counted("save/1", NOW).await.unwrap(), 7);
    assert_eq!(store.counted("new/1", NOW).await.unwrap(), 7);
    assert_eq!(store.records_page(owner, None, 99).await.unwrap().len(), 7);
}

pub(crate) async fn parallel_saves_fill_an_account_exactly(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let calls = (1..25).map(|n| async move {
        let mut new = new_record(owner, n);
        new.max_records = 9;
        match store.save_record(&new, &seal).await {
            Err(error) => {
                assert!(matches!(error, vault_store::Error::Refused(Refusal::Quota)), "{error:?}");
                false
            }
            Ok(_) => true,
        }
    });
    assert_eq!(at_once(calls).await, 9);
    assert_eq!(store.records_page(owner, None, 99).await.unwrap().len(), 9);
}

pub(crate) async fn no_save_comes_after_the_end_of_its_device(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 7, "enrol-device", "").await;
    store.enrol_device(&device(owner, 5), None, &fits, &link).await.unwrap();
    let fits = &grant(store, owner, 8, "revoke-device", "").await;
    let save = |n| async move {
        let mut new = new_record(owner, n);
        new.device = Some((device_id(5), i64::from(n)));
        store.save_record(&new, &seal).await.is_ok()
    };
    let revoke = async { store.revoke_device(device_id(5), fits, &link).await.is_ok() };
    let mut calls: Vec<std::pin::Pin<Box<dyn Future<Output = bool> + Send + '_>>> = Vec::new();
    calls.extend((1..9).map(|n| Box::pin(save(n)) as _));
    calls.push(Box::pin(revoke));
    calls.extend((9..17).map(|n| Box::pin(save(n)) as _));
    let succeeded = at_once(calls).await;
    let ended = store.device(owner, device_id(5)).await.unwrap().expect("is there");
    assert!(ended.revoked_at.is_some(), "revoking met saves and got through");
    let saved = store.records_page(owner, None, 99).await.unwrap().len();
    assert_eq!(saved, succeeded - 1);
    assert!(!save(20).await);
}

pub(crate) async fn retired_records_make_room(store: &dyn Store) {
    let owner = owner(store, 1).await;
    let fits = grant(store, owner, 7, "enrol-device", "").await;
    store.enrol_device(&device(owner, 5), None, &fits, &link).await.unwrap();
    let save = |n| {
        let mut new = new_record(owner, n);
        new.record.author_id = device_id(5).into();
        new.max_records = 1;
        new
    };
    store.save_record(&save(1), &seal).await.unwrap();
    assert_eq!(refusal(store.save_record(&save(2), &seal).await), Refusal::Quota);
    let note = vault_store::NewNote {
        account_id: owner,
        device_id: device_id(5),
        record_id: record_id(1),
        finding: vault_protocol::note::Finding::Retired,
        body: b"retired".to_vec(),
        at: NOW,
    };
    store.note_record(&note, None).await.unwrap();
    store.note_record(&note, None).await.unwrap();
    store.save_record(&save(2), &seal).await.unwrap();
    assert_eq!(refusal(store.save_record(&save(3), &seal).await), Refusal::Quota);
}
