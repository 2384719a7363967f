//! Small accounts, devices and records with content that can be told apart.

use vault_store::{
    Account, AccountId, AuthorId, Ceremony, CeremonyId, ChainHead, Device, DeviceId, DeviceState, Digest, Grant,
    GrantUse, KeyStatement, Link, NewAccount, NewRecord, Record, RecordId, Saved, Session, SessionLevel, Slot, SlotId,
    Store,
};

/// The time of every case.
pub(crate) const NOW: i64 = 1_800_000_000_000;
/// A moment that is never reached.
pub(crate) const LATER: i64 = NOW + 600_000;

pub(crate) fn bytes<const N: usize>(n: u8) -> [u8; N] {
    [n; N]
}

pub(crate) fn account_id(n: u8) -> AccountId {
    AccountId::from_bytes(bytes(n))
}

pub(crate) fn device_id(n: u8) -> DeviceId {
    DeviceId::from_bytes(bytes(n))
}

pub(crate) fn record_id(n: u8) -> RecordId {
    RecordId::from_bytes(bytes(n))
}

pub(crate) fn ceremony_id(n: u8) -> CeremonyId {
    CeremonyId::from_bytes(bytes(n))
}

pub(crate) fn body_sha256(n: u8) -> Digest {
    bytes(n)
}

/// A link whose hash depends on all that a real one depends on, without being cryptographic.
pub(crate) fn link(head: &ChainHead) -> Link {
    let seq = head.seq + 1;
    let mut hash = head.hash;
    hash.rotate_left(1);
    for (byte, with) in hash.iter_mut().zip(seq.to_le_bytes().into_iter().cycle()) {
        *byte = byte.wrapping_mul(31).wrapping_add(with).wrapping_add(7);
    }
    // Chains of different accounts start alike: the random salt of a real entry keeps their hashes apart.
    static SALT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let salt = SALT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    hash[..8].copy_from_slice(&salt.to_le_bytes());
    Link { seq, prev: head.hash, hash, body: format!("entry {seq}").into_bytes(), mail: None }
}

pub(crate) fn session(owner: AccountId, n: u8) -> Session {
    Session {
        token_hash: bytes(n),
        account_id: owner,
        epoch: 1,
        level: SessionLevel::Full,
        created_at: NOW,
        seen_at: NOW,
        expires_at: LATER,
        net: "127.0.0.0/24".into(),
    }
}

pub(crate) fn ceremony(n: u8, kind: &str) -> Ceremony {
    Ceremony { id: ceremony_id(n), kind: kind.into(), account_id: None, state_sealed: vec![n; 8], expires_at: LATER }
}

pub(crate) fn new_account(n: u8) -> NewAccount {
    let id = account_id(n);
    NewAccount {
        account: Account {
            id,
            email_norm: format!("owner{n}@example.org"),
            opaque_record: vec![n; 192],
            kdf_profile: 1,
            generation: 1,
            epoch: 1,
            two_factor: false,
            off_at: None,
            created_at: NOW,
        },
        statement: KeyStatement {
            account_id: id,
            generation: 1,
            body: vec![n; 10],
            signature: vec![n; 64],
            previous_signature: None,
            hash: bytes(n),
        },
        slots: vec![Slot {
            id: SlotId::from_bytes(bytes(n)),
            account_id: id,
            kind: "password".into(),
            salt: vec![n; 32],
            wrap_c: vec![n; 60],
            wrap_v: vec![n; 60],
            credential_id: None,
            proof_hash: None,
            generation: 1,
            created_at: NOW,
        }],
        invite: None,
        ceremony: ceremony_id(n),
        session: session(id, n),
    }
}

/// An account with one session whose token hash is `[n; 32]`.
pub(crate) async fn owner(store: &(impl Store + ?Sized), n: u8) -> AccountId {
    store.add_ceremony(&ceremony(n, "signup")).await.unwrap();
    store.create_account(&new_account(n), NOW, &link).await.unwrap();
    account_id(n)
}

pub(crate) fn grant_use(owner: AccountId, n: u8, purpose: &str, target: &str) -> GrantUse {
    GrantUse {
        hash: bytes(n),
        account_id: owner,
        session_hash: bytes(1),
        purpose: purpose.into(),
        target: target.into(),
        now: NOW,
    }
}

/// Gives the owner a grant and returns the use that fits it.
pub(crate) async fn grant(
    store: &(impl Store + ?Sized),
    owner: AccountId,
    n: u8,
    purpose: &str,
    target: &str,
) -> GrantUse {
    let fits = grant_use(owner, n, purpose, target);
    give(store, &fits).await;
    fits
}

/// Gives out the grant that this use fits.
pub(crate) async fn give(store: &(impl Store + ?Sized), fits: &GrantUse) {
    let grant = Grant {
        hash: fits.hash,
        account_id: fits.account_id,
        session_hash: fits.session_hash,
        purpose: fits.purpose.clone(),
        target: fits.target.clone(),
        confirmed_by: None,
        expires_at: LATER,
    };
    store.add_grant(&grant, &link).await.unwrap();
}

pub(crate) fn device(owner: AccountId, n: u8) -> Device {
    Device {
        id: device_id(n),
        account_id: owner,
        pk: vec![n; 32],
        alg: "ed25519".into(),
        certificate: vec![n; 100],
        capability: "records.append".into(),
        state: DeviceState::Active,
        last_seq: 0,
        created_at: NOW,
        seen_at: NOW,
        revoked_at: None,
        label_sealed: None,
    }
}

pub(crate) fn new_record(owner: AccountId, n: u8) -> NewRecord {
    NewRecord {
        record: Record {
            account_id: owner,
            id: record_id(n),
            author_id: AuthorId::from_bytes(*owner.as_bytes()),
            kind: "bitlocker-recovery-password".into(),
            header: vec![n; 20],
            meta: vec![n; 300],
            secret: vec![0xA5; 300],
            signature: vec![n; 64],
            body_sha256: body_sha256(n),
            supersedes: None,
            received_at: NOW,
        },
        index: Vec::new(),
        device: None,
        max_records: 100,
    }
}

pub(crate) fn seal(head: &ChainHead) -> (Link, Vec<u8>) {
    let link = link(head);
    let receipt = format!("receipt {}", link.seq).into_bytes();
    (link, receipt)
}

/// Saves record `n` for the owner and returns its receipt.
pub(crate) async fn save(store: &(impl Store + ?Sized), owner: AccountId, n: u8) -> Vec<u8> {
    match store.save_record(&new_record(owner, n), &seal).await.unwrap() {
        Saved::New(receipt) => receipt,
        Saved::Before(_) => panic!("record {n} is new"),
    }
}

/// Runs the same call several times at once and returns how many succeeded.
pub(crate) async fn at_once<F: Future<Output = bool>>(calls: impl IntoIterator<Item = F>) -> usize {
    // Polled together on one task: every call is in flight before the first one is finished.
    let mut pending: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut succeeded = 0;
    std::future::poll_fn(|context| {
        pending.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Ready(true) => {
                succeeded += 1;
                false
            }
            std::task::Poll::Ready(false) => false,
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    succeeded
}

/// The refusal of a call that must be refused.
pub(crate) fn refusal<T>(result: Result<T, vault_store::Error>) -> vault_store::Refusal {
    match result {
        Err(vault_store::Error::Refused(refusal)) => refusal,
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("must be refused"),
    }
}
