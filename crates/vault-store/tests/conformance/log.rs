//! The global log: every entry gets one place, whoever keeps the log and whenever it is stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use vault_protocol::log::{Edge, Tile, TileId, Tiles, empty_root, root_spans};
use vault_store::{AccountId, Digest, LogHead, Refusal, Store};

use crate::fixture::{at_once, link, owner};

/// A checkpoint that tells what it is of.
pub(crate) fn sign(size: u64, root: &Digest) -> String {
    format!("{size} {root:?}")
}

async fn write(store: &(impl Store + ?Sized), account: AccountId, count: usize) {
    for _ in 0..count {
        store.append_audit(account, &link).await.unwrap();
    }
}

/// Lets the log grow until nothing waits.
pub(crate) async fn extend_all(store: &(impl Store + ?Sized), most: i64) -> usize {
    let mut added = 0;
    loop {
        match store.extend_log(most, &sign).await {
            Ok(0) => return added,
            Ok(more) => added += more,
            Err(vault_store::Error::Refused(Refusal::LogMoved)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Checks that every entry of these accounts has one place, the places are all there are, and head, tiles and notes belong
/// together; gives the head.
pub(crate) async fn check(store: &(impl Store + ?Sized), accounts: &[AccountId]) -> LogHead {
    let head = store.log_head().await.unwrap().expect("a log");
    let mut places = BTreeMap::new();
    for account in accounts {
        let mut after = 0;
        loop {
            let page = store.audit_page(*account, after, 1000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.link.seq;
            for row in page {
                let place = row.log_index.expect("in the log");
                assert!(places.insert(place, row.link.hash).is_none(), "place {place} twice");
            }
        }
    }
    let size = u64::try_from(head.size).unwrap();
    assert_eq!(places.len() as u64, size);
    assert!(places.keys().copied().eq(0..head.size), "no place is free");
    let mut edge = Edge::new(0, |_| None).unwrap();
    for leaf in places.values() {
        edge.push(*leaf);
    }
    assert_eq!(edge.root(), head.root);
    assert_eq!(head.note, sign(size, &head.root));
    let mut tiles = Tiles::default();
    for (id, tile) in edge.into_changed() {
        let stored = store.log_tile(id).await.unwrap().expect("a tile");
        assert_eq!(stored, tile.to_bytes(), "{id:?}");
        tiles.insert(id, Tile::parse(&stored).unwrap());
    }
    assert_eq!(tiles.hashes(&root_spans(size)).unwrap(), [head.root]);
    head
}

pub(crate) async fn the_log_begins_once(store: &dyn Store) {
    assert_eq!(store.log_head().await.unwrap(), None);
    let account = owner(store, 1).await;
    assert!(store.extend_log(10, &sign).await.is_err(), "nobody began a log");
    store.begin_log(&sign).await.unwrap();
    let head = store.log_head().await.unwrap().expect("a log");
    assert_eq!(head, LogHead { size: 0, root: empty_root(), note: sign(0, &empty_root()) });
    assert_eq!(store.log_tile(TileId { level: 0, index: 0 }).await.unwrap(), None);
    extend_all(store, 10).await;
    store.begin_log(&|_, _| "another".to_owned()).await.unwrap();
    assert!(check(store, &[account]).await.size > 0);
}

pub(crate) async fn entries_get_their_places(store: &dyn Store) {
    let accounts = [owner(store, 1).await, owner(store, 2).await];
    store.begin_log(&sign).await.unwrap();
    for (count, most) in [(1, 1), (7, 3), (80, 100), (200, 64)] {
        for account in accounts {
            write(store, account, count).await;
        }
        let added = extend_all(store, most).await;
        assert!(added >= 2 * count);
        check(store, &accounts).await;
    }
    assert_eq!(store.extend_log(10, &|_, _| panic!("nothing to sign")).await.unwrap(), 0);
}

pub(crate) async fn many_keepers_and_saves_at_once(store: &dyn Store) {
    let accounts = [owner(store, 1).await, owner(store, 2).await];
    store.begin_log(&sign).await.unwrap();
    let keeper = async || {
        for _ in 0..20 {
            let done = store.extend_log(16, &sign).await;
            let moved = matches!(done, Err(vault_store::Error::Refused(Refusal::LogMoved)));
            assert!(done.is_ok() || moved, "{done:?}");
        }
        true
    };
    let writer = async |account| {
        write(store, account, 40).await;
        true
    };
    let calls: Vec<std::pin::Pin<Box<dyn Future<Output = bool>>>> = vec![
        Box::pin(keeper()),
        Box::pin(writer(accounts[0])),
        Box::pin(keeper()),
        Box::pin(writer(accounts[1])),
        Box::pin(keeper()),
    ];
    assert_eq!(at_once(calls).await, 5);
    extend_all(store, 16).await;
    check(store, &accounts).await;
}

pub(crate) async fn a_keeper_that_stops_half_way_leaves_nothing(store: &dyn Store) {
    let accounts = [owner(store, 1).await];
    store.begin_log(&sign).await.unwrap();
    write(store, accounts[0], 120).await;
    let mut stopped = 0;
    for step in 0..200 {
        let limit = Duration::from_micros(20 + 23 * step);
        match tokio::time::timeout(limit, store.extend_log(9, &sign)).await {
            Err(_) => stopped += 1,
            // One that was stopped may have come through at the database.
            Ok(done) => {
                let moved = matches!(done, Err(vault_store::Error::Refused(Refusal::LogMoved)));
                assert!(done.is_ok() || moved, "{done:?}");
            }
        }
    }
    assert!(stopped > 0, "none was stopped");
    extend_all(store, 100).await;
    check(store, &accounts).await;
}
