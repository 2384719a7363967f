//! Passkeys: their names, their counters, the slots they open.

use vault_store::{
    AccountId, AddFactor, AddPasskey, AddPasskeySlot, Factor, FactorId, PASSKEY, Refusal, RemoveFactor, Slot, SlotId,
    Store,
};

use crate::fixture::{
    LATER, NOW, account_id, at_once, bytes, ceremony, ceremony_id, give, grant_use, link, owner, refusal, session,
};

/// Passkey `n` of account `account`, added from the session `from`.
fn add(account: AccountId, n: u8, from: u8, first: bool) -> AddPasskey {
    let factor = Factor {
        id: FactorId::from_bytes(bytes(n)),
        account_id: account,
        kind: PASSKEY.into(),
        label: format!("passkey {n}"),
        data_sealed: vec![n; 40],
        last_step: None,
        created_at: NOW,
        used_at: None,
    };
    let add = AddFactor {
        factor,
        ceremony: ceremony_id(n),
        ceremony_kind: "passkey".into(),
        first,
        max_factors: 5,
        from_session: bytes(from),
        session: session(account, n),
        now: NOW,
    };
    AddPasskey { add, credential_id: vec![n; 24], counter: 5 }
}

async fn added(store: &dyn Store, n: u8, from: u8, first: bool) -> FactorId {
    let add = add(account_id(1), n, from, first);
    store.add_ceremony(&ceremony(n, "passkey")).await.unwrap();
    store.add_passkey(&add, &link).await.unwrap();
    add.add.factor.id
}

fn slot(n: u8, credential: u8) -> Slot {
    Slot {
        id: SlotId::from_bytes(bytes(n)),
        account_id: account_id(1),
        kind: PASSKEY.into(),
        salt: vec![n; 16],
        wrap_c: vec![n; 60],
        wrap_v: vec![n; 60],
        credential_id: Some(vec![credential; 24]),
        proof_hash: None,
        generation: 1,
        created_at: NOW,
    }
}

/// Adds slot `n` of the passkey with this number.
async fn slot_added(store: &dyn Store, n: u8, passkey: u8, session: u8) {
    let fits =
        vault_store::GrantUse { session_hash: bytes(session), ..grant_use(account_id(1), n, "passkey-slot", "x") };
    give(store, &fits).await;
    let add = AddPasskeySlot { slot: slot(n, passkey), factor: FactorId::from_bytes(bytes(passkey)), grant: fits };
    store.add_passkey_slot(&add, &link).await.unwrap();
}

async fn opening(store: &dyn Store) -> Vec<Vec<u8>> {
    store.slots(account_id(1)).await.unwrap().into_iter().filter_map(|slot| slot.credential_id).collect()
}

pub(crate) async fn a_passkey_is_a_factor_with_a_name_of_its_own(store: &dyn Store) {
    owner(store, 1).await;
    let factor = added(store, 11, 1, true).await;
    let found = store.passkeys(account_id(1)).await.unwrap();
    assert_eq!((found.len(), found[0].factor.id, found[0].counter), (1, factor, 5));
    assert_eq!(found[0].credential_id, vec![11; 24]);
    assert_eq!(store.factors(account_id(1)).await.unwrap()[0].kind, PASSKEY);
    assert!(store.account(account_id(1)).await.unwrap().unwrap().two_factor);
    assert!(store.passkeys(account_id(2)).await.unwrap().is_empty());
    // The same credential under another label, and in another account.
    store.add_ceremony(&ceremony(12, "passkey")).await.unwrap();
    let again = AddPasskey { credential_id: vec![11; 24], ..add(account_id(1), 12, 11, false) };
    assert_eq!(refusal(store.add_passkey(&again, &link).await), Refusal::IdTaken);
    owner(store, 2).await;
    store.add_ceremony(&ceremony(13, "passkey")).await.unwrap();
    let other = AddPasskey { credential_id: vec![11; 24], ..add(account_id(2), 13, 2, true) };
    assert_eq!(refusal(store.add_passkey(&other, &link).await), Refusal::IdTaken);
    assert!(!store.account(account_id(2)).await.unwrap().unwrap().two_factor);
    assert_eq!(store.audit_head(account_id(2)).await.unwrap().seq, 1);
}

pub(crate) async fn a_passkeys_counter_only_rises(store: &dyn Store) {
    owner(store, 1).await;
    let factor = added(store, 11, 1, true).await;
    let used = async |counter| store.use_passkey(account_id(1), factor, counter, NOW).await.unwrap();
    assert!(!used(5).await && !used(0).await && !used(4).await);
    assert!(used(6).await && !used(6).await);
    assert!(used(i64::from(u32::MAX)).await && !used(0).await);
    assert_eq!(store.passkeys(account_id(1)).await.unwrap()[0].counter, i64::from(u32::MAX));
    assert!(!store.use_passkey(account_id(2), factor, i64::MAX, NOW).await.unwrap(), "another account's");
    // One that does not count.
    store.add_ceremony(&ceremony(12, "passkey")).await.unwrap();
    let still = AddPasskey { counter: 0, ..add(account_id(1), 12, 11, false) };
    store.add_passkey(&still, &link).await.unwrap();
    let id = still.add.factor.id;
    for _ in 0..2 {
        assert!(store.use_passkey(account_id(1), id, 0, NOW).await.unwrap());
    }
    assert!(store.use_passkey(account_id(1), id, 1, NOW).await.unwrap());
    assert!(!store.use_passkey(account_id(1), id, 0, NOW).await.unwrap(), "one that began to count goes on");
    // No code factor is used as a passkey.
    store.add_ceremony(&ceremony(13, "passkey")).await.unwrap();
    let code = AddFactor { first: false, from_session: bytes(12), ..add(account_id(1), 13, 12, false).add };
    store.add_factor(&code, &link).await.unwrap();
    assert!(!store.use_passkey(account_id(1), code.factor.id, 9, NOW).await.unwrap());
}

pub(crate) async fn parallel_uses_of_a_counter(store: &dyn Store) {
    owner(store, 1).await;
    let factor = added(store, 11, 1, true).await;
    let uses = (0..8).map(|_| async { store.use_passkey(account_id(1), factor, 6, NOW).await.unwrap() });
    assert_eq!(at_once(uses).await, 1);
}

pub(crate) async fn a_passkeys_slot_takes_the_place_of_its_earlier_one(store: &dyn Store) {
    owner(store, 1).await;
    added(store, 11, 1, true).await;
    added(store, 12, 11, false).await;
    slot_added(store, 21, 11, 12).await;
    slot_added(store, 22, 12, 12).await;
    let head = store.audit_head(account_id(1)).await.unwrap().seq;
    slot_added(store, 23, 11, 12).await;
    assert_eq!(opening(store).await, [vec![12; 24], vec![11; 24]]);
    assert_eq!(store.slots(account_id(1)).await.unwrap().len(), 3, "the password's is among them");
    assert_eq!(store.audit_head(account_id(1)).await.unwrap().seq, head + 2, "the grant's entry and the slot's");
}

pub(crate) async fn a_refused_slot_changes_nothing(store: &dyn Store) {
    owner(store, 1).await;
    added(store, 11, 1, true).await;
    slot_added(store, 21, 11, 11).await;
    let fits = vault_store::GrantUse { session_hash: bytes(11), ..grant_use(account_id(1), 31, "passkey-slot", "x") };
    give(store, &fits).await;
    let good = AddPasskeySlot { slot: slot(22, 11), factor: FactorId::from_bytes(bytes(11)), grant: fits.clone() };
    let head = store.audit_head(account_id(1)).await.unwrap();
    let other_factor = AddPasskeySlot { factor: FactorId::from_bytes(bytes(12)), ..good.clone() };
    assert_eq!(refusal(store.add_passkey_slot(&other_factor, &link).await), Refusal::NotFound);
    let other_credential = AddPasskeySlot { slot: slot(22, 12), ..good.clone() };
    assert_eq!(refusal(store.add_passkey_slot(&other_credential, &link).await), Refusal::NotFound);
    let no_credential = AddPasskeySlot { slot: Slot { credential_id: None, ..slot(22, 11) }, ..good.clone() };
    assert_eq!(refusal(store.add_passkey_slot(&no_credential, &link).await), Refusal::NotFound);
    let taken = AddPasskeySlot { slot: slot(21, 11), ..good.clone() };
    assert_eq!(refusal(store.add_passkey_slot(&taken, &link).await), Refusal::IdTaken);
    let late = AddPasskeySlot { grant: vault_store::GrantUse { now: LATER, ..fits.clone() }, ..good.clone() };
    assert_eq!(refusal(store.add_passkey_slot(&late, &link).await), Refusal::Grant);
    assert_eq!(store.audit_head(account_id(1)).await.unwrap().hash, head.hash);
    assert_eq!(store.slots(account_id(1)).await.unwrap().last().unwrap().id, SlotId::from_bytes(bytes(21)));
    store.add_passkey_slot(&good, &link).await.unwrap();
    assert_eq!(refusal(store.add_passkey_slot(&good, &link).await), Refusal::Grant);
}

pub(crate) async fn slots_are_retired_by_name(store: &dyn Store) {
    owner(store, 1).await;
    added(store, 11, 1, true).await;
    added(store, 12, 11, false).await;
    slot_added(store, 21, 11, 12).await;
    slot_added(store, 22, 12, 12).await;
    let head = store.audit_head(account_id(1)).await.unwrap().seq;
    let retire = async |credentials: &[Vec<u8>]| {
        store.retire_passkey_slots(account_id(1), credentials, NOW, &link).await.unwrap()
    };
    assert_eq!(retire(&[vec![99; 24]]).await, 0);
    assert_eq!(opening(store).await.len(), 2);
    assert_eq!(retire(&[vec![11; 24], vec![11; 24]]).await, 1);
    assert_eq!(opening(store).await, [vec![12; 24]]);
    assert_eq!(retire(&[]).await, 0);
    assert_eq!(opening(store).await, [vec![12; 24]], "none is named, none is retired");
    assert_eq!(retire(&[vec![12; 24]]).await, 1);
    assert!(opening(store).await.is_empty());
    assert_eq!(store.slots(account_id(1)).await.unwrap().len(), 1, "the password's stays");
    assert_eq!(store.audit_head(account_id(1)).await.unwrap().seq, head + 4);
}

pub(crate) async fn a_removed_passkey_takes_its_slot_along(store: &dyn Store) {
    owner(store, 1).await;
    added(store, 11, 1, true).await;
    let factor = added(store, 12, 11, false).await;
    slot_added(store, 21, 11, 12).await;
    slot_added(store, 22, 12, 12).await;
    let target = factor.to_string();
    let fits = vault_store::GrantUse { session_hash: bytes(12), ..grant_use(account_id(1), 31, "factors", &target) };
    give(store, &fits).await;
    let remove = RemoveFactor { factor, grant: fits, session: session(account_id(1), 13) };
    store.remove_factor(&remove, &link).await.unwrap();
    assert_eq!(opening(store).await, [vec![11; 24]]);
    assert_eq!(store.passkeys(account_id(1)).await.unwrap().len(), 1);
}
