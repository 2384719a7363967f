//! A primary with a standby: the primary is killed while devices save, the standby takes its place.

use std::time::Duration;

use testkit::postgres::Postgres;

use crate::check::{compare, expect_everything};
use crate::nodes::Nodes;
use crate::people::{Load, Owner, deliver_the_rest, save_while};

/// Kills the primary under load, and goes on with the standby.
fn fail_over(primary: &Postgres, standby: &Postgres, nodes: &mut Nodes, owners: &[Owner], at_least: usize) -> Load {
    let load = save_while(owners, |progress| {
        progress.wait_for(at_least, Duration::from_secs(60));
        assert!(progress.saved() >= at_least, "only {} saves", progress.saved());
        primary.kill();
    });
    standby.promote();
    nodes.move_to(standby.url("postgres"));
    load
}

#[test]
fn no_save_is_lost_with_a_standby_that_is_waited_for() {
    let Some(mut primary) = Postgres::start(&[]) else { return };
    let mut nodes = Nodes::start(2, Some(primary.url("postgres")));
    let owners = [Owner::join(&nodes, "ada", 2), Owner::join(&nodes, "eve", 1)];
    let mut all: Option<Load> = None;
    // Three times, each with a new standby.
    for _ in 0..3 {
        let standby = primary.standby();
        primary.wait_for_standby();
        let load = fail_over(&primary, &standby, &mut nodes, &owners, 60);
        all = Some(match all.take() {
            Some(before) => before.and(load),
            None => load,
        });
        primary = standby;
    }
    let mut load = all.unwrap();
    // Before anything that waited is sent again: what was confirmed is there by itself.
    let found = compare(&owners, &load);
    assert_eq!(found.lost, 0, "{found:?}");
    deliver_the_rest(&owners, &mut load);
    let found = expect_everything(&owners, &load);
    eprintln!(
        "3 primaries killed: {} saves acknowledged, {} found, {} lost",
        found.acknowledged, found.records, found.lost
    );
}

/// The same with a standby that is behind and not waited for: what the test above looks for can be found.
#[test]
fn a_standby_that_is_behind_loses_saves_and_it_shows() {
    let Some(primary) = Postgres::start(&[]) else { return };
    let mut nodes = Nodes::start(1, Some(primary.url("postgres")));
    let owners = [Owner::join(&nodes, "ada", 1)];
    let standby = primary.standby();
    standby.stop_following();
    let load = fail_over(&primary, &standby, &mut nodes, &owners, 20);
    let told: usize = load.told.iter().flatten().map(|told| told.len()).sum();
    // The owner's program sees that the trail is shorter than it was: it remembers where it ended.
    let records = owners[0].devices[0].client.records().unwrap();
    let there =
        load.told.iter().flatten().flatten().filter(|(id, _)| records.iter().any(|record| record.record_id == **id));
    assert!(there.count() < told, "all {told} are there, though nothing was sent to the standby");
}
