//! Backup codes: each once, and none of an earlier set.

use vault_store::{BackupCodeUse, Refusal, ReplaceBackupCodes, Store};

use crate::fixture::{LATER, NOW, account_id, at_once, bytes, ceremony, ceremony_id, link, owner, refusal, session};

/// A set of codes with these hashes, asked for by session `n - 1`, which goes on as session `n`.
fn set(n: u8, hashes: &[u8]) -> ReplaceBackupCodes {
    ReplaceBackupCodes {
        account_id: account_id(1),
        hashes: hashes.iter().map(|hash| bytes(*hash)).collect(),
        ceremony: ceremony_id(n),
        ceremony_kind: "backup-codes".into(),
        from_session: bytes(n - 1),
        session: session(account_id(1), n),
        now: NOW,
    }
}

async fn replace(store: &dyn Store, set: &ReplaceBackupCodes, n: u8) {
    store.add_ceremony(&ceremony(n, "backup-codes")).await.unwrap();
    store.replace_backup_codes(set, &link).await.unwrap();
}

async fn use_code(store: &dyn Store, account: u8, hash: u8) -> BackupCodeUse {
    store.use_backup_code(account_id(account), bytes(hash), NOW, &link).await.unwrap()
}

pub(crate) async fn a_backup_code_is_used_once(store: &dyn Store) {
    let owner = owner(store, 1).await;
    assert_eq!(use_code(store, 1, 50).await, BackupCodeUse::Unknown, "there are none");
    replace(store, &set(2, &[50, 51]), 2).await;
    let entries = store.audit_head(owner).await.unwrap().seq;
    assert_eq!(use_code(store, 2, 50).await, BackupCodeUse::Unknown, "of another account");
    assert_eq!(use_code(store, 1, 52).await, BackupCodeUse::Unknown);
    assert_eq!(use_code(store, 1, 50).await, BackupCodeUse::Spent { left: 1 });
    assert_eq!(use_code(store, 1, 50).await, BackupCodeUse::UsedBefore);
    assert_eq!(store.audit_head(owner).await.unwrap().seq, entries + 1, "only the use is in the trail");
    assert_eq!(store.backup_codes_left(owner).await.unwrap(), 1);
    assert_eq!(store.backup_codes_left(account_id(2)).await.unwrap(), 0);
}

pub(crate) async fn parallel_uses_of_a_backup_code(store: &dyn Store) {
    owner(store, 1).await;
    replace(store, &set(2, &[50, 51]), 2).await;
    let calls = (0..16).map(|_| async { use_code(store, 1, 50).await == BackupCodeUse::Spent { left: 1 } });
    assert_eq!(at_once(calls).await, 1);
    assert_eq!(store.audit_head(account_id(1)).await.unwrap().seq, 3);
}

pub(crate) async fn new_backup_codes_void_the_old_ones(store: &dyn Store) {
    let owner = owner(store, 1).await;
    store.add_session(&session(owner, 9)).await.unwrap();
    replace(store, &set(2, &[50, 51]), 2).await;
    replace(store, &set(3, &[60, 61, 62]), 3).await;
    assert_eq!(use_code(store, 1, 50).await, BackupCodeUse::Unknown);
    assert_eq!(use_code(store, 1, 60).await, BackupCodeUse::Spent { left: 2 });
    assert_eq!(store.account(owner).await.unwrap().expect("is there").epoch, 3);
    for ended in [1, 2, 9] {
        assert!(store.session(bytes(ended)).await.unwrap().is_none(), "{ended}");
    }
    assert_eq!(store.session(bytes(3)).await.unwrap().expect("goes on").session.epoch, 3);
}

pub(crate) async fn a_refused_set_changes_nothing(store: &dyn Store) {
    let owner = owner(store, 1).await;
    replace(store, &set(2, &[50]), 2).await;
    let again = ReplaceBackupCodes { from_session: bytes(2), ..set(2, &[60]) };
    assert_eq!(refusal(store.replace_backup_codes(&again, &link).await), Refusal::Ceremony, "spent");
    store.add_ceremony(&ceremony(3, "backup-codes")).await.unwrap();
    let late = ReplaceBackupCodes { now: LATER, ..set(3, &[60]) };
    assert_eq!(refusal(store.replace_backup_codes(&late, &link).await), Refusal::Ceremony, "expired");
    let ended = ReplaceBackupCodes { from_session: bytes(1), ..set(3, &[60]) };
    assert_eq!(refusal(store.replace_backup_codes(&ended, &link).await), Refusal::Session);
    assert_eq!(refusal(store.replace_backup_codes(&set(3, &[60, 60]), &link).await), Refusal::IdTaken);
    assert_eq!(use_code(store, 1, 60).await, BackupCodeUse::Unknown);
    assert_eq!(use_code(store, 1, 50).await, BackupCodeUse::Spent { left: 0 });
    assert_eq!(store.account(owner).await.unwrap().expect("is there").epoch, 2);
}
